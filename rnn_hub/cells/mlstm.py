"""The LSTM with a matrix for a memory, which keys write and queries read."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from rnn_hub.cells import fused
from rnn_hub.cells.base import State, input_weight_shapes, register_cell, state_dtype
from rnn_hub.cells.scan import freeze, last_real, output_dtype, scan_steps
from rnn_hub.cells.stabilized import StabilizedCell

CHUNK = 64
"""Steps that run at once: then the products inside a chunk and those with the memory cost about the same."""


@register_cell("mlstm")
class MLSTMCell(StabilizedCell):
    """q, k, v = W x + b, k / sqrt(d); i, f = exp(a_i), sigmoid(a_f); C' = f C + i v k^T; n' = f n + i k;
    h' = sigmoid(a_o) * LN(C' q / max(|n' q|, 1); gain), for each of 4 heads (or 2 or 1, where H is odd or
    a head would have fewer than 8 features) of d features.

    Beck et al. 2024, "xLSTM: Extended Long Short-Term Memory", section 2.3 and appendix A.3; LN is the normalization of
    each head in the paper's block (figure 10), without which |n' q| near 0 blows the output up. n is kept as one more
    row of C, written by a 1 below each value. The memory is C e^-m, with m' = max(log f + m, a_i). Rows of `weight_ih`:
    query, key, value, output gate; of `weight_gates`: each head's input gate, each head's forget gate.
    """

    def __init__(self, weights: Mapping[str, Tensor], hidden_size: int):
        super().__init__(weights, hidden_size)
        self.heads = _heads(hidden_size)

    @classmethod
    def weight_shapes(cls, input_size: int, hidden_size: int, bias: bool = True) -> dict[str, tuple[int, ...]]:
        """Input weights, and the gain of the normalization."""
        gates = 2 * _heads(hidden_size)
        shapes = {**input_weight_shapes(4, input_size, hidden_size, bias), "weight_gates": (gates, input_size)}
        shapes["gain"] = (hidden_size,)
        return {**shapes, "bias_gates": (gates,)} if bias else shapes

    @classmethod
    def initial_weight(cls, name: str, shape: tuple[int, ...], hidden_size: int) -> Tensor:
        """As for every cell; the forget gates start nearly open, with biases from 3 to 6, as in the paper's code."""
        if name == "gain":
            return torch.ones(shape)
        if name == "bias_gates":
            return torch.cat([torch.zeros(shape[0] // 2), torch.linspace(3, 6, shape[0] // 2)])
        return super().initial_weight(name, shape, hidden_size)

    def init_state(self, batch_size: int, like: Tensor) -> State:
        """Zeros: output (B, H), memory (B, heads, d + 1, d), stabilizer (B, heads, 1, 1)."""
        (zero,) = super().init_state(batch_size, like)
        size = self.hidden_size // self.heads
        return (
            zero,
            zero.new_zeros(batch_size, self.heads, size + 1, size),
            zero.new_zeros(batch_size, self.heads, 1, 1),
        )

    def project(self, x: Tensor, state: State) -> tuple[Tensor, ...]:
        """q, k and v of each head (B, T, heads, d or d + 1), log i and log f (B, T, heads), a_o (B, T, H)."""
        products = F.linear(x, self.weights["weight_ih"], self.weights.get("bias_ih"))
        gates = F.linear(x, self.weights["weight_gates"], self.weights.get("bias_gates"))
        products, gates = (part.to(state_dtype(part)) for part in (products, gates))
        *vectors, output_gate = products.chunk(4, dim=-1)
        query, key, value = (part.unflatten(-1, (self.heads, -1)) for part in vectors)
        input_gate, forget_gate = gates.chunk(2, dim=-1)
        key, value = key / key.shape[-1] ** 0.5, F.pad(value, (0, 1), value=1.0)
        return query, key, value, input_gate, F.logsigmoid(forget_gate), output_gate

    def step(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """The equations above: a chunk of one step without products over time."""
        query, key, value, input_gate, forget_gate, output_gate = inputs
        _, memory, stabilizer = state
        kept, entering = forget_gate[..., None, None] + stabilizer, input_gate[..., None, None]
        stabilizer = torch.maximum(kept, entering).detach()
        written = value[..., :, None] * key[..., None, :]
        memory = torch.exp(kept - stabilizer) * memory + torch.exp(entering - stabilizer) * written
        hidden = self.read((memory * query[..., None, :]).sum(dim=-1), stabilizer[..., 0], output_gate)
        return hidden, (hidden, memory, stabilizer)

    def read(self, rows: Tensor, stabilizer: Tensor, output_gate: Tensor) -> Tensor:
        """h', from C q with n q as its last feature (..., heads, d + 1), m (..., heads, 1) and a_o (..., H)."""
        bound = torch.maximum(rows[..., -1:].abs(), torch.exp(-stabilizer))
        heads = F.layer_norm(rows[..., :-1] / bound, (rows.shape[-1] - 1,)).flatten(-2)
        return torch.sigmoid(output_gate) * self.weights["gain"].to(heads.dtype) * heads

    def scan(self, x: Tensor, state: State | None = None, mask: Tensor | None = None) -> tuple[Tensor, State]:
        """As in `Cell`, chunk by chunk."""
        state = self.init_state(x.shape[0], x) if state is None else state
        if x.shape[1] < 2 or not fused.usable(x):
            return scan_steps(self, x, state, mask)
        if mask is not None:
            mask = mask.bool()
            x = torch.where(mask[..., None], x, 0)
        *inputs, output_gate = self.project(x, state)
        if mask is not None:
            inputs[3] = inputs[3].masked_fill(~mask[..., None], -torch.inf)
            inputs[4] = inputs[4].masked_fill(~mask[..., None], 0)
        _, memory, stabilizer = state
        rows, stabilizers = [], []
        for chunk in zip(*(part.transpose(1, 2).split(CHUNK, dim=2) for part in inputs), strict=True):
            row, memory, bounds = _chunk(*chunk, memory, stabilizer)
            stabilizer = bounds[:, :, -1:]
            rows.append(row)
            stabilizers.append(bounds)
        hidden = self.read(torch.cat(rows, 2).transpose(1, 2), torch.cat(stabilizers, 2).transpose(1, 2), output_gate)
        after: State = (last_real(hidden, mask), memory, stabilizer)
        if mask is not None:
            after = freeze(mask.any(dim=1), after, state)
            hidden = torch.where(mask[..., None], hidden, 0)
        return hidden.to(output_dtype(x, hidden)), after


def _heads(hidden_size: int) -> int:
    return next(heads for heads in (4, 2, 1) if heads == 1 or (hidden_size % heads == 0 and hidden_size >= 8 * heads))


def _chunk(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    input_gate: Tensor,
    forget_gate: Tensor,
    memory: Tensor,
    stabilizer: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """L steps at once, from (B, heads, L, ...): each step's C q, the memory after them, each step's stabilizer.

    What step s wrote counts at step t with the factor exp(a_i(s) + sum of log f from s + 1 to t); summed from s on,
    not taken as a difference of two long sums, which would cancel.
    """
    steps = forget_gate.shape[-1]
    present = torch.ones(steps, steps, dtype=torch.bool, device=query.device).tril()
    kept = forget_gate[..., None].expand(*forget_gate.shape, steps).tril(-1).cumsum(dim=-2)
    exponents = (kept + input_gate[..., None, :]).masked_fill(~present, -torch.inf)
    carried = forget_gate.cumsum(dim=-1)[..., None] + stabilizer
    bounds = torch.maximum(exponents.amax(dim=-1, keepdim=True), carried).detach()
    factors, carried = torch.exp(exponents - bounds), torch.exp(carried - bounds)
    rows = (query @ key.mT * factors) @ value + carried * (query @ memory.mT)
    memory = carried[..., -1:, :] * memory + (value * factors[..., -1, :, None]).mT @ key
    return rows, memory, bounds
