"""Scores as files one can hear and see: WAV, a piano roll, MusicXML; and music read from MIDI or MusicXML."""

from __future__ import annotations

import io
import wave
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from rnn_hub.data.midi import MAX_BYTES, check_tempo, read_midi, to_symusic, write_midi
from rnn_hub.data.music import MODES, STEPS, TONICS, Note, Score
from rnn_hub.errors import RnnHubError

SAMPLING_RATE = 44100
LOUDNESS = 0.9
COLORS = ("#d1495b", "#edae49", "#00798c", "#30638e")
"""Of the voices in a piano roll, from the highest to the lowest."""
MUSICXML = (".musicxml", ".xml", ".mxl")
FORMATS = (".mid", ".wav", ".png", ".musicxml")


def read_music(path: str | Path) -> Score:
    """Read a MIDI or a MusicXML file.

    Raises:
        RnnHubError: a file that cannot be read; the message says why.
    """
    return read_musicxml(path) if Path(path).suffix.lower() in MUSICXML else read_midi(path)


def save_music(score: Score, path: str | Path, instrument: str = "organ") -> None:
    """Write a score as what the path's ending says: .mid, .wav, .png (a piano roll) or .musicxml.

    Raises:
        RnnHubError: another ending.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".mid":
        write_midi(score, path, instrument)
    elif suffix == ".wav":
        path.write_bytes(wav_bytes(render(score, instrument)))
    elif suffix == ".png":
        path.write_bytes(piano_roll(score))
    elif suffix == ".musicxml":
        path.write_text(musicxml(score), encoding="utf-8")
    else:
        raise RnnHubError(f"music is written as {', '.join(FORMATS)}, not as {path.name!r}")


def render(score: Score, instrument: str = "organ") -> np.ndarray:
    """The sound, (2, samples) at 44.1 kHz, float32 in [-1, 1], with the SoundFont that pretty_midi carries."""
    file = to_symusic(score, instrument)
    sound = np.asarray(_synthesizer().render(file, True))
    return sound * (LOUDNESS / max(float(np.abs(sound).max()), 1e-6))


def wav_bytes(sound: np.ndarray) -> bytes:
    """A WAV file of 16 bits of a sound (channels, samples)."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(len(sound))
        file.setsampwidth(2)
        file.setframerate(SAMPLING_RATE)
        file.writeframes((sound.T * 32767).round().astype("<i2").tobytes())
    return buffer.getvalue()


def piano_roll(score: Score) -> bytes:
    """A picture of the notes as PNG: time across in beats, pitch up, a colour a voice."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise RnnHubError("a piano roll needs matplotlib: pip install 'rnn-hub[music]'") from error
    figure = Figure(figsize=(min(max(score.beats / 5, 8), 40), 4), layout="constrained")
    axes = figure.subplots()
    for index, voice in enumerate(score.voices):
        for note in voice:
            start, length = note.start / STEPS, note.duration / STEPS
            axes.barh(note.pitch, length, left=start, height=0.9, color=COLORS[index], edgecolor="white", linewidth=0.6)
    pitches = [note.pitch for voice in score.voices for note in voice] or [60]
    octaves = range(min(pitches) // 12 * 12, max(pitches) + 12, 12)
    axes.set_yticks(octaves, [f"C{pitch // 12 - 1}" for pitch in octaves])
    axes.set_ylim(min(pitches) - 2, max(pitches) + 2)
    axes.set_xlim(0, score.beats)
    axes.set_xticks(range(0, score.beats + 1, 4))
    axes.set_xlabel("beats")
    axes.grid(alpha=0.4)
    axes.set_axisbelow(True)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()


def musicxml(score: Score) -> str:
    """The score as MusicXML, by music21."""
    return _music21("musicxml.m21ToXml").GeneralObjectExporter(to_music21(score)).parse().decode("utf-8")


def to_music21(score: Score) -> Any:
    """The score as music21's, a part a voice."""
    stream, note = _music21("stream"), _music21("note")
    key, meter, tempo = _music21("key"), _music21("meter"), _music21("tempo")
    whole = stream.Score()
    for index, voice in enumerate(score.voices):
        part = stream.Part(id="SATB"[index])
        if index == 0 and score.tempo:
            part.insert(0, tempo.MetronomeMark(number=score.tempo))
        if score.key:
            tonic, mode = score.key.split()
            part.insert(0, key.Key(tonic.replace("b", "-"), mode))
        if score.metre:
            part.insert(0, meter.TimeSignature(score.metre))
        for each in voice:
            part.insert(each.start / STEPS, note.Note(each.pitch, quarterLength=each.duration / STEPS))
        if voice:
            part.makeRests(inPlace=True, fillGaps=True, timeRangeFromBarDuration=False)
        whole.insert(0, part)
    return whole


def read_musicxml(path: str | Path) -> Score:
    """Read a MusicXML file by music21, in the way in which `read_midi` reads MIDI.

    Raises:
        RnnHubError: no such file, a damaged one, or one that music21's MIDI is refused for.
    """
    path = Path(path)
    if not path.is_file():
        raise RnnHubError(f"there is no file {str(path)!r}")
    if path.stat().st_size > 2 * MAX_BYTES:
        raise RnnHubError(f"{path.name} is larger than {2 * MAX_BYTES / 1e6:g} MB")
    converter = _music21("converter")
    try:
        parsed = converter.parse(str(path), format="musicxml", forceSource=True)
        parts = [read_part(part) for part in parsed.parts]
        mark = next(iter(parsed.recurse().getElementsByClass("MetronomeMark")), None)
        key = next((each for each in parsed.recurse().getElementsByClass("KeySignature")), None)
        metre = next((each for each in parsed.recurse().getElementsByClass("TimeSignature")), None)
    except Exception as error:  # music21 raises whatever its XML reader or its own parts do
        raise RnnHubError(f"{path.name} is damaged and cannot be read: {' '.join(str(error).split())}") from error
    voices = tuple(part for part in parts if part)
    if not 1 <= len(voices) <= 4:
        raise RnnHubError(f"{path.name} has {len(voices)} parts with notes; 1 to 4 can be read")
    about: dict[str, Any] = {"metre": metre and metre.ratioString}
    if hasattr(key, "mode") and key.mode in MODES:
        about["key"] = f"{TONICS[key.tonic.pitchClass]} {key.mode}"
    if mark is not None and mark.number:
        about["tempo"] = round(check_tempo(mark.getQuarterBPM(), path.name))
    return Score(voices, **about)


def read_part(part: Any) -> tuple[Note, ...]:
    """The highest notes of a part, ties joined."""
    notes: list[Note] = []
    for each in part.stripTies().flatten().notes:
        start, duration = round(float(each.offset) * STEPS), round(float(each.quarterLength) * STEPS)
        if duration < 1 or (notes and start < notes[-1].end):
            continue
        notes.append(Note(start, duration, max(pitch.midi for pitch in each.pitches)))
    return tuple(notes)


@lru_cache(maxsize=1)
def _synthesizer() -> Any:
    try:
        from importlib.util import find_spec

        import symusic

        font = Path(find_spec("pretty_midi").origin).parent / "TimGM6mb.sf2"
    except (ImportError, AttributeError) as error:
        raise RnnHubError("sound needs symusic and pretty_midi: pip install 'rnn-hub[music]'") from error
    return symusic.Synthesizer(str(font), SAMPLING_RATE)


def _music21(module: str) -> Any:
    from importlib import import_module

    try:
        return import_module(f"music21.{module}")
    except ImportError as error:
        raise RnnHubError("MusicXML needs music21: pip install 'rnn-hub[music]'") from error
