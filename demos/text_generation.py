"""The text demo: a beginning, and how a language model goes on, as it writes, with the probability of every token."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

import gradio as gr
import torch
from transformers import Pipeline, set_seed

from demos import text_input
from demos.page import build_page
from demos.shelf import Shelf
from rnn_hub.cache import RnnCache
from rnn_hub.data.conditions import condition_ids
from rnn_hub.errors import RnnHubError

TASK, ALSO = "language-modeling", ("conditional-text-generation",)
TITLE = "Text"
HEADING = "Let a recurrent network go on writing"
EMOJI = "✒️"
SUMMARY = (
    "A recurrent network reads your beginning and draws what comes next, one token at a time, from the probabilities "
    "that it computes; all it remembers is a state of fixed size. One released model writes characters and has read "
    "nothing but Shakespeare: it knows his words, names and verse, and means nothing by them. Another writes words of "
    "film reviews, in praise or blame as you ask."
)
NO_CONDITION = "none"
EXAMPLES = ("ROMEO:\n", "First Citizen:\nBefore we proceed any further,", "To be, or not to be")
MAX_TOKENS, PIECE = 1000, 20
CSS = """
.written { font-size: 16px; line-height: 1.7; margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.written b { font-weight: 600; }
.written span { background: color-mix(in srgb, var(--color-accent) calc((1 - var(--p)) * 55%), transparent); }
"""


class View(NamedTuple):
    """The values of the page's outputs, in their order."""

    written: str = ""
    text: str = ""
    notice: str = ""


def write(
    shelf: Shelf,
    prompt: str,
    model: str,
    length: int,
    temperature: float,
    top_p: float,
    seed: float,
    condition: str | None = None,
) -> Iterator[View]:
    """Yield the text as it grows, each token shaded by its probability; a notice where the model cannot begin.

    A condition is written "sentiment: positive".

    A temperature of 0 takes the most probable token each time. The same seed writes the same text.
    """
    prompt = (prompt or "").encode("utf-8", "replace").decode().replace("\r\n", "\n")
    try:
        if not prompt.strip():
            raise RnnHubError("Type a beginning, or pick an example.")
        if len(prompt) > text_input.MAX_CHARACTERS:
            raise RnnHubError(f"This beginning has {len(prompt):,} characters: give at most 1,000.")
        pipe = shelf[model]
        given = [condition.split(": ", 1)] if condition and condition != NO_CONDITION else []
        ids = condition_ids(pipe.model.config.condition_labels or {}, dict(given))
    except RnnHubError as error:
        yield View(notice=text_input.notice(str(error)))
        return
    notice = text_input.notice(doubt(prompt, pipe))
    tokens: list[tuple[str, float]] = []
    set_seed(int(seed or 0))
    for piece in pieces(pipe, prompt, int(length), float(temperature), float(top_p), ids if given else []):
        tokens += piece
        yield View(written_html(prompt, tokens), prompt + "".join(text for text, _ in tokens), notice)


def pieces(
    pipe: Pipeline, prompt: str, length: int, temperature: float, top_p: float, condition: Sequence[int] = ()
) -> Iterator[list[tuple[str, float]]]:
    """A few tokens at a time, as text with their probabilities, until the length or the end of the text.

    What guides a model under a condition keeps no state from piece to piece: then there is one piece.
    """
    model, cache, word = pipe.model, RnnCache(), _joiner(pipe)
    last = pipe.tokenizer(prompt, return_tensors="pt").input_ids.to(model.device)
    options = {"do_sample": temperature > 0, "output_logits": True, "return_dict_in_generate": True}
    if temperature > 0:
        options |= {"temperature": temperature, "top_p": top_p, "top_k": 0}
    options["guidance_scale"] = model.generation_config.guidance_scale if condition else None
    piece = length if options["guidance_scale"] else PIECE
    if condition:
        options["condition_ids"] = torch.tensor([condition], device=model.device)
    ends = {model.generation_config.eos_token_id} - {None}
    for start in range(0, length, piece):
        size = min(piece, length - start)
        output = model.generate(last, past_key_values=cache.restart(), max_new_tokens=size, **options)
        new = output.sequences[0, last.shape[1] :]
        chances = torch.stack(output.logits, dim=1)[0].softmax(dim=-1).gather(1, new[:, None])[:, 0].tolist()
        ended = bool(ends.intersection(new.tolist()))
        shown = [(word(number), chance) for number, chance in zip(new.tolist(), chances, strict=True)]
        yield shown[: len(shown) - ended]
        if ended:
            return
        last = new[None, -1:]
        options.pop("condition_ids", None)  # it stays in the state


def _joiner(pipe: Pipeline):
    """How a token is written behind those before it: characters as they are, words with a space."""
    alone = pipe.tokenizer.decode([pipe.tokenizer.unk_token_id] * 2, skip_special_tokens=False)
    space = " " if " " in alone.strip() else ""
    return lambda number: space + pipe.tokenizer.decode([number])


def doubt(prompt: str, pipe: Pipeline) -> str:
    """Which characters or words of the beginning the model does not know, or nothing."""
    encoded = pipe.tokenizer(prompt, return_offsets_mapping=True)
    unknown = [
        prompt[start:end]
        for number, (start, end) in zip(encoded.input_ids, encoded.offset_mapping, strict=True)
        if number == pipe.tokenizer.unk_token_id
    ]
    if not unknown:
        return ""
    return f"The model has never seen {', '.join(repr(part) for part in dict.fromkeys(unknown))} and reads over it."


def written_html(prompt: str, tokens: list[tuple[str, float]]) -> str:
    """The text as HTML: the beginning in bold, each token the deeper in colour the less probable it was."""
    spans = (
        f'<span style="--p:{chance**0.25:.3f}" title="{100 * chance:.1f} %">{escape(text)}</span>'
        for text, chance in tokens
    )
    return f'<p class="written"><b>{escape(prompt)}</b>{"".join(spans)}</p>'


def build(models: str | Path | None = None) -> gr.Blocks:
    """The page. Models load at their first use.

    Args:
        models: a folder of model folders; default: the released ones.
    """
    return build_page(Shelf(TASK, models, ALSO), _lay_out, TITLE, HEADING, SUMMARY)


def conditions_of(shelf: Shelf, name: str) -> list[str]:
    """The conditions that a model takes, each as "name: value"."""
    labels = shelf.config(name).get("condition_labels") or {}
    return [f"{name}: {value}" for name, values in labels.items() for value in values]


def _lay_out(shelf: Shelf) -> None:
    names = list(shelf.models)
    with gr.Row():
        with gr.Column():
            prompt = gr.Textbox(label="Beginning", lines=3, max_lines=8, value=EXAMPLES[0], elem_id="beginning")
            model = gr.Dropdown(names, value=names[0], label="Model", visible=len(names) > 1, elem_id="model")
            known = conditions_of(shelf, names[0])
            condition = gr.Dropdown(
                [NO_CONDITION, *known], value=NO_CONDITION, label="Condition", visible=bool(known), elem_id="condition"
            )
            with gr.Row():
                length = gr.Slider(PIECE, MAX_TOKENS, 400, step=PIECE, label="Length", info="tokens")
                temperature = gr.Slider(0, 1.5, 0.7, step=0.05, label="Temperature", info="0: the most probable")
            with gr.Row():
                top_p = gr.Slider(0.05, 1, 1, step=0.05, label="Top p", info="of the probability, to draw from")
                seed = gr.Number(1, precision=0, label="Seed")
            button = gr.Button("Write", variant="primary", elem_id="write")
        with gr.Column():
            notice = gr.HTML(visible=False, elem_id="text-notice")
            gr.Markdown("The deeper the colour, the less probable; rest the pointer on a token for its probability.")
            written = gr.HTML(css_template=CSS, container=True, min_height=120, elem_id="written")
            with gr.Accordion("As plain text", open=False):
                text = gr.Textbox(show_label=False, lines=6, buttons=["copy"], elem_id="plain")
    gr.Examples([[example] for example in EXAMPLES], [prompt], elem_id="beginning-examples")

    def run(*values):
        for view in write(shelf, *values):
            yield view._replace(notice=gr.HTML(view.notice, visible=bool(view.notice)))

    def choose(name: str) -> gr.Dropdown:
        known = conditions_of(shelf, name)
        return gr.Dropdown([NO_CONDITION, *known], value=([NO_CONDITION, *known])[-1], visible=bool(known))

    model.change(choose, model, condition, show_progress="hidden", api_visibility="private")
    inputs = [prompt, model, length, temperature, top_p, seed, condition]
    button.click(run, inputs, [written, text, notice], show_progress="minimal", api_name="write")


def main() -> None:
    """Serve this demo alone."""
    from demos.app import serve

    serve(build())


if __name__ == "__main__":
    main()
