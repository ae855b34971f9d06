"""Rows of recordings to batches, in training each time with other speed, noise, level and holes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnn_hub.data.collators import IGNORE_INDEX, pad_sequences
from rnn_hub.data.speech_rows import change_speed
from rnn_hub.errors import RnnHubError


@dataclass
class SpeechAugmentation:
    """What training changes of a recording.

    Args:
        speed: so much faster or slower at most (0.1: 0.9 to 1.1 times as fast; Ko et al. 2015).
        level: decibels of a waveform by which it becomes softer at most.
        noise: decibels of a waveform by which noise is softer, at least; 0 for no noise.
        feature_noise: standard deviation of noise on the normalized features.
        time_masks, time_mask_size: how many holes in time, and frames of the largest (SpecAugment, Park et al. 2019).
        frequency_masks, frequency_mask_size: the same over the features of a frame.
    """

    speed: float = 0.0
    level: float = 0.0
    noise: float = 0.0
    feature_noise: float = 0.0
    time_masks: int = 0
    time_mask_size: int = 20
    frequency_masks: int = 0
    frequency_mask_size: int = 8

    def __post_init__(self) -> None:
        if not 0 <= self.speed < 1:
            raise RnnHubError(f"speed must be at least 0 and below 1, not {self.speed}")
        for name in ("level", "noise", "feature_noise", "time_masks", "frequency_masks"):
            if getattr(self, name) < 0:
                raise RnnHubError(f"{name} must not be negative, and is {getattr(self, name)}")
        if min(self.time_mask_size, self.frequency_mask_size) < 1:
            raise RnnHubError("time_mask_size and frequency_mask_size must be at least 1")

    def before(self, recording: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Another tempo of samples (N,) or features (T, D); of samples another level and noise too."""
        if self.speed:
            recording = change_speed(recording, generator.uniform(1 - self.speed, 1 + self.speed))
        if recording.ndim == 1:
            if self.noise:
                loud = np.sqrt(np.mean(recording**2)) / 10 ** (generator.uniform(self.noise, self.noise + 30) / 20)
                recording = recording + generator.normal(0, loud + 1e-8, len(recording)).astype(np.float32)
            recording = recording * np.float32(10 ** (-generator.uniform(0, self.level) / 20))
        return recording

    def after(self, features: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Noise on, and holes in, the normalized features (T, D); a hole is 0, their mean."""
        features = features + self.feature_noise * generator.standard_normal(features.shape, np.float32)
        for axis, (count, size) in enumerate(
            ((self.time_masks, self.time_mask_size), (self.frequency_masks, self.frequency_mask_size))
        ):
            length = features.shape[axis]
            for _ in range(count):
                width = min(int(generator.integers(size + 1)), length // 3)
                start = int(generator.integers(length - width + 1))
                np.moveaxis(features, axis, 0)[start : start + width] = 0
        return features


class SpeechCollator:
    """Rows of `audio` or `features` and `text` -> `input_features`, `attention_mask` and `labels`.

    Args:
        processor: an `RnnSpeechProcessor`.
        augmentation: what changes a recording in training.
    """

    def __init__(self, processor: Any, augmentation: SpeechAugmentation | None = None):
        self.processor, self.augmentation = processor, augmentation

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """A batch."""
        extractor, change = self.processor.feature_extractor, self.augmentation
        recordings = [row["features"] if extractor.kind == "given" else row["audio"] for row in rows]
        if change is None:
            batch = dict(extractor(recordings))
        else:
            generator = np.random.default_rng(int(torch.randint(2**62, ())))
            changed = (extractor.features(change.before(recording, generator)) for recording in recordings)
            features = [torch.from_numpy(change.after(extractor.normalize(one), generator)) for one in changed]
            mask = torch.arange(max(map(len, features))) < torch.tensor([len(one) for one in features])[:, None]
            batch = {"input_features": pad_sequences(features), "attention_mask": mask.long()}
        labels = self.processor.tokenizer([row["text"] for row in rows])["input_ids"]
        return {**batch, "labels": pad_sequences([torch.tensor(ids, dtype=torch.long) for ids in labels], IGNORE_INDEX)}
