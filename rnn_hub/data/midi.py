"""MIDI files: read onto the grid, and written from it; what no model could read is refused with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from rnn_hub.data.music import KEYS, STEPS, VOICES, Note, Score, key_ids
from rnn_hub.errors import RnnHubError

TICKS = 480
"""Ticks a quarter note of the files that are written."""
MAX_BYTES = 2_000_000
MAX_MINUTES = 20
TEMPOS = (10, 400)
DEFAULT_TEMPO = 80
INSTRUMENTS = {"piano": 0, "organ": 19, "strings": 48, "choir": 52}
"""General MIDI programs by name."""
NAMES = {"S": "Soprano", "A": "Alto", "T": "Tenor", "B": "Bass"}


def read_midi(source: str | Path | bytes) -> Score:
    """Read a MIDI file; notes are moved to the nearest sixteenth.

    Each track is a voice, or as many as it has notes at once. Tracks named as the voices keep that order, others are
    sorted from high to low. Percussion is left out; key, metre and tempo are the first ones.

    Args:
        source: a path, or the file's content.

    Raises:
        RnnHubError: a damaged or empty file, no notes but percussion, more than four voices, more than 20 minutes,
            an impossible tempo.
    """
    content, name = _content(source)
    symusic = _symusic()
    _check_chunks(content, name)
    try:
        file = symusic.Score.from_midi(content)
    except RuntimeError as error:
        raise RnnHubError(f"{name} is damaged and cannot be read: {error}") from error
    if file.tpq < 1:
        raise RnnHubError(f"{name} does not count its time in parts of a beat")
    melodic = [track for track in file.tracks if len(track.notes) and not track.is_drum]
    if not melodic:
        drums = any(len(track.notes) for track in file.tracks)
        raise RnnHubError(f"{name} holds {'only percussion, no melody' if drums else 'no notes'}")
    if len(melodic) > len(VOICES):
        raise RnnHubError(f"{name} has {len(melodic)} tracks with notes; at most {len(VOICES)} voices can be read")
    tempo = _tempo(file, name)
    minutes = max(track.end() for track in melodic) / file.tpq / tempo
    if minutes > MAX_MINUTES:
        raise RnnHubError(f"{name} lasts {minutes:.0f} minutes; at most {MAX_MINUTES} can be read")
    parts = [(track.name, _lines(_quantized(track.notes, file.tpq))) for track in melodic]
    voices = [line for _, lines in _ordered(parts) for line in lines]
    if len(voices) > len(VOICES):
        raise RnnHubError(f"{name} has up to {len(voices)} notes at once; at most {len(VOICES)} voices can be read")
    key = next((_key(signature) for signature in file.key_signatures), None)
    metre = next((f"{each.numerator}/{each.denominator}" for each in file.time_signatures), None)
    return Score(tuple(voices), key, metre, round(tempo) if len(file.tempos) else None)


def write_midi(score: Score, path: str | Path | None = None, instrument: str = "organ") -> bytes:
    """The score as a MIDI file of one track a voice, also written to `path`; its content is returned.

    Raises:
        RnnHubError: an unknown instrument, or an impossible tempo.
    """
    content = to_symusic(score, instrument).dumps_midi()
    if path is not None:
        Path(path).write_bytes(content)
    return content


def to_symusic(score: Score, instrument: str = "organ") -> Any:
    """The score as symusic's, for writing and for rendering."""
    if instrument not in INSTRUMENTS:
        raise RnnHubError(f"unknown instrument {instrument!r}; choose one of {', '.join(INSTRUMENTS)}")
    symusic = _symusic()
    file = symusic.Score(TICKS)
    for index, voice in enumerate(score.voices):
        track = symusic.Track(NAMES[VOICES[index]], INSTRUMENTS[instrument], False)
        for note in voice:
            track.notes.append(
                symusic.Note(note.start * TICKS // STEPS, note.duration * TICKS // STEPS, note.pitch, 80)
            )
        file.tracks.append(track)
    tempo = check_tempo(DEFAULT_TEMPO if score.tempo is None else score.tempo)
    file.tempos.append(symusic.Tempo(0, tempo))
    if score.metre:
        file.time_signatures.append(symusic.TimeSignature(0, *map(int, score.metre.split("/"))))
    if score.key:
        mode, tonic = key_ids(score.key)
        file.key_signatures.append(symusic.KeySignature(0, _sharps(mode, tonic), mode))
    return file


def check_tempo(tempo: float, name: str = "the score") -> float:
    """The tempo itself, if it is one."""
    if isinstance(tempo, bool) or not isinstance(tempo, int | float) or not TEMPOS[0] <= tempo <= TEMPOS[1]:
        raise RnnHubError(
            f"{name} has a tempo of {tempo} quarter notes a minute; it must be from {TEMPOS[0]} to {TEMPOS[1]}"
        )
    return tempo


def _content(source: str | Path | bytes) -> tuple[bytes, str]:
    """The bytes of a file, and how messages call it."""
    if isinstance(source, bytes):
        content, name = source, "the MIDI file"
    else:
        path = Path(source)
        if not path.is_file():
            raise RnnHubError(f"there is no MIDI file {str(source)!r}")
        content, name = path.read_bytes() if path.stat().st_size <= MAX_BYTES else b"?" * (MAX_BYTES + 1), path.name
    if not content:
        raise RnnHubError(f"{name} is empty")
    if len(content) > MAX_BYTES:
        raise RnnHubError(f"{name} is larger than {MAX_BYTES / 1e6:g} MB")
    return content, name


def _check_chunks(content: bytes, name: str) -> None:
    """Refuse what is no MIDI file or lacks tracks that its header counts: a reader may take what is left for whole."""
    if content[:4] != b"MThd" or len(content) < 14:
        raise RnnHubError(f"{name} is no MIDI file: it does not begin with a MIDI header")
    declared, tracks, place = int.from_bytes(content[10:12], "big"), 0, 8 + int.from_bytes(content[4:8], "big")
    while place + 8 <= len(content):
        tracks += content[place : place + 4] == b"MTrk"
        place += 8 + int.from_bytes(content[place + 4 : place + 8], "big")
    if tracks < declared or place > len(content):
        raise RnnHubError(f"{name} is truncated: it ends before the last of its {declared} tracks")


def _tempo(file: Any, name: str) -> float:
    """The first tempo; a file that says none is played at 120."""
    return check_tempo(file.tempos[0].qpm if len(file.tempos) else 120.0, name)


def _quantized(notes: Sequence[Any], ticks: int) -> list[Note]:
    """Notes on the grid, at least a step long, none twice; sorted by start, from high to low."""
    found = {}
    for note in notes:
        start, end = (round(tick * STEPS / ticks) for tick in (note.start, note.start + note.duration))
        duration = max(end - start, 1, found.get((start, note.pitch), 1))
        found[start, note.pitch] = duration
    return [
        Note(start, duration, pitch)
        for (start, pitch), duration in sorted(found.items(), key=lambda item: (item[0][0], -item[0][1]))
    ]


def _lines(notes: list[Note]) -> list[tuple[Note, ...]]:
    """Notes as the fewest lines; of notes that start together the higher one gets the higher free line."""
    lines: list[list[Note]] = []
    for start, group in groupby(notes, key=lambda note: note.start):
        free = [line for line in lines if line[-1].end <= start]
        for note in group:
            if not free:
                lines.append([note])
            else:
                free.pop(0).append(note)
    return [tuple(line) for line in lines]


def _ordered(parts: list[tuple[str, list[tuple[Note, ...]]]]) -> list[tuple[str, list[tuple[Note, ...]]]]:
    """Tracks in the order of their voices' names, or from high to low."""
    order = {name.lower(): index for index, name in enumerate(NAMES.values())}
    if all(name.lower() in order for name, _ in parts) and len({name.lower() for name, _ in parts}) == len(parts):
        return sorted(parts, key=lambda part: order[part[0].lower()])
    return sorted(parts, key=lambda part: -_mean_pitch(part[1]))


def _mean_pitch(lines: list[tuple[Note, ...]]) -> float:
    notes = [note.pitch for line in lines for note in line]
    return sum(notes) / len(notes)


def _sharps(mode: int, tonic: int) -> int:
    """Sharps of a key signature, negative for flats: -5 to 6."""
    return ((tonic + 3 * mode) * 7 + 5) % 12 - 5


_BY_SIGNATURE = {(_sharps(*key_ids(key)), key_ids(key)[0]): key for key in KEYS}


def _key(signature: Any) -> str | None:
    """The key of a signature, where C sharp with seven sharps is D flat with five flats."""
    sharps = (signature.key + 5) % 12 - 5
    return _BY_SIGNATURE.get((sharps, int(signature.tonality)))


def _symusic() -> Any:
    try:
        import symusic
    except ImportError as error:
        raise RnnHubError("MIDI needs symusic: pip install 'rnn-hub[music]'") from error
    return symusic
