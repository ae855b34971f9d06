"""Listen, attend and spell keeps what every model keeps, alone and jointly with CTC, and says what is wrong."""

import itertools
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AutoModelForSpeechSeq2Seq, AutoProcessor, GenerationConfig, pipeline

from rnn_hub import RnnForCTC, RnnForSpeechSeq2Seq, RnnSpeechConfig, RnnSpeechSeq2SeqConfig
from rnn_hub.models.speech.feature_extraction_speech import RnnSpeechFeatureExtractor
from rnn_hub.models.speech.processing_speech import RnnSpeechProcessor, spelling_tokenizer
from tests.contract import test_generation as contract
from tests.recordings import say

SIZES = {"input_size": 12, "conv_size": 10, "encoder_hidden_size": 8, "decoder_hidden_size": 16, "embedding_size": 12}
KINDS = {
    "attention": {"encoder_num_layers": 1},
    "pyramid, input feeding, gru": {
        "conv_strides": [],
        "conv_kernel_sizes": [],
        "pyramid_strides": [2, 2],
        "input_feeding": True,
        "cell_type": "gru",
        "attention_type": "additive",
    },
    "joint": {"ctc_weight": 0.4, "encoder_num_layers": 1},
    "joint, two layers, linear bridge": {
        "ctc_weight": 0.2,
        "decoder_num_layers": 2,
        "attention_layer": 0,
        "bridge": "linear",
        "bidirectional": False,
        "encoder_num_layers": 2,
    },
}
LENGTHS = (40, 17, 29)


def build(**options: object) -> RnnForSpeechSeq2Seq:
    """A random model in evaluation mode, whose texts vary."""
    torch.manual_seed(1)
    given = {**SIZES, "vocab_size": 40, "hop_length": 80, "initializer_range": 1.0, **options}
    model = RnnForSpeechSeq2Seq(RnnSpeechSeq2SeqConfig(**given))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    return model.eval()


@pytest.fixture(params=KINDS.values(), ids=KINDS.keys())
def model(request) -> RnnForSpeechSeq2Seq:
    return build(**request.param)


@pytest.fixture
def batch() -> dict[str, Tensor]:
    torch.manual_seed(4)
    mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
    return {"input_features": torch.randn(3, max(LENGTHS), 12), "attention_mask": mask.long()}


def row(batch: dict[str, Tensor], place: int) -> dict[str, Tensor]:
    """A recording alone, without its padding."""
    return {name: value[place : place + 1, : LENGTHS[place]] for name, value in batch.items()}


def text(model: RnnForSpeechSeq2Seq, ids: Tensor) -> list[int]:
    """What was written (T,), with its end."""
    return ids[: 1 + int(contract.real_tokens(model, ids[1:]).sum())].tolist()


test_cached_equals_uncached = contract.test_cached_equals_uncached
test_resumed_from_a_cache_equals_at_once = contract.test_resumed_from_a_cache_equals_at_once
test_the_cache_takes_any_number_of_tokens = contract.test_the_cache_takes_any_number_of_tokens_at_a_time
test_two_threads_equal_one_after_the_other = contract.test_two_threads_at_once_equal_one_after_the_other
test_a_streamer_sees_the_tokens_that_are_returned = contract.test_a_streamer_sees_the_tokens_that_are_returned


@pytest.mark.parametrize("search", [{}, {"num_beams": 3, "num_return_sequences": 2}], ids=["greedy", "beam"])
def test_a_padded_batch_equals_each_recording_alone(model, batch, search) -> None:
    together = contract.generate(model, batch, **search)
    alone = [ids for place in range(3) for ids in contract.generate(model, row(batch, place), **search)]
    assert [text(model, ids) for ids in together] == [text(model, ids) for ids in alone]


def test_padding_and_what_stands_in_it_change_neither_loss_nor_attention(model, batch) -> None:
    labels = torch.tensor([[5, 6, 7, 3], [8, 8, 3, -100], [9, 3, -100, -100]])
    expected = model(**batch, labels=labels, output_attentions=True)
    longer = torch.cat([batch["input_features"], torch.full((3, 9, 12), 7.0)], dim=1)
    longer[1, 17:], longer[2, 29:] = 99.0, -99.0
    mask = F.pad(batch["attention_mask"], (0, 9))
    found = model(longer, mask, labels=F.pad(labels, (0, 2), value=-100), output_attentions=True)
    torch.testing.assert_close(found.loss, expected.loss)
    (weights,), (before,) = found.cross_attentions, expected.cross_attentions
    torch.testing.assert_close(weights[:, :, :4, : before.shape[-1]], before)
    torch.testing.assert_close(weights[:, 0, 0].sum(dim=-1), torch.ones(3))


