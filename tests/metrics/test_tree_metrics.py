"""Accuracies of trees, on a case done by hand."""

import pytest

from rnn_hub.metrics import compute_metrics

NEGATIVE, NEUTRAL, POSITIVE = [0.4, 0.3, 0.1, 0.1, 0.1], [0.1, 0.2, 0.5, 0.1, 0.1], [0.0, 0.1, 0.4, 0.3, 0.2]


def test_roots_their_signs_and_all_nodes_are_judged() -> None:
    predictions = [[NEUTRAL, NEGATIVE], [NEUTRAL], [POSITIVE, POSITIVE], [NEGATIVE, NEUTRAL]]
    references = [[2, 0], [2], [2, 4], [1, 3]]
    names = ("root_accuracy", "binary_accuracy", "node_accuracy")
    values, signature = compute_metrics(names, predictions, references)
    assert values["root_accuracy"] == pytest.approx(100 * 2 / 4)  # of the third and the fourth 2 is the best label
    assert values["binary_accuracy"] == pytest.approx(100 * 2 / 3)  # 0, 4, 3; the second is neutral
    assert values["node_accuracy"] == pytest.approx(100 * 4 / 7)
    assert signature == "root_accuracy: judged:4; binary_accuracy: judged:3; node_accuracy: judged:7"
