"""``rnn-hub demo``: the Gradio demos of all tasks, in tabs."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from rnn_hub.errors import RnnHubError


def demo(options: argparse.Namespace) -> None:
    """Serve until interrupted."""
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "demos" / "app.py").is_file() and str(checkout) not in sys.path:
        sys.path.insert(0, str(checkout))
    try:
        app = importlib.import_module("demos.app")
    except ModuleNotFoundError as error:
        if error.name == "gradio":
            raise RnnHubError("the demo needs Gradio: pip install 'rnn-hub[demos]'") from error
        if error.name in ("demos", "demos.app"):
            raise RnnHubError("the demos are part of a checkout of the project: run this command there") from error
        raise
    app.main(host=options.host, port=options.port, share=options.share, models=options.models)
