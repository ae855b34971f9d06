"""What the pages of all demos share."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import gradio as gr
from gradio.utils import get_upload_folder

from demos import text_input
from demos.shelf import Shelf
from rnn_hub.errors import RnnHubError

#: seconds between clearings, and until what a visitor was shown may be deleted
KEPT = (3600, 3600)


def build_page(shelf: Shelf, lay_out: Callable[[Shelf], None], title: str, heading: str, summary: str) -> gr.Blocks:
    """A heading, and below it what `lay_out` makes of the models, or a notice that there are none."""
    with gr.Blocks(title=title, analytics_enabled=False, delete_cache=KEPT) as page:
        gr.Markdown(f"## {heading}\n\n{summary}")
        if shelf.models:
            lay_out(shelf)
        else:
            gr.HTML(text_input.notice(shelf.absence()))
    return page


def served_folder() -> Path:
    """A new folder among those whose files Gradio serves."""
    folder = Path(get_upload_folder())
    folder.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=folder))


def whole(number: float | None, name: str) -> int:
    """The number as a whole one.

    Raises:
        RnnHubError: it is none, or has a fraction.
    """
    if number is None or number != int(number):
        raise RnnHubError(f"Give a whole number as {name}.")
    return int(number)
