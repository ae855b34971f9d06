"""Dropout for sequences."""

import torch.nn.functional as F
from torch import Tensor, nn


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

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        if not self.training or self.p == 0:
            return x
        if not self.variational:
            return F.dropout(x, self.p)
        return x * F.dropout(x.new_ones(x.shape[0], 1, x.shape[2]), self.p)

    def extra_repr(self) -> str:
        """What `print(module)` shows."""
        return f"p={self.p}, variational={self.variational}"
