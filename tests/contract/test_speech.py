"""What every recognizer keeps: a row alone = in any batch; saved = loaded; a stream = the whole; the pipeline of
transformers works unchanged."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCTC, AutoProcessor, pipeline

from rnn_hub import RnnForCTC, RnnSpeechConfig
from rnn_hub.errors import RnnHubError
from rnn_hub.models.speech.feature_extraction_speech import RnnSpeechFeatureExtractor
from rnn_hub.models.speech.processing_speech import RnnSpeechProcessor, character_tokenizer
from rnn_hub.models.speech.streaming import SpeechStream
from tests.recordings import say, tone

KINDS = {
    "convolutions, two directions": {},
    "one direction": {"bidirectional": False},
    "pyramid, gru": {"conv_strides": [], "conv_kernel_sizes": [], "pyramid_strides": [2, 2], "cell_type": "gru"},
    "one direction, pyramid after a convolution": {
        "bidirectional": False,
        "conv_strides": [3],
        "pyramid_strides": [2],
        "layer_norm": True,
    },
    "min_gru, residual, sum": {"cell_type": "min_gru", "residual": True, "merge": "sum", "num_layers": 4},
}


def build(**options: object) -> RnnForCTC:
    """A random model in evaluation mode, whose tokens vary."""
    torch.manual_seed(1)
    sizes = {"input_size": 12, "conv_size": 10, "hidden_size": 8, "vocab_size": 9, "hop_length": 80}
    model = RnnForCTC(RnnSpeechConfig(**{**sizes, **options}))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model.eval()


def processor(**options: object) -> RnnSpeechProcessor:
    """Of 12 mel bands, with global normalization, and the letters of do, mi, so, ti."""
    given = {"mean": [-8.0] * 12, "std": [3.0] * 12, "normalization": "global", "tail": 0.1, **options}
    sizes = {"feature_size": 12, "sampling_rate": 8000, "window_length": 200, "hop_length": 80}
    return RnnSpeechProcessor(RnnSpeechFeatureExtractor(**sizes, **given), character_tokenizer(["d m s t"]))


@pytest.fixture(params=KINDS.values(), ids=KINDS.keys())
def model(request) -> RnnForCTC:
    return build(**request.param)


def draw(lengths: tuple[int, ...] = (23, 9, 1, 16)) -> dict[str, torch.Tensor]:
    torch.manual_seed(2)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return {"input_features": torch.randn(len(lengths), max(lengths), 12), "attention_mask": mask.long()}


def test_a_row_alone_is_the_row_in_a_padded_batch(model) -> None:
    batch = draw()
    together = model(**batch).logits
    for row, length in enumerate((23, 9, 1, 16)):
        alone = model(batch["input_features"][row : row + 1, :length]).logits
        steps = -(-length // model.config.subsampling)
        assert alone.shape[1] == steps
        torch.testing.assert_close(together[row : row + 1, :steps], alone, atol=1e-4, rtol=2e-5)
        assert (together[row, steps:].argmax(dim=-1) == model.config.pad_token_id).all()
        torch.testing.assert_close(together[row, steps:].exp().sum(dim=-1), torch.ones(together.shape[1] - steps))


def test_padding_and_what_stands_in_it_change_nothing(model) -> None:
    batch = draw()
    expected = model(**batch).logits
    longer = torch.cat([batch["input_features"], torch.full((4, 13, 12), 7.0)], dim=1)
    longer[0, 23:], longer[2, 1:] = 99.0, -99.0
    mask = torch.cat([batch["attention_mask"], torch.zeros(4, 13, dtype=torch.long)], dim=1)
    found = model(longer, mask).logits
    torch.testing.assert_close(found[:, : expected.shape[1]], expected)


def test_the_loss_is_the_mean_over_the_characters_of_all_rows(model) -> None:
    batch, labels = draw((23, 19)), torch.tensor([[3, 4, -100], [5, -100, -100]])
    rows = [
        model(batch["input_features"][row : row + 1, :length], labels=labels[row : row + 1, :count]).loss * count
        for row, length, count in ((0, 23, 2), (1, 19, 1))
    ]
    torch.testing.assert_close(model(**batch, labels=labels).loss, sum(rows) / 3)
    torch.testing.assert_close(model(**batch, labels=labels, num_items_in_batch=10).loss, sum(rows) / 10)
    model.train()(**batch, labels=labels).loss.backward()
    assert all(part.grad is not None and part.grad.isfinite().all() for part in model.parameters())


def test_saved_equals_loaded(model, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    loaded, info = AutoModelForCTC.from_pretrained(tmp_path, output_loading_info=True)
    assert type(loaded) is RnnForCTC and not info["missing_keys"] and not info["unexpected_keys"]
    torch.testing.assert_close(loaded.eval()(**draw()).logits, model(**draw()).logits)


def test_missing_weights_are_drawn_anew(model, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    save_file(dict(list(weights.items())[::2]), tmp_path / "model.safetensors", metadata={"format": "pt"})
    loaded = AutoModelForCTC.from_pretrained(tmp_path)
    assert all(part.isfinite().all() and part.abs().max() < 10 for part in loaded.parameters())


@pytest.mark.parametrize("size", [1, 37, 800, 100_000])
@pytest.mark.parametrize("kind", ["one direction", "one direction, pyramid after a convolution"])
def test_a_stream_is_the_whole_recording(kind, size) -> None:
    model, hears = build(**KINDS[kind]), processor()
    sound = say("d m s", seed=3) if size > 1 else tone(500, 0.05)
    stream, steps = SpeechStream(model, hears), []
    for start in range(0, len(sound), size):
        stream.push(sound[start : start + size])
        steps.append(stream.log_probabilities)
    text = stream.finish()
    steps = torch.cat([part for part in [*steps, stream.log_probabilities] if part is not None])
    expected = model(**hears.feature_extractor(sound)).logits[0]
    torch.testing.assert_close(steps, expected, atol=1e-5, rtol=1e-5)
    assert text == hears.decode(expected.argmax(dim=-1))


def test_a_stream_keeps_no_more_however_long_it_is() -> None:
    stream, kept = SpeechStream(build(bidirectional=False), processor()), []
    for number in range(40):
        stream.push(tone(300 + 50 * number, 0.25))
        tensors = [part for state in stream._states for part in _flat(state)]
        kept.append(sum(part.numel() for part in tensors) + len(stream._samples))
    assert max(kept[10:]) <= max(kept[:10]) + 100  # samples of less than a frame and a convolution's stride


def _flat(state) -> list[torch.Tensor]:
    return [state] if isinstance(state, torch.Tensor) else [part for one in state for part in _flat(one)]


def test_a_stream_at_another_rate_is_the_resampled_whole() -> None:
    model, hears = build(bidirectional=False), processor()
    sound = say("d m", rate=44100)
    stream = SpeechStream(model, hears, sampling_rate=44100)
    for part in np.array_split(sound, 17):
        stream.push(part)
    assert stream.finish() == hears.decode(model(**hears([(44100, sound)])).logits[0].argmax(dim=-1))


def test_what_cannot_stream_says_why() -> None:
    with pytest.raises(RnnHubError, match="backwards too"):
        SpeechStream(build(), processor())
    with pytest.raises(RnnHubError, match="normalized by the training data's mean"):
        SpeechStream(build(bidirectional=False), processor(normalization="utterance"))


def test_transformers_own_pipeline_works_unchanged(tmp_path: Path) -> None:
    model, hears, sound = build(), processor(), say("d m s t d m")
    model.save_pretrained(tmp_path)
    hears.save_pretrained(tmp_path)
    assert type(AutoProcessor.from_pretrained(tmp_path)) is RnnSpeechProcessor
    recognize = pipeline("automatic-speech-recognition", model=str(tmp_path))
    expected = hears.decode(model(**hears.feature_extractor(sound)).logits[0].argmax(dim=-1))
    assert recognize(sound)["text"] == expected
    assert [one["text"] for one in recognize([sound, sound[:3000]], batch_size=2)] == [
        expected,
        recognize(sound[:3000])["text"],
    ]
    chunks = recognize(sound, return_timestamps="word")["chunks"]
    assert " ".join(chunk["text"] for chunk in chunks) == " ".join(expected.split())
    times = [time for chunk in chunks for time in chunk["timestamp"]]
    assert times == sorted(times) and times[-1] <= len(sound) / 8000 + 0.2
    assert recognize(sound, chunk_length_s=0.8, return_timestamps="char")["text"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cell_type": "lsmt"}, "'lsmt'.*lstm"),
        ({"conv_strides": [2], "conv_kernel_sizes": [3, 3]}, "must be of the same length"),
        ({"conv_strides": [4], "conv_kernel_sizes": [3]}, "over 3 frames can move on by 1 to 3, not 4"),
        ({"pyramid_strides": [2, 2, 2]}, "3 pyramid_strides need more than 3 layers"),
        ({"pyramid_strides": [0]}, "pyramid_strides must be at least 1"),
        ({"pad_token_id": 40}, "the blank, must be one of 32 tokens, got 40"),
        ({"hiden_size": 4}, "no field 'hiden_size'; did you mean 'hidden_size'"),
    ],
)
def test_wrong_configurations_name_the_value_and_the_remedy(fields: dict, message: str) -> None:
    with pytest.raises(Exception, match=f"(?s){message}"):
        RnnSpeechConfig(**fields)


def test_left_padding_and_empty_rows_are_refused() -> None:
    model, batch = build(), draw((5, 3))
    with pytest.raises(ValueError, match="padded on the right"):
        model(batch["input_features"], batch["attention_mask"].flip(1))
    with pytest.raises(ValueError, match="row 1 of the batch holds only padding"):
        model(batch["input_features"], torch.tensor([[1] * 5, [0] * 5]))
