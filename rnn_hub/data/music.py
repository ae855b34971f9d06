"""Music on a grid: notes in voices, counted in sixteenths, with key, metre and tempo."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

from rnn_hub.errors import RnnHubError

STEPS = 4
"""Steps of the grid a quarter note (a beat)."""
VOICES = "SATB"
"""Soprano, alto, tenor, bass: the names of the voices, from the highest to the lowest."""
TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MODES = ("major", "minor")
KEYS = tuple(f"{tonic} {mode}" for mode in MODES for tonic in TONICS)
_MIDDLE = (69, 64, 57, 48)
_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_KEY = re.compile(r"\s*([A-Ga-g])([#b♯♭]?|-?flat|-?sharp)\s*[- ]?(major|maj|dur|minor|min|moll|m)?\s*", re.ASCII)


class Note(NamedTuple):
    """A note: its start and duration in steps, its MIDI pitch (60 is middle C)."""

    start: int
    duration: int
    pitch: int

    @property
    def end(self) -> int:
        """The first step at which it is silent."""
        return self.start + self.duration


@dataclass(frozen=True)
class Score:
    """Up to four voices, each a line of notes that do not overlap.

    Args:
        voices: from the highest to the lowest, each sorted by start.
        key: one of `KEYS`; None where it is not known. So the others.
        metre: such as "3/4".
        tempo: quarter notes a minute.
    """

    voices: tuple[tuple[Note, ...], ...]
    key: str | None = None
    metre: str | None = None
    tempo: int | None = None

    @property
    def length(self) -> int:
        """Steps until the last note has ended."""
        return max((voice[-1].end for voice in self.voices if voice), default=0)

    @property
    def beats(self) -> int:
        """Quarter notes, a begun one counted whole."""
        return -(-self.length // STEPS)

    def seconds(self, tempo: int = 80) -> float:
        """How long it lasts; `tempo` counts where the score has none."""
        return self.length / STEPS * 60 / (self.tempo or tempo)

    @classmethod
    def from_grid(cls, grid: Sequence[Sequence[int]], **about: str | int | None) -> Score:
        """Pitches (T, voices), negative for a rest; equal pitches that follow each other are one note."""
        voices = []
        for pitches in zip(*grid, strict=True):
            notes: list[Note] = []
            for step, pitch in enumerate(pitches):
                if notes and notes[-1].pitch == pitch and notes[-1].end == step:
                    notes[-1] = notes[-1]._replace(duration=notes[-1].duration + 1)
                elif pitch >= 0:
                    notes.append(Note(step, 1, int(pitch)))
            voices.append(tuple(notes))
        return cls(tuple(voices), **about)

    def grid(self) -> list[list[int]]:
        """The pitch of each voice at each step (T, voices), -1 for a rest."""
        grid = [[-1] * len(self.voices) for _ in range(self.length)]
        for index, voice in enumerate(self.voices):
            for note in voice:
                for step in range(note.start, note.end):
                    grid[step][index] = note.pitch
        return grid

    def transposed(self, semitones: int) -> Score:
        """All notes and the key, so many semitones higher."""
        voices = tuple(tuple(note._replace(pitch=note.pitch + semitones) for note in voice) for voice in self.voices)
        return replace(self, voices=voices, key=self.key and transpose_key(self.key, semitones))

    def in_c(self) -> Score:
        """Transposed so that the tonic of its key, or of the one it is estimated to be in, is C."""
        score = self if self.key else replace(self, key=estimate_key(self))
        return score.transposed(-above_c(score.key))

    def legato(self) -> Score:
        """Without rests: each note is held until the next one, the last to the end of the beat, the first from 0."""
        voices = []
        for voice in self.voices:
            ends = [note.start for note in voice[1:]] + [self.beats * STEPS]
            starts = [0] + [note.start for note in voice[1:]]
            voices.append(
                tuple(
                    Note(start, end - start, note.pitch) for start, end, note in zip(starts, ends, voice, strict=False)
                )
            )
        return replace(self, voices=tuple(voices))

    def head(self, beats: int) -> Score:
        """The first beats."""
        stop = beats * STEPS
        voices = tuple(
            tuple(note._replace(duration=min(note.end, stop) - note.start) for note in voice if note.start < stop)
            for voice in self.voices
        )
        return replace(self, voices=voices)


def complete_grid(grid: Sequence[Sequence[int]]) -> list[list[int]]:
    """Steps that name only the voices that sound, in the voices' order, as pitches (T, 4) with -1 for the silent ones.

    A pitch belongs to the voice that is nearest to it, where that voice sounded last (or will sound first).

    Raises:
        RnnHubError: more pitches than voices at a step.
    """
    if crowded := next((step for step in grid if len(step) > len(VOICES)), None):
        raise RnnHubError(f"a step holds {len(crowded)} pitches, {list(crowded)}: there are {len(VOICES)} voices")
    whole = next((step for step in grid if len(step) == len(VOICES)), _MIDDLE)
    last, complete = list(whole), []
    for step in grid:
        silent, sung = [-1] * len(VOICES), [(voice, pitch) for voice, pitch in enumerate(step) if pitch >= 0]
        if len(step) < len(VOICES):
            choices = combinations(range(len(VOICES)), len(sung))
            pitches = [pitch for _, pitch in sung]
            near = min(choices, key=lambda voices: sum(abs(last[v] - p) for v, p in zip(voices, pitches, strict=True)))
            sung = list(zip(near, pitches, strict=True))
        for voice, pitch in sung:
            last[voice] = silent[voice] = int(pitch)
        complete.append(silent)
    return complete


def parse_key(key: str) -> str:
    """The name in `KEYS` of a key as people write it: "g minor", "Gm", "Db major", "F♯".

    Raises:
        RnnHubError: no key, listing the known ones.
    """
    found = _KEY.fullmatch(key) if isinstance(key, str) else None
    if not found:
        raise RnnHubError(f"unknown key {key!r}; the keys are {', '.join(KEYS)}")
    letter, accidental, mode = found.groups()
    shift = {"#": 1, "♯": 1, "sharp": 1, "b": -1, "♭": -1, "flat": -1}.get(accidental.lstrip("-"), 0)
    minor = (mode or "").startswith("m") and not (mode or "").startswith("maj")
    return f"{TONICS[(_LETTERS[letter.upper()] + shift) % 12]} {MODES[minor]}"


def key_ids(key: str) -> tuple[int, int]:
    """The number of a key's mode in `MODES` and of its tonic in `TONICS`."""
    tonic, mode = parse_key(key).split()
    return MODES.index(mode), TONICS.index(tonic)


