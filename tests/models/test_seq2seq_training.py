"""How the sequence-to-sequence model trains."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from rnn_hub.cells import CELLS
from rnn_hub.models.seq2seq.configuration_seq2seq import RnnSeq2SeqConfig
from rnn_hub.models.seq2seq.modeling_seq2seq import RnnForConditionalGeneration

SIZES = {"vocab_size": 30, "embedding_size": 16, "encoder_hidden_size": 16, "decoder_hidden_size": 32}


def build(**options: object) -> RnnForConditionalGeneration:
    return RnnForConditionalGeneration(RnnSeq2SeqConfig(**{**SIZES, **options}))


@pytest.fixture
def pairs() -> dict[str, Tensor]:
    """Eight sources of 3 to 7 tokens whose targets are their reversals."""
    source = torch.zeros(8, 7, dtype=torch.long)
    labels = torch.full((8, 8), -100)
    for row in range(8):
        tokens = torch.randint(4, 30, (3 + row % 5,))
        source[row, : len(tokens)] = tokens
        labels[row, : len(tokens)] = tokens.flip(0)
        labels[row, len(tokens)] = 3
    return {"input_ids": source, "attention_mask": (source != 0).long(), "labels": labels}


def train(model: RnnForConditionalGeneration, pairs: dict[str, Tensor], updates: int) -> list[float]:
    """Trains a model on one batch; returns the loss before each update."""
    optimizer, losses = torch.optim.Adam(model.train().parameters(), lr=0.01), []
    for _ in range(updates):
        loss = model(**pairs).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("attention", ["additive", "general", None])
@pytest.mark.parametrize("cell", ["lstm", "gru", "layer_norm_lstm"])
def test_a_tiny_model_learns_eight_pairs_by_heart(attention: str | None, cell: str, pairs: dict[str, Tensor]) -> None:
    model = build(attention_type=attention, cell_type=cell)
    train(model, pairs, 150)
    source = {name: pairs[name] for name in ("input_ids", "attention_mask")}
    output = model.eval().generate(**source, max_new_tokens=8, do_sample=False)[:, 1:]
    expected = pairs["labels"].clamp(min=0)[:, : output.shape[1]]
    assert torch.equal(output, expected)


@pytest.mark.parametrize("cell", sorted(CELLS))
def test_a_model_of_every_cell_learns(cell: str, pairs: dict[str, Tensor]) -> None:
    losses = train(build(attention_type="additive", cell_type=cell), pairs, 120)
    assert losses[-1] < 0.25 * losses[0]


def test_the_training_loss_is_smoothed_and_the_evaluation_loss_is_not(pairs: dict[str, Tensor]) -> None:
    model = build(label_smoothing=0.2).eval()
    output = model(**pairs)
    logits, labels = output.logits.flatten(0, 1), pairs["labels"].flatten()
    torch.testing.assert_close(output.loss, F.cross_entropy(logits, labels))
    smoothed = model.train()(**pairs)
    torch.testing.assert_close(smoothed.loss, F.cross_entropy(logits, labels, label_smoothing=0.2))
    assert smoothed.logits is None


def test_the_loss_divides_by_the_items_of_the_whole_update(pairs: dict[str, Tensor]) -> None:
    model = build().eval()
    real = (pairs["labels"] != -100).sum()
    torch.testing.assert_close(model(**pairs, num_items_in_batch=2 * real).loss, model(**pairs).loss / 2)


def test_two_halves_of_a_batch_give_the_gradient_of_the_whole(pairs: dict[str, Tensor]) -> None:
    model = build().double().train()
    real = (pairs["labels"] != -100).sum()
    model(**pairs).loss.backward()
    whole = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    for part in (slice(0, 3), slice(3, 8)):
        model(**{name: value[part] for name, value in pairs.items()}, num_items_in_batch=real).loss.backward()
    torch.testing.assert_close([parameter.grad for parameter in model.parameters()], whole)


def test_every_parameter_is_trained(pairs: dict[str, Tensor]) -> None:
    for options in (
        {},
        {"decoder_num_layers": 2, "attention_layer": 0},
        {"input_feeding": True},
        {"learned_initial_state": True},
        {"learned_initial_state": True, "bridge": "zero"},
    ):
        model = build(**options).train()
        model(**pairs).loss.backward()
        assert all(p.grad is not None and p.grad.any() for p in model.parameters()), options


def test_scheduled_sampling_changes_inputs_in_training_only(pairs: dict[str, Tensor]) -> None:
    model = build(scheduled_sampling=0.9).train()
    seen = []
    model.embeddings.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    model(**pairs).loss.backward()
    forced = model.prepare_decoder_input_ids_from_labels(pairs["labels"])
    assert torch.equal(seen[-1][:, 0], forced[:, 0])
    assert (seen[-1] != forced).float().mean() > 0.2
    assert torch.equal(seen[-1][:, 1:][pairs["labels"][:, :-1] == -100], forced[:, 1:][pairs["labels"][:, :-1] == -100])
    model.eval()(**pairs)
    assert torch.equal(seen[-1], forced)


@pytest.mark.parametrize("reentrant", [False, True])
def test_gradient_checkpointing_gives_the_same_gradients(pairs: dict[str, Tensor], reentrant: bool) -> None:
    options = {"weight_dropout": 0.2, "dropout": 0.2, "variational_dropout": True}
    model = build(encoder_num_layers=2, decoder_num_layers=2, **options).double().train()

    def gradients() -> list[Tensor]:
        torch.manual_seed(5)
        model.zero_grad()
        model(**pairs).loss.backward()
        return [parameter.grad.clone() for parameter in model.parameters()]

    expected = gradients()
    model.activation_checkpointing_enable({"use_reentrant": reentrant})
    assert model.encoder.stack.gradient_checkpointing
    torch.testing.assert_close(gradients(), expected)


def test_a_copy_is_independent(pairs: dict[str, Tensor]) -> None:
    model = build().eval()
    twin = copy.deepcopy(model)
    expected = twin(**pairs).loss
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    torch.testing.assert_close(twin(**pairs).loss, expected)


def test_labels_become_inputs_behind_the_start_token() -> None:
    labels = torch.tensor([[5, 6, 3], [7, 3, -100]])
    assert build().prepare_decoder_input_ids_from_labels(labels).tolist() == [[2, 5, 6], [2, 7, 3]]


def test_a_decoder_without_a_target_says_what_it_needs(pairs: dict[str, Tensor]) -> None:
    with pytest.raises(ValueError, match="decoder_input_ids, decoder_inputs_embeds or labels"):
        build()(input_ids=pairs["input_ids"])


def test_inputs_given_beside_labels_are_all_read_even_where_labels_are_ignored(pairs: dict[str, Tensor]) -> None:
    model = build().eval()
    source = {name: pairs[name] for name in ("input_ids", "attention_mask")}
    inputs, labels = torch.randint(4, 30, (8, 6)), torch.randint(4, 30, (8, 6))
    labels[:, :3] = -100  # a prompt, which trains nothing but is the context of the rest
    output = model(**source, decoder_input_ids=inputs, labels=labels)
    logits = model(**source, decoder_input_ids=inputs).logits
    torch.testing.assert_close(output.logits, logits)
    torch.testing.assert_close(output.loss, F.cross_entropy(logits[:, 3:].flatten(0, 1), labels[:, 3:].flatten()))


def test_outputs_of_the_encoder_may_be_a_tuple_and_must_be_whole(pairs: dict[str, Tensor]) -> None:
    model = build().eval()
    mask, labels = pairs["attention_mask"], pairs["labels"]
    encoded = model.encoder(input_ids=pairs["input_ids"], attention_mask=mask)
    as_tuple = model.encoder(input_ids=pairs["input_ids"], attention_mask=mask, return_dict=False)
    assert isinstance(as_tuple, tuple)
    for outputs in (encoded, as_tuple):
        result = model(encoder_outputs=outputs, attention_mask=mask, labels=labels)
        torch.testing.assert_close(result.loss, model(**pairs).loss)
    with pytest.raises(ValueError, match="lack pooler_output"):
        model(encoder_outputs=(encoded.last_hidden_state,), attention_mask=mask, labels=labels)


def test_outputs_come_as_a_tuple_on_request(pairs: dict[str, Tensor]) -> None:
    model = build().eval()
    loss, logits, *_ = model(**pairs, return_dict=False)
    torch.testing.assert_close(loss, model(**pairs).loss)
    assert logits.shape == (8, 8, 30)


def test_more_targets_than_sources_are_refused_unless_they_share_them_evenly(pairs: dict[str, Tensor]) -> None:
    for attention in ("general", None):
        model = build(attention_type=attention).eval()
        with pytest.raises(ValueError, match="does not fit a batch|cannot share"):
            model(input_ids=pairs["input_ids"][:2], decoder_input_ids=torch.full((3, 2), 5))


def test_labels_without_a_start_token_say_what_is_missing(pairs: dict[str, Tensor]) -> None:
    with pytest.raises(ValueError, match="no decoder_start_token_id"):
        build(decoder_start_token_id=None)(**pairs)


@pytest.mark.parametrize("options", [{}, {"input_feeding": True}, {"attention_type": None, "cell_type": "gru"}])
def test_a_model_trains_in_mixed_and_in_half_precision(options: dict, pairs: dict[str, Tensor]) -> None:
    model = build(**options).train()
    expected = model(**pairs).loss
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model(**pairs).loss
    loss.backward()
    half = model.bfloat16()(**pairs).loss
    for value in (loss, half):
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(expected.item(), rel=0.03)
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_static_unrolling_exports_and_compiles_to_what_dynamic_unrolling_computes(pairs: dict[str, Tensor]) -> None:
    model = build(input_feeding=True).eval()
    inputs = (pairs["input_ids"], pairs["attention_mask"], model.prepare_decoder_input_ids_from_labels(pairs["labels"]))
    expected = model(*inputs).logits
    static = build(input_feeding=True, unrolling="static").eval()
    static.load_state_dict(model.state_dict())

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = static

        def forward(self, *inputs: Tensor) -> Tensor:
            return self.model(*inputs).logits

    torch.testing.assert_close(torch.export.export(Logits(), inputs).module()(*inputs), expected)
    torch.testing.assert_close(torch.compile(static, backend="aot_eager")(*inputs).logits, expected)
