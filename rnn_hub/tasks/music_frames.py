"""Polyphonic music as frames: a column of sets of pitches -> tokens -> nats a frame, the notes given each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from datasets import Dataset
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

import rnn_hub.models.causal_lm  # noqa: F401  (registers the model with the Auto classes)
from rnn_hub.data.collators import IGNORE_INDEX, lengths_to_mask, pad_sequences
from rnn_hub.data.music_frames import FrameProcessor, frame_tokenizer
from rnn_hub.metrics import compute_metrics
from rnn_hub.tasks.base import DatasetSection, Scores
from rnn_hub.tasks.generation import GenerationTask, batches_by_length


@dataclass
class FramesDataset(DatasetSection):
    """The column of frames: for each step a list of the MIDI pitches that sound."""

    frames: str = "frames"


@dataclass
class FrameSection:
    """How frames are read.

    Args:
        transpose: in training each piece is moved by up to so many semitones.
    """

    transpose: int = 0


class FrameCollator:
    """Rows of frames -> `input_ids`, `attention_mask` and `labels` (B, T).

    Args:
        processor: of the frames.
        column: of the frames.
        transpose: the most semitones of a random transposition.
    """

    def __init__(self, processor: FrameProcessor, column: str, transpose: int = 0):
        self.processor, self.column, self.transpose = processor, column, transpose

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        ids = [self.processor.encode(piece) for piece in self.pieces(rows)]
        input_ids = pad_sequences(ids, self.processor.pad)
        mask = lengths_to_mask(torch.tensor([len(sequence) for sequence in ids]), input_ids.shape[1])
        labels = input_ids.masked_fill(mask == 0, IGNORE_INDEX)
        return {"input_ids": input_ids, "attention_mask": mask, "labels": labels}

    def pieces(self, rows: Sequence[Mapping[str, Any]]) -> list[Sequence[Sequence[int]]]:
        """The pieces of the rows, transposed."""
        return [self._moved(row[self.column]) for row in rows]

    def _moved(self, frames: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
        pitches = [pitch for frame in frames for pitch in frame]
        if not self.transpose or not pitches:
            return frames
        down = max(-self.transpose, min(self.processor.low - min(pitches), 0))
        up = min(self.transpose, max(self.processor.high - max(pitches), 0))
        steps = int(torch.randint(down, up + 1, ()))
        return [[pitch + steps for pitch in frame] for frame in frames]


class MusicFramesTask(GenerationTask):
    """The next frame of a polyphonic piece (Boulanger-Lewandowski et al. 2012, section 5)."""

    name = "music-frames"
    columns = ("frames",)
    dataset_section: ClassVar[type] = FramesDataset
    tokenizer_section: ClassVar[type] = FrameSection
    model_type = "rnn_hub_causal_lm"
    auto_class = AutoModelForCausalLM
    generation: ClassVar[dict[str, Any]] = {"do_sample": True, "top_k": 0, "max_new_tokens": 500}
    metrics: ClassVar[tuple[str, ...]] = ("nll_frame",)
    main_metric = "nll_frame"
    greater_is_better = False
    usage = """```bash
rnn-hub evaluate {name}
```

measures the nats of each frame; the tokens are pitches from low to high and `|` after each frame."""

    def limits(self, recipe: Mapping[str, Any]) -> str:
        """It measures; it does not compose."""
        data = recipe["dataset"]["path"]
        return f"A model for measuring: it knows frames like those of `{data}`, without the lengths of notes or voices."

    def build_processor(
        self, rows: Dataset, dataset: FramesDataset, tokenizer: FrameSection
    ) -> PreTrainedTokenizerBase:
        """The 88 keys, whatever the rows hold."""
        return frame_tokenizer()

    def build_collator(
        self, processor: PreTrainedTokenizerBase, dataset: FramesDataset, tokenizer: FrameSection, training: bool
    ) -> Callable[[list[dict]], dict]:
        """Frames to padded ids, transposed only in training."""
        return FrameCollator(FrameProcessor(processor), dataset.frames, tokenizer.transpose if training else 0)

    def lengths(self, rows: Dataset, processor: PreTrainedTokenizerBase, dataset: FramesDataset) -> list[int]:
        """Tokens of each piece."""
        frames = FrameProcessor(processor)
        return [len(frames.encode(piece)) for piece in rows[dataset.frames]]

    def inputs(self, rows: Dataset, dataset: FramesDataset) -> list[list[list[int]]]:
        """The frames."""
        return list(rows[dataset.frames])

    def references(self, rows: Dataset, dataset: FramesDataset) -> list[str]:
        """The number of frames of each piece."""
        return [str(len(piece)) for piece in rows[dataset.frames]]

    @torch.no_grad()
    def predict(
        self,
        model: PreTrainedModel,
        processor: PreTrainedTokenizerBase,
        inputs: Sequence[Any],
        batch_size: int = 64,
        progress: bool = False,
        **generation: Any,
    ) -> list[list[float]]:
        """For each piece the nats of each of its frames, the first one too.

        Tokens that cannot stand get no probability, so the frames' probabilities sum to 1 over all sets of notes.
        """
        collate = self.build_collator(processor, FramesDataset(path=""), FrameSection(), training=False)
        found: list[list[float]] = [[] for _ in inputs]
        for chosen in batches_by_length([len(piece) for piece in inputs], batch_size, progress):
            batch = collate([{"frames": inputs[index]} for index in chosen])
            batch = {name: part.to(model.device) for name, part in batch.items()}
            for index, nats in zip(chosen, self.read(model, FrameProcessor(processor), batch), strict=True):
                found[index] = nats.tolist()
        return found

    def read(
        self, model: PreTrainedModel, frames: FrameProcessor, batch: dict[str, torch.Tensor]
    ) -> Iterator[torch.Tensor]:
        """For each piece of a batch the nats of each frame, (T,)."""
        labels, read = batch.pop("labels")[:, 1:], batch["input_ids"][:, :-1]
        logits = model(**batch).logits[:, :-1].float()
        logits = logits.masked_fill(~frames.follows().to(model.device)[read], -torch.inf)
        nats = F.cross_entropy(logits.mT, labels, reduction="none").double()
        for row, label in zip(nats, labels, strict=True):
            ends = (label == frames.end).nonzero().flatten() + 1
            yield row.cumsum(0)[ends - 1].diff(prepend=row.new_zeros(1))

    def score(self, predictions: Sequence[Any], references: Sequence[str], dataset: FramesDataset) -> Scores:
        """Nats a frame, the mean over all frames of the split."""
        return Scores(*compute_metrics(self.metrics, predictions, references))
