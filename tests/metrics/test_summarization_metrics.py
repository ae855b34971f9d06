"""ROUGE against cases counted by hand."""

import pytest

from rnn_hub.metrics import load_metric


def rouge(name: str, prediction: str, reference: str | list[str]) -> float:
    return load_metric(name).compute(predictions=[prediction], references=[reference])[name]


def test_words_pairs_and_subsequences_are_counted() -> None:
    prediction, reference = "the gas meeting today", "gas meeting moved to today"
    # 3 of 4 and 3 of 5 words; 1 of 3 and 1 of 4 pairs; "gas meeting today" in both
    assert rouge("rouge_1", prediction, reference) == pytest.approx(100 * 2 * 0.75 * 0.6 / 1.35)
    assert rouge("rouge_2", prediction, reference) == pytest.approx(100 * 2 / 7)
    assert rouge("rouge_l_summary", prediction, reference) == pytest.approx(100 * 2 * 0.75 * 0.6 / 1.35)
    assert rouge("rouge_l_summary", "today meeting", "meeting today") == pytest.approx(50)


def test_case_and_endings_do_not_count_and_the_best_of_several_references_does() -> None:
    assert rouge("rouge_1", "Meetings", "meeting") == pytest.approx(100)
    assert rouge("rouge_1", "gas", ["power", "gas prices", "Gas"]) == pytest.approx(100)
    assert rouge("rouge_1", "", "gas") == 0
    signature = load_metric("rouge_1").compute(predictions=["gas"], references=[["a", "b"]])["signature"]
    assert signature.startswith("F|stemmed|refs:2|rouge-score:")
