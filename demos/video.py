"""The video demo: a clip, its label, and what the model thought of it frame by frame."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import gradio as gr
import numpy as np

from demos import text_input
from demos.frame_plot import CSS, curves_html, strip_html
from demos.page import build_page, served_folder
from demos.shelf import Shelf
from rnn_hub.data.camera_motion import camera_clip
from rnn_hub.data.frame_sampling import shown_at
from rnn_hub.data.video import open_video, pixels
from rnn_hub.data.video_files import write_mp4
from rnn_hub.errors import RnnHubError

TASK = "video-classification"
TITLE = "Video"
HEADING = "Let a recurrent network watch a video"
EMOJI = "🎥"
EXTRA = "video"
SUMMARY = (
    "A convolutional network sees each frame, a recurrent one remembers them: which way a camera moves, no single "
    "frame shows. Upload a clip, use your camera or pick an example; below it stands what the model thought after "
    "each frame."
)
PICTURES = Path(__file__).with_name("pictures")
#: what the camera does over the pictures, in the order of their names
EXAMPLES = ("pan left", "zoom in", "rotate right", "still", "pan up", "zoom out")
#: what a model of this name is for
HINTS = {
    "motion": "It tells what the camera does; it learned from photographs over which a virtual camera moved.",
    "letters": "It reads a letter off the lips: a gray close-up of a mouth, while somebody says one letter.",
    "fights": "It learned from 216 clips of surveillance cameras. It raises false alarms and misses fights: a study, "
    "not a tool for watching people.",
}
THUMBNAILS, THUMBNAIL_SIDE = 16, 96


class View(NamedTuple):
    """The values of the page's outputs, in their order."""

    label: dict[str, float] | None = None
    frames: str = ""
    notice: str = ""


def watch(shelf: Shelf, clip: str | None, model: str) -> View:
    """The labels of a clip, its frames and the curves under them; a notice where there is nothing to see."""
    try:
        if not clip:
            raise RnnHubError("Upload a video, record one, or pick an example first.")
        pipe = shelf[model]
        records = pipe(clip, top_k=None, return_progress=True)
        best = records[0]
        shown = np.linspace(0, len(best["times"]) - 1, min(THUMBNAILS, len(best["times"]))).round().astype(int)
        times = [best["times"][number] for number in shown]
        attention = None
        if "attention" in best:
            weights = np.mean(best["attention"], axis=0)
            attention = [float(weights[number]) for number in shown]
        pictures = thumbnails(clip, times)
    except RnnHubError as error:
        return View(notice=text_input.notice(str(error)))
    names = list(pipe.model.config.id2label.values())
    curves = curves_html(np.array(best["progress"]), best["times"], names)
    html = strip_html(pictures, times, attention) + curves
    return View({record["label"]: record["score"] for record in records}, html)


def thumbnails(clip: str, times: list[float]) -> list[np.ndarray]:
    """The frames that are shown at some times, small."""
    with open_video(clip) as video:
        found = []
        for frame in shown_at(video, times):
            high, wide = sorted((frame.picture.height, frame.picture.width))
            turned = round(getattr(frame.picture, "rotation", 0) / 90) % 2
            upright = (frame.picture.width > frame.picture.height) != bool(turned)
            side = max(8, round(THUMBNAIL_SIDE * high / wide))
            found.append(pixels(frame.picture, (side, THUMBNAIL_SIDE) if upright else (THUMBNAIL_SIDE, side)))
    return found


def hint(model: str) -> str:
    """What a model is for."""
    return next((text for name, text in HINTS.items() if name in model), "")


def write_examples(folder: Path) -> list[Path]:
    """Short clips of a camera over the pictures of the demos, named after what it does."""
    from PIL import Image

    paths = []
    for number, (picture, motion) in enumerate(zip(sorted(PICTURES.glob("*.jpg")), EXAMPLES, strict=False)):
        with Image.open(picture) as photograph:
            frames = camera_clip(photograph, motion, (192, 256), 48, seed=number + 2, rough=False)
        name = re.sub(r"\W", "-", f"{picture.stem} {motion}")
        paths.append(write_mp4(folder / f"{name}.mp4", frames, fps=24))
    return paths


def build(models: str | Path | None = None) -> gr.Blocks:
    """The page. Models load at their first use.

    Args:
        models: a folder of model folders; default: the released ones.
    """
    return build_page(Shelf(TASK, models), _lay_out, TITLE, HEADING, SUMMARY)


def _lay_out(shelf: Shelf) -> None:
    names = sorted(shelf.models, key=lambda name: ("motion" not in name, name))
    with gr.Row():
        with gr.Column():
            clip = gr.Video(label="Video", sources=["upload", "webcam"], height=300, buttons=[], elem_id="clip")
            model = gr.Dropdown(names, value=names[0], label="Model", info=hint(names[0]), elem_id="video-model")
            button = gr.Button("Watch", variant="primary", elem_id="watch")
            gr.Examples([[str(path)] for path in write_examples(served_folder())], [clip], elem_id="clip-examples")
        with gr.Column():
            label = gr.Label(label="Label", num_top_classes=5, elem_id="video-label")
            notice = gr.HTML(visible=False, elem_id="video-notice")
    with gr.Accordion("The frames the model saw, and the probability of the labels after each"):
        frames = gr.HTML(css_template=CSS, elem_id="frames")

    def run(*values):
        view = watch(shelf, *values)
        return view._replace(notice=gr.HTML(view.notice, visible=bool(view.notice)))

    button.click(run, [clip, model], [label, frames, notice], show_progress_on=label, api_name="watch")
    model.change(
        lambda name: gr.Dropdown(info=hint(name)), model, model, show_progress="hidden", api_visibility="private"
    )


def main() -> None:
    """Serve this demo alone."""
    from demos.app import serve

    serve(build())


if __name__ == "__main__":
    main()
