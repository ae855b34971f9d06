"""Each metric of forecasts on a case worked out by hand."""

import math

import pytest

from rnn_hub import RnnHubError, load_metric
from rnn_hub.metrics import METRICS

NAN = float("nan")


def value(name: str, predictions: list, references: list, **options) -> float:
    return load_metric(name).compute(predictions=predictions, references=references, **options)[name]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mse", (1 + 4 + 0) / 3),  # the missing value does not count
        ("mae", (1 + 2 + 0) / 3),
        ("smape", ((200 * 1 / 3 + 200 * 2 / 10) / 2 + 0) / 2),  # the mean of the two forecasts' means
        ("rse", math.sqrt((1 + 4 + 0) / (16 + 1 + 25))),  # around 5, the mean of 1, 4 and 10
    ],
)
def test_of_points(name: str, expected: float) -> None:
    predictions, references = [[2.0, 6.0], [10.0, 7.0]], [[1.0, 4.0], [10.0, NAN]]
    assert value(name, predictions, references) == pytest.approx(expected)


def test_smape_of_two_zeros_is_zero_and_of_opposites_200() -> None:
    assert value("smape", [[0.0, 3.0]], [[0.0, -3.0]]) == pytest.approx(100)


def test_mase_divides_each_forecast_by_its_series_scale() -> None:
    # errors 1 and 3 over scale 2, error 4 over scale 8; the constant series is left out
    found = value("mase", [[1.0, 3.0], [4.0], [9.0]], [[0.0, 0.0], [0.0], [0.0]], scales=[2.0, 8.0, 0.0])
    assert found == pytest.approx((2 / 2 + 4 / 8) / 2)


def test_corr_is_the_mean_over_the_series() -> None:
    # "a" rises with its forecasts (1), "b" falls (-1), "c" does not vary
    predictions = [[1.0], [2.0], [1.0], [2.0], [5.0], [5.0]]
    references = [[10.0], [20.0], [20.0], [10.0], [5.0], [5.0]]
    assert value("corr", predictions, references, series=list("aabbcc")) == pytest.approx(0)
    assert value("corr", predictions[:2], references[:2]) == pytest.approx(1)


def test_direction_is_told_from_the_last_value() -> None:
    # from 5: up (right), down (wrong), and one that does not move; from 0: a forecast of no move is wrong
    predictions, references = [[6.0, 4.0, 7.0], [0.0, 1.0, 1.0]], [[9.0, 8.0, 5.0], [1.0, 1.0, NAN]]
    assert value("directional_accuracy", predictions, references, origins=[5.0, 0.0]) == pytest.approx(50)


def test_crps_is_twice_the_mean_pinball_loss() -> None:
    # value 10: quantile 0.5 at 8 costs 0.5 * 2, quantile 0.9 at 11 costs 0.1 * 1
    found = value("crps", [[[8.0, 11.0]]], [[10.0]], levels=[0.5, 0.9])
    assert found == pytest.approx(2 * (1.0 + 0.1) / 2)
    found = value("weighted_quantile_loss", [[[8.0, 11.0]]], [[10.0]], levels=[0.5, 0.9])
    assert found == pytest.approx(1.1 / 10)


def test_crps_of_dense_quantiles_is_that_of_the_normal_distribution() -> None:
    from scipy.stats import norm

    levels = [(k + 0.5) / 999 for k in range(999)]
    found = value("crps", [[norm.ppf(levels).tolist()]], [[0.3]], levels=levels)
    exact = 0.3 * (2 * norm.cdf(0.3) - 1) + 2 * norm.pdf(0.3) - 1 / math.sqrt(math.pi)  # Gneiting & Raftery, eq. 5
    assert found == pytest.approx(exact, abs=1e-3)


def test_coverage_counts_ends_and_skips_what_is_missing() -> None:
    intervals = [[[0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]]
    assert value("coverage", intervals, [[1.0, 0.5, 2.0, NAN]]) == pytest.approx(200 / 3)


@pytest.mark.parametrize(
    ("name", "predictions", "references", "options", "message"),
    [
        ("mse", [[1.0]], [[NAN]], {}, "nothing to score"),
        ("mse", [[1.0, 2.0]], [[1.0]], {}, "forecast 0 has 2 steps"),
        ("mase", [[1.0]], [[1.0]], {"scales": [0.0]}, "a scale above 0"),
        ("rse", [[1.0]], [[1.0]], {}, "all the same"),
        ("corr", [[1.0]], [[1.0]], {}, "vary"),
        ("crps", [[[1.0, 2.0]]], [[1.0]], {"levels": [0.5]}, "2 quantiles, and 1 levels"),
        ("coverage", [[[1.0]]], [[1.0]], {}, "2 ends"),
        ("directional_accuracy", [[1.0]], [[1.0]], {"origins": [1.0]}, "differs"),
    ],
)
def test_mistakes_are_told(name: str, predictions: list, references: list, options: dict, message: str) -> None:
    with pytest.raises(RnnHubError, match=message):
        value(name, predictions, references, **options)


def test_all_are_in_the_table() -> None:
    ours = [name for name, place in METRICS.items() if ".forecasting:" in place]
    assert len(ours) == 10 and all(load_metric(name).name == name for name in ours)
