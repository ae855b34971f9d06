"""The summarization demo: an e-mail, three subject lines, and which of their words were copied from it."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from demos import text_input
from demos.page import build_page
from demos.shelf import Shelf
from rnn_hub.errors import RnnHubError

TASK = "summarization"
TITLE = "Summarization"
HEADING = "Let a recurrent network find the subject of an e-mail"
EMOJI = "📧"
SUMMARY = (
    "A recurrent encoder reads the e-mail in both directions; a recurrent decoder writes a subject line and decides "
    "for each word whether to write it from its vocabulary or to copy it from the e-mail. It learned from the business "
    "mail of one company around the year 2000, all in lower case."
)
EXAMPLES = (
    "Hi all, the meeting on the gas storage contract has been moved to Thursday at 3 pm in conference room 2. Please "
    "bring the latest price curves. Let me know if you cannot make it. Thanks, Maria",
    "Attached is the revised lease agreement for the Austin office. I changed the dates in section 4 and added the "
    "parking clause you asked for. Please review it and send me your comments by Friday.",
    "Your vacation request for December 20 to January 3 has been approved. Please enter the hours in the time sheet "
    "before you leave, and name a colleague who can answer questions while you are out.",
)
ALTERNATIVES, MAX_CHARACTERS = 3, 50_000
CSS = """
.subjects { margin: 0; padding-left: 1.4em; line-height: 2; font-size: 17px; overflow-wrap: anywhere; }
.subjects span { padding: 3px 2px; border-radius: 3px; background: color-mix(in srgb,
    var(--color-accent) calc(var(--w) * 55%), transparent); }
.subjects small { color: var(--body-text-color-subdued); }
"""


class View(NamedTuple):
    """The values of the page's outputs, in their order."""

    subject: str = ""
    subjects: str = ""
    notice: str = ""


def summarize(shelf: Shelf, text: str, model: str) -> View:
    """The likeliest subject line, and three with the copied words marked; a notice where there is nothing to read."""
    text = text_input.clean(text)
    try:
        text_input.check(text, "summarize", MAX_CHARACTERS)
        pipe = shelf[model]
        beams = max(pipe.model.generation_config.num_beams, ALTERNATIVES)
        options = {"num_beams": beams, "num_return_sequences": ALTERNATIVES, "return_scores": True}
        records = pipe(text, **options, return_copied=hasattr(pipe.model, "copied"))[0]
    except RnnHubError as error:
        return View(notice=text_input.notice(str(error)))
    return View(records[0]["summary_text"], subjects_html(records), text_input.notice(doubt(text, pipe)))


def subjects_html(records: list[dict]) -> str:
    """The subject lines as HTML: the deeper a word's colour, the surer it was copied."""
    lines = []
    for record in records:
        words = record.get("words") or [(word, 0.0) for word in record["summary_text"].split()]
        marked = " ".join(
            f'<span style="--w:{share:.2f}" title="copied: {share:.0%}">{escape(word)}</span>' for word, share in words
        )
        lines.append(f"<li>{marked} <small>{record['score']:.2f}</small></li>")
    return f'<ol class="subjects">{"".join(lines)}</ol>'


def doubt(text: str, pipe) -> str:
    """Why the subject may be poor, or nothing."""
    if text_input.is_foreign(text, pipe):
        return "Much of this text is in signs the model never saw in training: its subject is a guess."
    length, limit = len(pipe.tokenizer(text, verbose=False).input_ids), pipe.tokenizer.model_max_length
    if length > limit:
        return f"This text has {length:,} subwords; the model read the first {limit}."
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
            text = gr.Textbox(label="E-mail", lines=8, max_lines=20, placeholder="Hi all, ...", elem_id="mail")
            model = gr.Dropdown(names, value=names[0], label="Model", visible=len(names) > 1)
            button = gr.Button("Find a subject", variant="primary", elem_id="summarize")
        with gr.Column():
            subject = gr.Textbox(label="Subject", buttons=["copy"], elem_id="subject")
            notice = gr.HTML(visible=False, elem_id="summary-notice")
            gr.Markdown("The three best, with their log-probability a subword; coloured words were copied.")
            subjects = gr.HTML(css_template=CSS, elem_id="subjects")
    gr.Examples([[example] for example in EXAMPLES], [text], elem_id="mail-examples")

    def run(text: str, model: str) -> View:
        view = summarize(shelf, text, model)
        return view._replace(notice=gr.HTML(view.notice, visible=bool(view.notice)))

    button.click(run, [text, model], [subject, subjects, notice], api_name="summarize")


def main() -> None:
    """Serve this demo alone."""
    from demos.app import serve

    serve(build())


if __name__ == "__main__":
    main()
