"""What the two comparisons with Joey NMT share: equal sizes, arguments, and how a side is started."""

import json
import random
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from corpus import Pair
from timing import Worker

SIZES = {"embedding_size": 256, "encoder_hidden_size": 256, "decoder_hidden_size": 512, "dropout": 0.3}
JOEYNMT = {"attention_type": "additive", "input_feeding": True}
"""Joey NMT's decoder in our terms."""


def arguments(description: str) -> ArgumentParser:
    """The arguments that both comparisons take."""
    parser = ArgumentParser(description=description)
    parser.add_argument("--joeynmt-python", default=sys.executable, help="interpreter of an environment with joeynmt")
    parser.add_argument("--cell", default="lstm", choices=("lstm", "gru"))
    parser.add_argument("--vocab-size", type=int, default=8000)
    parser.add_argument("--label-smoothing", type=float, default=0.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--cpu-time", action="store_true", help="measure processor time (on a busy machine, with --threads 1)"
    )
    return parser


def write_task(
    path: Path,
    kind: str,
    given: Namespace,
    rounds: list[list[list[Pair]]],
    held_out: list[list[Pair]] = (),
    **options: Any,
) -> str:
    """What a side shall do, in a file: its model, and the batches of each round and those held out."""
    model = {"vocab_size": given.vocab_size, "cell_type": given.cell, "label_smoothing": given.label_smoothing}
    clock = "process_time" if given.cpu_time else "perf_counter"
    options = {**SIZES, **model, "threads": given.threads, "clock": clock, **options}
    path.write_text(json.dumps({"kind": kind, "options": options, "rounds": rounds, "held_out": held_out}))
    return str(path)


def start(path: Path, kind: str, given: Namespace, rounds: list[list[list[Pair]]], **options: Any) -> Worker:
    """Starts a side: ours where the options name an attention, else Joey NMT's."""
    task = write_task(path, kind, given, rounds, **options)
    ours = "attention_type" in options
    script = Path(__file__).with_name("joeynmt_ours.py" if ours else "joeynmt_theirs.py")
    return Worker(str(script), [task], sys.executable if ours else given.joeynmt_python)


def random_batches(count: int, size: int) -> list[list[int]]:
    """All indices in random order, `size` a batch."""
    order = random.Random(1).sample(range(count), count)
    return [order[first : first + size] for first in range(0, count, size)]


def in_rounds(batches: list[list[int]], pairs: list[Pair], rounds: int, size: int) -> list[list[list[Pair]]]:
    """Gives `size` batches to each of the rounds; begins anew where there are too few."""
    indices = [[batches[(number * size + i) % len(batches)] for i in range(size)] for number in range(rounds)]
    return [[[pairs[i] for i in batch] for batch in chosen] for chosen in indices]
