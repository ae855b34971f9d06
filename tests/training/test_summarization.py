"""A tiny pointer-generator of e-mail subjects, from the recipe to the pipeline and the command line."""

import json
import logging

import pytest

from rnn_hub import pipeline
from rnn_hub.cli import main
from rnn_hub.errors import RnnHubError
from tests import tiny_mail

MAIL = "Hello, please look at the budget contract today. Best, Ann"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_mail.model_folder(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def summarize(folder):
    return pipeline("summarization", model=folder)


def test_a_tiny_model_finds_subjects_and_evaluate_takes_several_references(folder, capsys) -> None:
    def measure(*options: str) -> dict:
        assert main(["evaluate", str(folder), "--split", "test", *options]) == 0
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    own, others = measure(), measure("--columns", "target=others")
    assert own["metrics"]["rouge_1"] > 90 and own["metrics"]["rouge_2"] > 80
    assert "refs:1|" in own["signature"] and "refs:2|" in others["signature"]
    assert 60 < others["metrics"]["rouge_1"] < own["metrics"]["rouge_1"]


def test_the_copied_words_of_a_summary_are_told(summarize) -> None:
    (record,) = summarize(MAIL, return_copied=True)
    assert record["summary_text"] == "budget contract"
    assert [word for word, _ in record["words"]] == ["budget", "contract"]
    assert all(0 <= share <= 1 for _, share in record["words"])
    several = summarize([MAIL, MAIL], num_return_sequences=3, return_copied=True, return_scores=True)
    assert len(several) == 2 and len({each["summary_text"] for each in several[0]}) == 3
    assert several[0][0]["score"] >= several[0][1]["score"]


def test_search_options_hold(summarize) -> None:
    records = summarize(MAIL, min_new_tokens=8, num_return_sequences=3, return_attention=True)[0]
    assert min(len(record["target_tokens"]) for record in records) >= 8
    (attended,) = summarize(MAIL, return_attention=True)
    assert attended["attention"].shape == (len(attended["target_tokens"]), len(attended["source_tokens"]))


@pytest.mark.parametrize(
    "text", ["gas", "> > please look at the lease report\n> thanks", "本日の会議 gas", "word " * 20_000]
)
def test_every_mail_gets_a_subject(summarize, text: str, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        (record,) = summarize(text, return_copied=True)
    assert isinstance(record["summary_text"], str)
    assert ("cut to the model's limit of 48" in caplog.text) == (len(text) > 100)


def test_a_mail_without_a_word_has_no_subject_and_other_things_are_refused(summarize) -> None:
    assert summarize(["", " \n"], return_copied=True) == [{"summary_text": "", "words": []}] * 2
    with pytest.raises(RnnHubError, match="takes a text or a list of texts, not int"):
        summarize([3])


def test_a_model_that_copies_nothing_cannot_tell_what_it_copied(tmp_path) -> None:
    from rnn_hub import RnnForConditionalGeneration, RnnSeq2SeqConfig
    from rnn_hub.data.tokenization import train_tokenizer
    from rnn_hub.pipelines.summarization import SummarizationPipeline

    tokenizer = train_tokenizer([MAIL], 400)
    plain = RnnForConditionalGeneration(RnnSeq2SeqConfig(vocab_size=len(tokenizer), embedding_size=8))
    with pytest.raises(RnnHubError, match="copies nothing"):
        SummarizationPipeline(model=plain, tokenizer=tokenizer)(MAIL, return_copied=True)


def test_predict_prints_the_best_subjects(folder, capsys) -> None:
    assert main(["predict", str(folder), MAIL, "--n-best", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[0].endswith("\tbudget contract")
