"""Series from what people have: lists of numbers, pandas, and tables that a spreadsheet or a broker exports."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn_hub.data.cells import parse_dates, parse_numbers
from rnn_hub.data.series import Series, find_frequency
from rnn_hub.data.table_files import read_cells
from rnn_hub.errors import RnnHubError

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

DATE_NAMES = ("date", "datetime", "timestamp", "time", "day", "month", "week", "datum", "zeit", "ds", "fecha")
VALUE_NAMES = (
    "close",
    "close/last",
    "adj close",
    "price",
    "last",
    "value",
    "y",
    "kurs",
    "schluss",
    "schlusskurs",
    "wert",
)
SPARSEST = 20
"""A table is refused whose even grid of dates would have so many places for each row."""


def read_series(
    source: Any, date: str | None = None, value: str | None = None, covariates: Sequence[str] = (), name: str = "series"
) -> Series:
    """A series from a list of numbers, a pandas Series, a `Series`, or the path of a CSV or JSON table.

    Rows of a table may be in any order; gaps in the dates become missing values, but days without a row in a series of
    weekdays are holidays and left out. Thousands separators, decimal commas and signs of currencies are understood.

    Args:
        source: the series.
        date, value: columns of a table; by default found by name, or as the only ones that will do.
        covariates: further columns to read; those with numbers in rows of later dates without a value are known ahead.
        name: what an error calls a series without a name.

    Raises:
        RnnHubError: no such file or column; a cell that is no number or date, or a date that stands there twice with
            different values, with its row; dates that are not evenly spaced; a series without a number.
    """
    if isinstance(source, Series):
        series = source
    elif isinstance(source, str | Path):
        series = read_table(source, date, value, covariates)
    elif hasattr(source, "to_numpy") and hasattr(source, "index"):
        series = _from_pandas(source, name)
    else:
        series = Series(name, _as_numbers(source, name))
    if np.isinf(series.values).any():
        raise RnnHubError(
            f"{series.id} holds an infinite value, at place {int(np.argmax(np.isinf(series.values))) + 1}"
        )
    if np.isnan(series.values).all():
        raise RnnHubError(f"{series.id} holds no number: there is nothing to forecast from")
    return series


def read_table(
    path: str | Path, date: str | None = None, value: str | None = None, covariates: Sequence[str] = ()
) -> Series:
    """A series from a CSV or JSON table; see `read_series`."""
    import pandas as pd

    path = Path(path)
    table, comma, first = read_cells(path)
    columns = {str(column).strip().lower(): column for column in table.columns}

    def named(column: str, option: str) -> str:
        if column.strip().lower() not in columns:
            raise RnnHubError(
                f"{path.name} has no column {column!r} to use as {option}; it has {', '.join(table.columns)}"
            )
        return columns[column.strip().lower()]

    def number(row: int) -> int:
        return row + first

    date = named(date, "dates") if date else _find_dates(table)
    value = named(value, "values") if value else _find_values(table, date, comma, path.name)
    values = _column_numbers(table[value], comma, path.name, number)
    others = {each: _column_numbers(table[named(each, each)], comma, path.name, number) for each in covariates}
    if date is None:
        logger.warning("%s: no column of dates is found; its rows are taken in their order", path.name)
        return Series(value, values, covariates=others)
    dates = _column_dates(table[date], path.name, number)
    frame = pd.DataFrame({"": values, **others}, index=dates)
    _refuse_contradictions(frame, dates, path.name, number)
    frame = frame[~frame.index.duplicated()].sort_index()
    last = frame[""].last_valid_index()
    if last is None:
        raise RnnHubError(f"column {value!r} of {path.name} holds no number")
    kept = frame.loc[frame[""].first_valid_index() :]
    try:
        grid = _on_grid(kept)
    except RnnHubError as error:
        raise RnnHubError(f"{path.name}: {error}") from error
    length = int((grid.index <= last).sum())
    gaps = int(grid[""].iloc[:length].isna().sum())
    logger.info(
        "%s: %d values of %r by %r%s", path.name, length - gaps, value, date, f", {gaps} missing" if gaps else ""
    )
    rest = {each: grid[each].to_numpy(np.float64) for each in covariates}
    stamps = grid.index.to_numpy().astype("datetime64[s]")[:length]
    return Series(str(value), grid[""].to_numpy(np.float64)[:length], stamps, rest)


def _column_numbers(cells: "pd.Series", comma: bool, name: str, number: Any) -> np.ndarray:
    """A column's numbers; a cell that is none is an error with its row."""
    found = parse_numbers(cells.tolist(), comma)
    if np.isinf(found).any():
        place = int(np.argmax(np.isinf(found)))
        cell = str(cells.iloc[place])[:40]
        raise RnnHubError(f"row {number(cells.index[place])} of {name}: {cell!r} in column {cells.name!r} is no number")
    return found


