"""The translation demo: a sentence, its translation as the search finds it, the n best, and where the model looked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from demos import text_input
from demos.attention_plot import CSS, attention_html
from demos.page import build_page
from demos.search_stream import SearchStream
from demos.shelf import Shelf
from rnn_hub.errors import RnnHubError

TASK = "translation"
TITLE = "Translation"
HEADING = "Watch a recurrent network translate"
EMOJI = "💬"
SUMMARY = (
    "A recurrent encoder reads the sentence; a recurrent decoder writes the translation and looks, for every word, "
    "back at the words it needs. The models learned from 29,000 photo captions alone: they know people, dogs, streets "
    "and sports, and little else."
)
EXAMPLES = {
    "English": (
        "Two dogs are playing in the snow.",
        "A woman in a red jacket is riding a bicycle.",
        "An old man is sitting on a bench, reading a newspaper.",
    ),
    "German": (
        "Zwei Hunde spielen im Schnee.",
        "Eine Frau in einer roten Jacke fährt Fahrrad.",
        "Ein kleines Mädchen springt ins Wasser.",
    ),
}
MAX_BEAMS = 10
#: seconds that a step of the search stays visible, and for how many steps: the search itself is faster than the eye
PACE, PACED_STEPS = 0.04, 40
#: score below which the model is guessing: 2 % of 200 validation captions are below it, and 98 % of newspaper
#: sentences, film reviews and captions in the wrong language (released English-German model, beam 5)
UNSURE = -1.06


class View(NamedTuple):
    """The values of the page's outputs, in their order."""

    translation: str = ""
    notice: str = ""
    best: list[list[str]] | None = None
    heat_map: str = ""
    records: list[dict] | None = None


def translate(shelf: Shelf, text: str, direction: str, beams: int, alternatives: int) -> Iterator[View]:
    """Yield the growing translation, then the whole result; a notice instead where there is nothing to translate."""
    text = text_input.clean(text)
    try:
        text_input.check(text)
        pipe = shelf[direction]
        text_input.check_length(text, pipe)
        search = SearchStream(
            pipe,
            text,
            num_beams=int(beams),
            num_return_sequences=min(int(alternatives), int(beams)),
            return_scores=True,
            return_attention=getattr(pipe.model.config, "attention_type", None) is not None,
        )
        for step, partial in enumerate(search):
            yield View(partial)
            time.sleep(PACE if step < PACED_STEPS else 0)
    except RnnHubError as error:
        yield View(notice=text_input.notice(str(error)))
        return
    found = search.result[0]
    records = found if isinstance(found, list) else [found]
    best = [[str(rank), record["translation_text"], f"{record['score']:.2f}"] for rank, record in enumerate(records, 1)]
    notice = text_input.notice(doubt(text, pipe, records[0]["score"]))
    yield View(records[0]["translation_text"], notice, best, heat_map(records), records)


def doubt(text: str, pipe, score: float) -> str:
    """Why the translation may be poor, or nothing."""
    if text_input.is_foreign(text, pipe):
        return "Much of this text is in signs the model never saw in training: its translation is a guess."
    if score < UNSURE:
        return "The model is unsure: is this the language it translates from, and a scene a photo could show?"
    return ""


def heat_map(records: list[dict] | None, rank: int = 0) -> str:
    """The attention of one of the n best as HTML."""
    if not records:
        return ""
    record = records[min(rank, len(records) - 1)]
    if "attention" not in record:
        return text_input.notice("This model has no attention to show: its decoder sees only the encoder's last state.")
    return attention_html(record["attention"], record["source_tokens"], record["target_tokens"])


def build(models: str | Path | None = None) -> gr.Blocks:
    """The page. Models load at their first use.

    Args:
        models: a folder of model folders; default: the released ones.
    """
    return build_page(Shelf(TASK, models), _lay_out, TITLE, HEADING, SUMMARY)


def _lay_out(shelf: Shelf) -> None:
    directions = list(shelf.models)
    examples = [[text, name] for name in directions for text in EXAMPLES.get(name.partition(" ")[0], ())]
    with gr.Row():
        with gr.Column():
            text = gr.Textbox(
                label="Text", lines=2, max_lines=8, placeholder="A dog runs through the snow.", elem_id="source"
            )
            direction = gr.Dropdown(directions, value=directions[0], label="Direction", elem_id="direction")
            with gr.Row():
                beams = gr.Slider(1, MAX_BEAMS, 5, step=1, label="Beam width", info="hypotheses kept")
                count = gr.Slider(1, MAX_BEAMS, 3, step=1, label="Alternatives", info="at most the beam width")
            button = gr.Button("Translate", variant="primary", elem_id="translate")
        with gr.Column():
            result = gr.Textbox(label="Translation", lines=2, buttons=["copy"], elem_id="translation")
            notice = gr.HTML(visible=False, elem_id="notice")
            best = gr.Dataframe(
                headers=["", "Translation", "Score"],
                column_count=3,
                label="The best, by log-probability a subword (0 is certain). Pick one to see its attention.",
                interactive=False,
                wrap=True,
                column_widths=["12%", "66%", "22%"],
                buttons=[],
                elem_id="best",
            )
    with gr.Accordion("Attention: where the model looked"):
        attention = gr.HTML(css_template=CSS, elem_id="attention")
    if examples:
        labels = [text for text, _ in examples]
        gr.Examples(examples, [text, direction], example_labels=labels, elem_id="examples")
    records = gr.State()

    def run(*values):
        for view in translate(shelf, *values):
            yield view._replace(notice=gr.HTML(view.notice, visible=bool(view.notice)))

    def pick(records: list[dict] | None, event: gr.SelectData) -> str:
        return heat_map(records, int(event.row_value[0]) - 1)

    inputs, outputs = [text, direction, beams, count], [result, notice, best, attention, records]
    gr.on([button.click, text.submit], run, inputs, outputs, show_progress_on=result, api_name="translate")
    best.select(pick, records, attention, show_progress="hidden", api_visibility="private")


def main() -> None:
    """Serve this demo alone."""
    from demos.app import serve

    serve(build())


if __name__ == "__main__":
    main()
