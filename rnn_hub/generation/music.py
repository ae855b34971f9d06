"""What generated music must be: a score, of a given length, perhaps under a given melody."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from transformers import LogitsProcessor

from rnn_hub.data.music import STEPS, VOICES, Score
from rnn_hub.data.music_tokens import BEAT, COUNTDOWN, EOS, MusicProcessor, Position


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
    """

    def __init__(
        self, processor: MusicProcessor, beats: int | None = None, melody: Score | None = None, voice: str = "S"
    ):
        self.processor, self.beats, self.voice = processor, beats, VOICES.index(voice)
        self.given: dict[int, str] = {}
        if melody is not None:
            self.beats = melody.beats
            self.given = {note.start: f"{voice}{note.pitch}" for note in melody.voices[0]}
        self.melody_scores: Tensor | None = None
        self._seen: Tensor | None = None
        self._positions: list[Position] = []
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
        return scores.masked_fill(~allowed, -torch.inf)

    def _read(self, input_ids: Tensor) -> None:
        """Bring the positions up to date: a token further, or from the start of the sequences."""
        known = self._seen is not None and self._seen.shape == input_ids[:, :-1].shape
        if known and torch.equal(self._seen, input_ids[:, :-1]):
            words = [self.processor.tokens[index] for index in input_ids[:, -1].tolist()]
            self._positions = [_after(position, word) for position, word in zip(self._positions, words, strict=True)]
        else:
            self.melody_scores, self._positions = None, []
            for row in input_ids.tolist():
                position = Position()
                for index in row:
                    position = _after(position, self.processor.tokens[index])
                self._positions.append(position)
        self._seen = input_ids

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
