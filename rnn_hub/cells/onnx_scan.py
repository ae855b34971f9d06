"""A scan as one operator of ONNX, for a graph whose number of steps is not known.

LSTM, GRU and RNN where their equations are a cell's own; Scan over the cell's step for every other.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from rnn_hub.cells.fused import in_order
from rnn_hub.cells.scan import freeze, output_dtype, spread

if TYPE_CHECKING:
    from rnn_hub.cells.base import Cell, State

OPERATORS: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    "lstm": ("LSTM", (0, 3, 1, 2), {}),
    "gru": ("GRU", (1, 0, 2), {"linear_before_reset": 1}),
    "rnn_tanh": ("RNN", (0,), {"activations": ["Tanh"]}),
    "rnn_relu": ("RNN", (0,), {"activations": ["Relu"]}),
}
"""For each kernel of torch the operator, where its gates stand among torch's, and its attributes."""


def scan(cell: "Cell", x: Tensor, state: "State", mask: Tensor | None) -> "tuple[Tensor, State]":
    """All steps of a batch while a graph is being traced. Arguments and result as in `Cell.scan`."""
    if cell.kernel is None:
        return _scan_steps(cell, x, state, mask)
    if mask is None:
        output, state = _run(cell, x, state, None)
        return output, state
    moved, order = in_order(x, mask)
    lengths = mask.sum(dim=1)
    output, after = _run(cell, moved, state, lengths.to(torch.int32))
    after = freeze(lengths > 0, after, state)  # of a row without a step onnxruntime gives zeros
    return in_order(output, None, order.argsort(dim=1))[0], after


def _run(cell: "Cell", x: Tensor, state: "State", lengths: Tensor | None) -> "tuple[Tensor, State]":
    """The operator, over rows whose real steps, so many as `lengths` (B,) says, come first."""
    name, places, attributes = OPERATORS[cell.kernel]

    def gates(part: str) -> Tensor | None:
        if part not in cell.weights:
            return None
        pieces = cell.weights[part].unflatten(0, (len(places), cell.hidden_size))
        return pieces[list(places)].flatten(0, 1)[None]

    biases = [gates("bias_ih"), gates("bias_hh")]
    bias = None if biases[0] is None else torch.cat(biases, dim=1)
    states = [part[None] for part in state]
    steps, size = x.shape[1], (1, *state[0].shape)
    output, *after = torch.onnx.ops.symbolic_multi_out(
        name,
        [x.transpose(0, 1), gates("weight_ih"), gates("weight_hh"), bias, lengths, *states],
        {"hidden_size": cell.hidden_size, **attributes},
        dtypes=[x.dtype] * (1 + len(state)),
        shapes=[(steps, *size), *[size] * len(state)],
    )
    return output[:, 0].transpose(0, 1), tuple(part[0] for part in after)


def _scan_steps(cell: "Cell", x: Tensor, state: "State", mask: Tensor | None) -> "tuple[Tensor, State]":
    """Scan, with the cell's step in it."""
    mask = x.new_ones(x.shape[:2], dtype=torch.bool) if mask is None else mask.bool()
    x = torch.where(spread(mask, x), x, 0)

    def step(before: "State", inputs: tuple[Tensor, ...]) -> "tuple[State, Tensor]":
        real, *inputs = inputs
        output, after = cell.step(tuple(inputs), before)
        return freeze(real, after, before), torch.where(spread(real, output), output, 0)

    after, outputs = run_steps(step, state, (mask, *cell.project(x, state)))
    return outputs.to(output_dtype(x, outputs)), after


def run_steps(step: Callable, state: "State", inputs: tuple[Tensor, ...]) -> "tuple[State, Tensor]":
    """Scan itself.

    Args:
        step: the state and the inputs (B, ...) of one step -> the next state, alike in shape and dtype, and an output.
        state: of tensors (B, ...).
        inputs: tensors (B, T, ...).

    Returns:
        the state after the last step and the outputs (B, T, ...).
    """
    state = tuple(part.clone(memory_format=torch.contiguous_format) for part in state)
    steps = tuple(part.transpose(0, 1).clone(memory_format=torch.contiguous_format) for part in inputs)
    after, outputs = torch._higher_order_ops.scan(step, state, steps)
    return after, outputs.transpose(0, 1)
