"""The stack: weights that move to and from torch's layers, directions, masks, regularization."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnn_hub.cells import CELLS
from rnn_hub.layers.dropout import SequenceDropout
from rnn_hub.layers.stack import RnnStack

LENGTHS = torch.tensor([7, 3, 5])
RIGHT = torch.arange(7) < LENGTHS[:, None]


@pytest.mark.parametrize(("name", "native"), [("lstm", nn.LSTM), ("gru", nn.GRU), ("elman", nn.RNN)])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_weights_move_both_ways_and_ragged_batches_equal_packed_ones(
    name: str, native: type[nn.Module], bidirectional: bool
) -> None:
    theirs = native(4, 6, num_layers=2, batch_first=True, bidirectional=bidirectional).double()
    ours = RnnStack(4, 6, 2, name, bidirectional).double()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(3, 7, 4, dtype=torch.float64)
    packed, final = theirs(pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False))
    expected, _ = pad_packed_sequence(packed, batch_first=True)
    output, state = ours(x, RIGHT)
    torch.testing.assert_close(output, expected)
    for index, part in enumerate(final if name == "lstm" else (final,)):
        torch.testing.assert_close(torch.stack([layer[index] for layer in state]), part)
    again = native(4, 6, num_layers=2, batch_first=True, bidirectional=bidirectional).double()
    again.load_state_dict(ours.state_dict())
    torch.testing.assert_close(again(x)[0], ours(x)[0])


@pytest.mark.parametrize("name", sorted(CELLS))
@pytest.mark.parametrize("unrolling", ["dynamic", "static"])
def test_left_padded_rows_equal_right_padded_rows_in_both_directions(name: str, unrolling: str) -> None:
    stack = RnnStack(4, 5, 2, name, bidirectional=True, unrolling=unrolling, layer_norm=True).double()
    rows = [torch.randn(length, 4, dtype=torch.float64) for length in LENGTHS.tolist()]
    right = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=9.0)
    left = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-7.0, padding_side="left")
    first, first_state = stack(right, RIGHT)
    second, second_state = stack(left, RIGHT.flip(1))
    torch.testing.assert_close(first_state, second_state)
    for row, length in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(first[row, :length], second[row, 7 - length :])
        assert not first[row, length:].any()
        torch.testing.assert_close(stack(rows[row][None])[0][0], first[row, :length])


def test_static_unrolling_equals_dynamic_and_can_be_exported() -> None:
    stack = RnnStack(4, 5, 2, "lstm", bidirectional=True, unrolling="static", static_length=8).eval()
    x = torch.randn(3, 7, 4)
    expected, _ = stack(x, RIGHT)
    stack.unrolling = "dynamic"
    torch.testing.assert_close(stack(x, RIGHT)[0], expected)
    stack.unrolling = "static"
    exported = torch.export.export(stack, (x, RIGHT)).module()
    torch.testing.assert_close(exported(x, RIGHT)[0], expected)


def test_a_stack_compiles() -> None:
    stack = RnnStack(4, 5, 1, "gru", bidirectional=True).eval()
    x = torch.randn(3, 7, 4)
    compiled = torch.compile(stack, backend="aot_eager")
    torch.testing.assert_close(compiled(x, RIGHT)[0], stack(x, RIGHT)[0])


def test_too_long_for_static_unrolling_says_what_to_do() -> None:
    stack = RnnStack(4, 5, unrolling="static", static_length=6)
    with pytest.raises(ValueError, match="6 steps got a sequence of 7.*truncate"):
        stack(torch.randn(3, 7, 4))


def test_merging_by_sum_adds_the_directions() -> None:
    concat, added = RnnStack(4, 5, bidirectional=True), RnnStack(4, 5, bidirectional=True, merge="sum")
    added.load_state_dict(concat.state_dict())
    x = torch.randn(3, 7, 4)
    torch.testing.assert_close(added(x, RIGHT)[0], sum(concat(x, RIGHT)[0].chunk(2, dim=-1)))
    assert added.output_size == 5


def test_residual_connections_add_a_layers_input() -> None:
    plain, residual = RnnStack(5, 5, 1), RnnStack(5, 5, 1, residual=True)
    residual.load_state_dict(plain.state_dict())
    x = torch.randn(3, 7, 5)
    torch.testing.assert_close(residual(x)[0], x + plain(x)[0])


def test_weight_dropout_drops_recurrent_weights_in_training_only() -> None:
    stack = RnnStack(4, 5, weight_dropout=0.5)
    x = torch.randn(3, 7, 4)
    assert not torch.equal(stack(x)[0], stack(x)[0])
    dropped = stack.cell(0).weights["weight_hh"]
    assert 0.2 < (dropped == 0).float().mean() < 0.8
    stack.eval()
    assert torch.equal(stack(x)[0], stack(x)[0])
    assert stack.cell(0).weights["weight_hh"] is stack.weight_hh_l0


def test_weight_dropout_of_a_cell_without_recurrent_weights_is_refused() -> None:
    with pytest.raises(ValueError, match="'min_gru' has no recurrent weights to drop.*zoneout"):
        RnnStack(4, 5, cell_type="min_gru", weight_dropout=0.1)
    assert RnnStack(4, 5, cell_type="ind_rnn", weight_dropout=0.5).cell(0).weights["weight_hh"].eq(0).any()


@pytest.mark.parametrize("name", ["lstm", "min_gru", "mlstm", "slstm"])
def test_zoneout_draws_in_training_and_freezes_at_padding(name: str) -> None:
    stack = RnnStack(4, 8, 2, name, bidirectional=True, zoneout=0.4)
    x = torch.randn(3, 7, 4)
    assert not torch.equal(stack(x, RIGHT)[0], stack(x, RIGHT)[0])
    stack(x, RIGHT)[0].sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in stack.parameters())
    output, state = stack.eval()(x, RIGHT)
    for row, length in enumerate(LENGTHS.tolist()):
        alone, end = stack(x[row : row + 1, :length])
        torch.testing.assert_close(output[row, :length], alone[0])
        torch.testing.assert_close([part[row : row + 1] for layer in state for part in layer], [*sum(end, ())])
    plain = RnnStack(4, 8, 2, name, bidirectional=True)
    plain.load_state_dict(stack.state_dict())
    assert not torch.allclose(plain(x, RIGHT)[0], output)


def test_variational_dropout_has_one_mask_for_all_steps() -> None:
    stack = RnnStack(4, 5, 2, dropout=0.5, variational_dropout=True)
    kept = stack.dropout(torch.ones(3, 7, 5))
    assert torch.equal(kept, kept[:, :1].expand_as(kept))
    assert set(kept.unique().tolist()) == {0.0, 2.0}
    stack.dropout.variational = False
    fresh = stack.dropout(torch.ones(3, 7, 50))
    assert not torch.equal(fresh, fresh[:, :1].expand_as(fresh))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_drops_the_share_it_should_and_keeps_the_mean(dtype: torch.dtype) -> None:
    dropout = SequenceDropout(0.3)
    x = torch.ones(7, 33, 43, dtype=dtype, requires_grad=True)
    torch.manual_seed(1)
    dropped = dropout(x)
    dropped.sum().backward()
    assert dropped.dtype == dtype
    assert dropped.unique().tolist() == [0, torch.tensor(1 / 0.7, dtype=dtype)]
    assert abs((dropped == 0).float().mean() - 0.3) < 0.02
    assert torch.equal(x.grad, dropped)
    torch.manual_seed(1)
    assert torch.equal(dropout(x), dropped)
    assert not torch.equal(dropout(x), dropped)


def test_a_learned_initial_state_is_used_and_trained() -> None:
    stack = RnnStack(4, 5, 2, bidirectional=True, learned_initial_state=True)
    with torch.no_grad():
        stack.initial_state_0_l0.fill_(0.5)
    x = torch.randn(3, 7, 4)
    state = stack.init_state(3, x)
    assert torch.equal(state[0][0], torch.full((3, 5), 0.5))
    stack(x, RIGHT)[0].sum().backward()
    assert stack.initial_state_0_l0.grad.any()
    assert stack.initial_state_1_l1_reverse.grad.any()


def test_a_state_given_is_continued() -> None:
    stack = RnnStack(4, 5, 2).double()
    x = torch.randn(3, 7, 4, dtype=torch.float64)
    whole, end = stack(x)
    _, state = stack(x[:, :3])
    rest, after = stack(x[:, 3:], None, state)
    torch.testing.assert_close(rest, whole[:, 3:])
    torch.testing.assert_close(after, end)


@pytest.mark.parametrize("name", sorted(CELLS))
def test_every_cell_trains_under_bfloat16_autocast(name: str) -> None:
    stack = RnnStack(4, 5, 2, name, bidirectional=True)
    x = torch.randn(3, 7, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output, _ = stack(x, RIGHT)
    output.float().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in stack.parameters())
    assert (output.float() - stack(x, RIGHT)[0]).abs().mean() < 0.01


def test_gradient_checkpointing_gives_the_same_gradients() -> None:
    stack = RnnStack(4, 5, 2, bidirectional=True).double()
    x = torch.randn(3, 7, 4, dtype=torch.float64, requires_grad=True)

    def run() -> tuple[Tensor, ...]:
        return torch.autograd.grad(stack(x, RIGHT)[0].pow(2).sum(), [x, *stack.parameters()])

    expected = run()
    stack._gradient_checkpointing_func = lambda *args: torch.utils.checkpoint.checkpoint(*args, use_reentrant=False)
    stack.gradient_checkpointing = True
    torch.testing.assert_close(run(), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell_type": "lsmt"}, "'lsmt'.*lstm"),
        ({"merge": "mean"}, "'mean'.*concat, sum"),
        ({"unrolling": "lazy"}, "'lazy'.*dynamic, static"),
        ({"dropout": 1.5}, "1.5"),
    ],
)
def test_wrong_options_name_the_choices(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RnnStack(4, 5, **options)


@pytest.mark.parametrize("unrolling", ["dynamic", "static"])
def test_residual_outputs_are_zero_at_padding_whatever_stands_there(unrolling: str) -> None:
    stack = RnnStack(5, 5, 2, residual=True, layer_norm=True, unrolling=unrolling)
    x = torch.randn(3, 7, 5)
    dirty = x.masked_fill(~RIGHT[..., None], float("nan"))
    output, state = stack(dirty, RIGHT)
    assert not output[~RIGHT].any()
    torch.testing.assert_close((output, state), stack(x, RIGHT))


def test_a_single_step_is_not_padded_to_the_static_length() -> None:
    stack = RnnStack(4, 5, 2, unrolling="static", static_length=50)
    steps = []
    original = stack.cell_class.step
    stack.cell_class = type("Counted", (stack.cell_class,), {"step": lambda *a: steps.append(1) or original(*a)})
    output, _ = stack(torch.randn(3, 1, 4))
    assert output.shape == (3, 1, 5)
    assert len(steps) == 2


def test_drawn_noise_is_one_dropout_for_several_calls() -> None:
    stack = RnnStack(4, 5, 2, dropout=0.5, variational_dropout=True, weight_dropout=0.5).double()
    x = torch.randn(3, 7, 4).double()
    noise = stack.draw_noise(3, x)
    whole, _ = stack(x, None, None, noise)
    first, state = stack(x[:, :3], None, None, noise)
    second, _ = stack(x[:, 3:], None, state, noise)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    other, _ = stack(x, None, None, stack.draw_noise(3, x))
    assert not torch.equal(other, whole)
    assert all(part is None for part in (*stack.eval().draw_noise(3, x).inputs, *stack.draw_noise(3, x).weights))
