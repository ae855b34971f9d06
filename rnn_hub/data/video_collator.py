"""Rows of labelled clips to batches."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rnn_hub.data.camera_motion import MOTIONS, VIEW, camera_clip
from rnn_hub.data.video_augmentation import ClipAugmentation


class CameraClip(NamedTuple):
    """A clip of a camera over a photograph, made when it is looked at.

    Args:
        photograph: the bytes of an image file.
        motion: what the camera does; None for a motion by chance.
        seed: the same seed gives the same clip.
        view: as `camera_clip` has it.
    """

    photograph: bytes
    motion: str | None
    seed: int
    view: tuple[float, float] = VIEW

    def frames(self, size: Mapping[str, int], num_frames: int, gray: bool = False) -> tuple[np.ndarray, str]:
        """The frames (T, H, W, C) of uint8, and what the camera did."""
        from PIL import Image

        motion = self.motion or MOTIONS[np.random.default_rng([self.seed, 1]).integers(len(MOTIONS))]
        with Image.open(io.BytesIO(self.photograph)) as photograph:
            photograph = photograph.convert("L" if gray else "RGB")
        shape = (size["height"], size["width"])
        return camera_clip(photograph, motion, shape, num_frames, self.seed, view=self.view), motion


class VideoCollator:
    """Rows -> `pixel_values` (B, T, C, H, W) or `features` (B, T, D), `attention_mask` (B, T) and `labels` (B,);
    of mixed clips `label_shares` (B, L) too.

    Args:
        read: a row -> its frames (T, H, W, C) of uint8 or its features, and the number of its label.
        processor: normalizes frames, and pads.
        augmentation: what changes a clip in training.
        num_labels: L.
    """

    def __init__(
        self,
        read: Callable[[Mapping[str, Any]], tuple[Tensor, int]],
        processor: Any,
        augmentation: ClipAugmentation | None = None,
        num_labels: int = 0,
    ):
        self.read, self.processor, self.augmentation, self.num_labels = read, processor, augmentation, num_labels

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """A batch."""
        clips, numbers = zip(*(self.read(row) for row in rows), strict=True)
        labels = torch.tensor(numbers)
        if self.augmentation is None or clips[0].is_floating_point():
            return {**self.batch(clips), "labels": labels}
        generator = np.random.default_rng(int(torch.randint(2**62, ())))
        videos = [self.augmentation(self.processor.normalize(clip), generator) for clip in clips]
        if self.augmentation.mixup and generator.random() < 0.5:
            videos, shares = self.augmentation.mix(videos, F.one_hot(labels, self.num_labels).float(), generator)
            return {**self.processor.pad(videos), "labels": labels, "label_shares": shares}
        return {**self.processor.pad(videos), "labels": labels}

    def batch(self, clips: Sequence[Tensor]) -> dict[str, Tensor]:
        """Frames of uint8, or features, of several clips as they are."""
        if clips[0].is_floating_point():
            padded = self.processor.pad(clips)
            return {"features": padded["pixel_values"], "attention_mask": padded["attention_mask"]}
        return self.processor.pad([self.processor.normalize(clip) for clip in clips])