def _column_dates(cells: "pd.Series", name: str, number: Any) -> Any:
    """A column's dates; a cell that is none is an error with its row."""
    import pandas as pd

    found, _ = parse_dates(cells.tolist())
    missing = np.ones(len(cells), dtype=bool) if found is None else found.isna().to_numpy()
    if missing.any():
        place = int(np.argmax(missing))
        cell = str(cells.iloc[place])[:40]
        raise RnnHubError(
            f"row {number(cells.index[place])} of {name}: {cell!r} in column {cells.name!r} is no known date: "
            "write it as 2024-12-31, or 2024-12-31 23:00"
        )
    return pd.DatetimeIndex(found)


def _find_dates(table: "pd.DataFrame") -> str | None:
    """The column of dates: by its name, or the first that reads as dates and not as numbers."""
    named = [column for column in table.columns if column.strip().lower() in DATE_NAMES]
    for column in [*named, *[column for column in table.columns if column not in named]]:
        some = table[column].head(200).tolist()
        if column not in named and not np.isinf(parse_numbers(some)).any():
            continue
        if parse_dates(some)[1] >= 0.5 * len(some):
            return column
    return None


def _find_values(table: "pd.DataFrame", date: str | None, comma: bool, name: str) -> str:
    """The column of values: the first of the usual names, or the only one of numbers."""
    numbers = []
    for column in table.columns:
        found = parse_numbers(table[column].tolist(), comma)
        if column != date and np.isfinite(found).sum() > 0.5 * max((~np.isnan(found)).sum(), 1):
            numbers.append(column)
    lower = {column.strip().lower(): column for column in numbers}
    usual = [lower[each] for each in VALUE_NAMES if each in lower]
    if not numbers:
        raise RnnHubError(f"{name} has no column of numbers; its columns are {', '.join(table.columns)}")
    if not usual and len(numbers) > 1:
        raise RnnHubError(f"which column of {name} holds the values? Name one of {', '.join(numbers)}")
    return (usual or numbers)[0]


def _refuse_contradictions(frame: "pd.DataFrame", dates: Any, name: str, number: Any) -> None:
    """Rows that say the same twice count once; those that contradict each other are an error with the row."""
    doubled = frame.index.duplicated(keep="first")
    first = frame[~doubled].reindex(frame.index)
    same = (frame.to_numpy() == first.to_numpy()) | (frame.isna().to_numpy() & first.isna().to_numpy())
    wrong = np.flatnonzero(~same.all(axis=1))
    if len(wrong):
        place = int(wrong[0])
        raise RnnHubError(
            f"{name} has two different rows of {dates[place]}, the second of them number {place + 1} below the names: "
            "keep one, or make a file for each series"
        )


def _on_grid(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Rows on an even grid of dates, NaN in the gaps."""
    import pandas as pd

    frequency = find_frequency(frame.index.to_numpy())
    if frequency == "B":
        return frame
    grid = pd.date_range(frame.index[0], frame.index[-1], freq=frequency)
    if len(grid) > SPARSEST * len(frame):
        raise RnnHubError(f"the dates have {len(grid)} places of {frequency!r} and a row for {len(frame)} of them only")
    return frame.reindex(grid)


def _as_numbers(values: Any, name: str) -> np.ndarray:
    """A list of numbers, None for those missing."""
    try:
        numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise RnnHubError(f"{name} is no list of numbers, table or pandas Series: {error}") from error
    if numbers.ndim != 1 or not len(numbers):
        raise RnnHubError(f"{name} must be a list of at least one number")
    return numbers


def _from_pandas(source: Any, name: str) -> Series:
    """A pandas Series; dates in its index are put in order and on a grid."""
    import pandas as pd

    name = name if getattr(source, "name", None) is None else str(source.name)
    values = _as_numbers(source.tolist(), name)
    if not isinstance(source.index, pd.DatetimeIndex):
        return Series(name, values)
    if source.index.has_duplicates:
        raise RnnHubError(f"{name} has two values of {source.index[source.index.duplicated()][0]}: keep one")
    index = source.index if source.index.tz is None else source.index.tz_convert("UTC").tz_localize(None)
    grid = _on_grid(pd.DataFrame({"": values}, index=index).sort_index())
    return Series(name, grid[""].to_numpy(np.float64), grid.index.to_numpy().astype("datetime64[s]"))
