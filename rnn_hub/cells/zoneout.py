"""Zoneout: units that keep their last value, at random."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rnn_hub.cells.base import Cell

if TYPE_CHECKING:
    from rnn_hub.cells.base import State


class ZoneoutCell(Cell):
    """A cell whose units each keep, at every step, their state with probability p; in evaluation the expectation.

    Krueger et al. 2017, "Zoneout: Regularizing RNNs by Randomly Preserving Hidden Activations", section 3. The parts
    of a state are drawn apart, as in the paper; what stands in the middle axes of a part is drawn together. A fused
    kernel or a parallel scan has no place for it, so all cells run step by step.

    Args:
        cell: the cell to regularize.
        p: the probability.
        training: whether to draw.
    """

    def __init__(self, cell: Cell, p: float, training: bool):
        super().__init__(cell.weights, cell.hidden_size)
        self.name, self.cell, self.p, self.training = cell.name, cell, p, training
        self.project, self.init_state = cell.project, cell.init_state

    def step(self, inputs: tuple[Tensor, ...], state: "State") -> "tuple[Tensor, State]":
        """The cell's step, of which some units take no part."""
        _, after = self.cell.step(inputs, state)
        state = self.cell.blend(after, state, self._choose)
        return state[0], state

    def _choose(self, part: Tensor) -> Tensor | float:
        if not self.training:
            return self.p
        shape = (part.shape[0], *[1] * (part.dim() - 2), part.shape[-1])
        return torch.bernoulli(part.new_full(shape, self.p))
