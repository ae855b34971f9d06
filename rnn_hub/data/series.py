"""Time series, and their windows: a past to read and a future to forecast."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch

from rnn_hub.errors import RnnHubError

CALENDAR = {
    "minute_of_hour": 60,
    "hour_of_day": 24,
    "day_of_week": 7,
    "day_of_month": 31,
    "day_of_year": 366,
}
"""Cycles of the calendar and their lengths; each gives two features."""


@dataclass
class Series:
    """One series on an even grid of time.

    Args:
        id: its name.
        values: (T,), NaN where there is none.
        dates: (T,) of datetime64, or None.
        covariates: by name, (T,) or longer where it is known ahead.
        static: by name, a number.
    """

    id: str
    values: np.ndarray
    dates: np.ndarray | None = None
    covariates: Mapping[str, np.ndarray] = field(default_factory=dict)
    static: Mapping[str, float] = field(default_factory=dict)


class Origin(NamedTuple):
    """A place from which to forecast.

    Args:
        series: its number.
        place: index of the first value to forecast.
        begin, end: only values with an index from begin to before end are to be forecast; others are hidden.
        spread: the place moves back by up to so many steps at random.
    """

    series: int
    place: int
    begin: int
    end: int
    spread: int = 0


class SeriesWindows(Sequence):
    """Windows of series, cut when they are asked for.

    Args:
        series: the series.
        origins: where the windows part into past and future.
        context: values of a past; at the beginning of a series there are fewer.
        horizon: values of a future, NaN where hidden or beyond the end.
    """

    def __init__(self, series: Sequence[Series], origins: Sequence[Origin], context: int, horizon: int):
        self.series, self.origins = series, origins
        self.context, self.horizon = context, horizon

    def __len__(self) -> int:
        return len(self.origins)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> dict[str, Any]:
        """A window: `id`, `values`, `future` (horizon,), `dates` and `covariates` of both, `static`."""
        index, place, begin, end, spread = self.origins[number]
        if spread:
            place -= int(torch.randint(spread + 1, ()))
        series = self.series[index]
        start, stop = max(place - self.context, 0), place + self.horizon
        future = np.full(self.horizon, np.nan)
        first, last = max(place, begin), min(stop, end, len(series.values))
        if first < last:
            future[first - place : last - place] = series.values[first:last]
        return {
            "id": series.id,
            "values": series.values[start:place],
            "dates": None if series.dates is None else series.dates[start:stop],
            "future": future,
            "covariates": {name: column[start:stop] for name, column in series.covariates.items()},
            "static": series.static,
        }

    def select(self, numbers: Sequence[int]) -> "SeriesWindows":
        """Some of the windows."""
        return SeriesWindows(self.series, [self.origins[number] for number in numbers], self.context, self.horizon)

    def lengths(self) -> list[int]:
        """Values of each past."""
        return [min(origin.place, self.context) for origin in self.origins]


def origins(
    series: Sequence[Series],
    begins: Sequence[int],
    ends: Sequence[int],
    horizon: int,
    stride: int = 1,
    whole: bool = True,
    least: int = 1,
    random: bool = False,
) -> list[Origin]:
    """Places to forecast from, so that what is forecast lies in [begin, end) of each series.

    Args:
        series: the series.
        begins, ends: of each series the first index to forecast, and the one after the last.
        horizon: steps of a forecast.
        stride: steps from one place to the next, counted from the end.
        whole: only forecasts that lie in the region with all their steps, else with at least one.
        least: values of the past that a place needs.
        random: whether the places move at random by less than the stride when they are used.
    """
    found = []
    for number, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        first, last = (begin, end - horizon) if whole else (begin - horizon + 1, end - 1)
        first = max(first, least)
        for place in range(last, first - 1, -stride):
            spread = min(stride - 1, place - first) if random else 0
            found.append(Origin(number, place, begin, end, spread))
    return sorted(found)


def calendar_features(dates: np.ndarray, cycles: Sequence[str]) -> np.ndarray:
    """Sine and cosine of the place of each date in each cycle: dates of any shape to (..., 2 * cycles).

    Raises:
        RnnHubError: an unknown cycle.
    """
    minutes = np.asarray(dates, dtype="datetime64[m]")
    days = minutes.astype("datetime64[D]")
    minute_of_day = (minutes - days).astype(np.int64)
    numbers = {
        "minute_of_hour": minute_of_day % 60,
        "hour_of_day": minute_of_day / 60,
        "day_of_week": days.astype(np.int64) + 3,  # day 0 was a Thursday
        "day_of_month": (days - days.astype("datetime64[M]")).astype(np.int64),
        "day_of_year": (days - days.astype("datetime64[Y]")).astype(np.int64),
    }
    columns = []
    for cycle in cycles:
        if cycle not in CALENDAR:
            raise RnnHubError(f"unknown calendar cycle {cycle!r}; there are {', '.join(CALENDAR)}")
        angle = 2 * np.pi * numbers[cycle] / CALENDAR[cycle]
        columns += [np.sin(angle), np.cos(angle)]
    return np.stack(columns, axis=-1) if columns else np.zeros((*minutes.shape, 0))


def find_frequency(dates: np.ndarray) -> str:
    """The step of sorted dates as pandas names it: "h", "15min", "D", "B" (days without weekends), "W-SUN", "MS", ...

    It is the commonest step, and a grid of it that holds all dates, save for gaps.

    Raises:
        RnnHubError: fewer than three dates, or steps that fit no such grid.
    """
    import pandas as pd

    index = pd.DatetimeIndex(dates)
    if len(index) < 3:
        raise RnnHubError(f"{len(index)} dates tell no frequency: give at least 3 rows")
    regular = pd.infer_freq(index)
    if regular is not None:
        return regular
    step = pd.Series(index).diff().mode().iloc[0]
    days = step / pd.Timedelta(days=1)
    candidates = []
    if days == 1 and not (index.dayofweek >= 5).any() and index[-1] - index[0] >= pd.Timedelta(days=7):
        candidates.append("B")
    elif days == 7:
        candidates.append(f"W-{index[-1].day_name()[:3].upper()}")
    elif 28 <= days <= 31:
        candidates += ["MS", "ME"]
    elif 89 <= days <= 92:
        candidates += ["QS", "QE"]
    elif 365 <= days <= 366:
        candidates += ["YS", "YE"]
    candidates.append(pd.tseries.frequencies.to_offset(step).freqstr)
    for frequency in candidates:
        if index.isin(pd.date_range(index[0], index[-1], freq=frequency)).all():
            return frequency
    raise RnnHubError(f"the dates are not evenly spaced: most are {step} apart, and not all lie on such a grid")


def future_dates(dates: np.ndarray, frequency: str, steps: int) -> np.ndarray:
    """The dates of the `steps` after the last one."""
    import pandas as pd

    return pd.date_range(dates[-1], periods=steps + 1, freq=frequency)[-steps:].to_numpy()
