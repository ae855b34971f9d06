"""Dynamic and static unrolling of any step function over a batch of sequences of different lengths.

Step functions take the inputs of one step and a state (a tuple of batch-first tensors), and return an output (B, H) and
the next state. Both ways mean the same: where the mask is 0 the state is frozen and the output is 0.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from rnn_hub.cells import Cell, fused, onnx_scan
from rnn_hub.cells.scan import output_dtype, scan_steps, spread

if TYPE_CHECKING:
    from rnn_hub.cells import State

Step = Callable[[tuple[Tensor, ...], "State"], "tuple[Tensor, State]"]


def lengths_to_mask(lengths: Tensor, size: int) -> Tensor:
    """(B,) lengths -> (B, size) boolean mask of right-padded rows."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def dynamic_rnn(
    step: Cell | Step,
    x: Tensor,
    mask: Tensor | None = None,
    state: "State | None" = None,
    lengths: Tensor | None = None,
) -> "tuple[Tensor, State]":
    """Runs exactly the real steps of each sequence and stops at the longest.

    Args:
        step: a cell, or a function of the inputs at one step and the state.
        x: (B, T, ...), of any dtype: token numbers, vectors, images.
        mask: (B, T), real positions; anywhere in the row. None and no `lengths`: all are real.
        state: the state before the first step; a cell's own zeros by default, required for a function.
        lengths: (B,), instead of a mask, of right-padded rows.

    Returns:
        outputs (B, T, H), 0 at padding, and the state of each sequence after its last real step.
    """
    step, state = bind(step, x, state)
    if lengths is not None:
        mask = lengths_to_mask(lengths, x.shape[1])
    if isinstance(step, Cell) and fused.exports_to_onnx():
        return onnx_scan.scan(step, x, state, mask)
    if isinstance(step, Cell) and (mask is None or step.kernel is not None or type(step).scan is not Cell.scan):
        return step.scan(x, state, mask)
    if mask is None:
        mask = x.new_ones(x.shape[:2], dtype=torch.bool)
    return _active_rows(step, x, mask.bool(), state)


def static_rnn(
    step: Cell | Step,
    x: Tensor,
    length: int | None = None,
    mask: Tensor | None = None,
    state: "State | None" = None,
) -> "tuple[Tensor, State]":
    """Unrolls a fixed number of steps, padding included, without a branch on data: the graph that exporters want.

    Args:
        step, x, mask, state: as in `dynamic_rnn`.
        length: the number of steps; shorter inputs are padded to it and longer ones are a `ValueError`. None: T.

    Returns:
        outputs (B, length, H), 0 at padding, and the state of each sequence after its last real step.
    """
    step, state = bind(step, x, state)
    missing = 0 if length is None else length - x.shape[1]
    if missing < 0:
        raise ValueError(f"static unrolling to {length} steps got a sequence of {x.shape[1]}: truncate it to {length}")
    if missing > 0:
        mask = x.new_ones(x.shape[:2], dtype=torch.bool) if mask is None else mask.bool()
        mask = F.pad(mask, (0, missing))
        x = F.pad(x, (0,) * 2 * (x.dim() - 2) + (0, missing))
    return scan_steps(step if isinstance(step, Cell) else _StepFunction(step), x, state, mask)


class _StepFunction:
    """Gives a bare step function the two methods of a cell that a loop needs."""

    def __init__(self, step: Step):
        self.step = step

    def project(self, x: Tensor, state: "State") -> tuple[Tensor, ...]:
        return (x,)


def bind(step: Cell | Step, x: Tensor, state: "State | None") -> "tuple[Cell | Step, State]":
    if state is not None:
        return step, state
    if isinstance(step, Cell):
        return step, step.init_state(x.shape[0], x)
    raise ValueError("a step function needs a state to start from: pass state=(tensor of (batch, ...), ...)")


def _active_rows(step: Cell | Step, x: Tensor, mask: Tensor, state: "State") -> "tuple[Tensor, State]":
    """Sorts rows by length, then runs each step on the rows that still have one."""
    cell = step if isinstance(step, Cell) else _StepFunction(step)
    lengths = mask.sum(dim=1)
    rows = torch.argsort(lengths, descending=True, stable=True)
    place = torch.argsort(mask[rows].logical_not().byte(), dim=1, stable=True)
    active = [int(n) for n in (lengths[:, None] > torch.arange(x.shape[1], device=x.device)).sum(dim=0) if n > 0]
    place = place[:, : max(len(active), 1)]
    x = x[rows].take_along_dim(spread(place, x), dim=1)
    state = tuple(part[rows] for part in state)
    inputs = zip(*(part.unbind(1) for part in cell.project(x, state)), strict=True)
    outputs, finished = [], []
    for n, step_inputs in zip(active, inputs, strict=False):
        if n < state[0].shape[0]:
            finished.append(tuple(part[n:] for part in state))
            state = tuple(part[:n] for part in state)
        output, state = cell.step(tuple(part[:n] for part in step_inputs), state)
        outputs.append(F.pad(output, (0, 0) * (output.dim() - 1) + (0, x.shape[0] - n)))
    state = tuple(torch.cat(parts) for parts in zip(state, *reversed(finished), strict=True))
    unsort = rows.argsort()
    state = tuple(part[unsort] for part in state)
    if not outputs:
        return state[0].new_zeros(*mask.shape, *state[0].shape[1:], dtype=output_dtype(x, state[0])), state
    stacked = torch.stack(outputs, dim=1).to(output_dtype(x, outputs[0]))
    result = stacked.new_zeros(*mask.shape, *stacked.shape[2:])
    return result.scatter(1, spread(place, stacked).expand_as(stacked), stacked)[unsort], state
