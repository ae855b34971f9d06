"""``rnn-hub demo``: the Gradio demos of all tasks, in tabs."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from types import ModuleType

from rnn_hub.errors import RnnHubError


def demo(options: argparse.Namespace) -> None:
    """Serve until interrupted."""
    app = import_demos("demos.app")
    app.main(host=options.host, port=options.port, share=options.share, models=options.models)


def import_demos(module: str) -> ModuleType:
    """A module of the demos, which lie beside this package in a checkout.

    Raises:
        RnnHubError: no Gradio, or no checkout.
    """
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "demos" / "app.py").is_file() and str(checkout) not in sys.path:
        sys.path.insert(0, str(checkout))
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name == "gradio":
            raise RnnHubError("the demo needs Gradio: pip install 'rnn-hub[demos]'") from error
        if error.name in ("demos", module):
            raise RnnHubError("the demos are part of a checkout of the project: run this command there") from error
        raise
