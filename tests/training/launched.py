"""`launched.py RANK:STEP RECIPE`: the command `rnn-hub train`, but the process RANK ends by SIGKILL amid that step."""

import os
import signal
import sys

from rnn_hub.cli import main
from rnn_hub.training.trainer import RnnTrainer


def kill_at(rank: str, step: str) -> None:
    """Let a process die before its gradients of a step are there."""
    whole = RnnTrainer.training_step

    def training_step(self, *args, **kwargs):
        if os.environ["RANK"] == rank and self.state.global_step == int(step):
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(self, *args, **kwargs)

    RnnTrainer.training_step = training_step


kill_at(*sys.argv[1].split(":"))
sys.exit(main(["train", sys.argv[2]]))
