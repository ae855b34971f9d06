"""Metrics of labels on cases done by hand."""

import evaluate
import pytest

from rnn_hub.metrics import compute_metrics, load_metric


def test_accuracy_and_macro_f1() -> None:
    references, predictions = ["a", "a", "a", "b"], ["a", "a", "b", "b"]
    values, signature = compute_metrics(["accuracy", "macro_f1"], predictions, references)
    assert values == {"accuracy": 75, "macro_f1": pytest.approx(100 * (4 / 5 + 2 / 3) / 2)}
    assert "labels:4" in signature and "average:macro" in signature


def test_sets_of_labels_are_compared_as_sets() -> None:
    references, predictions = [["a", "b"], ["a"], [], ["b"]], [["b", "a"], ["b"], [], []]
    values, signature = compute_metrics(["label_set_accuracy", "label_set_f1"], predictions, references)
    assert values == {"label_set_accuracy": 50, "label_set_f1": pytest.approx(100 * (2 / 3 + 1 / 2) / 2)}
    assert "texts:4" in signature
    assert compute_metrics(["label_set_f1"], [[], []], [[], []])[0]["label_set_f1"] == 100


def test_entities_are_right_only_as_a_whole() -> None:
    references = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-ORG"]]
    predictions = [["B-PER", "O", "O", "B-LOC"], ["B-ORG", "B-ORG"]]
    values, signature = compute_metrics(["entity_f1"], predictions, references)
    assert values["entity_f1"] == pytest.approx(100 * 2 * 2 / (3 + 4))
    assert "seqeval" in signature


def test_nothing_found_is_zero_and_no_error() -> None:
    assert compute_metrics(["entity_f1"], [["O"]], [["B-PER"]])[0]["entity_f1"] == 0


@pytest.mark.parametrize("name", ["accuracy", "macro_f1", "entity_f1", "label_set_accuracy", "label_set_f1"])
def test_they_are_modules_of_evaluate(name) -> None:
    metric = load_metric(name)
    assert isinstance(metric, evaluate.Metric)
    label = "x" if name in ("accuracy", "macro_f1") else ["B-X", "O"]
    metric.add_batch(predictions=[label], references=[label])
    assert metric.compute()[name] == 100


def test_a_confusion_matrix_has_the_references_in_its_rows() -> None:
    found = load_metric("confusion_matrix").compute(predictions=["a", "b", "b", "c"], references=["a", "a", "b", "b"])
    assert found["labels"] == ["a", "b", "c"]
    assert found["confusion_matrix"] == [[1, 1, 0], [0, 1, 1], [0, 0, 0]]
