"""The frame task: what a frame costs, on a case that is counted by hand and as a distribution over all frames."""

import itertools
import math

import pytest
import torch
from torch import nn

from rnn_hub import RnnCausalLMConfig, RnnForCausalLM, RnnForFrames, RnnFramesConfig
from rnn_hub.data.music_frames import FrameProcessor, frame_tokenizer
from rnn_hub.errors import RnnHubError
from rnn_hub.metrics import load_metric
from rnn_hub.tasks import load_task
from rnn_hub.tasks.music_frames import FrameCollator
from rnn_hub.tasks.music_frames_independent import RowCollator

TASK = load_task("music-frames")


def model(tokenizer, **options):
    config = RnnCausalLMConfig(vocab_size=len(tokenizer), embedding_size=8, hidden_size=8, **options)
    return RnnForCausalLM(config).eval()


def test_a_frame_costs_what_is_counted_by_hand() -> None:
    tokenizer = frame_tokenizer()
    uniform = model(tokenizer, tie_word_embeddings=False)
    nn.init.zeros_(uniform.lm_head.weight)
    nn.init.zeros_(uniform.lm_head.bias)
    pieces = [[[60, 64], []], [[108], [64, 60], [60]]]
    found = TASK.predict(uniform, tokenizer, pieces)
    # 88 pitches or the end; above 60 there are 48 pitches and the end, above 64 44, above 108 none
    both, none, top, low = (math.log(89 * 49 * 45), math.log(89), math.log(89 * 1), math.log(89 * 49))
    assert found[0] == pytest.approx([both, none], abs=1e-5)
    assert found[1] == pytest.approx([top, both, low], abs=1e-5)
    result = TASK.score(found, ["2", "3"], None)
    assert result.values["nll_frame"] == pytest.approx((both + none + top + both + low) / 5)
    assert result.signature.endswith("frames:5")
    assert load_metric("nll_frame").compute(predictions=[[1.0, 2.0]], references=["2"])["nll_frame"] == 1.5


def test_the_probabilities_of_all_frames_sum_to_one() -> None:
    tokenizer = frame_tokenizer(range(60, 64))
    wild = model(tokenizer, initializer_range=2.0)
    for before in ([], [[60, 63], []]):
        frames = [list(notes) for size in range(5) for notes in itertools.combinations(range(60, 64), size)]
        found = TASK.predict(wild, tokenizer, [[*before, frame] for frame in frames])
        assert len(frames) == 16
        assert sum(math.exp(-nats[-1]) for nats in found) == pytest.approx(1, abs=1e-5)


def test_padding_changes_nothing_and_pieces_are_transposed_whole() -> None:
    tokenizer = frame_tokenizer()
    random = model(tokenizer, initializer_range=1.0)
    pieces = [[[60, 64, 67]] * 9, [[62], []], [[40, 80]] * 4]
    together = TASK.predict(random, tokenizer, pieces)
    for piece, nats in zip(pieces, together, strict=True):
        assert TASK.predict(random, tokenizer, [piece])[0] == pytest.approx(nats, abs=1e-4)
    processor = FrameProcessor(tokenizer)
    batch = FrameCollator(processor, "frames", 5)([{"frames": pieces[0]}] * 99)
    first = batch["input_ids"][:, 1] - processor.ids["60"]
    assert {-5, 5} <= set(first.tolist()) <= set(range(-5, 6))
    assert torch.equal(batch["input_ids"][:, 2] - first, torch.full((99,), processor.ids["64"]))


def test_a_pitch_outside_the_piano_is_named() -> None:
    with pytest.raises(RnnHubError, match="the pitch 120 of a frame is outside the range 21 to 108"):
        FrameProcessor(frame_tokenizer()).encode([[120]])


def test_a_frame_of_independent_notes_costs_what_is_counted_by_hand() -> None:
    task, tokenizer = load_task("music-frames-independent"), frame_tokenizer()
    network = RnnForFrames(RnnFramesConfig(embedding_size=8, hidden_size=8)).eval()
    nn.init.zeros_(network.head.weight)
    nn.init.constant_(network.head.bias, math.log(1 / 3))  # each note sounds with probability 1/4
    found = task.predict(network, tokenizer, [[[60, 64], []], [[108], [64, 60], [60]]])
    rest, note = -math.log(3 / 4), -math.log(1 / 4)
    assert found[0] == pytest.approx([2 * note + 86 * rest, 88 * rest], abs=1e-5)
    assert found[1] == pytest.approx([note + 87 * rest, 2 * note + 86 * rest, note + 87 * rest], abs=1e-5)


def test_independent_notes_know_the_frames_before_and_neither_padding_nor_the_frame_itself() -> None:
    task, tokenizer = load_task("music-frames-independent"), frame_tokenizer()
    torch.manual_seed(0)
    network = RnnForFrames(RnnFramesConfig(embedding_size=8, hidden_size=8)).eval()
    pieces = [[[60, 64, 67]] * 9, [[62], []], [[40, 80]] * 4]
    together = task.predict(network, tokenizer, pieces)
    for piece, nats in zip(pieces, together, strict=True):
        assert task.predict(network, tokenizer, [piece])[0] == pytest.approx(nats, abs=1e-4)
    collate = RowCollator(FrameProcessor(tokenizer), "frames")
    batch = collate([{"frames": piece} for piece in pieces])
    assert torch.equal(batch["frames"][0, 1:], batch["labels"][0, :-1]) and not batch["frames"][:, 0].any()
    loss = network(**batch).loss.item() * sum(map(len, pieces)) * 88
    assert loss == pytest.approx(sum(map(sum, together)), rel=1e-4)
    half = network(frames=batch["frames"][:1, :4], use_cache=True)
    rest = network(frames=batch["frames"][:1, 4:], past_key_values=half.past_key_values).logits
    assert torch.allclose(rest, network(frames=batch["frames"][:1]).logits[:, 4:], atol=1e-5)