@pytest.mark.parametrize("penalty", [0.0, 1.0])
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_a_score_is_the_weighted_sum_of_both_log_probabilities(batch, weight, penalty) -> None:
    model, alone = build(**KINDS["joint"] | {"vocab_size": 7}), row(batch, 1)
    with torch.no_grad():
        model.lm_head.bias[3] += 6  # texts end
    options = {"num_beams": 12, "num_return_sequences": 12, "length_penalty": penalty, "suppress_tokens": [0]}
    options |= {"ctc_decoding_weight": weight, "max_new_tokens": 4}
    found = contract.generate(model, alone, return_dict_in_generate=True, **options)
    ended = (found.sequences == 3).any(dim=1) & (found.sequences_scores > -100)
    steps, compared = model.log_probabilities(model.encoder(**alone)), 0
    for ids, score in zip(found.sequences[ended], found.sequences_scores[ended], strict=True):
        written = text(model, ids)[1:]
        attention = contract.teacher_forced(model, alone, ids[None]).item()
        ctc = said_by_ctc(steps, written[:-1])
        assert score.item() == pytest.approx(
            ((1 - weight) * attention + weight * ctc) / len(written) ** penalty, rel=1e-4
        )
        compared += 1
    assert compared >= 2


def said_by_ctc(steps: Tensor, tokens: list[int]) -> float:
    """The log-probability of a text by the steps (1, T, V) of one recording."""
    said = torch.tensor([tokens], dtype=torch.long)
    return -F.ctc_loss(steps.transpose(0, 1), said, (steps.shape[1],), (len(tokens),), 0, reduction="sum").item()


def test_a_wide_search_finds_the_text_that_is_best_of_all() -> None:
    torch.manual_seed(7)
    model = build(**KINDS["joint"] | {"vocab_size": 6, "conv_strides": [2], "conv_kernel_sizes": [2]})
    given = {"input_features": torch.randn(1, 6, 12)}
    steps, scores = model.log_probabilities(model.encoder(**given)), {}
    for said in (said for length in range(4) for said in itertools.product((1, 2, 4, 5), repeat=length)):
        attention = contract.teacher_forced(model, given, torch.tensor([[2, *said, 3]])).item()
        scores[said] = 0.6 * attention + 0.4 * said_by_ctc(steps, list(said))
    options = {"num_beams": 90, "length_penalty": 0.0, "max_new_tokens": 4, "suppress_tokens": [0]}
    found = contract.generate(model, given, return_dict_in_generate=True, **options)
    best = max(scores, key=scores.get)
    assert tuple(text(model, found.sequences[0])[1:-1]) == best
    assert found.sequences_scores[0].item() == pytest.approx(scores[best], rel=1e-4)


def test_the_loss_is_the_weighted_sum_over_the_tokens(batch) -> None:
    labels = torch.tensor([[5, 6, 7, 3], [8, 8, 3, -100], [9, 3, -100, -100]])
    both = build(ctc_weight=0.25)
    plain = build()
    plain.load_state_dict(both.state_dict(), strict=False)
    attention = plain(**batch, labels=labels).loss
    aligner = RnnForCTC(RnnSpeechConfig(input_size=12, conv_size=10, hidden_size=8, vocab_size=40)).eval()
    aligner.encoder.load_state_dict(both.encoder.state_dict())
    aligner.lm_head.load_state_dict(both.ctc_head.state_dict())
    ctc = aligner(**batch, labels=labels.masked_fill(labels == 3, -100), num_items_in_batch=9).loss
    torch.testing.assert_close(both(**batch, labels=labels).loss, 0.75 * attention + 0.25 * ctc)
    torch.testing.assert_close(both(**batch, labels=labels, num_items_in_batch=18).loss, (3 * attention + ctc) / 8)
    both.train()(**batch, labels=labels).loss.backward()
    assert all(part.grad is not None and part.grad.isfinite().all() for part in both.parameters())


def test_saved_equals_loaded_with_the_weight_of_its_search(batch, tmp_path: Path) -> None:
    model = build(**KINDS["joint"])
    ids = {"bos_token_id": 2, "decoder_start_token_id": 2, "eos_token_id": 3, "pad_token_id": 0}
    model.generation_config = GenerationConfig(ctc_decoding_weight=0.9, **ids)
    expected = contract.generate(model, batch, num_beams=3)
    assert not torch.equal(expected, contract.generate(model, batch, num_beams=3, ctc_decoding_weight=0.0))
    model.save_pretrained(tmp_path)
    loaded, info = AutoModelForSpeechSeq2Seq.from_pretrained(tmp_path, output_loading_info=True)
    assert type(loaded) is RnnForSpeechSeq2Seq and not info["missing_keys"] and not info["unexpected_keys"]
    assert torch.equal(contract.generate(loaded.eval(), batch, num_beams=3), expected)


