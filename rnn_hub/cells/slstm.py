"""The LSTM with exponential gates."""

import torch
import torch.nn.functional as F
from torch import Tensor

from rnn_hub.cells.base import State, register_cell, state_dtype
from rnn_hub.cells.lstm import LSTMCell
from rnn_hub.cells.stabilized import StabilizedCell

NOTHING = -1e4
"""The stabilizer of an empty memory: exp of it is 0."""


@register_cell("slstm")
class SLSTMCell(StabilizedCell, LSTMCell):
    """f, o = sigmoid(a_f), sigmoid(a_o); m' = max(log f + m, a_i); c' = f e^(m - m') c + e^(a_i - m') tanh(a_g);
    n' = f e^(m - m') n + e^(a_i - m'); h' = o c' / n', where a = W x + U h + b.

    Beck et al. 2024, "xLSTM: Extended Long Short-Term Memory", section 2.2 and appendix A.2, with one head. Weights,
    gate order and their start as in the LSTM.
    """

    kernel = None

    def init_state(self, batch_size: int, like: Tensor) -> State:
        """Output (B, H) and, for each unit, an empty memory: c and n (B, 2, H), stabilizer m (B, 1, H)."""
        zero, _ = super().init_state(batch_size, like)
        return zero, torch.stack([zero, zero], dim=1), torch.full_like(zero, NOTHING)[:, None]

    def step(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """The equations above."""
        weight, (hidden, memory, stabilizer) = self.weights["weight_hh"], state
        recurrent = F.linear(hidden.to(weight.dtype), weight, self.weights.get("bias_hh"))
        gates = (inputs[0] + recurrent).to(state_dtype(recurrent)).unflatten(1, (4, -1))
        input_gate, forget_gate, candidate, output_gate = gates.split(1, dim=1)
        kept = F.logsigmoid(forget_gate) + stabilizer
        stabilizer = torch.maximum(kept, input_gate).detach()
        entry = torch.cat([torch.tanh(candidate), torch.ones_like(candidate)], dim=1)
        memory = torch.exp(kept - stabilizer) * memory + torch.exp(input_gate - stabilizer) * entry
        hidden = torch.sigmoid(output_gate[:, 0]) * memory[:, 0] / memory[:, 1].clamp(min=1e-6)
        return hidden, (hidden, memory, stabilizer)
