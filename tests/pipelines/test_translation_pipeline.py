"""TranslationPipeline: results in order, n-best, scores, attention, and odd inputs."""

import logging

import numpy as np
import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
from transformers import pipeline as transformers_pipeline

from rnn_hub.errors import RnnHubError
from rnn_hub.pipelines import pipeline
from rnn_hub.pipelines.translation import TranslationPipeline

TEXTS = ["dog runs.", "big red cat sleeps.", "red bird sees.", "cat runs."]


@pytest.fixture(scope="module")
def pipe(model_folder):
    return pipeline("translation", model=model_folder, device="cpu")


def test_a_text_and_a_list_give_one_result_each(pipe):
    assert pipe("red dog runs.") == [{"translation_text": "rote Hund rennt."}]
    assert pipe(["red dog runs."]) == [{"translation_text": "rote Hund rennt."}]
    assert pipe([]) == []


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_batches_give_what_each_text_gives_alone_in_the_order_given(pipe, batch_size):
    alone = [pipe(text)[0] for text in TEXTS]
    assert pipe(TEXTS, batch_size=batch_size) == alone


def test_n_best_comes_best_first_and_the_score_is_the_length_normalized_log_probability(pipe):
    (best,) = pipe(["big dog runs."], num_beams=4, num_return_sequences=3, return_scores=True, length_penalty=0.7)
    assert len(best) == 3
    scores = [record["score"] for record in best]
    assert scores == sorted(scores, reverse=True)
    labels = pipe.tokenizer(best[0]["translation_text"], return_tensors="pt").input_ids
    source = pipe.tokenizer("big dog runs.", return_tensors="pt")
    with torch.no_grad():
        loss = pipe.model(**source, labels=labels).loss
    assert scores[0] == pytest.approx(-loss.item() * labels.shape[1] / labels.shape[1] ** 0.7, abs=1e-4)


def test_greedy_scores_are_log_probabilities_too(pipe):
    texts = ["dog runs.", "big red cat sleeps."]
    greedy = pipe(texts, num_beams=1, return_scores=True, batch_size=2)
    for text, record in zip(texts, greedy, strict=True):
        labels = pipe.tokenizer(record["translation_text"], return_tensors="pt").input_ids
        with torch.no_grad():
            loss = pipe.model(**pipe.tokenizer(text, return_tensors="pt"), labels=labels).loss
        assert record["score"] == pytest.approx(-loss.item(), abs=1e-4)


def test_attention_has_a_row_for_each_target_token_and_sums_to_one(pipe):
    outputs = pipe(TEXTS, batch_size=4, num_beams=2, return_attention=True)
    for text, record in zip(TEXTS, outputs, strict=True):
        attention = record["attention"]
        assert attention.shape == (len(record["target_tokens"]), len(record["source_tokens"]))
        np.testing.assert_allclose(attention.sum(1), 1.0, atol=1e-5)
        assert record["source_tokens"] == pipe.tokenizer(text).tokens()
        assert record["target_tokens"][-1] == "</s>"


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_a_text_without_a_word_gives_an_empty_translation(pipe, text):
    assert pipe([text, "dog runs."])[0] == {"translation_text": ""}
    assert pipe(text, num_return_sequences=2) == [[{"translation_text": ""}] * 2]


def test_ten_thousand_words_are_cut_with_a_warning_that_names_the_limit(pipe, caplog):
    with caplog.at_level(logging.WARNING, logger="rnn_hub"):
        (record,) = pipe("dog " * 10_000, max_new_tokens=5)
    assert isinstance(record["translation_text"], str)
    assert "limit of 32" in caplog.text
    caplog.clear()
    pipe(["red dog " * 100, "big cat " * 200])
    assert len(caplog.records) == 1 and "401 subwords" in caplog.text  # the longest


@pytest.mark.parametrize("text", ["🐕🦺 läuft 🙂", "</s> <pad>", "漢字かな", "a\u0000b"])
def test_unknown_characters_are_translated_somehow(pipe, text):
    assert isinstance(pipe(text)[0]["translation_text"], str)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_beams": 2, "num_return_sequences": 3}, "num_return_sequences=3 is more than num_beams=2"),
        ({"num_beams": 0}, "num_beams must be a whole number of at least 1"),
        ({"num_baems": 2}, "unknown argument 'num_baems'"),
    ],
)
def test_arguments_that_cannot_be_are_refused(pipe, arguments, message):
    with pytest.raises(RnnHubError, match=message):
        pipe("dog runs.", **arguments)


def test_an_input_that_is_no_text_is_refused(pipe):
    with pytest.raises(RnnHubError, match="not int"):
        pipe(["dog", 3])


def test_sampling_gives_several_with_one_beam(pipe):
    (records,) = pipe(["dog runs."], num_beams=1, do_sample=True, num_return_sequences=3)
    assert len(records) == 3


def test_a_model_without_attention_says_so(pipe):
    from rnn_hub.models.seq2seq.configuration_seq2seq import RnnSeq2SeqConfig
    from rnn_hub.models.seq2seq.modeling_seq2seq import RnnForConditionalGeneration

    fields = {**pipe.model.config.to_dict(), "attention_type": None}
    for key in ("architectures", "transformers_version", "dtype", "model_type"):
        fields.pop(key, None)
    model = RnnForConditionalGeneration(RnnSeq2SeqConfig(**fields)).eval()
    plain = pipeline("translation", model=model, tokenizer=pipe.tokenizer, device="cpu")
    assert isinstance(plain("dog runs.", max_new_tokens=3)[0]["translation_text"], str)
    with pytest.raises(RnnHubError, match="attention_type=None"):
        plain("dog runs.", return_attention=True, max_new_tokens=3)


def test_it_works_through_transformers_own_pipeline_function(model_folder):
    pipe = transformers_pipeline("rnn-translation", model=str(model_folder), device="cpu")
    assert isinstance(pipe, TranslationPipeline)
    assert pipe("red dog runs.") == [{"translation_text": "rote Hund rennt."}]


def test_missing_and_damaged_models_are_named(model_folder, tmp_path):
    with pytest.raises(RnnHubError, match="no such folder"):
        pipeline("translation", model=str(tmp_path / "absent"))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(RnnHubError, match="lacks config.json, model.safetensors, tokenizer.json"):
        pipeline("translation", model=empty)
    with pytest.raises(RnnHubError, match="unknown pipeline 'translate'"):
        pipeline("translate", model=model_folder)
    AutoTokenizer.from_pretrained(model_folder).save_pretrained(empty)
    AutoModelForSeq2SeqLM.from_pretrained(model_folder).save_pretrained(empty)
    weights = empty / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(RnnHubError, match="damaged"):
        pipeline("translation", model=empty)
