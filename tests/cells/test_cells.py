"""Every registered cell: steps and scan agree, the mask has its one meaning, states resume."""

import pytest
import torch
from torch import Tensor, nn

from rnn_hub.cells import CELLS, Cell, fused, get_cell, packed, register_cell
from rnn_hub.cells.scan import scan_steps

BATCH, TIME, INPUTS, UNITS = 4, 9, 5, 6
LENGTHS = torch.tensor([9, 4, 0, 1])
RIGHT = torch.arange(TIME) < LENGTHS[:, None]
MASKS = {
    "none": None,
    "right": RIGHT,
    "left": RIGHT.flip(1),
    "holes": torch.arange(TIME * BATCH).view(BATCH, -1) % 3 > 0,
}
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-5}

every_cell = pytest.mark.parametrize("name", sorted(CELLS))


def build(name: str, dtype: torch.dtype = torch.float64) -> tuple[Cell, list[Tensor]]:
    cell_class = get_cell(name)
    shapes = cell_class.weight_shapes(INPUTS, UNITS)
    weights = {key: torch.randn(shape, dtype=dtype).mul(0.4).requires_grad_() for key, shape in shapes.items()}
    return cell_class(weights, UNITS), list(weights.values())


def start(cell: Cell, x: Tensor) -> tuple[Tensor, ...]:
    """A state that a cell can be in: after some steps."""
    _, state = scan_steps(cell, torch.randn(BATCH, 3, INPUTS, dtype=x.dtype), cell.init_state(BATCH, x), None)
    return tuple(part.detach().requires_grad_() for part in state)


def gradients(output: Tensor, state: tuple[Tensor, ...], wanted: list[Tensor]) -> tuple[Tensor, ...]:
    loss = (output * torch.linspace(1, 2, output.numel(), dtype=output.dtype).view_as(output)).sum()
    return torch.autograd.grad(loss + sum(part.pow(2).sum() for part in state), wanted, materialize_grads=True)


@every_cell
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_scan_equals_the_steps_forward_and_backward(name: str, mask: Tensor | None, dtype: torch.dtype) -> None:
    cell, weights = build(name, dtype)
    x = torch.randn(BATCH, TIME, INPUTS, dtype=dtype, requires_grad=True)
    state = start(cell, x)
    fast, slow = cell.scan(x, state, mask), scan_steps(cell, x, state, mask)
    close = {"atol": TOLERANCE[dtype], "rtol": TOLERANCE[dtype]}
    torch.testing.assert_close(fast, slow, **close)
    wanted = [x, *weights, *state]
    torch.testing.assert_close(gradients(*fast, wanted), gradients(*slow, wanted), **close)


@every_cell
@pytest.mark.parametrize("mask", ["right", "left", "holes"])
def test_each_row_equals_its_real_positions_alone(name: str, mask: str) -> None:
    cell, _ = build(name)
    x = torch.randn(BATCH, TIME, INPUTS, dtype=torch.float64)
    state = start(cell, x)
    output, after = cell.scan(x, state, MASKS[mask])
    for row, real in enumerate(MASKS[mask]):
        alone, end = cell.scan(x[row : row + 1, real], tuple(part[row : row + 1] for part in state))
        torch.testing.assert_close(output[row, real], alone[0])
        torch.testing.assert_close(tuple(part[row : row + 1] for part in after), end)
        assert not output[row, ~real].any()


@every_cell
@pytest.mark.parametrize("mask", ["right", "left", "holes"])
def test_what_stands_on_padding_changes_nothing_even_nan(name: str, mask: str) -> None:
    cell, weights = build(name)
    x = torch.randn(BATCH, TIME, INPUTS, dtype=torch.float64)
    dirty = x.masked_fill(~MASKS[mask][..., None], float("nan")).requires_grad_()
    clean = x.requires_grad_()
    first, second = cell.scan(clean, None, MASKS[mask]), cell.scan(dirty, None, MASKS[mask])
    torch.testing.assert_close(first, second)
    torch.testing.assert_close(gradients(*first, [clean, *weights]), gradients(*second, [dirty, *weights]))
    assert not gradients(*cell.scan(clean, None, MASKS[mask]), [clean])[0][~MASKS[mask]].any()


@every_cell
def test_a_resumed_state_equals_one_run(name: str) -> None:
    cell, _ = build(name)
    x = torch.randn(BATCH, TIME, INPUTS, dtype=torch.float64)
    whole, end = cell.scan(x, None, RIGHT)
    first, state = cell.scan(x[:, :4], None, RIGHT[:, :4])
    second, resumed = cell.scan(x[:, 4:], state, RIGHT[:, 4:])
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(resumed, end)


@every_cell
@pytest.mark.parametrize("length", [0, 1])
def test_no_step_and_one_step(name: str, length: int) -> None:
    cell, _ = build(name)
    x = torch.randn(BATCH, length, INPUTS, dtype=torch.float64)
    state = start(cell, x)
    torch.testing.assert_close(cell.scan(x, state), scan_steps(cell, x, state, None))
    assert cell.scan(x, state)[0].shape == (BATCH, length, UNITS)


@every_cell
def test_the_last_state_carries_gradients_to_the_first(name: str) -> None:
    cell, _ = build(name)
    x = torch.randn(BATCH, TIME, INPUTS, dtype=torch.float64)
    state = start(cell, x)
    output, after = cell.scan(x, state, RIGHT)
    grads = torch.autograd.grad(sum(part.sum() for part in after) + output.sum(), state)
    assert all(grad.isfinite().all() and grad.any() for grad in grads)


