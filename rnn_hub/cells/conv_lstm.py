"""The convolutional LSTM, a cell over feature maps."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from rnn_hub.cells.base import State, register_cell, state_dtype
from rnn_hub.cells.lstm import LSTMCell


@register_cell("conv_lstm")
class ConvLSTMCell(LSTMCell):
    """i, f, o = sigmoid(W * x + U * h + b); g = tanh(W_g * x + U_g * h + b_g); c' = f c + i g; h' = o tanh(c').

    Shi et al. 2015, "Convolutional LSTM Network: A Machine Learning Approach for Precipitation Nowcasting", equation 3,
    where * is a convolution of 3 x 3. Its peepholes, a weight for each place of a map, are left out, so that one cell
    reads maps of any size.

    Inputs are maps (B, T, h, w, I) with their channels last, states and outputs maps of H channels and the same size.
    A vector (B, T, I) is a map of one place, whose neighbours are all zero.
    """

    kernel = None
    window = 3

    @classmethod
    def weight_shapes(cls, input_size: int, hidden_size: int, bias: bool = True) -> dict[str, tuple[int, ...]]:
        """Those of the LSTM, the matrices with two more axes."""
        shapes = super().weight_shapes(input_size, hidden_size, bias)
        return {name: shape + (cls.window, cls.window) * (len(shape) - 1) for name, shape in shapes.items()}

    @classmethod
    def initial_weight(cls, name: str, shape: tuple[int, ...], hidden_size: int) -> Tensor:
        """Convolutions uniform (Glorot, gate by gate), biases as the LSTM's."""
        if len(shape) == 1:
            return super().initial_weight(name, shape, hidden_size)
        bound = math.sqrt(6 / ((shape[1] + hidden_size) * cls.window**2))
        return torch.empty(shape).uniform_(-bound, bound)

    def init_state(self, batch_size: int, like: Tensor) -> State:
        """Hidden and cell state, zeros of (B, h, w, H), or of (B, H) for vectors; `like` has the inputs' axes."""
        zero = like.new_zeros(batch_size, *like.shape[2:-1], self.hidden_size, dtype=state_dtype(like))
        return zero, zero

    def project(self, x: Tensor, state: State) -> tuple[Tensor, ...]:
        """W * x + b for the four gates."""
        product = self.convolve(x.flatten(0, 1), self.weights["weight_ih"], self.weights.get("bias_ih"))
        return (product.unflatten(0, x.shape[:2]),)

    def step(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """The equations above."""
        weight, (hidden, memory) = self.weights["weight_hh"], state
        recurrent = self.convolve(hidden.to(weight.dtype), weight, self.weights.get("bias_hh"))
        return self.gate((inputs[0] + recurrent).to(state_dtype(recurrent)), memory)

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """(N, h, w, I) -> (N, h, w, 4H), or (N, I) -> (N, 4H)."""
        if x.dim() == 2:
            return F.linear(x, weight[..., self.window // 2, self.window // 2], bias)
        return F.conv2d(x.movedim(-1, 1), weight, bias, padding=self.window // 2).movedim(1, -1)
