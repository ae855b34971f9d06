"""Generation by graphs: the logits of torch, its tokens, whatever the batch, its length and its padding."""

import pytest
import torch

from tests.contract import families
from tests.tiny_captions import tiny_captioner

CLOSE = {"rtol": 0, "atol": 1e-4}
KINDS = {
    "seq2seq": lambda: families.build_seq2seq(),
    "pointer, coverage, input feeding": lambda: families.build_pointer(input_feeding=True, cell_type="gru"),
    "causal, gru, label as state": lambda: families.build_causal(**families.CAUSAL["gru, condition as state"]),
    "causal, min_gru, labels and vector as both": lambda: families.build_causal(
        cell_type="min_gru", hidden_size=12, condition_sizes=[3, 2], condition_vector_size=5
    ),
}
CONDITIONAL = [name for name in KINDS if name.startswith("causal")]


@pytest.fixture(params=KINDS)
def pair(request, exported_pair):
    """A model of torch and the same in onnxruntime."""
    return exported_pair(request.param, KINDS[request.param])


def batch_of(model: torch.nn.Module, *lengths: int) -> families.Batch:
    """Rows of these lengths: prompts padded on the left, sources on the right."""
    return families.draw_batch(model, (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long())


@pytest.mark.parametrize("lengths", [(1,), (12,), (9, 8, 2, 1)])
def test_logits_and_attention_are_those_of_torch(pair, lengths):
    torch_model, onnx_model = pair
    inputs = batch_of(torch_model, *lengths)
    if torch_model.config.is_encoder_decoder:
        inputs |= {"decoder_input_ids": torch.randint(5, 30, (len(lengths), 5)), "output_attentions": True}
    with torch.no_grad():
        expected = torch_model(**inputs)
    found = onnx_model(**inputs)
    if torch_model.config.is_encoder_decoder:
        torch.testing.assert_close(found.logits, expected.logits, **CLOSE)
        torch.testing.assert_close(found.cross_attentions[0], expected.cross_attentions[0], **CLOSE)
    else:
        real = inputs["attention_mask"].bool()
        torch.testing.assert_close(found.logits[real], expected.logits[real], **CLOSE)


def test_the_side_of_a_sources_padding_changes_nothing(exported_pair):
    torch_model, onnx_model = exported_pair("seq2seq", KINDS["seq2seq"])
    inputs = batch_of(torch_model, 6, 3) | {"decoder_input_ids": torch.randint(5, 30, (2, 4))}
    inputs |= {name: inputs[name].flip(1) for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        expected = torch_model(**inputs).logits
    torch.testing.assert_close(onnx_model(**inputs).logits, expected, **CLOSE)


@pytest.mark.parametrize(
    "options", [{"num_beams": 1}, {"num_beams": 3, "num_return_sequences": 2}, {"do_sample": True}]
)
@pytest.mark.parametrize("lengths", [(5,), (8, 7, 6, 1)])
def test_generated_tokens_are_those_of_torch(pair, options, lengths):
    inputs, results = batch_of(pair[0], *lengths), []
    for model in pair:
        torch.manual_seed(0)
        results.append(model.generate(**inputs, max_new_tokens=12, **options))
    assert torch.equal(*results)


def test_a_source_of_padding_is_refused(exported_pair):
    model = exported_pair("seq2seq", KINDS["seq2seq"])[1]
    inputs = batch_of(model, 3, 2)
    inputs["attention_mask"][1] = 0
    with pytest.raises(ValueError, match="row 1 of the batch holds only padding"):
        model.generate(**inputs)


@pytest.mark.parametrize("kind", CONDITIONAL)
def test_a_state_goes_on_over_padding_and_changes_its_condition_as_in_torch(exported_pair, kind):
    pair, results = exported_pair(kind, KINDS[kind]), []
    inputs = batch_of(pair[0], 5, 2, 1)
    more = {"input_ids": inputs["input_ids"][:, :3], "attention_mask": torch.tensor([[1, 1, 1], [0, 0, 0], [0, 1, 1]])}
    other = {"condition_ids": inputs["condition_ids"].flip(0)}
    for model in pair:
        with torch.no_grad():
            cache = model(**inputs, use_cache=True).past_key_values
            first = model(**more, past_key_values=cache).logits
            second = model(**more, past_key_values=cache, **other).logits
        results.append(torch.cat([first, second], dim=1)[more["attention_mask"].repeat(1, 2).bool()])
    torch.testing.assert_close(*results, **CLOSE)


@pytest.mark.parametrize("kind", CONDITIONAL)
def test_without_a_condition_the_state_starts_as_in_torch(exported_pair, kind):
    inputs = {"input_ids": torch.tensor([[5, 6, 7]])}
    found, expected = (model(**inputs).logits.detach() for model in reversed(exported_pair(kind, KINDS[kind])))
    torch.testing.assert_close(found, expected, **CLOSE)


def test_a_wrong_condition_is_refused_before_the_graph_runs(exported_pair):
    model = exported_pair(CONDITIONAL[1], KINDS[CONDITIONAL[1]])[1]
    inputs = {"input_ids": torch.tensor([[5, 6]])}
    with pytest.raises(ValueError, match=r"must be below the sizes \[3, 2\], or -1 for none"):
        model(**inputs, condition_ids=torch.tensor([[3, 0]]))
    with pytest.raises(ValueError, match="a condition vector has 4 features, the model's has 5"):
        model(**inputs, condition_vector=torch.zeros(1, 4))


@pytest.mark.parametrize("size", [(32, 32), (64, 32)])
def test_captions_and_where_they_look_are_those_of_torch(exported_pair, size):
    torch_model, onnx_model = exported_pair("captions", tiny_captioner)
    pixels, tokens = torch.rand(3, 3, *size), torch.randint(4, 30, (3, 5))
    inputs = {"pixel_values": pixels, "decoder_input_ids": tokens, "output_attentions": True}
    with torch.no_grad():
        expected, found = torch_model(**inputs), onnx_model(**inputs)
    torch.testing.assert_close(found.logits, expected.logits, **CLOSE)
    torch.testing.assert_close(found.cross_attentions[0], expected.cross_attentions[0], **CLOSE)
    for beams in (1, 3):
        texts = [model.generate(pixels, num_beams=beams, max_new_tokens=8) for model in (torch_model, onnx_model)]
        assert torch.equal(*texts)


def test_a_captioner_of_features_is_refused(exported_pair):
    with pytest.raises(ValueError, match="pass pixel_values"):
        exported_pair("captions", tiny_captioner)[1].generate(features=torch.rand(1, 4, 16))
