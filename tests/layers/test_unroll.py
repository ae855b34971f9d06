"""Dynamic unrolling runs exactly the real steps of any step function; static unrolling runs them all."""

import pytest
import torch
from torch import Tensor

from rnn_hub.cells import get_cell
from rnn_hub.layers.unroll import dynamic_rnn, static_rnn

LENGTHS = torch.tensor([2, 6, 0, 3])
MASK = torch.arange(7) < LENGTHS[:, None]


class Counter:
    """A step function, h' = tanh(x + h), that counts the rows it was called with."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def __call__(self, inputs: tuple[Tensor, ...], state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        self.rows.append(len(inputs[0]))
        hidden = torch.tanh(inputs[0] + state[0])
        return hidden, (hidden,)


def reference(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    output, end = torch.zeros_like(x), torch.zeros_like(x[:, 0])
    for row in range(len(x)):
        for t in mask[row].nonzero().flatten().tolist():
            end[row] = output[row, t] = torch.tanh(x[row, t] + end[row])
    return output, end


@pytest.mark.parametrize("mask", [MASK, MASK.flip(1), MASK[:, torch.tensor([3, 1, 6, 0, 2, 5, 4])]])
def test_dynamic_unrolling_runs_a_step_function_on_the_real_steps_only(mask: Tensor) -> None:
    x, step = torch.randn(4, 7, 3), Counter()
    output, (end,) = dynamic_rnn(step, x, mask, (torch.zeros(4, 3),))
    assert step.rows == [3, 3, 2, 1, 1, 1]  # rows that have a first, second, ... real step; none runs a seventh
    expected, state = reference(x, mask)
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(end, state)


def test_static_unrolling_runs_every_step_on_every_row() -> None:
    x, step = torch.randn(4, 7, 3), Counter()
    output, (end,) = static_rnn(step, x, 9, MASK, (torch.zeros(4, 3),))
    assert step.rows == [4] * 9
    expected, state = reference(x, MASK)
    torch.testing.assert_close(output[:, :7], expected)
    assert not output[:, 7:].any()
    torch.testing.assert_close(end, state)


@pytest.mark.parametrize("name", ["lstm", "layer_norm_lstm"])
def test_lengths_masks_and_both_unrollings_agree_on_a_cell(name: str) -> None:
    cell_class = get_cell(name)
    shapes = cell_class.weight_shapes(3, 5)
    cell = cell_class({key: torch.randn(shape, dtype=torch.float64) for key, shape in shapes.items()}, 5)
    x = torch.randn(4, 7, 3, dtype=torch.float64)
    expected = cell.scan(x, None, MASK)
    torch.testing.assert_close(dynamic_rnn(cell, x, lengths=LENGTHS), expected)
    torch.testing.assert_close(dynamic_rnn(cell, x, MASK), expected)
    torch.testing.assert_close(static_rnn(cell, x, mask=MASK), expected)


def test_gradients_of_a_step_function_reach_inputs_and_state() -> None:
    x = torch.randn(4, 7, 3, dtype=torch.float64, requires_grad=True)
    start = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)

    def run(x: Tensor, start: Tensor) -> Tensor:
        return dynamic_rnn(Counter(), x, MASK, (start,))[0]

    assert torch.autograd.gradcheck(run, (x, start))


def test_a_batch_of_nothing_but_padding_keeps_its_state() -> None:
    x, start = torch.randn(4, 7, 3), torch.randn(4, 3)
    output, (end,) = dynamic_rnn(Counter(), x, torch.zeros(4, 7), (start,))
    assert not output.any()
    assert torch.equal(end, start)


def test_a_step_function_without_a_state_and_a_sequence_too_long_are_refused() -> None:
    with pytest.raises(ValueError, match="needs a state"):
        dynamic_rnn(Counter(), torch.randn(4, 7, 3))
    with pytest.raises(ValueError, match="5 steps got a sequence of 7"):
        static_rnn(Counter(), torch.randn(4, 7, 3), 5, state=(torch.zeros(4, 3),))


def _wide(inputs: tuple[Tensor, ...], state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
    hidden = torch.tanh(inputs[0] + state[0])
    return torch.cat([hidden, -hidden, hidden], dim=-1), (hidden,)


def _token(inputs: tuple[Tensor, ...], state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
    hidden = torch.tanh(torch.linspace(-1, 1, 27).view(9, 3)[inputs[0]] + state[0])
    return hidden, (hidden,)


def _image(inputs: tuple[Tensor, ...], state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
    hidden = torch.tanh(inputs[0].mean(dim=(2, 3)) + state[0])
    return hidden, (hidden,)


@pytest.mark.parametrize(
    ("step", "x"),
    [(_wide, torch.randn(4, 7, 3)), (_token, torch.randint(0, 9, (4, 7))), (_image, torch.randn(4, 7, 3, 2, 5))],
    ids=["outputs wider than the state", "token numbers", "images"],
)
@pytest.mark.parametrize("mask", [MASK, MASK.flip(1)], ids=["right", "left"])
def test_inputs_and_outputs_may_have_any_shape_and_dtype(step, x: Tensor, mask: Tensor) -> None:
    start = (torch.randn(4, 3),)
    output, end = dynamic_rnn(step, x, mask, start)
    torch.testing.assert_close(static_rnn(step, x, None, mask, start), (output, end))
    for row, real in enumerate(mask):
        state = (start[0][row : row + 1],)
        for t in real.nonzero().flatten().tolist():
            expected, state = step((x[row : row + 1, t],), state)
            torch.testing.assert_close(output[row, t], expected[0])
        torch.testing.assert_close(end[0][row], state[0][0])
        assert not output[row, ~real].any()


@pytest.mark.parametrize("shape", [(2, 0), (0, 4)], ids=["no step", "no row"])
@pytest.mark.parametrize("name", ["gru", "layer_norm_lstm"])
def test_nothing_to_run_gives_nothing(name: str, shape: tuple[int, int]) -> None:
    cell_class = get_cell(name)
    cell = cell_class({key: torch.randn(size) for key, size in cell_class.weight_shapes(3, 5).items()}, 5)
    for mask in (None, torch.ones(shape)):
        assert dynamic_rnn(cell, torch.randn(*shape, 3), mask)[0].shape == (*shape, 5)
