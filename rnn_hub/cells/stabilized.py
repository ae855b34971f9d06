"""Memories with exponential gates, kept as fractions of a power of e that is state too."""

import torch

from rnn_hub.cells.base import Cell, Choose, State


class StabilizedCell(Cell):
    """A cell whose state is (output, memory, stabilizer), with memory * exp(stabilizer) the memory that is meant.

    The stabilizer is no function that is learned: what the cell puts out is the same with any, so no gradient flows
    through its choice.
    """

    def blend(self, after: State, before: State, choose: Choose) -> State:
        """As in `Cell`, after both memories were brought to one stabilizer, the larger."""
        stabilizer = torch.maximum(after[2], before[2])
        new, old = (
            (output, memory * torch.exp(own - stabilizer), stabilizer) for output, memory, own in (after, before)
        )
        return super().blend(new, old, choose)
