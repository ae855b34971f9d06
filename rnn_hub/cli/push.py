"""``rnn-hub push MODEL_DIR NAMESPACE/NAME`` shares a model on the Hub, ``rnn-hub card MODEL_DIR`` renews its card."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from rnn_hub.cli.console import log_to_stderr, quiet
from rnn_hub.cli.demo import import_demos
from rnn_hub.cli.evaluate import read_recipe
from rnn_hub.errors import RnnHubError


def push(options: argparse.Namespace) -> None:
    """Upload a model, and with ``--space`` its demo; print their addresses."""
    quiet()
    log_to_stderr()
    from rnn_hub.hub.push import check_name, push_model, push_space

    folder = Path(options.folder)
    if not folder.is_dir():
        raise RnnHubError(f"there is no folder {options.folder!r}")
    check_name(options.name)
    with tempfile.TemporaryDirectory() as temporary:
        space = _space(folder, options.name, Path(temporary)) if options.space else None
        print(push_model(folder, options.name, options.private), flush=True)
        if space is not None:
            print(push_space(space, options.name, options.private), flush=True)


def _space(folder: Path, name: str, temporary: Path) -> Path:
    """The folder of a Space that shows this model alone, under the name it gets on the Hub."""
    from rnn_hub.hub.push import LEFT_OUT
    from rnn_hub.tasks import load_task

    recipe = read_recipe(str(folder))
    demo = load_task(recipe["task"]).demo if recipe else None
    if demo is None:
        raise RnnHubError(f"--space: there is no demo of {recipe.get('task') or 'this model'}: leave it out")
    copy = temporary / "models" / name.partition("/")[2]
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(*LEFT_OUT))
    space = import_demos("demos.space")
    return space.write_space(demo.rpartition(".")[2], temporary / "space", temporary / "models")


def card(options: argparse.Namespace) -> None:
    """Write the generated part of a card anew, keeping what people wrote; print its path."""
    from rnn_hub.hub.model_card import write_card
    from rnn_hub.training.run import load_results

    folder = Path(options.folder)
    recipe = read_recipe(str(folder)) if folder.is_dir() else None
    if not recipe:
        raise RnnHubError(f"{options.folder} holds no recipe.yaml: a card is written from recipe and results")
    print(write_card(folder, recipe, load_results(folder)))
