"""Polyphonic music as frames whose notes are independent, given the frames before: rows of 0 and 1 -> nats a frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerBase

import rnn_hub.models.frames  # noqa: F401  (registers the model with the Auto classes)
from rnn_hub.data.collators import IGNORE_INDEX, lengths_to_mask
from rnn_hub.data.music_frames import FrameProcessor
from rnn_hub.tasks.music_frames import FrameCollator, FramesDataset, FrameSection, MusicFramesTask


class RowCollator(FrameCollator):
    """Rows of frames -> `frames` and `labels` (B, T, notes) and `attention_mask` (B, T); a label is the next frame."""

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        pieces = [self.processor.rows(piece) for piece in self.pieces(rows)]
        labels = pad_sequence(pieces, batch_first=True, padding_value=IGNORE_INDEX)
        mask = lengths_to_mask(torch.tensor([len(piece) for piece in pieces]), labels.shape[1])
        return {"frames": F.pad(labels.clamp(min=0), (0, 0, 1, -1)), "attention_mask": mask, "labels": labels}


class IndependentFramesTask(MusicFramesTask):
    """The notes of the next frame, each by itself (Boulanger-Lewandowski et al. 2012, section 3; Bai et al. 2018)."""

    name = "music-frames-independent"
    model_type = "rnn_hub_frames"

    def build_model(
        self, fields: Mapping[str, Any], processor: PreTrainedTokenizerBase, generation: Mapping[str, Any]
    ) -> PreTrainedModel:
        """The model of the 88 keys."""
        frames = FrameProcessor(processor)
        return self._model(self._config(fields, frame_size=frames.high - frames.low + 1))

    def build_collator(
        self, processor: PreTrainedTokenizerBase, dataset: FramesDataset, tokenizer: FrameSection, training: bool
    ) -> Callable[[list[dict]], dict]:
        """Frames to rows of 0 and 1, transposed only in training."""
        return RowCollator(FrameProcessor(processor), dataset.frames, tokenizer.transpose if training else 0)

    def lengths(self, rows: Any, processor: PreTrainedTokenizerBase, dataset: FramesDataset) -> list[int]:
        """Frames of each piece."""
        return [len(piece) for piece in rows[dataset.frames]]

    def read(
        self, model: PreTrainedModel, frames: FrameProcessor, batch: dict[str, torch.Tensor]
    ) -> Iterator[torch.Tensor]:
        """For each piece of a batch the nats of each frame: the sum over all notes, sounding or not."""
        labels = batch.pop("labels")
        logits = model(**batch).logits.double()
        nats = F.binary_cross_entropy_with_logits(logits, labels.clamp(min=0).double(), reduction="none").sum(-1)
        for row, mask in zip(nats, batch["attention_mask"], strict=True):
            yield row[mask.bool()]
