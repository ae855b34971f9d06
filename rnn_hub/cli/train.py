"""``rnn-hub train RECIPE [key=value ...]``, and the same under ``accelerate launch -m rnn_hub train``."""

from __future__ import annotations

import argparse
import logging
import os
import signal
from pathlib import Path

from rnn_hub.cli.console import log_to_stderr, quiet
from rnn_hub.errors import RnnHubError


def train(options: argparse.Namespace) -> None:
    """Train; the last line on standard output is the folder of the finished model.

    A launcher ends the other processes of a run with SIGTERM when one has died: that is an interruption as well.

    Raises:
        RnnHubError: what ``rnn_hub.training.run.train`` refuses, or another process of the run is gone.
        KeyboardInterrupt: with the last checkpoint.
    """
    main_process = int(os.environ.get("RANK", "0")) == 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    quiet()
    log_to_stderr(logging.INFO if main_process else logging.ERROR)

    from rnn_hub.training.recipes import load_recipe

    recipe = load_recipe(options.recipe, options.overrides)

    from rnn_hub.training.run import train as run

    try:
        run(recipe)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_last_checkpoint(recipe.output_dir)) from None
    except RuntimeError as error:
        if not _lost_a_process(error):
            raise
        rank, world = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
        reason = f"process {rank} of {world} has lost another one, which ended or cannot be reached"
        raise RnnHubError(f"{reason}; {_last_checkpoint(recipe.output_dir)}") from error
    if main_process:
        print(recipe.output_dir)


def _last_checkpoint(folder: Path) -> str:
    """Where an interrupted run can go on."""
    from rnn_hub.training.checkpoints import list_checkpoints

    checkpoints = list_checkpoints(folder / "checkpoints")
    if not checkpoints:
        return "there is no checkpoint yet"
    return f"the last checkpoint is {checkpoints[-1]}; continue with training.resume=true"


def _lost_a_process(error: RuntimeError) -> bool:
    """Whether this is what a collective operation raises when its other end is gone (gloo has no class for it)."""
    import torch.distributed as dist

    return isinstance(error, dist.DistError) or "gloo" in str(error).lower() or "closed by peer" in str(error).lower()
