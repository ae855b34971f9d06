"""The plain loop over a cell's steps: the meaning of the mask, and what every faster path must equal."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from rnn_hub.cells.base import Cell, State


def scan_steps(cell: "Cell", x: Tensor, state: "State", mask: Tensor | None) -> "tuple[Tensor, State]":
    """Runs `cell.step` over time. Shapes as in `Cell.scan`; no branch depends on data, so it can be traced."""
    if x.shape[1] == 0:
        return state[0].new_zeros(x.shape[0], 0, *state[0].shape[1:], dtype=output_dtype(x, state[0])), state
    if mask is not None:
        mask = mask.bool()
        x = torch.where(spread(mask, x), x, 0)
    steps = zip(*(projected.unbind(1) for projected in cell.project(x, state)), strict=True)
    outputs = []
    for t, inputs in enumerate(steps):
        output, after = cell.step(inputs, state)
        if mask is None:
            state = after
        else:
            state = freeze(mask[:, t], after, state)
            output = torch.where(spread(mask[:, t], output), output, 0)
        outputs.append(output)
    return torch.stack(outputs, dim=1).to(output_dtype(x, outputs[0])), state


def output_dtype(x: Tensor, output: Tensor) -> torch.dtype:
    """Outputs take the dtype of the inputs, unless these are whole numbers."""
    return x.dtype if x.is_floating_point() else output.dtype


def spread(mask: Tensor, x: Tensor) -> Tensor:
    """The mask with further axes of 1, so that it multiplies x, whose first axes it has."""
    return mask.view(*mask.shape, *[1] * (x.dim() - mask.dim()))


def freeze(keep: Tensor, after: "State", before: "State") -> "State":
    """Takes the new state where `keep` (B,) is true, and the old one elsewhere."""
    return tuple(torch.where(spread(keep, new), new, old) for new, old in zip(after, before, strict=True))


def last_real(values: Tensor, mask: Tensor | None) -> Tensor:
    """The value (B, D) at the last real one of all steps (B, T, D); any value in rows that have none."""
    if mask is None:
        return values[:, -1]
    last = (mask * torch.arange(mask.shape[1], device=mask.device)).amax(dim=1)
    return values[torch.arange(len(mask), device=mask.device), last]