def test_encoder_outputs_can_be_given_as_an_object_or_a_tuple(model, batch) -> None:
    encoded, ids = model.encoder(**batch), torch.tensor([[2, 5]] * 3)
    expected = model(**batch, decoder_input_ids=ids).logits
    for given in (encoded, encoded.to_tuple()):
        torch.testing.assert_close(model(encoder_outputs=given, decoder_input_ids=ids).logits, expected)
    found = contract.generate(model, {"encoder_outputs": encoded}, num_beams=3)
    assert torch.equal(found, contract.generate(model, batch, num_beams=3))


def test_transformers_own_pipeline_works_unchanged(tmp_path: Path) -> None:
    extractor = RnnSpeechFeatureExtractor(feature_size=12, sampling_rate=8000, window_length=200, hop_length=80)
    hears = RnnSpeechProcessor(extractor, spelling_tokenizer(["do mi so ti"]))
    model, sound = build(**KINDS["joint"] | {"vocab_size": len(hears.tokenizer)}), say("d m s t")
    model.generation_config.max_new_tokens, model.generation_config.num_beams = 20, 2
    model.save_pretrained(tmp_path)
    hears.save_pretrained(tmp_path)
    assert type(AutoProcessor.from_pretrained(tmp_path)) is RnnSpeechProcessor
    recognize = pipeline("automatic-speech-recognition", model=str(tmp_path))
    expected = hears.decode(model.generate(**hears([sound]))[0])
    assert len(expected) > 3 and "<" not in expected and recognize(sound)["text"] == expected
    pair = recognize([sound, sound[:3000]], batch_size=2)
    assert [one["text"] for one in pair] == [expected, recognize(sound[:3000])["text"]]
    again = hears.tokenizer("miss do").input_ids
    assert hears.decode(again) == "miss do" and again[-1] == hears.tokenizer.eos_token_id == 3


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_a_tiny_model_learns_to_write_what_it_hears(weight: float) -> None:
    torch.manual_seed(0)
    texts = torch.tensor([[4, 5, 3], [5, 4, 3], [5, 5, 3], [4, 4, 3]])
    frames = torch.tensor([[1] * 3 + [0, 0] + [2] * 3, [2] * 3 + [0, 0] + [1] * 3, [2] * 3 + [0, 0] + [2] * 3])
    frames = torch.cat([frames, frames[2:] // 2])
    sounds = torch.eye(3)[frames] + 0.05 * torch.randn(4, 8, 3)
    sizes = {"input_size": 3, "conv_strides": [], "encoder_num_layers": 1, "decoder_hidden_size": 24, "vocab_size": 6}
    model = RnnForSpeechSeq2Seq(RnnSpeechSeq2SeqConfig(**SIZES | sizes, ctc_weight=weight)).train()
    optimizer = torch.optim.Adam(model.parameters(), 0.03)
    for _ in range(60):
        optimizer.zero_grad()
        model(sounds, labels=texts).loss.backward()
        optimizer.step()
    model.eval()
    for search in ({}, {"num_beams": 3}):
        assert contract.generate(model, {"input_features": sounds}, **search)[:, 1:4].tolist() == texts.tolist()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ctc_weight": 1.5}, r"from 0 \(attention alone\) to 1 \(CTC alone\), got 1.5"),
        ({"ctc_weight": -0.1}, "got -0.1"),
        ({"eos_token_id": None}, "eos_token_id is None.*set it to one of the 32 tokens other than the padding, 0"),
        ({"decoder_start_token_id": None}, "decoder_start_token_id is None"),
        ({"eos_token_id": 32}, "eos_token_id is 32"),
        ({"eos_token_id": 0}, "eos_token_id is 0"),
        ({"pad_token_id": None}, "the blank, must be one of 32 tokens, got None"),
        ({"share_embeddings": True}, "no source embeddings to share"),
        ({"bridge": "copy"}, "choose 'zero' or 'linear'"),
        ({"pyramid_strides": [2, 2, 2]}, "3 pyramid_strides need more than 3 layers"),
        ({"attention_type": "adative"}, "'adative'; choose one of additive"),
    ],
)
def test_wrong_configurations_say_what_to_write(fields: dict, message: str) -> None:
    with pytest.raises(Exception, match=message):
        RnnSpeechSeq2SeqConfig(**fields)


def test_what_cannot_be_done_is_said(batch) -> None:
    model = build()
    for weight, message in ((0.3, "has no CTC head: leave it out"), (1.3, "to 1 \\(CTC alone\\), got 1.3")):
        with pytest.raises(ValueError, match=message):
            model.generate(**batch, ctc_decoding_weight=weight)
    with pytest.raises(ValueError, match="padded on the right"):
        model.generate(batch["input_features"], attention_mask=batch["attention_mask"].flip(1))
    with pytest.raises(ValueError, match="row 0 of the batch holds only padding"):
        model.generate(torch.zeros(1, 0, 12))
    with pytest.raises(ValueError, match="pass input_features, or encoder_outputs"):
        model(labels=torch.tensor([[5, 3]]))
