"""The music demo: a key, a beginning or a melody; then four voices to hear, to see and to take home."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import gradio as gr

from demos import text_input
from demos.page import build_page, served_folder, whole
from demos.shelf import Shelf
from rnn_hub.data.midi import INSTRUMENTS
from rnn_hub.data.music import KEYS
from rnn_hub.data.music_files import MUSICXML, save_music
from rnn_hub.errors import RnnHubError

TASK = "music-generation"
TITLE = "Music"
HEADING = "Hear a recurrent network write music"
EMOJI = "🎼"
EXTRA = "music"
SUMMARY = (
    "A recurrent network writes soprano, alto, tenor and bass note by note, and keeps what it wrote in a state of "
    "fixed size. It learned from 229 chorales by Johann Sebastian Bach, and from nothing else. It can start from "
    "nothing, go on from your beginning, or set your melody for four voices. Another one writes tunes in four styles "
    "of folk music."
)
COMPOSE, CONTINUE, HARMONIZE = "Compose", "Continue a file", "Harmonize a melody"
ANY_KEY = "as the model likes"
BEATS = (8, 128)


class View(NamedTuple):
    """The values of the page's outputs, in their order."""

    notice: str = ""
    summary: str = ""
    sound: str | None = None
    roll: str | None = None
    files: list[str] | None = None


def compose(
    shelf: Shelf,
    model: str,
    action: str,
    key: str,
    style: str | None,
    file: str | None,
    beats: float,
    temperature: float,
    tempo: float,
    instrument: str,
    seed: float | None,
) -> View:
    """The music that was asked for, as files; a notice instead where that cannot be."""
    try:
        options = {"beats": whole(beats, "length"), "temperature": temperature, "tempo": whole(tempo, "tempo")}
        options["style"] = style or None
        if action != COMPOSE:
            if not file:
                raise RnnHubError(f"Choose a MIDI or MusicXML file first, then press “{action}”.")
            options["primer" if action == CONTINUE else "melody"] = file
        if action == HARMONIZE:
            del options["beats"]
        chosen = None if key == ANY_KEY else key
        record = shelf[model](chosen, instrument=instrument, seed=whole(seed, "seed"), **options)
        folder = served_folder()
        paths = {suffix: folder / f"music{suffix}" for suffix in (".mid", ".wav", ".png", ".musicxml")}
        for path in paths.values():
            save_music(record["score"], path, instrument)
    except RnnHubError as error:
        return View(text_input.notice(str(error)))
    score = record["score"]
    summary = f"{score.key}, {score.beats} beats, {score.seconds():.0f} seconds"
    mid, wav, png, xml = map(str, paths.values())
    return View("", summary, wav, png, [mid, wav, xml])


def styles_of(shelf: Shelf, name: str) -> list[str]:
    """The styles that a model knows, from its configuration."""
    return (shelf.config(name).get("condition_labels") or {}).get("style", [])


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
            action = gr.Radio([COMPOSE, CONTINUE, HARMONIZE], value=COMPOSE, label="Task", elem_id="action")
            file = gr.File(
                label="Your beginning or melody (MIDI or MusicXML, up to four voices)",
                file_types=[".mid", ".midi", *MUSICXML],
                visible=False,
                height=110,
                elem_id="file",
            )
            model = gr.Dropdown(names, value=names[0], label="Model", visible=len(names) > 1, elem_id="model")
            styles = styles_of(shelf, names[0])
            style = gr.Dropdown(styles, label="Style", visible=bool(styles), elem_id="style")
            with gr.Row():
                key = gr.Dropdown([ANY_KEY, *KEYS], value="G major", label="Key", elem_id="key")
                seed = gr.Number(1, label="Seed", precision=0, elem_id="seed", info="another number, another piece")
            with gr.Row():
                beats = gr.Slider(*BEATS, 40, step=1, label="Length", info="quarter notes", elem_id="beats")
                temperature = gr.Slider(0.3, 1.5, 0.7, step=0.05, label="Temperature", info="higher is wilder")
            with gr.Row():
                tempo = gr.Slider(40, 160, 72, step=1, label="Tempo", info="quarter notes a minute")
                instrument = gr.Dropdown(list(INSTRUMENTS), value="organ", label="Instrument")
            button = gr.Button("Play", variant="primary", elem_id="play")
        with gr.Column():
            notice = gr.HTML(visible=False, elem_id="music-notice")
            summary = gr.Markdown(elem_id="summary")
            sound = gr.Audio(label="Sound", interactive=False, elem_id="sound", buttons=["download"])
            files = gr.File(label="Files", file_count="multiple", interactive=False, elem_id="files")
    roll = gr.Image(label="Piano roll", interactive=False, elem_id="roll", buttons=["download", "fullscreen"])

    def run(*values):
        view = compose(shelf, *values)
        return view._replace(notice=gr.HTML(view.notice, visible=bool(view.notice)))

    def choose(action: str) -> tuple[gr.File, gr.Slider, gr.Dropdown]:
        uploads = action != COMPOSE
        known = gr.Dropdown(value=ANY_KEY if uploads else "G major", label="Key of the file" if uploads else "Key")
        return gr.File(visible=uploads), gr.Slider(visible=action != HARMONIZE), known

    def choose_model(name: str) -> gr.Dropdown:
        styles = styles_of(shelf, name)
        return gr.Dropdown(styles, value=styles[0] if styles else None, visible=bool(styles))

    model.change(choose_model, model, style, show_progress="hidden", api_visibility="private")
    inputs = [model, action, key, style, file, beats, temperature, tempo, instrument, seed]
    outputs = [notice, summary, sound, roll, files]
    button.click(run, inputs, outputs, show_progress_on=[sound, roll], api_name="compose")
    action.change(choose, action, [file, beats, key], show_progress="hidden", api_visibility="private")


def main() -> None:
    """Serve this demo alone."""
    from demos.app import serve

    serve(build())


if __name__ == "__main__":
    main()
