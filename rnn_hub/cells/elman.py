"""The Elman network: one hidden layer that sees its own last value."""

from collections.abc import Callable
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from rnn_hub.cells.base import Cell, State, gated_weight_shapes, register_cell, state_dtype


class ElmanCell(Cell):
    """h' = f(W_ih x + b_ih + W_hh h + b_hh).

    Elman 1990, "Finding Structure in Time", section 2.
    """

    activation: ClassVar[Callable[[Tensor], Tensor]]

    @classmethod
    def weight_shapes(cls, input_size: int, hidden_size: int, bias: bool = True) -> dict[str, tuple[int, ...]]:
        """The weights of `nn.RNN`."""
        return gated_weight_shapes(1, input_size, hidden_size, bias)

    def project(self, x: Tensor, state: State) -> tuple[Tensor, ...]:
        """W_ih x + b_ih."""
        return (F.linear(x, self.weights["weight_ih"], self.weights.get("bias_ih")),)

    def step(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """The equation above."""
        weight = self.weights["weight_hh"]
        recurrent = F.linear(state[0].to(weight.dtype), weight, self.weights.get("bias_hh"))
        hidden = type(self).activation((inputs[0] + recurrent).to(state_dtype(recurrent)))
        return hidden, (hidden,)


@register_cell("elman")
class ElmanTanhCell(ElmanCell):
    """The Elman network with f = tanh, torch's `nn.RNN`."""

    activation = staticmethod(torch.tanh)
    kernel = "rnn_tanh"


@register_cell("elman_relu")
class ElmanReluCell(ElmanCell):
    """The Elman network with f = relu (Le et al. 2015, who start it from an identity matrix)."""

    activation = staticmethod(torch.relu)
    kernel = "rnn_relu"
