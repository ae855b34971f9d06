"""The real-gated linear recurrent unit."""

import torch
import torch.nn.functional as F
from torch import Tensor

from rnn_hub.cells.base import register_cell
from rnn_hub.cells.linear_scan import LinearCell

SHARPNESS = 8.0
"""The paper's constant c."""


@register_cell("rg_lru")
class RGLRUCell(LinearCell):
    """r, i = sigmoid(W x + b); a = sigmoid(decay) ** (c * r); h' = a * h + sqrt(1 - a^2) * i * (W_x x + b_x), c = 8.

    De et al. 2024, "Griffin: Mixing Gated Linear Recurrences with Local Attention", section 2.4, with the linear layer
    that stands before it in the paper's recurrent block. Rows of the weights: recurrence gate, input gate, input. The
    decays start where sigmoid(decay) ** c is uniform in [0.9, 0.999], as in the paper.
    """

    products = 3

    @classmethod
    def weight_shapes(cls, input_size: int, hidden_size: int, bias: bool = True) -> dict[str, tuple[int, ...]]:
        """Input weights, and the paper's Lambda, a decay for each unit."""
        return {**super().weight_shapes(input_size, hidden_size, bias), "decay": (hidden_size,)}

    @classmethod
    def initial_weight(cls, name: str, shape: tuple[int, ...], hidden_size: int) -> Tensor:
        """As for every cell, and slow decays."""
        if name == "decay":
            return torch.logit(torch.empty(shape).uniform_(0.9, 0.999) ** (1 / SHARPNESS))
        return super().initial_weight(name, shape, hidden_size)

    def coefficients(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """a, and what enters with the norm that keeps the memory's scale (never quite 0, where a root has no slope)."""
        recurrence_gate, input_gate, x = inputs[0].chunk(3, dim=-1)
        log_decay = SHARPNESS * torch.sigmoid(recurrence_gate) * F.logsigmoid(self.weights["decay"].to(x.dtype))
        norm = torch.sqrt(-torch.expm1(2 * log_decay).clamp(max=-1e-12))
        return torch.exp(log_decay), norm * torch.sigmoid(input_gate) * x
