"""All demos in one page, a tab each. A new demo is a module with ``TITLE`` and ``build``, and a row here."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from pathlib import Path

import gradio as gr

DEMOS: tuple[str, ...] = (
    "demos.translation",
    "demos.summarization",
    "demos.text_generation",
    "demos.music",
    "demos.sentiment",
    "demos.entities",
    "demos.captioning",
    "demos.video",
    "demos.speech",
    "demos.forecasting",
)
TITLE = "rnn_hub: recurrent networks at work"
#: how many visitors compute at once, how many wait in the line, and how large an upload may be
CONCURRENT, WAITING, MAX_UPLOAD = 2, 32, "50mb"


def build(models: str | Path | None = None) -> gr.Blocks:
    """The page of all demos; ``models`` is a folder of model folders, default: the released ones."""
    modules = [importlib.import_module(name) for name in DEMOS]
    pages = [(module.TITLE, module.build(models)) for module in modules]
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(3600, 3600)) as app:
        gr.Markdown(f"# {TITLE}")
        with gr.Tabs():
            for title, page in pages:
                with gr.Tab(title):
                    page.render()
    return app


def serve(
    page: gr.Blocks, host: str | None = None, port: int | None = None, share: bool = False, block: bool = True
) -> str:
    """Serve a page; return its address where ``block`` is False, else stay until interrupted.

    Args:
        host: address to bind to; default: what GRADIO_SERVER_NAME says (as on Spaces), else 127.0.0.1.
        port: default: the first free one from 7860.
        share: make a public link.
    """
    page.queue(max_size=WAITING, default_concurrency_limit=CONCURRENT)
    fonts = ["system-ui", "sans-serif"]  # the theme's own would come from another host
    _, address, _ = page.launch(
        server_name=host,
        server_port=port,
        share=share,
        theme=gr.themes.Soft(font=fonts, font_mono=fonts),
        max_file_size=MAX_UPLOAD,
        ssr_mode=False,
        prevent_thread_lock=not block,
        quiet=not block,
    )
    return address


def main(
    host: str | None = None,
    port: int | None = None,
    share: bool = False,
    models: str | Path | None = None,
) -> None:
    """Serve all demos until interrupted; see ``build`` and ``serve`` for the arguments."""
    serve(build(models), host=host, port=port, share=share)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line of ``python -m demos.app``."""
    parser = argparse.ArgumentParser(prog="python -m demos.app", description=__doc__)
    parser.add_argument("--host", help="address to serve on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port (default: the first free one from 7860)")
    parser.add_argument("--share", action="store_true", help="make a public link")
    parser.add_argument("--models", help="a folder of model folders (default: model_cards)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(**vars(parse()))