@every_cell
def test_states_stay_in_float32_when_the_model_is_in_bfloat16(name: str) -> None:
    cell, _ = build(name, torch.bfloat16)
    output, state = cell.scan(torch.randn(BATCH, TIME, INPUTS, dtype=torch.bfloat16), None, RIGHT)
    assert output.dtype == torch.bfloat16
    assert {part.dtype for part in state} == {torch.float32}


@pytest.mark.parametrize(
    ("name", "native"),
    [("lstm", nn.LSTMCell), ("gru", nn.GRUCell), ("elman", nn.RNNCell), ("layer_norm_lstm", None)],
)
def test_a_step_computes_the_published_equations(name: str, native: type[nn.Module] | None) -> None:
    cell, _ = build(name)
    x = torch.randn(BATCH, 1, INPUTS, dtype=torch.float64)
    state = start(cell, x)
    output, _ = scan_steps(cell, x, state, None)
    if native is not None:
        reference = native(INPUTS, UNITS).double()
        reference.load_state_dict(dict(cell.weights))
        expected = reference(x[:, 0], state if name == "lstm" else state[0])
        expected = expected[0] if name == "lstm" else expected
    else:  # Ba et al. 2016, equations 20 to 22
        w = cell.weights

        def norm(value: Tensor, gain: Tensor, bias: Tensor | float = 0.0) -> Tensor:
            centered = value - value.mean(-1, keepdim=True)
            return centered / (centered.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt() * gain + bias

        gates = norm(x[:, 0] @ w["weight_ih"].T + w["bias_ih"], w["gain_ih"])
        gates = gates + norm(state[0] @ w["weight_hh"].T, w["gain_hh"]) + w["bias_hh"]
        i, f, g, o = gates.chunk(4, dim=-1)
        memory = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
        expected = o.sigmoid() * norm(memory, w["gain_cell"], w["bias_cell"]).tanh()
    torch.testing.assert_close(output[:, 0], expected)


def test_an_unknown_cell_lists_the_choices() -> None:
    with pytest.raises(ValueError, match=r"'lsmt'.*gru.*lstm"):
        get_cell("lsmt")


def test_a_name_is_given_once() -> None:
    with pytest.raises(ValueError, match="'lstm' is taken"):
        register_cell("lstm")(type("Impostor", (Cell,), {}))
    assert CELLS["lstm"].__name__ == "LSTMCell"


@every_cell
@pytest.mark.parametrize("wrong", ["inputs", "state"])
def test_inputs_and_states_that_do_not_fit_are_refused(name: str, wrong: str) -> None:
    cell, _ = build(name, torch.float32)
    x = torch.randn(BATCH, TIME, INPUTS)
    state = cell.init_state(BATCH - 1 if wrong == "state" else BATCH, x)
    with pytest.raises((ValueError, RuntimeError), match=r"features|shape|size|batch"):
        cell.scan(x[..., 1:] if wrong == "inputs" else x, state)


def test_a_relu_that_would_grow_without_bound_on_padding_leaves_gradients_finite() -> None:
    cell, weights = build("elman_relu", torch.float32)
    for weight in weights:
        weight.data.fill_(0.9)  # the recurrence grows six times a step
    x = torch.full((2, 200, INPUTS), -100.0)
    x[1, :3] = 1.0
    output, state = cell.scan(x, None, torch.arange(200) < torch.tensor([[200], [3]]))
    assert output[0].max() == 0 and output[1].max() > 1
    assert all(grad.isfinite().all() for grad in gradients(output, state, weights))


@pytest.mark.parametrize("kernel", sorted(packed.KERNELS))
@pytest.mark.parametrize(
    "mask", [*(mask for mask in MASKS.values() if mask is not None), torch.zeros(BATCH, TIME).bool()]
)
@pytest.mark.parametrize("bias", [True, False])
def test_packed_tokens_equal_the_steps_forward_and_backward(kernel: str, mask: Tensor, bias: bool) -> None:
    (kind,) = (kind for kind in CELLS.values() if kind.kernel == kernel)
    shapes = kind.weight_shapes(INPUTS, UNITS, bias)
    weights = {name: torch.randn(shape, dtype=torch.float64, requires_grad=True) for name, shape in shapes.items()}
    cell = kind(weights, UNITS)
    x = torch.randn(BATCH, TIME, INPUTS, dtype=torch.float64, requires_grad=True)
    state = tuple(part.requires_grad_() for part in start(cell, x))
    wanted = [x, *weights.values(), *state]
    fast, slow = packed.scan(kernel, weights, x, state, mask), scan_steps(cell, x, state, mask)
    torch.testing.assert_close(fast, slow)
    torch.testing.assert_close(gradients(*fast, wanted), gradients(*slow, wanted))


def test_the_choice_of_packing_follows_cell_padding_and_dtype() -> None:
    def packs(name: str, real: int, trained: bool = True, dtype: torch.dtype = torch.float32) -> bool:
        kind = get_cell(name)
        weights = {key: torch.zeros(shape, dtype=dtype) for key, shape in kind.weight_shapes(2, 256).items()}
        x = torch.zeros(4, 10, 2, dtype=dtype, requires_grad=trained)
        mask = torch.arange(10).expand(4, 10) < real
        return fused._pays_to_pack(kind.kernel, weights, x, kind(weights, 256).init_state(4, x), mask)

    assert packs("gru", 9)
    assert not packs("gru", 9, trained=False)
    assert packs("gru", 6, trained=False)
    assert packs("lstm", 6)
    assert not packs("lstm", 9)
    assert not packs("gru", 6, dtype=torch.bfloat16)
