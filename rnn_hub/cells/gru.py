"""The gated recurrent unit."""

import torch
import torch.nn.functional as F
from torch import Tensor

from rnn_hub.cells.base import Cell, State, gated_weight_shapes, register_cell, state_dtype


@register_cell("gru")
class GRUCell(Cell):
    """r, z = sigmoid(W x + U h + b); n = tanh(W_n x + b_n + r * (U_n h + c_n)); h' = (1 - z) * n + z * h.

    Cho et al. 2014, "Learning Phrase Representations using RNN Encoder-Decoder", section 2.3, in the form of cuDNN and
    torch: the reset gate multiplies after the recurrent product. Gates in torch's order: reset, update, new.
    """

    kernel = "gru"

    @classmethod
    def weight_shapes(cls, input_size: int, hidden_size: int, bias: bool = True) -> dict[str, tuple[int, ...]]:
        """The weights of `nn.GRU`."""
        return gated_weight_shapes(3, input_size, hidden_size, bias)

    def project(self, x: Tensor, state: State) -> tuple[Tensor, ...]:
        """W x + b for the three gates."""
        return (F.linear(x, self.weights["weight_ih"], self.weights.get("bias_ih")),)

    def step(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """The equations above."""
        weight, (hidden,) = self.weights["weight_hh"], state
        recurrent = F.linear(hidden.to(weight.dtype), weight, self.weights.get("bias_hh")).to(state_dtype(weight))
        input_reset, input_update, input_new = inputs[0].chunk(3, dim=-1)
        hidden_reset, hidden_update, hidden_new = recurrent.chunk(3, dim=-1)
        reset_gate = torch.sigmoid(input_reset + hidden_reset)
        update_gate = torch.sigmoid(input_update + hidden_update)
        candidate = torch.tanh(input_new + reset_gate * hidden_new)
        hidden = torch.lerp(candidate, hidden, update_gate)
        return hidden, (hidden,)
