"""What generated music must be: a score, of a given length, perhaps under a given melody."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import LogitsProcessor

from rnn_hub.data.music import STEPS, VOICES, Score
from rnn_hub.data.music_tokens import BEAT, COUNTDOWN, EOS, MusicProcessor, Position


class Motion(NamedTuple):
    """The pitches of the voices before the present sixteenth and at it, None where one is silent."""

    before: tuple[int | None, ...]
    now: tuple[int | None, ...]

    def after(self, word: str) -> Motion:
        """What is known behind a token."""
        if word[0] in VOICES:
            voice = VOICES.index(word[0])
            pitch = int(word[1:]) if word[1:] != "-" else None
            return self._replace(now=(*self.now[:voice], pitch, *self.now[voice + 1 :]))
        return Motion(self.now, self.now) if word[0] in "|:" else self

    def moves(self, voice: int) -> bool:
        """Whether a voice goes to another pitch."""
        return None not in (self.before[voice], self.now[voice]) and self.before[voice] != self.now[voice]

    def parallels(self, high: int, low: int) -> list[int]:
        """The pitches to which `low` would move in parallel with `high`, that moves, from a fifth or an octave."""
        start = self.before[low]
        if start is None or (self.before[high] - start) % 12 not in (0, 7):
            return []
        same = (self.now[high] - self.before[high] + start) % 12  # the pitch class that keeps the interval
        up = self.now[high] > self.before[high]
        return [pitch for pitch in (range(start + 1, 128) if up else range(start)) if pitch % 12 == same]


class MusicGrammar(LogitsProcessor):
    """Leaves only tokens that a score can go on with, so that whatever is drawn can be written as a file.

    For greedy search and sampling. `melody_scores` says how likely the melody was under each row's other voices: the
    sum over all choices of log p(what the melody allows) - log p(what a score allows), in nats. Of several rows that of
    the highest is the best harmony, as in likelihood weighting (Fung & Chang 1990).

    Args:
        processor: of the model's tokens.
        beats: the length of the whole score; None leaves it to the model.
        melody: a voice that is given; the score ends with it.
        voice: which one it is, such as "S".
        parallels: whether a voice may move in parallel fifths or octaves with a higher one, which chorales avoid.
    """

    def __init__(
        self,
        processor: MusicProcessor,
        beats: int | None = None,
        melody: Score | None = None,
        voice: str = "S",
        parallels: bool = False,
    ):
        self.processor, self.beats, self.voice, self.parallels = processor, beats, VOICES.index(voice), parallels
        self.given: dict[int, str] = {}
        if melody is not None:
            self.beats = melody.beats
            self.given = {note.start: f"{voice}{note.pitch}" for note in melody.voices[0]}
        self.melody_scores: Tensor | None = None
        self._seen: Tensor | None = None
        self._positions: list[Position] = []
        self._motions: list[Motion] = []
        self._masks: dict[tuple, Tensor] = {}

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """input_ids (B, T), scores (B, V) -> scores, -inf where a token cannot stand."""
        self._read(input_ids)
        masks = [self._mask(position) for position in self._positions]
        allowed = torch.stack([mask for mask, _ in masks]).to(scores.device)
        if self.given:
            valid = torch.stack([mask for _, mask in masks]).to(scores.device)
            nats = [scores.masked_fill(~mask, -torch.inf).logsumexp(dim=-1) for mask in (allowed, valid)]
            gained = (nats[0] - nats[1]).double()
            self.melody_scores = gained if self.melody_scores is None else self.melody_scores + gained
        if not self.parallels:
            for row, motion in enumerate(self._motions):
                allowed[row, [self.processor.ids[word] for word in self._parallel(motion)]] = False
        return scores.masked_fill(~allowed, -torch.inf)

    def _read(self, input_ids: Tensor) -> None:
        """Bring the positions up to date: a token further, or from the start of the sequences."""
        known = self._seen is not None and self._seen.shape == input_ids[:, :-1].shape
        if known and torch.equal(self._seen, input_ids[:, :-1]):
            self._go_on(input_ids[:, -1:].tolist())
        else:
            self.melody_scores = None
            self._positions = [Position() for _ in input_ids]
            self._motions = [Motion((None,) * len(VOICES), (None,) * len(VOICES)) for _ in input_ids]
            self._go_on(input_ids.tolist())
        self._seen = input_ids

    def _go_on(self, rows: list[list[int]]) -> None:
        """Take further tokens of each row into account."""
        for row, ids in enumerate(rows):
            for word in (self.processor.tokens[index] for index in ids):
                self._positions[row] = _after(self._positions[row], word)
                self._motions[row] = self._motions[row].after(word)

    def _parallel(self, motion: Motion) -> list[str]:
        """The notes of free voices that would move in parallel fifths or octaves with a voice above."""
        low_high = self.processor.ranges
        return [
            f"{VOICES[voice]}{pitch}"
            for high, voice in combinations(range(len(VOICES)), 2)
            if motion.moves(high) and not (self.given and voice == self.voice)
            for pitch in motion.parallels(high, voice)
            if low_high[voice][0] <= pitch <= low_high[voice][1]
        ]

    def _mask(self, position: Position) -> tuple[Tensor, Tensor]:
        """Which tokens (V,) may follow, and which of them a score without a given melody could follow with."""
        if position.left == -1:  # ended: whatever follows is padding
            everything = torch.ones(len(self.processor.ids), dtype=torch.bool)
            return everything, everything
        key = position if self.given else replace(position, beat=min(position.beat, 1))
        key = (key, self._next_beat(position))
        if key not in self._masks:
            words = [word for word in self.processor.ids if position.allows(word) and self._fits_length(position, word)]
            masks = torch.zeros(2, len(self.processor.ids), dtype=torch.bool)
            masks[1, [self.processor.ids[word] for word in words]] = True
            masks[0, [self.processor.ids[word] for word in words if self._fits_melody(position, word)]] = True
            self._masks[key] = tuple(masks)
        return self._masks[key]

    def _next_beat(self, position: Position) -> str | None:
        """The only beat token that keeps the length."""
        if self.beats is None:
            return None
        left = self.beats - position.beat - 2
        return BEAT if left >= COUNTDOWN else f"|{left}"

    def _fits_length(self, position: Position, word: str) -> bool:
        return not word.startswith(BEAT) or self.beats is None or word == self._next_beat(position)

    def _fits_melody(self, position: Position, word: str) -> bool:
        """Whether the given voice sings what it has to, and nothing else."""
        if not self.given or position.offset < 0:
            return True
        step = position.beat * STEPS + position.offset
        here = self.given.get(step) if position.voice < self.voice else None
        name = VOICES[self.voice]
        if word[0] == name:
            return word == here
        if word[0] in VOICES:
            return here is None or VOICES.index(word[0]) < self.voice
        if here is not None:
            return False
        pending = [at for at in range(step + 1, (position.beat + 1) * STEPS) if at in self.given]
        return not pending or (word.startswith(":") and position.beat * STEPS + int(word[1:]) <= pending[0])


def _after(position: Position, word: str) -> Position:
    """The position behind any token; -1 beats are left behind the end of a score."""
    if word == EOS:
        return replace(position, left=-1)
    return position.after(word) if word[0] != "<" else position
