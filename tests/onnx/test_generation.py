"""Encoder and step as graphs: the logits of torch, its tokens, whatever the batch, its length and its padding."""

import pytest
import torch

from rnn_hub.onnx.export import export
from rnn_hub.onnx.models import load_onnx
from tests.contract.families import POINTER, SEQ2SEQ, build_pointer, build_seq2seq

KINDS = ["default", "min_gru, residual"]
CLOSE = {"rtol": 0, "atol": 1e-4}


@pytest.fixture(scope="module", params=[*KINDS, "pointer, coverage, input feeding"])
def pair(request, tmp_path_factory):
    """A model of torch and the same in onnxruntime."""
    if request.param in POINTER:
        model = build_pointer(**POINTER[request.param])
    else:
        model = build_seq2seq(**SEQ2SEQ[request.param])
    folder = tmp_path_factory.mktemp("model")
    model.save_pretrained(folder)
    export(model, folder, folder / "onnx")
    return model, load_onnx(folder / "onnx")


def source(batch: int, length: int, side: str = "right") -> dict[str, torch.Tensor]:
    """Rows of `length`, `length` - 1, ... tokens."""
    ids = torch.randint(5, 30, (batch, length))
    mask = torch.arange(length) < torch.arange(length, length - batch, -1)[:, None]
    return {"input_ids": ids, "attention_mask": (mask if side == "right" else mask.flip(1)).long()}


@pytest.mark.parametrize(
    ("batch", "length", "side"), [(1, 1, "right"), (1, 12, "right"), (4, 9, "right"), (3, 6, "left")]
)
def test_logits_and_attention_are_those_of_torch(pair, batch, length, side):
    torch_model, onnx_model = pair
    inputs = source(batch, length, side) | {"decoder_input_ids": torch.randint(5, 30, (batch, 5))}
    with torch.no_grad():
        expected = torch_model(**inputs, output_attentions=True)
    found = onnx_model(**inputs, output_attentions=True)
    torch.testing.assert_close(found.logits, expected.logits, **CLOSE)
    if expected.cross_attentions:
        torch.testing.assert_close(found.cross_attentions[0], expected.cross_attentions[0], **CLOSE)


@pytest.mark.parametrize("options", [{"num_beams": 1}, {"num_beams": 3, "num_return_sequences": 2}])
@pytest.mark.parametrize("batch", [1, 4])
def test_generated_tokens_are_those_of_torch(pair, options, batch):
    torch_model, onnx_model = pair
    inputs = source(batch, 8)
    expected = torch_model.generate(**inputs, max_new_tokens=12, **options)
    assert torch.equal(onnx_model.generate(**inputs, max_new_tokens=12, **options), expected)


def test_a_row_of_padding_is_refused(pair):
    inputs = source(2, 3)
    inputs["attention_mask"][1] = 0
    with pytest.raises(ValueError, match="row 1 of the batch holds only padding"):
        pair[1].generate(**inputs)
