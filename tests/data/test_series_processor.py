"""Windows of series to a batch: padding, dates that go on, covariates, and what is missing told by name."""

import numpy as np
import pytest

from rnn_hub.data.series import Series, SeriesWindows, find_frequency, future_dates, origins
from rnn_hub.data.series_processor import SeriesProcessor
from rnn_hub.errors import RnnHubError

DATES = np.arange(np.datetime64("2024-01-01T00"), np.datetime64("2024-01-01T10")).astype("datetime64[s]")


def window(**others) -> dict:
    known = {"sale": np.arange(13.0), "rain": np.arange(13.0)}
    return {"id": "a", "values": np.arange(10.0), "dates": DATES, "covariates": known, "static": {"size": 7}} | others


def test_pasts_are_padded_on_the_left_and_gaps_are_marked() -> None:
    batch = SeriesProcessor(6, 2)([window(values=np.array([1.0, np.nan, 3.0])), window(future=None)])
    assert batch["past_values"].tolist() == [[0, 0, 0, 1, 0, 3], [4, 5, 6, 7, 8, 9]]
    assert batch["past_observed_mask"].tolist() == [[0, 0, 0, 1, 0, 1], [1] * 6]
    assert "future_values" not in batch


def test_known_and_past_covariates_the_calendar_and_features_of_a_series() -> None:
    processor = SeriesProcessor(
        6, 3, calendar=["hour_of_day"], known_covariates=["sale"], past_covariates=["rain"], static_features=["size"],
        standards={"sale": [0, 2], "size": [5, 1]}, frequency="h",
    )  # fmt: skip
    batch = processor([window(future=np.array([1.0, np.nan, 3.0]))])
    assert processor.sizes()["num_time_features"] == 3
    np.testing.assert_allclose(batch["future_time_features"][0, :, 2], [5, 5.5, 6])  # (10, 11, 12) / 2
    angle = 2 * np.pi * np.array([10, 11, 12]) / 24
    np.testing.assert_allclose(batch["future_time_features"][0, :, 0], np.sin(angle), atol=1e-6)
    np.testing.assert_allclose(batch["past_covariates"][0, :, 0], np.arange(4, 10))
    assert batch["static_features"].tolist() == [[2]]
    assert batch["future_observed_mask"].tolist() == [[1, 0, 1]]


@pytest.mark.parametrize(
    ("options", "others", "message"),
    [
        ({"calendar": ["day_of_week"]}, {"dates": None}, "has no dates, and the model sees the calendar: day_of_week"),
        ({"calendar": ["moon"]}, {}, "unknown calendar cycle 'moon'"),
        ({"known_covariates": ["wind"]}, {}, "has no column 'wind'"),
        ({"known_covariates": ["sale"]}, {"covariates": {"sale": np.arange(10.0)}}, "'sale' ends 3 steps early"),
        ({"static_features": ["weight"]}, {}, "has no feature 'weight'"),
    ],
)
def test_what_is_missing_is_named(options: dict, others: dict, message: str) -> None:
    with pytest.raises(RnnHubError, match=message):
        SeriesProcessor(6, 3, **options)([window(**others)])


def test_saved_equals_loaded(tmp_path) -> None:
    processor = SeriesProcessor(6, 3, calendar=["hour_of_day"], standards={"sale": [1, 2]}, frequency="h", least=4)
    processor.save_pretrained(tmp_path)
    assert SeriesProcessor.from_pretrained(tmp_path).to_dict() == processor.to_dict()


@pytest.mark.parametrize("frequency", ["h", "15min", "D", "B", "W-WED", "MS", "ME", "QS-JAN", "YS-JAN"])
def test_the_step_of_dates_is_found_and_goes_on(frequency: str) -> None:
    import pandas as pd

    dates = pd.date_range("2020-01-01", periods=40, freq=frequency)
    assert find_frequency(dates[:30].to_numpy()) == frequency
    np.testing.assert_array_equal(future_dates(dates[:30].to_numpy(), frequency, 10), dates[30:].to_numpy())


def test_windows_lie_where_they_are_asked() -> None:
    series = [Series("a", np.arange(20.0))]
    whole = origins(series, [10], [20], horizon=4, stride=3)
    assert [origin.place for origin in whole] == [10, 13, 16]
    partial = SeriesWindows(series, origins(series, [10], [20], horizon=4, whole=False), 5, 4)
    assert len(partial) == 13 and partial[0]["values"].tolist() == [2, 3, 4, 5, 6]
    np.testing.assert_array_equal(partial[0]["future"], [np.nan, np.nan, np.nan, 10])  # only 10 to 19 are asked for
    np.testing.assert_array_equal(partial[12]["future"], [19, np.nan, np.nan, np.nan])
    moving = origins(series, [0], [20], horizon=4, stride=8, least=5, random=True)
    places = {len(SeriesWindows(series, moving, 20, 4)[0]["values"]) for _ in range(60)}
    assert moving[0].place == 8 and places == {5, 6, 7, 8}
