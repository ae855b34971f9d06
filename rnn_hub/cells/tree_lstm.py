"""Tree-LSTMs: long short-term memories that see each of a node's predecessors apart."""

from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from rnn_hub.cells.base import State, register_cell, state_dtype
from rnn_hub.cells.lstm import LSTMCell


class Predecessors(NamedTuple):
    """The P predecessors of some nodes, in the order of nodes and places: their states, tensors of (P, ...); for each
    the row of its node, and its place among that node's predecessors, both (P,) and from 0."""

    state: State
    node: Tensor
    slot: Tensor


class TreeLSTMCell(LSTMCell):
    """An LSTM with a forget gate for each predecessor; a step in a sequence is a node with one."""

    max_predecessors: ClassVar[int | None] = None

    def join(self, inputs: tuple[Tensor, ...], before: Predecessors) -> tuple[Tensor, State]:
        """One step of n nodes: projected inputs of (n, ...) and their predecessors -> outputs (n, H), next state."""
        raise NotImplementedError(f"cell {self.name!r} does not say how it joins predecessors")

    def step(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """The equations of the class with one predecessor, the first."""
        if len(inputs[0]) != len(state[0]):
            raise ValueError(f"a state of {len(state[0])} rows does not fit a batch of {len(inputs[0])}")
        node = torch.arange(len(state[0]), device=state[0].device)
        return self.join(inputs, Predecessors(state, node, torch.zeros_like(node)))

    def product(self, hidden: Tensor, rows: slice = slice(None)) -> Tensor:
        """(U h + b)[rows], in at least float32."""
        weight, bias = self.weights["weight_hh"][rows], self.weights.get("bias_hh")
        product = F.linear(hidden.to(weight.dtype), weight, None if bias is None else bias[rows])
        return product.to(state_dtype(product))


@register_cell("child_sum_lstm")
class ChildSumLSTMCell(TreeLSTMCell):
    """h = sum_k h_k; i, o = sigmoid(W x + U h + b); g the same with tanh; f_k = sigmoid(W_f x + U_f h_k + b_f);
    c' = i * g + sum_k f_k * c_k; h' = o * tanh(c').

    Tai et al. 2015, "Improved Semantic Representations From Tree-Structured Long Short-Term Memory Networks", section
    3.1, for any number of predecessors in no order. With one it is the LSTM, whose weights it has.
    """

    def join(self, inputs: tuple[Tensor, ...], before: Predecessors) -> tuple[Tensor, State]:
        """The equations above."""
        hidden, memory = before.state
        zero = hidden.new_zeros(len(inputs[0]), self.hidden_size)
        recurrent = self.product(zero.index_add(0, before.node, hidden) if len(hidden) else zero[:1])
        input_gate, _, candidate, output_gate = (inputs[0] + recurrent).chunk(4, dim=-1)
        rows = slice(self.hidden_size, 2 * self.hidden_size)
        forget_gates = torch.sigmoid(inputs[0][before.node, rows] + self.product(hidden, rows))
        memory = zero.index_add(0, before.node, forget_gates * memory)
        memory = memory + torch.sigmoid(input_gate) * torch.tanh(candidate)
        hidden = torch.sigmoid(output_gate) * torch.tanh(memory)
        return hidden, (hidden, memory)


@register_cell("binary_lstm")
class BinaryLSTMCell(TreeLSTMCell):
    """i, o = sigmoid(W x + U_1 h_1 + U_2 h_2 + b); g the same with tanh;
    f_k = sigmoid(W_f x + U_k1 h_1 + U_k2 h_2 + b_f); c' = i * g + f_1 * c_1 + f_2 * c_2; h' = o * tanh(c').

    Tai et al. 2015, section 3.2 with N = 2: at most two predecessors, the first and the second with weights of their
    own. Rows of W: input, forget, cell, output; of U: input, both forget gates, cell, output, with U_1 left of U_2.
    """

    kernel = None
    max_predecessors = 2

    @classmethod
    def weight_shapes(cls, input_size: int, hidden_size: int, bias: bool = True) -> dict[str, tuple[int, ...]]:
        """W, U, and b once."""
        shapes = super().weight_shapes(input_size, hidden_size, bias)
        shapes.pop("bias_hh", None)
        return {**shapes, "weight_hh": (5 * hidden_size, 2 * hidden_size)}

    def join(self, inputs: tuple[Tensor, ...], before: Predecessors) -> tuple[Tensor, State]:
        """The equations above."""
        size, count = self.hidden_size, len(inputs[0])
        hidden, memory = (self.slots(part, before, count) for part in before.state)
        recurrent = self.product(hidden.flatten(1)).split((size, 2 * size, size, size), dim=-1)
        input_gate, forget_gates, candidate, output_gate = recurrent
        input_x, forget_x, candidate_x, output_x = inputs[0].chunk(4, dim=-1)
        forget_gates = torch.sigmoid(forget_x[:, None] + forget_gates.unflatten(1, (2, size)))
        memory = (forget_gates * memory).sum(dim=1)
        memory = memory + torch.sigmoid(input_x + input_gate) * torch.tanh(candidate_x + candidate)
        hidden = torch.sigmoid(output_x + output_gate) * torch.tanh(memory)
        return hidden, (hidden, memory)

    def slots(self, part: Tensor, before: Predecessors, count: int) -> Tensor:
        """Predecessors in their places, zeros where there is none: (P, H) -> (n, 2, H), or of none at all (1, 2, H)."""
        if len(part) == 2 * count:  # in the order of nodes and places
            return part.view(count, 2, self.hidden_size)
        zero = part.new_zeros(count if len(part) else 1, 2, self.hidden_size)
        return zero.index_put((before.node, before.slot), part)
