"""``rnn-hub train RECIPE [key=value ...]``, and the same under ``accelerate launch -m rnn_hub train``."""

from __future__ import annotations

import argparse
import logging
import os

from rnn_hub.cli.console import log_to_stderr, quiet


def train(options: argparse.Namespace) -> None:
    """Train; the last line on standard output is the folder of the finished model."""
    main_process = int(os.environ.get("RANK", "0")) == 0
    quiet()
    log_to_stderr(logging.INFO if main_process else logging.ERROR)

    from rnn_hub.training.recipes import load_recipe

    recipe = load_recipe(options.recipe, options.overrides)

    from rnn_hub.training.checkpoints import list_checkpoints
    from rnn_hub.training.run import train as run

    try:
        run(recipe)
    except KeyboardInterrupt:
        checkpoints = list_checkpoints(recipe.output_dir / "checkpoints")
        last = f"the last checkpoint is {checkpoints[-1]}; continue with training.resume=true" if checkpoints else ""
        raise KeyboardInterrupt(last or "there is no checkpoint yet") from None
    if main_process:
        print(recipe.output_dir)
