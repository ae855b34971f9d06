"""The independently recurrent network: each unit sees only its own last value."""

import torch
import torch.nn.functional as F
from torch import Tensor

from rnn_hub.cells.base import Cell, State, input_weight_shapes, register_cell, state_dtype


@register_cell("ind_rnn")
class IndRNNCell(Cell):
    """h' = relu(W x + b + u * h).

    Li et al. 2018, "Independently Recurrent Neural Network (IndRNN): Building A Longer and Deeper RNN", section 3. |u|
    is held at 1 at most, the paper's bound for sequences of any length: nothing then grows from step to step.
    """

    @classmethod
    def weight_shapes(cls, input_size: int, hidden_size: int, bias: bool = True) -> dict[str, tuple[int, ...]]:
        """W and b, and u as `weight_hh`, a vector."""
        return {**input_weight_shapes(1, input_size, hidden_size, bias), "weight_hh": (hidden_size,)}

    @classmethod
    def initial_weight(cls, name: str, shape: tuple[int, ...], hidden_size: int) -> Tensor:
        """As for every cell, and u uniform in [0, 1], as in the paper."""
        return torch.rand(shape) if name == "weight_hh" else super().initial_weight(name, shape, hidden_size)

    def project(self, x: Tensor, state: State) -> tuple[Tensor, ...]:
        """W x + b."""
        projected = F.linear(x, self.weights["weight_ih"], self.weights.get("bias_ih"))
        return (projected.to(state_dtype(projected)),)

    def step(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """The equation above."""
        weight = self.weights["weight_hh"].clamp(-1, 1).to(state[0].dtype)
        hidden = torch.relu(torch.addcmul(inputs[0], weight, state[0]))
        return hidden, (hidden,)