def conditions(key: str | None, style: str | None = None) -> dict[str, str | None]:
    """What a model of music may be told: mode and tonic of a key, and a style."""
    tonic, mode = (None, None) if key is None else parse_key(key).split()
    return {"mode": mode, "style": style, "tonic": tonic}


def transpose_key(key: str, semitones: int) -> str:
    """The key so many semitones higher."""
    mode, tonic = key_ids(key)
    return f"{TONICS[(tonic + semitones) % 12]} {MODES[mode]}"


def above_c(key: str) -> int:
    """The semitones from the nearest C to the tonic of a key, -5 to 6."""
    return (key_ids(key)[1] + 5) % 12 - 5


def estimate_key(score: Score) -> str:
    """The key that fits best how long each pitch class sounds, by the profiles of Aarden and Essen, as music21 has it.

    Raises:
        RnnHubError: music21 is not installed.
    """
    classes: Counter[int] = Counter()
    for voice in score.voices:
        for note in voice:
            classes[note.pitch % 12] += note.duration
    if not classes:
        raise RnnHubError("there are no notes whose key could be estimated")
    return _estimate(tuple(sorted(classes.items())))


@lru_cache(maxsize=4096)
def _estimate(durations: tuple[tuple[int, int], ...]) -> str:
    try:
        from music21 import note, stream
    except ImportError as error:
        raise RnnHubError("estimating a key needs music21: pip install 'rnn-hub[music]'") from error
    part = stream.Stream()
    for pitch_class, duration in durations:
        part.append(note.Note(60 + pitch_class, quarterLength=duration / STEPS))
    key = part.analyze("key.aardenessen")
    return f"{TONICS[key.tonic.pitchClass]} {key.mode}"
