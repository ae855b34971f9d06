"""Dropout for sequences."""

import torch.nn.functional as F
from torch import Tensor, nn

from rnn_hub.cells import fused


class SequenceDropout(nn.Module):
    """Dropout on (B, T, D), either anew at each step or with one mask for all steps of a sequence.

    The second is variational dropout: Gal & Ghahramani 2016, "A Theoretically Grounded Application of Dropout in
    Recurrent Neural Networks", section 4; "locked dropout" in Merity et al. 2017.

    Args:
        p: the probability that a value is dropped.
        variational: whether the mask is shared over time.
    """

    def __init__(self, p: float, variational: bool = False):
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"dropout probability {p} is not in [0, 1)")
        self.p = p
        self.variational = variational

    def draw(self, batch_size: int, size: int, like: Tensor) -> Tensor | None:
        """A mask for all steps (B, 1, D), for a caller that takes the steps one at a time; None where there is none."""
        if not self.training or self.p == 0 or not self.variational:
            return None
        return F.dropout(like.new_ones(batch_size, 1, size), self.p)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, T, ..., D) -> the same shape, with the mask that `draw` returned, if there is one."""
        if not self.training or self.p == 0:
            return x
        if not self.variational:
            return fused.dropout(x, self.p)
        mask = self.draw(x.shape[0], x.shape[-1], x) if mask is None else mask
        return x * mask.view(*mask.shape[:2], *[1] * (x.dim() - 3), mask.shape[2])

    def extra_repr(self) -> str:
        """What `print(module)` shows."""
        return f"p={self.p}, variational={self.variational}"
