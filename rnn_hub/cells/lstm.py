"""The long short-term memory."""

import torch
import torch.nn.functional as F
from torch import Tensor

from rnn_hub.cells.base import Cell, State, gated_weight_shapes, register_cell, state_dtype


@register_cell("lstm")
class LSTMCell(Cell):
    """i, f, o = sigmoid(W x + U h + b); g = tanh(W_g x + U_g h + b_g); c' = f * c + i * g; h' = o * tanh(c').

    Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000. Gates in torch's order: input, forget,
    cell, output. The forget gate's bias starts at 1 (Jozefowicz et al. 2015, section 2.2).
    """

    kernel = "lstm"

    @classmethod
    def weight_shapes(cls, input_size: int, hidden_size: int, bias: bool = True) -> dict[str, tuple[int, ...]]:
        """The weights of `nn.LSTM`."""
        return gated_weight_shapes(4, input_size, hidden_size, bias)

    @classmethod
    def initial_weight(cls, name: str, shape: tuple[int, ...], hidden_size: int) -> Tensor:
        """As for every cell, and 1 in the forget gate's part of one of the two biases."""
        weight = super().initial_weight(name, shape, hidden_size)
        if name == "bias_ih":
            weight[hidden_size : 2 * hidden_size] = 1.0
        return weight

    def project(self, x: Tensor, state: State) -> tuple[Tensor, ...]:
        """W x + b for the four gates."""
        return (F.linear(x, self.weights["weight_ih"], self.weights.get("bias_ih")),)

    def init_state(self, batch_size: int, like: Tensor) -> State:
        """Hidden state and cell state, zeros of (B, H) each."""
        return super().init_state(batch_size, like) * 2

    def step(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """The equations above."""
        weight, (hidden, memory) = self.weights["weight_hh"], state
        recurrent = F.linear(hidden.to(weight.dtype), weight, self.weights.get("bias_hh"))
        return self.gate((inputs[0] + recurrent).to(state_dtype(recurrent)), memory)

    def gate(self, preactivations: Tensor, memory: Tensor) -> tuple[Tensor, State]:
        """From the four gates' sums (B, 4H) and the cell state to the output and the next state."""
        input_gate, forget_gate, candidate, output_gate = preactivations.chunk(4, dim=-1)
        memory = torch.sigmoid(forget_gate) * memory + torch.sigmoid(input_gate) * torch.tanh(candidate)
        hidden = torch.sigmoid(output_gate) * torch.tanh(memory)
        return hidden, (hidden, memory)
