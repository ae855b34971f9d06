"""Layers that see a window of neighbouring steps and make fewer of them, at once or as the steps come in."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TimeWindows(nn.Module):
    """Step t of the output sees the inputs up to (t + 1) * stride, the last kernel_size of them, and none after.

    What stands before the first input, and after the last of a stride that is not full, is 0.

    Args:
        kernel_size: steps of a window.
        stride: steps from one window to the next, at most kernel_size.
    """

    def __init__(self, kernel_size: int, stride: int):
        super().__init__()
        if not 1 <= stride <= kernel_size:
            raise ValueError(f"a window of {kernel_size} steps can move on by 1 to {kernel_size} steps, not {stride}")
        self.kernel_size, self.stride = kernel_size, stride

    def windows(self, x: Tensor) -> Tensor:
        """(B, (T - 1) * stride + kernel_size, D) -> (B, T, D')."""
        raise NotImplementedError

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs (B, T, D), a mask (B, T), padded on the right -> outputs (B, ceil(T / stride), D') and their mask."""
        x = torch.where(mask[..., None], x, 0)
        y = self.windows(F.pad(x, (0, 0, self.kernel_size - self.stride, -x.shape[1] % self.stride)))
        return y, mask[:, :: self.stride]

    def init_state(self, x: Tensor) -> Tensor:
        """The steps before the first, (B, kernel_size - stride, D), of a stream of inputs like x (B, T, D)."""
        return x.new_zeros(x.shape[0], self.kernel_size - self.stride, x.shape[2])

    def push(self, x: Tensor, state: Tensor, last: bool = False) -> tuple[Tensor, Tensor]:
        """The next inputs (B, T, D) of a stream: the outputs that they complete, maybe none, and what is kept of them.

        `last` fills up the stride that is not full.
        """
        x = torch.cat([state, x], dim=1)
        before = self.kernel_size - self.stride
        if last:
            x = F.pad(x, (0, 0, 0, -(x.shape[1] - before) % self.stride))
        count = (x.shape[1] - before) // self.stride
        if not count:
            return x[:, :0].new_zeros(x.shape[0], 0, self.output_size), x
        return self.windows(x[:, : before + count * self.stride]), x[:, count * self.stride :]


class TimeConvolution(TimeWindows):
    """relu(W * x + b) over windows."""

    def __init__(self, input_size: int, output_size: int, kernel_size: int, stride: int):
        super().__init__(kernel_size, stride)
        self.output_size = output_size
        self.convolution = nn.Conv1d(input_size, output_size, kernel_size, stride)

    def windows(self, x: Tensor) -> Tensor:
        """As `TimeWindows` says."""
        return F.relu(self.convolution(x.mT)).mT


class JoinedSteps(TimeWindows):
    """Neighbouring steps side by side as one (the pyramid of Chan et al. 2016, section 3.1)."""

    def __init__(self, input_size: int, stride: int):
        super().__init__(stride, stride)
        self.output_size = input_size * stride

    def windows(self, x: Tensor) -> Tensor:
        """As `TimeWindows` says."""
        return x.unflatten(1, (-1, self.stride)).flatten(2)
