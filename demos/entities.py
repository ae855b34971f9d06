"""The entity demo: a text, and in it the people, places and organizations that a recurrent tagger finds."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import gradio as gr

from demos import text_input
from demos.page import build_page
from demos.shelf import Shelf
from rnn_hub.errors import RnnHubError

TASK = "token-classification"
TITLE = "Entities"
HEADING = "Find names with a recurrent network"
EMOJI = "🏷️"
SUMMARY = (
    "A recurrent network reads the words, and the characters inside each word, in both directions; a conditional "
    "random field then decides on all tags together. It learned from sentences and titles of Wikipedia."
)
EXAMPLES = (
    "Ada Lovelace was born in London and worked with Charles Babbage.",
    "The University of Cambridge is in England.",
    "Marie Curie moved from Warsaw to Paris to study physics.",
    "He played for Manchester United before he joined the New York Cosmos.",
)
NAMES = {"PER": "person", "LOC": "place", "ORG": "organization", "MISC": "other name"}
COLOURS = {"person": "#f59e0b", "place": "#10b981", "organization": "#6366f1", "other name": "#ec4899"}


class View(NamedTuple):
    """The values of the page's outputs, in their order."""

    text: list[tuple[str, str | None]] | None = None
    table: list[list[str]] | None = None
    notice: str = ""


def find(shelf: Shelf, text: str, model: str) -> View:
    """The text with its entities, and a row for each; a notice where there is nothing to read or to find."""
    text = text_input.clean(text)
    try:
        text_input.check(text, "read")
        pipe = shelf[model]
        entities = pipe(text)
    except RnnHubError as error:
        return View(notice=text_input.notice(str(error)))
    rows = [[entity["word"], name(entity), f"{entity['score']:.2f}"] for entity in entities]
    return View(mark(text, entities), rows, text_input.notice("" if entities else "The model finds no name here."))


def name(entity: dict) -> str:
    """What people read for an entity's kind."""
    return NAMES.get(entity["entity_group"], entity["entity_group"])


def mark(text: str, entities: list[dict]) -> list[tuple[str, str | None]]:
    """The text in parts, each with the kind of entity that it is, or None."""
    parts, before = [], 0
    for entity in entities:
        parts += [(text[before : entity["start"]], None), (text[entity["start"] : entity["end"]], name(entity))]
        before = entity["end"]
    return [part for part in [*parts, (text[before:], None)] if part[0]]


def build(models: str | Path | None = None) -> gr.Blocks:
    """The page. Models load at their first use.

    Args:
        models: a folder of model folders; default: the released ones.
    """
    return build_page(Shelf(TASK, models), _lay_out, TITLE, HEADING, SUMMARY)


def _lay_out(shelf: Shelf) -> None:
    names = list(shelf.models)
    with gr.Row():
        with gr.Column():
            text = gr.Textbox(
                label="Text", lines=3, max_lines=8, placeholder="Jane Austen lived in Bath.", elem_id="names-text"
            )
            model = gr.Dropdown(names, value=names[0], label="Model", visible=len(names) > 1)
            button = gr.Button("Find names", variant="primary", elem_id="find")
        with gr.Column():
            marked = gr.HighlightedText(label="Names", color_map=COLOURS, show_legend=False, elem_id="names")
            notice = gr.HTML(visible=False, elem_id="names-notice")
            table = gr.Dataframe(
                headers=["Name", "Kind", "Probability"],
                column_count=3,
                label="The mean over a name's words of the probability of their tags",
                interactive=False,
                wrap=True,
                buttons=[],
                elem_id="names-table",
            )
    gr.Examples([[example] for example in EXAMPLES], [text], elem_id="names-examples")

    def run(text: str, model: str) -> View:
        view = find(shelf, text, model)
        return view._replace(notice=gr.HTML(view.notice, visible=bool(view.notice)))

    gr.on([button.click, text.submit], run, [text, model], [marked, table, notice], api_name="entities")


def main() -> None:
    """Serve this demo alone."""
    from demos.app import serve

    serve(build())


if __name__ == "__main__":
    main()
