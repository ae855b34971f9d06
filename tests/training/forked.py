"""Reads a plan, `[[processes, [recipe, ...]], ...]`, on standard input, and trains so, one recipe after the other.

Everything is imported once and the processes are forked from this one, so that a test pays seconds of start-up once.
"""

import json
import os
import socket
import sys

import torch.multiprocessing

import rnn_hub.tasks.language_modeling
import rnn_hub.tasks.token_classification
import rnn_hub.tasks.translation
import rnn_hub.tasks.video_classification
import rnn_hub.training.run  # noqa: F401
from rnn_hub.cli import main
from rnn_hub.training.loader import StreamLoader


def work(rank: int, processes: int, port: int, recipes: list[str]) -> None:
    """What one process does."""
    if processes > 1:
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes}
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        os.environ |= {name: str(value) for name, value in (place | address).items()}
    for recipe in recipes:
        if status := main(["train", recipe]):
            sys.exit(status)


def note_rows() -> None:
    """Let each process write which rows of a stream it has trained on, into files `seen-<process>` of the run."""
    lockstep = StreamLoader._lockstep

    def noted(self):
        for rows, real in lockstep(self):
            with open(f"{self.arguments.output_dir}/seen-{self.arguments.process_index}", "a") as file:
                file.writelines(f"{self.dataset.epoch} {row['id']}\n" for row in rows if real)
            yield rows, real

    StreamLoader._lockstep = noted


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


note_rows()
for processes, recipes in json.load(sys.stdin):
    options = {"nprocs": processes, "start_method": "fork"}
    torch.multiprocessing.start_processes(work, (processes, free_port(), recipes), **options)
