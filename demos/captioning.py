"""The captioning demo: a picture or a clip, what it shows in words, and where the model looked for each of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from PIL import Image

from demos import text_input
from demos.page import build_page
from demos.region_plot import CSS, looks_html
from demos.shelf import Shelf
from rnn_hub.data.images import read_image
from rnn_hub.errors import RnnHubError
from rnn_hub.models.vision.video_processing_vision import RnnVideoProcessor

TASK, CLIP_TASK = "image-to-text", "video-to-text"
TITLE = "Captions"
HEADING = "Watch a recurrent network describe a picture"
EMOJI = "🖼️"
SUMMARY = (
    "A convolutional network, trained on ImageNet, turns the picture into a grid of regions; a recurrent decoder "
    "writes the caption and looks, for every word, at the regions it needs. It learned from 6,000 photographs of "
    "people and dogs, most of them outdoors: it will find a man in a red shirt where there is none."
)
PICTURES = Path(__file__).with_name("pictures")
MAX_BEAMS = 10
#: seconds between two words
PACE = 0.15
#: pixels of the side to which an upload is brought before it is described
SIDE = 448
#: log-probability a word below which the model is guessing
UNSURE = -1.5


class View(NamedTuple):
    """The values of the page's outputs, in their order."""

    caption: str = ""
    notice: str = ""
    best: list[list[str]] | None = None
    looks: str = ""


def describe(shelf: Shelf, source: str | None, model: str, beams: int, alternatives: int) -> Iterator[View]:
    """Yield the caption word by word, each with where the model looked, then the whole result; or a notice.

    Args:
        source: the path of a picture, or of a clip where the shelf's models describe these.
    """
    try:
        if not source:
            raise RnnHubError("Choose a picture or a clip first, or pick an example.")
        pipe = shelf[model]
        attends = pipe.model.config.attention_type is not None
        image = read_image(source, SIDE) if shelf.task == TASK else middle_frame(source)
        (found,) = pipe(
            [image if shelf.task == TASK else source],
            num_beams=int(beams),
            num_return_sequences=min(int(alternatives), int(beams)),
            return_scores=True,
            return_attention=attends,
        )
    except RnnHubError as error:
        yield View(notice=text_input.notice(str(error)))
        return
    records = found if isinstance(found, list) else [found]
    penalty = pipe.model.generation_config.length_penalty
    for record in records:  # a score is divided by a power of the length that each model chooses
        record["score"] *= (len(record["generated_text"].split()) + 1) ** ((1.0 if penalty is None else penalty) - 1)
    first = records[0]
    words, looks = first["generated_text"].split(), ""
    for count in range(1, len(words) + 1):
        if attends:
            looks = looks_html(image, words[:count], first["attention"][:count])
        yield View(" ".join(words[:count]), looks=looks)
        time.sleep(PACE)
    best = [[str(rank), record["generated_text"], f"{record['score']:.2f}"] for rank, record in enumerate(records, 1)]
    unsure = "The model is unsure: is this a photograph of people or dogs?" if first["score"] < UNSURE else ""
    yield View(first["generated_text"], text_input.notice(unsure), best, looks)


def middle_frame(clip: str) -> Image.Image:
    """The picture in the middle of a clip, upright, as the model sees it."""
    return Image.fromarray(RnnVideoProcessor(num_frames=1).read(clip)[0])


def build(models: str | Path | None = None) -> gr.Blocks:
    """The page. Models load at their first use.

    Args:
        models: a folder of model folders; default: the released ones.
    """
    return build_page(
        Shelf(TASK, models), lambda shelf: _lay_out(shelf, Shelf(CLIP_TASK, models)), TITLE, HEADING, SUMMARY
    )


def _lay_out(shelf: Shelf, clips: Shelf) -> None:
    with gr.Row():
        with gr.Column():
            with gr.Tabs():
                with gr.Tab("Picture"):
                    picture = gr.Image(
                        label="Picture",
                        type="filepath",
                        sources=["upload", "webcam", "clipboard"],
                        height=320,
                        buttons=[],
                        elem_id="picture",
                    )
                    picture.preprocess = _path  # whatever it holds: the page says itself what is wrong with it
                    model = _choice(shelf)
                    button = gr.Button("Describe", variant="primary", elem_id="describe")
                    examples = sorted(str(path) for path in PICTURES.glob("*.jpg"))
                    gr.Examples([[path] for path in examples], [picture], elem_id="picture-examples")
                with gr.Tab("Clip", visible=bool(clips.models)):
                    clip = gr.Video(label="Clip", sources=["upload", "webcam"], height=320, elem_id="caption-clip")
                    clip_model = _choice(clips)
                    clip_button = gr.Button("Describe", variant="primary", elem_id="describe-clip")
            with gr.Row():
                beams = gr.Slider(1, MAX_BEAMS, 5, step=1, label="Beam width", info="hypotheses kept")
                count = gr.Slider(1, MAX_BEAMS, 3, step=1, label="Alternatives", info="at most the beam width")
        with gr.Column():
            caption = gr.Textbox(label="Caption", lines=2, buttons=["copy"], elem_id="caption")
            notice = gr.HTML(visible=False, elem_id="caption-notice")
            best = gr.Dataframe(
                headers=["", "Caption", "Score"],
                column_count=3,
                label="The best, by log-probability a word (0 is certain)",
                interactive=False,
                wrap=True,
                column_widths=["12%", "66%", "22%"],
                buttons=[],
                elem_id="caption-best",
            )
    with gr.Accordion("Attention: where the model looked for each word"):
        looks = gr.HTML(css_template=CSS, elem_id="looks")

    def run(shelf: Shelf, *values):
        for view in describe(shelf, *values):
            yield view._replace(notice=gr.HTML(view.notice, visible=bool(view.notice)))

    def run_picture(*values):
        yield from run(shelf, *values)

    def run_clip(*values):
        yield from run(clips, *values)

    outputs, shown = [caption, notice, best, looks], {"show_progress_on": caption}
    button.click(run_picture, [picture, model, beams, count], outputs, api_name="describe", **shown)
    clip_button.click(run_clip, [clip, clip_model, beams, count], outputs, api_name="describe_clip", **shown)


def _choice(shelf: Shelf) -> gr.Dropdown:
    names = list(shelf.models)
    return gr.Dropdown(names, value=names[0] if names else None, label="Model", visible=len(names) > 1)


def _path(upload: Any) -> str | None:
    return None if upload is None else upload.path


def main() -> None:
    """Serve this demo alone."""
    from demos.app import serve

    serve(build())


if __name__ == "__main__":
    main()
