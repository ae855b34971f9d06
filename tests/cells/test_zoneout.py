"""Zoneout on every registered cell: some units keep their state, and evaluation takes the expectation."""

import pytest
import torch
from torch import Tensor

from rnn_hub.cells import CELLS, Cell, ZoneoutCell
from rnn_hub.cells.scan import scan_steps
from rnn_hub.cells.stabilized import StabilizedCell

BATCH, INPUTS, UNITS = 5, 3, 8

every_cell = pytest.mark.parametrize("name", sorted(CELLS))


def build(name: str) -> tuple[Cell, Tensor, tuple[Tensor, ...]]:
    """A cell, one step's input, and a state some steps in."""
    shapes = CELLS[name].weight_shapes(INPUTS, UNITS)
    cell = CELLS[name]({key: torch.randn(shape).double() for key, shape in shapes.items()}, UNITS)
    x = torch.randn(BATCH, 4, INPUTS).double()
    _, state = scan_steps(cell, x, cell.init_state(BATCH, x), None)
    return cell, torch.randn(BATCH, 1, INPUTS).double(), state


def meant(cell: Cell, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """A state in numbers that can be compared: without a stabilizer."""
    return (state[0], state[1] * state[2].exp()) if isinstance(cell, StabilizedCell) else state


@every_cell
def test_in_training_each_unit_takes_its_new_state_or_keeps_its_old_one(name: str) -> None:
    cell, x, before = build(name)
    _, plain = cell.scan(x, before)
    output, after = ZoneoutCell(cell, 0.5, training=True).scan(x, before)
    assert torch.equal(output[:, 0], after[0])
    kept = []
    for zoned, new, old in zip(*(meant(cell, state) for state in (after, plain, before)), strict=True):
        is_new, is_old = torch.isclose(zoned, new), torch.isclose(zoned, old)
        assert (is_new | is_old).all()
        kept.append(is_old[is_old != is_new])
    assert all(part.any() and not part.all() for part in kept)
    assert 0.2 < torch.cat(kept).double().mean() < 0.8


@every_cell
def test_evaluation_takes_the_expectation(name: str) -> None:
    cell, x, before = build(name)
    _, plain = cell.scan(x, before)
    _, after = ZoneoutCell(cell, 0.3, training=False).scan(x, before)
    for zoned, new, old in zip(*(meant(cell, state) for state in (after, plain, before)), strict=True):
        torch.testing.assert_close(zoned, 0.3 * old + 0.7 * new)


@every_cell
def test_outputs_stay_bounded_where_an_exponential_gate_opens_and_shuts(name: str) -> None:
    cell, _, _ = build(name)
    x = 30 * torch.randn(BATCH, 60, INPUTS).double()
    for training in (True, False):
        output, _ = ZoneoutCell(cell, 0.2, training).scan(x)
        assert output.isfinite().all()
        if name == "slstm":  # an average of tanh, behind a gate
            assert output.abs().max() <= 1
