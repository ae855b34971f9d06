"""Labels frame by frame: without smoothing what the model says of the video so far, with smoothing steadier."""

import numpy as np
import pytest
import torch

from rnn_hub.errors import RnnHubError
from rnn_hub.models.vision.streaming import LabelStream
from rnn_hub.models.vision.video_processing_vision import RnnVideoProcessor
from tests.models.test_vision import CNN, LABELS, build
from tests.videos import picture

pytest.importorskip("av")
ONE_WAY = {**CNN, "bidirectional": False}
MODELS = {
    "attention of two hops": {**ONE_WAY, "attention_hops": 2},
    "mean, gru, two layers": {**ONE_WAY, "pooling": "mean", "cell_type": "gru", "num_layers": 2},
    "max, all inputs": {
        **ONE_WAY,
        "pooling": "max",
        "frame_inputs": ["frames", "pixel_differences", "feature_differences"],
    },
    "mean, changes, normalized": {
        **ONE_WAY,
        "pooling": "mean",
        "frame_inputs": ["feature_changes"],
        "feature_norm": True,
    },
    "last, min_gru": {**ONE_WAY, "pooling": "last", "cell_type": "min_gru"},
    "mean, no recurrence": {**CNN, "pooling": "mean", "num_layers": 0},
    "conv_lstm": {"conv_channels": [6], "cell_type": "conv_lstm", "bidirectional": False},
}
FRAMES = [picture(5 * number) for number in range(9)]
PROCESSOR = RnnVideoProcessor(size={"height": 24, "width": 32}, sampling="rate", num_frames=None)


@pytest.mark.parametrize("options", MODELS.values(), ids=MODELS.keys())
def test_each_frame_gives_what_the_video_so_far_gives(options) -> None:
    model = build(**options)
    stream = LabelStream(model, PROCESSOR)
    for number, frame in enumerate(FRAMES, 1):
        record = stream.push(frame)
        expected = model(**PROCESSOR(np.stack(FRAMES[:number]))).logits[0].softmax(dim=-1)
        assert list(record["scores"].values()) == pytest.approx(expected.tolist(), abs=2e-5)
        assert record["label"] == LABELS["id2label"][int(expected.argmax())]
        assert record["score"] == pytest.approx(expected.max().item(), abs=2e-5)
    stream.reset()
    first = model(**PROCESSOR(np.stack(FRAMES[:1]))).logits[0].softmax(dim=-1)
    assert list(stream.push(FRAMES[0])["scores"].values()) == pytest.approx(first.tolist(), abs=2e-5)


def test_smoothing_mixes_what_was_told_before_and_a_label_holds() -> None:
    model = build(**MODELS["last, min_gru"])
    bare, smooth = LabelStream(model, PROCESSOR), LabelStream(model, PROCESSOR, smoothing=0.7)
    expected = None
    for frame in FRAMES:
        now = torch.tensor(list(bare.push(frame)["scores"].values()))
        expected = now if expected is None else 0.7 * expected + 0.3 * now
        assert list(smooth.push(frame)["scores"].values()) == pytest.approx(expected.tolist(), abs=1e-5)
    held = LabelStream(model, PROCESSOR, hold=100)
    assert len({held.push(frame)["label"] for frame in FRAMES}) == 1


def test_the_state_does_not_grow() -> None:
    stream = LabelStream(build(**MODELS["conv_lstm"]), PROCESSOR)

    def size() -> int:
        parts = [part for layer in stream._state for part in layer] + list(stream._pooled)
        return sum(part.numel() for part in parts)

    stream.push(FRAMES[0])
    before = size()
    for frame in FRAMES:
        stream.push(frame)
    assert size() == before


def test_a_model_that_reads_backwards_cannot_label_a_stream() -> None:
    with pytest.raises(RnnHubError, match="reads a video backwards too"):
        LabelStream(build(**CNN), PROCESSOR)
    with pytest.raises(RnnHubError, match="smoothing is at least 0"):
        LabelStream(build(**ONE_WAY), PROCESSOR, smoothing=1.0)
