"""The decoder: a whole target at once equals step by step, and what its output layer and bridge compute."""

import pytest
import torch
import torch.nn.functional as F

from rnn_hub.cells import Cell, fused
from rnn_hub.layers.bridge import Bridge
from rnn_hub.layers.decoder import AttentionDecoder
from rnn_hub.layers.embedding import ScaledEmbedding
from rnn_hub.layers.loss import linear_cross_entropy, sampled_cross_entropy
from rnn_hub.layers.stack import RnnStack

VARIANTS = {
    "attention after the last layer": {},
    "attention after the first of two": {"num_layers": 2, "attention_layer": 0},
    "attention after the second of three": {"num_layers": 3, "attention_layer": 1},
    "input feeding": {"input_feeding": True, "attention_type": "additive"},
    "input feeding in two layers": {"input_feeding": True, "num_layers": 2, "attention_layer": 0},
    "no attention": {"attention_type": None, "num_layers": 2},
    "another cell": {"cell_type": "gru", "attention_type": "concat"},
    "a parallel cell": {"cell_type": "qrnn", "num_layers": 2, "attention_layer": 0},
    "a matrix memory and input feeding": {"cell_type": "mlstm", "input_feeding": True},
}


def build(options: dict) -> AttentionDecoder:
    sizes = {"input_size": 4, "hidden_size": 6, "num_layers": 1, "memory_size": 5, "output_size": 3}
    return AttentionDecoder(**{**sizes, **options}).double()


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS.keys())
def test_a_whole_target_equals_step_by_step(options: dict) -> None:
    decoder = build(options)
    x, source = torch.randn(3, 7, 4).double(), torch.randn(3, 5, 5).double()
    memory = decoder.remember(source, torch.arange(5) < torch.tensor([[5], [2], [4]]))
    start = decoder.init_state(3, x)
    output, weights, end = decoder(x, memory, start)
    state, steps = start, []
    for t in range(7):
        step, _, state = decoder(x[:, t : t + 1], memory, state)
        steps.append(step)
    torch.testing.assert_close(torch.cat(steps, dim=1), output)
    torch.testing.assert_close(state, end)
    assert weights is None if options.get("attention_type", "") is None else weights.shape == (3, 7, 5)


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS.keys())
def test_padding_of_a_target_freezes_the_state(options: dict) -> None:
    decoder = build(options)
    x, source = torch.randn(3, 7, 4).double(), torch.randn(3, 5, 5).double()
    memory = decoder.remember(source, None)
    mask = torch.arange(7) < torch.tensor([[7], [7], [4]])
    output, _, end = decoder(x, memory, decoder.init_state(3, x), mask)
    alone = decoder.remember(source[2:], None)
    short, _, state = decoder(x[2:, :4], alone, decoder.init_state(1, x))
    torch.testing.assert_close(output[2, :4], short[0])
    torch.testing.assert_close(tuple(tuple(p[2:] for p in layer) for layer in end), state)


def test_a_layer_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="attention_layer 2.*1 layers"):
        build({"attention_layer": 2})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_output_layers_loss_equals_cross_entropy_forward_and_backward(dtype: torch.dtype, smoothing: float) -> None:
    hidden = torch.randn(3, 90, 8, dtype=dtype, requires_grad=True)
    weight, bias = torch.randn(40, 8, dtype=dtype, requires_grad=True), torch.randn(40, dtype=dtype, requires_grad=True)
    labels = torch.randint(0, 40, (3, 90))
    labels[0, :7] = -100
    ours = linear_cross_entropy(hidden, weight, bias, labels, smoothing)
    logits = F.linear(hidden, weight, bias).flatten(0, 1)
    theirs = F.cross_entropy(logits, labels.flatten(), label_smoothing=smoothing, reduction="sum")
    torch.testing.assert_close(ours, theirs)
    inputs = (hidden, weight, bias)
    close = {"atol": 1e-10, "rtol": 1e-8} if dtype == torch.float64 else {"atol": 1e-4, "rtol": 1e-4}
    torch.testing.assert_close(torch.autograd.grad(3 * ours, inputs), torch.autograd.grad(3 * theirs, inputs), **close)


def test_a_sampled_loss_is_exact_with_all_classes_and_its_normalizer_right_on_average_with_a_few() -> None:
    hidden, weight, bias = torch.randn(2, 5, 8), torch.randn(40, 8, requires_grad=True), torch.randn(40)
    labels = torch.randint(0, 40, (2, 5))
    labels[0, :2] = -100
    exact = linear_cross_entropy(hidden, weight, bias, labels)
    everything = sampled_cross_entropy(hidden, weight, bias, labels, 40)
    torch.testing.assert_close(everything, exact)
    torch.testing.assert_close(torch.autograd.grad(everything, weight), torch.autograd.grad(exact, weight))

    def normalizer(num_samples: int) -> torch.Tensor:
        one = torch.where(torch.arange(10).view(2, 5) == 7, labels, -100)
        loss = sampled_cross_entropy(hidden, weight, bias, one, num_samples)
        return (loss + F.linear(hidden, weight, bias)[1, 2, labels[1, 2]]).exp().detach()

    estimates = torch.stack([normalizer(10) for _ in range(1000)])
    assert estimates.std() > 0
    assert (estimates.mean() - normalizer(40)).abs() < 4 * estimates.std() / 1000**0.5
    assert sampled_cross_entropy(hidden, weight, bias, torch.full((2, 5), -100), 10) == 0


