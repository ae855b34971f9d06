"""The simple recurrent unit."""

import torch
from torch import Tensor

from rnn_hub.cells.base import State, input_weight_shapes, register_cell
from rnn_hub.cells.linear_scan import LinearCell

HIGHWAY_SCALE = 3**0.5
"""Keeps the variance of what a half-open highway lets through."""


@register_cell("sru")
class SRUCell(LinearCell):
    """f, r = sigmoid(W x + b); c' = f * c + (1 - f) * (W_c x + b_c); h' = r * c' + (1 - r) * sqrt(3) * x.

    Lei et al. 2018, "Simple Recurrent Units for Highly Parallelizable Recurrence", section 3, with its scaled
    highway and without v * c inside the gates, so that the recurrence is linear. Rows of the weights: forget
    gate, reset gate, candidate; and where an input has another size than the output, a product in place of sqrt(3) * x.
    """

    @classmethod
    def weight_shapes(cls, input_size: int, hidden_size: int, bias: bool = True) -> dict[str, tuple[int, ...]]:
        """Input weights only."""
        return input_weight_shapes(3 if input_size == hidden_size else 4, input_size, hidden_size, bias)

    def init_state(self, batch_size: int, like: Tensor) -> State:
        """Output and memory, zeros of (B, H) each."""
        return super().init_state(batch_size, like) * 2

    def project(self, x: Tensor, state: State) -> tuple[Tensor, ...]:
        """W x + b of two gates, candidate, and what takes the highway."""
        (products,) = super().project(x, state)
        forget_gate, reset_gate, candidate, *highway = products.split(self.hidden_size, dim=-1)
        return forget_gate, reset_gate, candidate, highway[0] if highway else HIGHWAY_SCALE * x.to(products.dtype)

    def coefficients(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """f, and (1 - f) * candidate."""
        forget_gate = torch.sigmoid(inputs[0])
        return forget_gate, (1 - forget_gate) * inputs[2]

    def read(self, inputs: tuple[Tensor, ...], memory: Tensor) -> Tensor:
        """Memory and highway, mixed by the reset gate."""
        return torch.lerp(inputs[3], memory, torch.sigmoid(inputs[1]))
