"""Metrics of numbers, against cases counted by hand."""

import pytest

from rnn_hub.metrics import compute_metrics


def test_a_case_counted_by_hand() -> None:
    values, signature = compute_metrics(("pearson", "spearman", "rmse"), [1.0, 2.0, 4.0], [1.0, 3.0, 2.0])
    assert values["pearson"] == pytest.approx(100 / (28 / 3) ** 0.5)
    assert values["spearman"] == pytest.approx(50.0)
    assert values["rmse"] == pytest.approx((5 / 3) ** 0.5)
    assert "numbers:3" in signature


def test_equal_numbers_correlate_with_nothing() -> None:
    assert compute_metrics(("pearson", "spearman"), [1.0, 1.0], [1.0, 2.0])[0] == {"pearson": 0.0, "spearman": 0.0}
