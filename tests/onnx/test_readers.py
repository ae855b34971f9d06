"""Models that answer at once as graphs: the results of torch, whatever the batch, its length and its padding."""

import pytest
import torch
from torch import Tensor

from rnn_hub import (
    RnnForSequenceClassification,
    RnnForTokenClassification,
    RnnForTreeClassification,
    RnnTreeConfig,
)
from rnn_hub.errors import RnnHubError
from rnn_hub.onnx.export import parts_of  # with all families
from tests.contract import test_forecasts, test_heads, test_speech
from tests.models import test_vision

CLOSE = {"rtol": 0, "atol": 1e-4}
WORDS = {"whole_words": True, "char_features": "cnn", "characters": "abc"}
TEXT, TAGS = "text", "tags, crf"
VIDEOS = {
    "video, both differences": {**test_vision.CNN, "frame_inputs": ["frames", "pixel_differences"]},
    "video, conv_lstm": {"conv_channels": [4], "cell_type": "conv_lstm", "pooling": "last", "bidirectional": False},
}
FORECASTS = {
    "forecast, all inputs": test_forecasts.KINDS["direct, patches, linear, lags, all inputs"],
    "forecast, log": test_forecasts.KINDS["direct, quantiles, seasonal, log"],
}
SPEECH = "speech, convolutions"
KINDS = {
    TEXT: lambda: test_heads.build(RnnForSequenceClassification, attention_hops=2, **WORDS),
    TAGS: lambda: test_heads.build(RnnForTokenClassification, crf=True, **WORDS),
    SPEECH: lambda: test_speech.build(num_layers=1, bidirectional=False),
    **{name: lambda options=options: test_forecasts.build(**options) for name, options in FORECASTS.items()},
    **{name: lambda options=options: test_vision.build(**options) for name, options in VIDEOS.items()},
}


@pytest.fixture
def pair(request, exported_pair):
    """A model of torch and the same in onnxruntime."""
    return exported_pair(request.param, KINDS[request.param])


def kinds(*names: str) -> pytest.MarkDecorator:
    """The test runs over these kinds of models."""
    return pytest.mark.parametrize("pair", names, indirect=True)


def assert_alike(pair: tuple, names: tuple[str, ...], **inputs: Tensor) -> None:
    """Both models say the same of a batch."""
    with torch.no_grad():
        expected, found = pair[0](**inputs), pair[1](**inputs)
    for name in names:
        torch.testing.assert_close(found[name], expected[name], **CLOSE)


MASKS = [torch.ones(1, 1).long(), test_heads.MASK, torch.ones(3, 11).long()]


@kinds(TEXT)
@pytest.mark.parametrize("mask", MASKS)
def test_labels_of_texts_and_where_they_look_are_those_of_torch(pair, mask):
    ids = torch.randint(0, 40, mask.shape)
    assert_alike(pair, ("logits", "attentions"), input_ids=ids, attention_mask=mask, output_attentions=True)


@kinds(TAGS)
@pytest.mark.parametrize("mask", MASKS)
def test_marginals_and_the_best_tags_are_in_the_graph(pair, mask):
    assert_alike(pair, ("logits", "tags"), input_ids=torch.randint(0, 40, mask.shape), attention_mask=mask)


@kinds(TAGS)
def test_an_empty_row_and_an_empty_batch_are_refused(pair):
    with pytest.raises(ValueError, match="row 1 of the batch holds only padding"):
        pair[1](torch.ones(2, 3).long(), torch.tensor([[1, 1, 1], [0, 0, 0]]))
    with pytest.raises(ValueError, match="leave empty inputs out"):
        pair[1](torch.ones(2, 0).long())


@kinds(SPEECH)
@pytest.mark.parametrize("lengths", [(1,), (23, 9, 1, 16), (30, 29)])
def test_characters_of_recordings_are_those_of_torch(pair, lengths):
    assert_alike(pair, ("logits",), **test_speech.draw(lengths))


@kinds(SPEECH)
def test_recordings_padded_on_the_left_and_streams_are_refused(pair):
    with pytest.raises(ValueError, match="padded on the left"):
        pair[1](torch.zeros(1, 4, 12), torch.tensor([[0, 1, 1, 1]]))
    with pytest.raises(RnnHubError, match="whole recordings"):
        test_speech.SpeechStream(pair[1], test_speech.processor())


@kinds(*FORECASTS)
@pytest.mark.parametrize("length", [3, 15, 40])
def test_forecasts_of_pasts_of_any_length_are_those_of_torch(pair, length):
    config, inputs = pair[0].config, test_forecasts.draw(pair[0].config)
    wanted = {"horizon": config.prediction_length, "levels": [0.1, 0.5, 0.9]}
    for name in [name for name in inputs if name.startswith("past_")]:
        part = inputs[name]
        inputs[name] = torch.cat([part] * 3, dim=1)[:, -length:]
    inputs = {name: part for name, part in inputs.items() if name not in ("future_values", "future_observed_mask")}
    for expected, found in zip(*(model.forecast(**inputs, **wanted) for model in pair), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)  # raw values, in the thousands with "log"
    drawn = []
    for model in pair:
        torch.manual_seed(0)
        drawn.append(model.generate(**inputs, num_samples=3).sequences)
    torch.testing.assert_close(*drawn, rtol=1e-4, atol=1e-4)


@kinds(*FORECASTS)
def test_a_past_without_a_value_is_refused(pair):
    with pytest.raises(ValueError, match="row 0 of the batch has no observed value"):
        pair[1](torch.ones(1, 9), torch.zeros(1, 9))


def test_a_forecast_step_after_step_has_no_graph_and_the_error_says_why():
    with pytest.raises(RnnHubError, match="decoding 'direct'"):
        parts_of(test_forecasts.build(decoding="recursive"))


def test_trees_have_no_graph_and_the_error_says_why():
    model = RnnForTreeClassification(RnnTreeConfig(vocab_size=9, embedding_size=4, hidden_size=4))
    with pytest.raises(RnnHubError, match=r"no form in ONNX \(the shape of each tree decides .* these have: "):
        parts_of(model)


@kinds(*VIDEOS)
@pytest.mark.parametrize("size", [(19, 26), (16, 16)])
def test_labels_of_videos_of_any_size_and_length_are_those_of_torch(pair, size):
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]])
    assert_alike(pair, ("logits",), pixel_values=torch.rand(3, 5, 3, *size), attention_mask=mask)
    assert_alike(pair, ("logits",), pixel_values=torch.rand(1, 1, 3, *size))
