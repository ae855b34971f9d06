"""Every registered cell: steps and scan agree, the mask has its one meaning, states resume."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from rnn_hub.cells import CELLS, Cell, fused, get_cell, packed, register_cell
from rnn_hub.cells.scan import scan_steps
from rnn_hub.training.run import float32_matmul_precision

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


def published(name: str, w: Mapping[str, Tensor], inputs: Tensor, units: int) -> Tensor:
    """The last output of a cell from zeros over (T, I), by the papers' equations, without stabilizers."""
    h = c = torch.zeros(units, dtype=inputs.dtype)
    n, before = c, torch.zeros_like(inputs[0])
    heads = 2 if units == 16 else 1
    matrix, normalizer = 0.0, 0.0
    for x in inputs:
        a = w["weight_ih"] @ x + w["bias_ih"]
        if name == "min_gru":  # Feng et al. 2024, section 3.1
            z, candidate = a.chunk(2)
            h = (1 - z.sigmoid()) * h + z.sigmoid() * candidate
        elif name == "min_lstm":  # Feng et al. 2024, section 3.2
            f, i, candidate = a.chunk(3)
            f, i = f.sigmoid(), i.sigmoid()
            h = f / (f + i) * h + i / (f + i) * candidate
        elif name == "rg_lru":  # De et al. 2024, equations 1 to 4
            r, i, u = a.chunk(3)
            decay = w["decay"].sigmoid() ** (8 * r.sigmoid())
            h = decay * h + (1 - decay**2).sqrt() * i.sigmoid() * u
        elif name == "sru":  # Lei et al. 2018, equations 1 to 4, v = 0
            f, r, candidate, *highway = a.split(units)
            c = f.sigmoid() * c + (1 - f.sigmoid()) * candidate
            h = r.sigmoid() * c + (1 - r.sigmoid()) * (highway[0] if highway else 3**0.5 * x)
        elif name == "qrnn":  # Bradbury et al. 2017, equations 2 and 4
            z, f, o = (a + w["weight_window"] @ before).chunk(3)
            c = f.sigmoid() * c + (1 - f.sigmoid()) * z.tanh()
            h, before = o.sigmoid() * c, x
        elif name == "ind_rnn":  # Li et al. 2018, equation 3
            h = (a + w["weight_hh"].clamp(-1, 1) * h).relu()
        elif name == "slstm":  # Beck et al. 2024, equations 8 to 14
            i, f, z, o = (a + w["weight_hh"] @ h + w["bias_hh"]).chunk(4)
            c = f.sigmoid() * c + i.exp() * z.tanh()
            n = f.sigmoid() * n + i.exp()
            h = o.sigmoid() * c / n
        else:  # mlstm, Beck et al. 2024, equations 19 to 27, each head normalized
            q, k, v, o = (part.view(heads, -1) for part in a.chunk(4))
            i, f = (w["weight_gates"] @ x + w["bias_gates"]).chunk(2)
            k, i, f = k / k.shape[1] ** 0.5, i.exp()[:, None], f.sigmoid()[:, None]
            matrix = f[..., None] * matrix + i[..., None] * v[:, :, None] * k[:, None]
            normalizer = f * normalizer + i * k
            bound = (normalizer * q).sum(1).abs().clamp(min=1)
            read = (matrix @ q[..., None])[..., 0] / bound[:, None]
            read = (read - read.mean(1, keepdim=True)) / (read.var(1, correction=0, keepdim=True) + 1e-5).sqrt()
            h = o.flatten().sigmoid() * w["gain"] * read.flatten()
    return h


@pytest.mark.parametrize("name", ["min_gru", "min_lstm", "rg_lru", "sru", "qrnn", "ind_rnn", "slstm", "mlstm"])
@pytest.mark.parametrize("units", [INPUTS, 16])
def test_a_sequence_follows_the_published_equations(name: str, units: int) -> None:
    shapes = get_cell(name).weight_shapes(INPUTS, units)
    weights = {key: torch.randn(shape, dtype=torch.float64) for key, shape in shapes.items()}
    x = torch.randn(2, TIME, INPUTS, dtype=torch.float64)
    output, _ = get_cell(name)(weights, units).scan(x)
    for row in (0, 1):
        torch.testing.assert_close(output[row, -1], published(name, weights, x[row], units))


@pytest.mark.parametrize("name", [name for name in sorted(CELLS) if CELLS[name].scan is not Cell.scan])
@pytest.mark.parametrize("units", [4, 256])
def test_parallel_scans_keep_float32s_precision_over_long_sequences_and_equal_any_pieces(name: str, units: int) -> None:
    cell_class, steps = get_cell(name), 2048 if units == 4 else 160  # 160: more than a block, and than two chunks
    shapes = cell_class.weight_shapes(INPUTS, units)
    weights = {key: cell_class.initial_weight(key, shape, units) for key, shape in shapes.items()}
    x, mask = torch.randn(16, steps, INPUTS), torch.rand(16, steps) > 0.1
    exact = cell_class({key: weight.double() for key, weight in weights.items()}, units)
    expected, end = scan_steps(exact, x.double(), exact.init_state(16, x.double()), mask)
    cell = cell_class(weights, units)
    errors = [
        (output - expected).abs().max() / expected.abs().max()
        for output, _ in (cell.scan(x, None, mask), scan_steps(cell, x, cell.init_state(16, x), mask))
    ]
    assert errors[0] < max(2e-6, 2 * errors[1])  # or about as precise as the steps
    pieces, state = [], None
    for piece, real in zip(x.double().split(70, dim=1), mask.split(70, dim=1), strict=True):
        output, state = exact.scan(piece, state, real)
        pieces.append(output)
    torch.testing.assert_close((torch.cat(pieces, dim=1), state), (expected, end), atol=1e-11, rtol=1e-11)


@every_cell
def test_the_first_part_of_a_state_is_the_last_real_output(name: str) -> None:
    cell, _ = build(name)
    x = torch.randn(BATCH, TIME, INPUTS, dtype=torch.float64)
    output, state = cell.scan(x, None, RIGHT)
    for row, length in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(
            state[0][row], output[row, length - 1] if length else torch.zeros_like(state[0][row])
        )


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
    kind = next(kind for kind in CELLS.values() if kind.kernel == kernel)
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


@pytest.mark.parametrize("has_units", [True, False])
def test_wide_lstms_are_packed_where_products_may_be_in_bfloat16(
    has_units: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def packs(units: int, batch: int) -> bool:
        kind = get_cell("lstm")
        weights = {key: torch.zeros(shape) for key, shape in kind.weight_shapes(2, units).items()}
        x = torch.zeros(batch, 10, 2, requires_grad=True)
        return fused._pays_to_pack("lstm", weights, x, kind(weights, units).init_state(batch, x), None)

    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": has_units})
    assert not packs(512, 16)
    with float32_matmul_precision("medium"):
        assert packs(512, 16) == packs(256, 32) == has_units
        assert not packs(128, 128) and not packs(256, 16)
