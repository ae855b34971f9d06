"""The speech demo: what is said in a recording, as it is recognized, and when each word was said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from demos import text_input
from demos.page import build_page
from demos.shelf import Shelf
from demos.speech_plot import CSS, speech_html
from rnn_hub.data.audio import read_audio
from rnn_hub.errors import RnnHubError
from rnn_hub.models.speech.streaming import obstacle

TASK = "speech-recognition"
TITLE = "Speech"
HEADING = "Let a recurrent network listen"
EMOJI = "🎙️"
EXTRA = "audio"
SUMMARY = (
    "A recurrent network hears a recording and writes a character whenever it is sure of one. Record yourself, upload "
    "a file of any format, or pick an example; below stand the words over the time in which they were said."
)
RECORDINGS = Path(__file__).with_name("recordings")
#: what a model of this name is for
HINTS = {
    "digits": "It knows ten words, zero to nine, said in any order by six speakers, and hears a recording to its end "
    "before it writes.",
    "prompts": "It learned the prompts of a telephone exchange from one voice and from synthesized ones; other voices "
    "and other words it often gets wrong.",
}
#: seconds of a recording that are heard before text is shown anew, and the longest recording
PIECE, LONGEST = 0.5, 300


class View(NamedTuple):
    """The values of the page's outputs, in their order."""

    text: str = ""
    picture: str = ""
    notice: str = ""


def listen(shelf: Shelf, recording: str | None, model: str) -> Iterator[View]:
    """The text as it is recognized, then the words with their times; a notice where there is nothing to hear."""
    try:
        if not recording:
            raise RnnHubError("Record something, upload a file, or pick an example first.")
        pipe = shelf[model]
        extractor = pipe.processor.feature_extractor
        samples = read_audio(recording, extractor.sampling_rate, LONGEST)
        if obstacle(pipe.model, pipe.processor) is None:
            size = round(PIECE * extractor.sampling_rate)
            pieces = (samples[start : start + size] for start in range(0, len(samples), size))
            for text in pipe.stream(pieces):
                yield View(text)
        knows_times = getattr(pipe.model.config, "ctc_weight", 1) > 0
        found = pipe(samples, return_words=knows_times)
    except RnnHubError as error:
        yield View(notice=text_input.notice(str(error)))
        return
    features = extractor.features(samples)[: 1 + len(samples) // extractor.hop_length]  # without the silence after it
    picture = speech_html(samples, extractor.sampling_rate, features, found.get("words", []))
    silent = "" if found["text"] else text_input.notice("No words were recognized in this recording.")
    yield View(found["text"], picture, silent)


def fitting_examples(models: list[str]) -> list[Path]:
    """The recordings of what one of these models knows, or all where none does; a file's name begins with it."""
    recordings = sorted(RECORDINGS.glob("*.flac"))
    fitting = [path for path in recordings if any(path.stem.partition("-")[0] in name for name in models)]
    return fitting or recordings


def hears_waveforms(folder: str | Path) -> bool:
    """Whether a model takes recordings, and not only features that are made elsewhere."""
    path = Path(folder) / "processor_config.json"
    if not path.is_file():
        return False
    config = json.loads(path.read_text(encoding="utf-8"))
    return config.get("feature_extractor", {}).get("kind", "log_mel") == "log_mel"


def hint(model: str) -> str:
    """What a model is for."""
    return next((text for name, text in HINTS.items() if name in model), "")


def build(models: str | Path | None = None) -> gr.Blocks:
    """The page. Models load at their first use.

    Args:
        models: a folder of model folders; default: the released ones.
    """
    shelf = Shelf(TASK, models)
    shelf.models = {name: folder for name, folder in shelf.models.items() if hears_waveforms(folder)}
    return build_page(shelf, _lay_out, TITLE, HEADING, SUMMARY)


def _lay_out(shelf: Shelf) -> None:
    names = sorted(shelf.models, key=lambda name: ("digits" in name, name))
    with gr.Row():
        with gr.Column():
            recording = gr.Audio(
                label="Recording", sources=["microphone", "upload"], type="filepath", elem_id="recording"
            )
            model = gr.Dropdown(names, value=names[0], label="Model", info=hint(names[0]), elem_id="speech-model")
            button = gr.Button("Recognize", variant="primary", elem_id="recognize")
            examples = [[str(path)] for path in fitting_examples(names)]
            gr.Examples(examples, [recording], elem_id="recording-examples")
        with gr.Column():
            text = gr.Textbox(label="Text", lines=4, interactive=False, buttons=["copy"], elem_id="transcript")
            notice = gr.HTML(visible=False, elem_id="speech-notice")
    picture = gr.HTML(css_template=CSS, elem_id="speech-picture")

    def run(*values):
        for view in listen(shelf, *values):
            yield view._replace(notice=gr.HTML(view.notice, visible=bool(view.notice)))

    button.click(run, [recording, model], [text, picture, notice], show_progress_on=text, api_name="recognize")
    model.change(
        lambda name: gr.Dropdown(info=hint(name)), model, model, show_progress="hidden", api_visibility="private"
    )


def main() -> None:
    """Serve this demo alone."""
    from demos.app import serve

    serve(build())


if __name__ == "__main__":
    main()
