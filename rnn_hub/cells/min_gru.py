"""The minimal gated recurrent unit, whose gate sees only the input."""

import torch
from torch import Tensor

from rnn_hub.cells.base import register_cell
from rnn_hub.cells.linear_scan import LinearCell


@register_cell("min_gru")
class MinGRUCell(LinearCell):
    """z = sigmoid(W_z x + b_z); h' = (1 - z) * h + z * (W_h x + b_h).

    Feng et al. 2024, "Were RNNs All We Needed?", section 3.1. Rows of the weights: update gate, candidate.
    """

    products = 2

    def coefficients(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """1 - z, and z * candidate."""
        update_gate, candidate = inputs[0].chunk(2, dim=-1)
        update_gate = torch.sigmoid(update_gate)
        return 1 - update_gate, update_gate * candidate
