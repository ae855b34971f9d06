"""Polyphony as frames: the sets of notes that sound at each step, said in tokens or as rows of 0 and 1.

A frame is its pitches from low to high and then `|`: `48 55 64 72 |`; silence is `|`. The probability of a frame is
the product of its tokens' probabilities, each given the notes below it and all frames before: nothing is independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from rnn_hub.data.music_tokens import BEAT, BOS, EOS, PAD, PITCHES, UNK, music_tokenizer
from rnn_hub.errors import RnnHubError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def frame_tokenizer(pitches: Sequence[int] = PITCHES) -> PreTrainedTokenizerFast:
    """A tokenizer of frames over the 88 keys of a piano, or over other pitches."""
    return music_tokenizer([PAD, UNK, BOS, EOS, BEAT, *map(str, sorted(pitches))])


class FrameProcessor:
    """Frames to token ids.

    Args:
        tokenizer: a `frame_tokenizer`.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast):
        self.ids: dict[str, int] = tokenizer.get_vocab()
        self.pad, self.start, self.end = tokenizer.pad_token_id, tokenizer.bos_token_id, self.ids[BEAT]
        pitches = [int(token) for token in self.ids if token.isdigit()]
        self.low, self.high = min(pitches), max(pitches)

    def encode(self, frames: Sequence[Sequence[int]]) -> list[int]:
        """The ids of a piece, `<s>` first.

        Raises:
            RnnHubError: a pitch outside the range.
        """
        ids = [self.start]
        for frame in frames:
            ids += [self.ids[str(pitch)] for pitch in self._pitches(frame)]
            ids.append(self.end)
        return ids

    def rows(self, frames: Sequence[Sequence[int]]) -> torch.Tensor:
        """A piece as (T, notes), 1 where a note sounds.

        Raises:
            RnnHubError: a pitch outside the range.
        """
        rows = torch.zeros(len(frames), self.high - self.low + 1, dtype=torch.long)
        for row, frame in zip(rows, frames, strict=True):
            row[[pitch - self.low for pitch in self._pitches(frame)]] = 1
        return rows

    def _pitches(self, frame: Sequence[int]) -> list[int]:
        pitches = sorted(set(frame))
        for pitch in pitches:
            if not self.low <= pitch <= self.high:
                raise RnnHubError(f"the pitch {pitch} of a frame is outside the range {self.low} to {self.high}")
        return pitches

    def follows(self) -> torch.Tensor:
        """Which token may follow which, (V, V): in a frame pitches rise. All but pitches and `|` are left out."""
        allowed = torch.zeros(len(self.ids), len(self.ids), dtype=torch.bool)
        notes = torch.tensor([self.ids[str(pitch)] for pitch in range(self.low, self.high + 1)])
        allowed[:, self.end] = True
        allowed[:, notes] = True
        for index, note in enumerate(notes):
            allowed[note, notes[: index + 1]] = False
        return allowed
