"""The LSTM with layer normalization inside the recurrence."""

import torch
import torch.nn.functional as F
from torch import Tensor

from rnn_hub.cells.base import State, register_cell, state_dtype
from rnn_hub.cells.lstm import LSTMCell


@register_cell("layer_norm_lstm")
class LayerNormLSTMCell(LSTMCell):
    """gates = LN(W x + b_ih; gain_ih) + LN(U h; gain_hh) + b_hh; c' as in the LSTM; h' = o * tanh(LN(c'; gain_c, b_c)).

    Ba et al. 2016, "Layer Normalization", equations 20 to 22.
    """

    kernel = None

    @classmethod
    def weight_shapes(cls, input_size: int, hidden_size: int, bias: bool = True) -> dict[str, tuple[int, ...]]:
        """The weights of `nn.LSTM`, the gains of three normalizations, and the bias of the last."""
        shapes = super().weight_shapes(input_size, hidden_size, bias)
        shapes |= {"gain_ih": (4 * hidden_size,), "gain_hh": (4 * hidden_size,), "gain_cell": (hidden_size,)}
        if bias:
            shapes["bias_cell"] = (hidden_size,)
        return shapes

    @classmethod
    def initial_weight(cls, name: str, shape: tuple[int, ...], hidden_size: int) -> Tensor:
        """As for the LSTM; gains 1. The forget gate's 1 goes where no normalization removes it."""
        if name.startswith("gain"):
            return torch.ones(shape)
        return super().initial_weight({"bias_ih": "bias_hh", "bias_hh": "bias_ih"}.get(name, name), shape, hidden_size)

    def project(self, x: Tensor, state: State) -> tuple[Tensor, ...]:
        """LN(W x + b_ih) for the four gates."""
        (gates,) = super().project(x, state)
        return (F.layer_norm(gates, gates.shape[-1:], self.weights["gain_ih"]),)

    def step(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """The equations above."""
        weight, (hidden, memory) = self.weights["weight_hh"], state
        recurrent = F.linear(hidden.to(weight.dtype), weight)
        recurrent = F.layer_norm(recurrent, recurrent.shape[-1:], self.weights["gain_hh"], self.weights.get("bias_hh"))
        return self.gate((inputs[0] + recurrent).to(state_dtype(recurrent)), memory)

    def gate(self, preactivations: Tensor, memory: Tensor) -> tuple[Tensor, State]:
        """As in the LSTM, with the cell state normalized on its way to the output."""
        input_gate, forget_gate, candidate, output_gate = preactivations.chunk(4, dim=-1)
        memory = torch.sigmoid(forget_gate) * memory + torch.sigmoid(input_gate) * torch.tanh(candidate)
        gain, bias = (self.weights.get(name) for name in ("gain_cell", "bias_cell"))
        normalized = F.layer_norm(
            memory, memory.shape[-1:], gain.to(memory.dtype), None if bias is None else bias.to(memory.dtype)
        )
        hidden = torch.sigmoid(output_gate) * torch.tanh(normalized)
        return hidden, (hidden, memory)
