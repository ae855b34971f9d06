"""The sentiment demo: a text, its label with a score, and the words that the model looked at."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from demos import text_input
from demos.page import build_page
from demos.shelf import Shelf
from rnn_hub.errors import RnnHubError

TASK = "text-classification"
TITLE = "Sentiment"
HEADING = "Ask a recurrent network whether a review is kind"
EMOJI = "🎬"
SUMMARY = (
    "A recurrent network reads the text in both directions; an attention decides how much each word counts, and a "
    "linear layer says whether the text is positive. It learned from phrases of film reviews alone."
)
EXAMPLES = (
    "A charming and often moving film.",
    "The plot makes no sense and the jokes aren't funny.",
    "I didn't expect much, but this is not bad at all.",
    "Beautifully shot, and yet it left me cold.",
)
CSS = """
.weights { font-size: 17px; line-height: 2; margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; }
.weights span { padding: 3px 1px; border-radius: 3px; background: color-mix(in srgb,
    var(--color-accent) calc(var(--w) * 60%), transparent); }
"""
#: score of the best label below which the page says that the model is unsure
UNSURE = 0.65


class View(NamedTuple):
    """The values of the page's outputs, in their order."""

    label: dict[str, float] | None = None
    words: str = ""
    notice: str = ""


def classify(shelf: Shelf, text: str, model: str) -> View:
    """The labels with their scores, and the words with their weights; a notice where there is nothing to read."""
    text = text_input.clean(text)
    try:
        text_input.check(text, "judge")
        pipe = shelf[model]
        attends = pipe.model.config.pooling == "attention"
        records = pipe(text, top_k=None, return_attention=attends)
    except RnnHubError as error:
        return View(notice=text_input.notice(str(error)))
    words = weights_html(text, records[0]["words"], records[0]["attention"]) if attends else ""
    scores = {record["label"]: record["score"] for record in records}
    return View(scores, words, text_input.notice(doubt(text, pipe, records[0]["score"])))


def weights_html(text: str, spans: list[tuple[int, int]], attention: list[list[float]]) -> str:
    """The text as HTML, its words shaded by their weights; every word tells its weight where the pointer rests.

    Args:
        text: the text.
        spans: (start, end) of each word.
        attention: for each hop the words' weights, of which the mean is shown.
    """
    weights = [sum(column) / len(attention) for column in zip(*attention, strict=True)]
    largest, parts, before = max(weights), [], 0
    for (start, end), weight in zip(spans, weights, strict=True):
        tone = f'style="--w:{weight / largest:.3f}" title="{weight:.2f}"'
        parts.append(f"{escape(text[before:start])}<span {tone}>{escape(text[start:end])}</span>")
        before = end
    return f'<p class="weights">{"".join(parts)}{escape(text[before:])}</p>'


def doubt(text: str, pipe, score: float) -> str:
    """Why the label may be wrong, or nothing."""
    if text_input.is_foreign(text, pipe):
        return "Much of this text is in words the model never saw in training: its label is a guess."
    if score < UNSURE:
        return "The model is unsure about this text."
    return ""


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
                label="Text", lines=3, max_lines=8, placeholder="A film you will not forget.", elem_id="review"
            )
            model = gr.Dropdown(names, value=names[0], label="Model", visible=len(names) > 1)
            button = gr.Button("Judge", variant="primary", elem_id="judge")
        with gr.Column():
            label = gr.Label(label="Sentiment", elem_id="sentiment")
            notice = gr.HTML(visible=False, elem_id="sentiment-notice")
    with gr.Accordion("Attention: the deeper the colour, the more a word counted"):
        words = gr.HTML(css_template=CSS, elem_id="weights")
    gr.Examples([[example] for example in EXAMPLES], [text], elem_id="review-examples")

    def run(text: str, model: str) -> View:
        view = classify(shelf, text, model)
        return view._replace(notice=gr.HTML(view.notice, visible=bool(view.notice)))

    gr.on([button.click, text.submit], run, [text, model], [label, words, notice], api_name="sentiment")


def main() -> None:
    """Serve this demo alone."""
    from demos.app import serve

    serve(build())


if __name__ == "__main__":
    main()
