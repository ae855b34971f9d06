"""The quasi-recurrent network: a convolution over time, then a pooling that forgets."""

import torch
import torch.nn.functional as F
from torch import Tensor

from rnn_hub.cells.base import State, register_cell
from rnn_hub.cells.linear_scan import LinearCell


@register_cell("qrnn")
class QRNNCell(LinearCell):
    """z, f, o = tanh, sigmoid, sigmoid (V x_{t-1} + W x_t + b); c' = f * c + (1 - f) * z; h' = o * c'.

    Bradbury et al. 2017, "Quasi-Recurrent Neural Networks", section 2: a window of two inputs, fo-pooling. Rows of both
    weights: candidate, forget gate, output gate. What the last real input left for the next step, V x, is state.
    """

    products = 3

    @classmethod
    def weight_shapes(cls, input_size: int, hidden_size: int, bias: bool = True) -> dict[str, tuple[int, ...]]:
        """W and b; and V, the window's other half."""
        shapes = super().weight_shapes(input_size, hidden_size, bias)
        return {**shapes, "weight_window": shapes["weight_ih"]}

    def init_state(self, batch_size: int, like: Tensor) -> State:
        """Zeros: output (B, H), window (B, 3, H), memory (B, H)."""
        (zero,) = super().init_state(batch_size, like)
        return zero, torch.stack([zero] * 3, dim=1), zero

    def project(self, x: Tensor, state: State) -> tuple[Tensor, ...]:
        """W x + b for this step, and V x for the next one."""
        (now,) = super().project(x, state)
        return now, F.linear(x, self.weights["weight_window"]).to(now.dtype)

    def look_back(
        self, inputs: tuple[Tensor, ...], state: State, mask: Tensor | None
    ) -> tuple[tuple[Tensor, ...], State]:
        """Adds to each step what the last real one before it left."""
        now, following = inputs
        left = torch.cat([state[1].flatten(1)[:, None], following], dim=1)
        if mask is not None:
            steps = torch.arange(1, mask.shape[1] + 1, device=mask.device) * mask
            source = F.pad(steps.cummax(dim=1).values, (1, 0))
            left = left[torch.arange(len(mask), device=mask.device)[:, None], source]
        return (now + left[:, :-1],), (left[:, -1].unflatten(1, (3, -1)),)

    def step(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """The equations above."""
        now, following = inputs
        output, (_, memory) = super().step((now + state[1].flatten(1),), state)
        return output, (output, following.unflatten(1, (3, -1)), memory)

    def coefficients(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """f, and (1 - f) * z."""
        candidate, forget_gate, _ = inputs[0].chunk(3, dim=-1)
        forget_gate = torch.sigmoid(forget_gate)
        return forget_gate, (1 - forget_gate) * torch.tanh(candidate)

    def read(self, inputs: tuple[Tensor, ...], memory: Tensor) -> Tensor:
        """o * c."""
        return torch.sigmoid(inputs[0][..., 2 * self.hidden_size :]) * memory
