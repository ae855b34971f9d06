"""Loading series from data sets whose columns or rows are series, from tables, and from the package `arch`."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn_hub.data.loading import load_split
from rnn_hub.data.series import Series
from rnn_hub.data.series_tables import read_series
from rnn_hub.data.table_files import SUFFIXES
from rnn_hub.errors import RnnHubError

if TYPE_CHECKING:
    import pandas as pd

ARCH = "arch"
"""The package with daily prices of indices, named as if it were a data set."""
INDICES = ("sp500", "nasdaq")
DEFAULT_BOUNDARIES = (0.6, 0.8)


def load_series(source: Any, split: str, horizon: int) -> tuple[list[Series], list[tuple[int, int]]]:
    """The series of a data set, and of each the region (first, one after the last) that a split is to forecast.

    Args:
        source: the section `dataset` of a recipe, of which `path`, `name`, `values`, `id`, `date`, `known`, `past`,
            `static`, `boundaries` and the names of the splits are read.
        split: one of these names.
        horizon: steps of the validation split, where rows are series.

    Raises:
        RnnHubError: no such split or column, a column without numbers, boundaries that do not rise.
    """
    if split not in (source.train, source.validation, source.test):
        raise RnnHubError(f"there is no split {split!r}; there are {source.train}, {source.validation}, {source.test}")
    if source.path == ARCH:
        return _by_time(_index_prices(source.values or INDICES), source, split)
    if Path(str(source.path)).suffix.lower() in SUFFIXES:
        wanted = (*source.known, *source.past)
        names = source.values or [None]
        return _by_time([read_series(source.path, source.date, name, wanted) for name in names], source, split)
    rows = load_split(source.path, source.train, name=source.name)
    if len(source.values or ()) == 1 and isinstance(rows[0].get(source.values[0]), list):
        return _of_rows(rows, source, split, horizon)
    return _by_time(_of_columns(rows.to_pandas(), source), source, split)


def bounds(series: Series, boundaries: Sequence[Any] | None) -> tuple[int, int, int]:
    """Where training, validation and test of a series end."""
    length, found = len(series.values), []
    for boundary in boundaries or DEFAULT_BOUNDARIES:
        if isinstance(boundary, str):
            if series.dates is None:
                raise RnnHubError(
                    f"dataset.boundaries names the date {boundary!r}, and series {series.id!r} has no dates"
                )
            try:
                found.append(int(np.searchsorted(series.dates, np.datetime64(boundary))))
            except ValueError as error:
                raise RnnHubError(f"dataset.boundaries: {boundary!r} is no date such as 2012-01-31") from error
        else:
            found.append(int(boundary * length) if isinstance(boundary, float) else int(boundary))
    found += [length] * (3 - len(found))
    if len(found) != 3 or not 0 < found[0] < found[1] < found[2] <= length:
        raise RnnHubError(f"dataset.boundaries {boundaries} give {found}, which must rise within the {length} values")
    return found[0], found[1], found[2]


def _by_time(series: list[Series], source: Any, split: str) -> tuple[list[Series], list[tuple[int, int]]]:
    place = (source.train, source.validation, source.test).index(split)
    regions = []
    for each in series:
        ends = (0, *bounds(each, source.boundaries))
        regions.append((ends[place], ends[place + 1]))
    return series, regions


def _of_rows(rows: Any, source: Any, split: str, horizon: int) -> tuple[list[Series], list[tuple[int, int]]]:
    """Each row a series; the last `horizon` values of the training rows are the validation, and the test follows."""
    column, after = source.values[0], {}
    names = [str(row[source.id]) if source.id else str(number) for number, row in enumerate(rows)]
    if split == source.test:
        test = load_split(source.path, split, name=source.name, columns=[column, *([source.id] if source.id else [])])
        after = {str(row[source.id]) if source.id else str(k): row[column] for k, row in enumerate(test)}
        if missing := [name for name in names if name not in after]:
            raise RnnHubError(f"split {split!r} of {source.path} lacks series {missing[0]!r}, which {source.train} has")
    series, regions = [], []
    for name, row in zip(names, rows, strict=True):
        known, held = len(row[column]), horizon if source.validation else 0
        values = np.array([*row[column], *after.get(name, ())], dtype=np.float64)
        series.append(Series(name, values, static={static: float(row[static]) for static in source.static}))
        regions.append(
            (known, len(values))
            if split == source.test
            else (0, known - held)
            if split == source.train
            else (known - held, known)
        )
    return series, regions


def _of_columns(table: "pd.DataFrame", source: Any) -> list[Series]:
    """Each column of numbers a series; dates in order."""
    import pandas as pd

    covariates = [*source.known, *source.past]
    numbers = [name for name in table.columns if pd.api.types.is_numeric_dtype(table[name]) and name != source.date]
    names = source.values or [name for name in numbers if name not in covariates]
    for name in [*([source.date] if source.date else []), *names, *covariates]:
        if name not in table.columns:
            raise RnnHubError(f"{source.path} has no column {name!r}; it has {', '.join(map(str, table.columns))}")
    for name in [*names, *covariates]:
        if name not in numbers:
            raise RnnHubError(f"column {name!r} of {source.path} holds no numbers")
    dates = None
    if source.date:
        dates = pd.to_datetime(table[source.date]).to_numpy().astype("datetime64[s]")
        if (np.diff(dates) <= np.timedelta64(0, "s")).any():
            row = int(np.argmax(np.diff(dates) <= np.timedelta64(0, "s"))) + 1
            raise RnnHubError(f"row {row} of {source.path} is not later than the one before: sort its rows by date")
    columns = {name: table[name].to_numpy(np.float64) for name in covariates}
    return [Series(name, table[name].to_numpy(np.float64), dates, columns) for name in names]


def _index_prices(names: Sequence[str]) -> list[Series]:
    """Daily closing prices that the package `arch` ships."""
    series = []
    for name in names:
        if name not in INDICES:
            raise RnnHubError(f"the package arch has no prices called {name!r}; choose from {', '.join(INDICES)}")
        try:
            table = importlib.import_module(f"arch.data.{name}").load()
        except ModuleNotFoundError as error:
            raise RnnHubError("these prices come with the package arch: pip install 'rnn-hub[forecasting]'") from error
        prices = table["Adj Close"].dropna()
        series.append(Series(name, prices.to_numpy(np.float64), prices.index.to_numpy().astype("datetime64[s]")))
    return series
