"""What changes a clip of the training data a little each time it is seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass
class ClipAugmentation:
    """Changes that are the same for all frames of a clip, each drawn anew within its limit.

    Args:
        shift: parts of the width and height by which the picture moves.
        scale: part by which it grows or shrinks.
        turn: degrees by which it turns.
        flip: probability that left and right are exchanged; not for labels that tell them apart.
        stretch: part by which the clip lasts longer or shorter (frames are repeated or left out).
        contrast: part by which values spread more or less, and move, in standard deviations of the clip.
        erase: sides of a rectangle that is blank in half of the clips, in parts of the picture's.
        mixup: half of the batches are of mixtures of two clips, m a + (1 - m) b with m from Beta(mixup, mixup), and of
            their labels (Zhang et al. 2018, equation 1).
    """

    shift: float = 0.0
    scale: float = 0.0
    turn: float = 0.0
    flip: float = 0.0
    stretch: float = 0.0
    contrast: float = 0.0
    erase: float = 0.0
    mixup: float = 0.0

    def __call__(self, clip: Tensor, generator: np.random.Generator) -> Tensor:
        """A normalized clip (T, C, H, W) -> another (T', C, H, W)."""
        if self.stretch:
            clip = clip[self._times(len(clip), generator)]
        if self.shift or self.scale or self.turn or self.flip:
            clip = self._move(clip, generator)
        if self.contrast:
            gain, offset = generator.uniform(-self.contrast, self.contrast, 2).tolist()
            clip = clip * (1 + gain) + offset * clip.std()
        if self.erase and generator.random() < 0.5:
            height, width = clip.shape[2:]
            high, wide = (1 + int(side * self.erase * generator.random()) for side in (height, width))
            top, left = generator.integers(height - high + 1), generator.integers(width - wide + 1)
            clip = clip.clone()
            clip[:, :, top : top + high, left : left + wide] = clip.mean()
        return clip

    def mix(
        self, clips: Sequence[Tensor], labels: Tensor, generator: np.random.Generator
    ) -> tuple[list[Tensor], Tensor]:
        """Clips (T, C, H, W) and shares of labels (B, L), each with those of another, which is made as long."""
        share = generator.beta(self.mixup, self.mixup)
        others = generator.permutation(len(clips))
        mixed = []
        for clip, other in zip(clips, others, strict=True):
            places = torch.linspace(0, len(clips[other]) - 1, len(clip)).round().long()
            mixed.append(share * clip + (1 - share) * clips[other][places])
        return mixed, share * labels + (1 - share) * labels[torch.from_numpy(others)]

    def _times(self, length: int, generator: np.random.Generator) -> Tensor:
        """Which frames, in order, some twice or not at all."""
        count = max(1, round(length * (1 + generator.uniform(-self.stretch, self.stretch))))
        places = np.linspace(0, length - 1, count) + generator.uniform(-0.15, 0.15, count)
        return torch.from_numpy(places.round().clip(0, length - 1).astype(np.int64))

    def _move(self, clip: Tensor, generator: np.random.Generator) -> Tensor:
        angle = math.radians(generator.uniform(-self.turn, self.turn))
        size = 1 + generator.uniform(-self.scale, self.scale)
        side = -1 if generator.random() < self.flip else 1
        across, down = generator.uniform(-self.shift, self.shift, 2).tolist()
        cosine, sine = size * math.cos(angle), size * math.sin(angle)
        matrix = torch.tensor([[side * cosine, -sine, across], [side * sine, cosine, down]], dtype=clip.dtype)
        grid = F.affine_grid(matrix[None], (1, 1, *clip.shape[2:]), align_corners=False)
        flat = clip.flatten(0, 1)[None]
        return F.grid_sample(flat, grid, padding_mode="border", align_corners=False)[0].view_as(clip)
