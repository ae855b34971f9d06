"""The minimal long short-term memory, whose gates see only the input."""

import torch
import torch.nn.functional as F
from torch import Tensor

from rnn_hub.cells.base import register_cell
from rnn_hub.cells.linear_scan import LinearCell


@register_cell("min_lstm")
class MinLSTMCell(LinearCell):
    """f, i = sigmoid(W x + b); h' = f / (f + i) * h + i / (f + i) * (W_h x + b_h).

    Feng et al. 2024, "Were RNNs All We Needed?", section 3.2. Rows of the weights: forget gate, input gate, candidate.
    The share f / (f + i) is the sigmoid of log f - log i, which no gate can make 0 / 0.
    """

    products = 3

    def coefficients(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """The forget gate's share, and the input gate's share of the candidate."""
        forget_gate, input_gate, candidate = inputs[0].chunk(3, dim=-1)
        odds = F.logsigmoid(forget_gate) - F.logsigmoid(input_gate)
        return torch.sigmoid(odds), torch.sigmoid(-odds) * candidate