def test_the_loss_of_no_token_is_zero() -> None:
    hidden = torch.randn(2, 3, 8, requires_grad=True)
    loss = linear_cross_entropy(hidden, torch.randn(40, 8), None, torch.full((2, 3), -100))
    loss.backward()
    assert loss == 0
    assert not hidden.grad.any()


def test_a_linear_bridge_starts_every_vector_of_every_layer_and_shares_a_source_among_beams() -> None:
    decoder = build({"num_layers": 2, "attention_layer": 0, "input_feeding": True})
    bridge = Bridge("linear", 10, decoder).double()
    summary = torch.randn(2, 10).double()
    state = bridge(summary, None, torch.zeros(6, 1, 4).double())
    expected = torch.tanh(bridge.linear(summary)).repeat_interleave(3, dim=0).split(6, dim=-1)
    torch.testing.assert_close((*state[0], *state[1]), expected)
    assert not state[2][0].any()  # input feeding starts from zero


def test_a_copying_bridge_puts_directions_side_by_side_or_says_why_it_cannot() -> None:
    bridge = Bridge("copy", 6, build({}))
    forward, backward = ((torch.ones(2, 3) * k, torch.ones(2, 3) * -k) for k in (1.0, 2.0))
    ((hidden, memory),) = bridge(torch.zeros(2, 6), (forward, backward), torch.zeros(2, 1, 4))
    assert torch.equal(hidden, torch.tensor([[1.0] * 3 + [2.0] * 3] * 2))
    assert torch.equal(memory, -hidden)
    with pytest.raises(ValueError, match=r"\(4 with their directions\).*size \(6\)"):
        bridge(torch.zeros(2, 4), ((torch.zeros(2, 4),) * 2,), torch.zeros(2, 1, 4))


@pytest.mark.parametrize("name", ["mlstm", "slstm", "qrnn"])
@pytest.mark.parametrize("kind", ["linear", "copy"])
def test_parts_of_a_state_that_are_no_vector_start_as_the_cell_says(name: str, kind: str) -> None:
    decoder = build({"cell_type": name, "num_layers": 2, "attention_layer": 0})
    encoder = RnnStack(4, 3, 2, name, bidirectional=True).double()
    _, state = encoder(torch.randn(2, 5, 4).double())
    x = torch.zeros(2, 1, 4).double()
    started = Bridge(kind, 6, decoder).double()(torch.randn(2, 6).double(), state, x)
    for layer, initial in zip(started, decoder.init_state(2, x), strict=True):
        assert layer[0].any()
        for part, zero in zip(layer, initial, strict=True):
            assert part.shape == zero.shape
            assert part.dim() == 2 or torch.equal(part, zero)


def test_scaled_embeddings_scale_what_they_look_up_only() -> None:
    embedding = ScaledEmbedding(5, 16)
    assert torch.equal(embedding(torch.tensor([3])), 4 * embedding.weight[3:4])


def test_input_feeding_keeps_one_variational_dropout_and_one_weight_dropout_for_all_steps(monkeypatch) -> None:
    monkeypatch.setattr(fused, "defers", lambda x: False)  # else the cells of a pass are made once
    options = {"input_feeding": True, "num_layers": 3, "attention_layer": 1, "attention_type": "additive"}
    decoder = build({**options, "dropout": 0.5, "variational_dropout": True, "weight_dropout": 0.5})
    dropped: list[torch.Tensor] = []

    def watch(stack: RnnStack) -> None:
        make = stack.cell

        def cell(*args: object, **options: object) -> Cell:
            made = make(*args, **options)
            dropped.append(made.weights["weight_hh"] == 0)
            return made

        stack.cell = cell
        stack.dropout.register_forward_hook(lambda module, inputs, output: dropped.append(output == 0))

    for stack in decoder.stacks:
        watch(stack)
    x = torch.randn(2, 4, 4).double()
    decoder(x, decoder.remember(torch.randn(2, 5, 5).double(), None), decoder.init_state(2, x))
    steps = [dropped[start::5] for start in range(5)]  # three layers' weights, and the inputs of two
    assert len(dropped) == 4 * 5
    for first, *rest in steps:
        assert first.any() and not first.all()
        assert all(torch.equal(first, other) for other in rest)
