"""Series from what people have: lists of numbers, pandas, and tables that a spreadsheet or a broker exports."""

import csv
import json
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn_hub.data.series import Series, find_frequency
from rnn_hub.errors import RnnHubError

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".jsonl")
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
DATES = ("ISO8601", "%Y/%m/%d", "%d.%m.%Y", "%d.%m.%y", "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%d/%m/%y", "%d-%m-%Y",
         "%b %d, %Y", "%B %d, %Y", "%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%d-%b-%y", "%b %Y", "%B %Y", "%m/%Y")  # fmt: skip
TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
MISSING = {"", "-", "–", "—", ".", "na", "n/a", "nan", "null", "none", "#n/a", "#na", "nil"}
CURRENCY = re.compile(r"[$€£¥₹₩₽]|\b(?:USD|EUR|GBP|CHF|JPY|CNY|INR|AUD|CAD|kr)\b", re.IGNORECASE)
SPARSEST = 20
"""A table is refused whose even grid of dates would have so many places for each row."""
MAX_BYTES = 50_000_000


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
    table, comma, first = _read_cells(path)
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


def _read_cells(path: Path) -> tuple["pd.DataFrame", bool, int]:
    """All cells as text, whether cells are parted by semicolons (as where commas are decimal), the first row's number."""
    import pandas as pd

    if not path.is_file():
        raise RnnHubError(f"there is no file {path}")
    if path.suffix.lower() not in SUFFIXES:
        raise RnnHubError(f"{path.name} is no table that can be read: save it as CSV or JSON")
    if path.stat().st_size > MAX_BYTES:
        raise RnnHubError(f"{path.name} has more than {MAX_BYTES // 10**6} MB: cut it to the rows that matter")
    text = _decode(path)
    if path.suffix.lower() in (".json", ".jsonl"):
        return _from_json(text, path.name), False, 1
    if not text.strip():
        raise RnnHubError(f"{path.name} is empty")
    try:
        delimiter = csv.Sniffer().sniff(text[:20000], delimiters=",;\t|").delimiter
    except csv.Error:
        delimiter = max(",;\t|", key=text.splitlines()[0].count)
    rows = [row for row in csv.reader(text.splitlines(), delimiter=delimiter)]
    numbered = [(number, row) for number, row in enumerate(rows, 1) if any(cell.strip() for cell in row)]
    header = [cell.strip() or f"column {place}" for place, cell in enumerate(numbered[0][1], 1)]
    if len(set(header)) < len(header):
        raise RnnHubError(f"{path.name} has two columns of the same name: {', '.join(header)}")
    for number, row in numbered[1:]:
        if len(row) > len(header) and any(cell.strip() for cell in row[len(header) :]):
            raise RnnHubError(f"row {number} of {path.name} has {len(row)} cells under {len(header)} names: quote numbers "
                              "with commas, or part the cells by semicolons")  # fmt: skip
    cells = [[*row, *[""] * len(header)][: len(header)] for _, row in numbered[1:]]
    if not cells:
        raise RnnHubError(f"{path.name} has a row of names and none of values")
    table = pd.DataFrame(cells, columns=header, dtype=str, index=[number for number, _ in numbered[1:]])
    return table, delimiter == ";", 0


def _decode(path: Path) -> str:
    data = path.read_bytes()
    for encoding in ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise RnnHubError(f"{path.name} is no text: save it as CSV in UTF-8")


def _from_json(text: str, name: str) -> "pd.DataFrame":
    """A list of records, records a line, or columns by name (lists, or dictionaries by row), also under one key."""
    import pandas as pd

    try:
        try:
            content = json.loads(text)
        except json.JSONDecodeError:
            content = [json.loads(line) for line in text.splitlines() if line.strip()]
    except json.JSONDecodeError as error:
        raise RnnHubError(f"{name} is no valid JSON: {error.msg} in line {error.lineno}") from error
    if isinstance(content, dict) and len(content) == 1 and isinstance(next(iter(content.values())), list | dict):
        inner = next(iter(content.values()))
        content = inner if isinstance(inner, dict) or (inner and isinstance(inner[0], dict)) else content
    if isinstance(content, dict):
        content = {key: list(part.values()) if isinstance(part, dict) else part for key, part in content.items()}
    try:
        table = pd.DataFrame(content)
    except (ValueError, TypeError) as error:
        raise RnnHubError(f"{name} holds no table: write a list of records, or lists by name") from error
    if table.empty:
        raise RnnHubError(f"{name} holds no rows")
    table.columns = [str(column) for column in table.columns]
    return table.map(lambda cell: "" if cell is None or cell != cell else str(cell)).reset_index(drop=True)


def parse_numbers(cells: Sequence[str], comma: bool = False) -> np.ndarray:
    """Numbers as people write them, NaN where a cell is empty; infinity stands where a cell is no number.

    Which of comma and point parts the decimals is decided for all cells together: the later one where both occur; one
    that occurs twice in a cell, or, of commas, always before three digits, parts thousands.

    Args:
        cells: the texts.
        comma: whether a comma before three digits is decimal too, and a point before three digits is not.
    """
    cleaned = [_clean(cell) for cell in cells]
    decimal = _decimal_sign(cleaned, comma)
    thousands = "," if decimal == "." else "."
    numbers = np.empty(len(cleaned))
    for place, text in enumerate(cleaned):
        if text.lower() in MISSING:
            numbers[place] = np.nan
            continue
        whole, _, rest = text.partition(decimal)
        grouped = re.fullmatch(rf"[-+]?\d{{1,3}}(?:\{thousands}\d{{2,3}})*\{thousands}\d{{3}}", whole)
        text = (whole.replace(thousands, "") if grouped else whole) + (f".{rest}" if rest else "")
        plain = re.fullmatch(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?", text)
        numbers[place] = float(text) if plain else np.inf
    return numbers


def _clean(cell: str) -> str:
    """A cell without signs of currencies, spaces and apostrophes; brackets around it are a minus."""
    text = CURRENCY.sub("", str(cell)).strip().replace("−", "-")
    text = re.sub(r"(?<=\d)['’\s\u00a0\u202f](?=\d{3})", "", text)
    bracketed = re.fullmatch(r"\((.*)\)", text)
    return (f"-{bracketed[1]}" if bracketed else text).replace("- ", "-").strip()


def _decimal_sign(cells: Sequence[str], comma: bool) -> str:
    both = [cell for cell in cells if "," in cell and "." in cell]
    if both:
        return max(",.", key=lambda sign: sum(cell.rfind(sign) == max(map(cell.rfind, ",.")) for cell in both))
    for sign, other in (",.", ".,"):
        having = [cell for cell in cells if sign in cell]
        if not having:
            continue
        if any(cell.count(sign) > 1 for cell in having):
            return other
        triples = all(re.fullmatch(rf"[-+]?[1-9]\d{{0,2}}\{sign}\d{{3}}", cell) for cell in having)
        if triples and (sign == ",") != comma:
            return other
        return sign
    return "."


def _column_numbers(cells: "pd.Series", comma: bool, name: str, number: Any) -> np.ndarray:
    """A column's numbers; a cell that is none is an error with its row."""
    found = parse_numbers(cells.tolist(), comma)
    if np.isinf(found).any():
        place = int(np.argmax(np.isinf(found)))
        cell = str(cells.iloc[place])[:40]
        raise RnnHubError(f"row {number(cells.index[place])} of {name}: {cell!r} in column {cells.name!r} is no number")
    return found


def _parse_dates(cells: Sequence[str]) -> tuple[Any, int]:
    """Dates by the format that reads most cells, and how many it reads; where two read all, that with the evener steps."""
    import pandas as pd

    texts = pd.Series([cell.strip() for cell in cells])
    best, most, roughest = None, 0, np.inf
    for date in DATES:
        for time in TIMES if date != "ISO8601" else ("",):
            found = pd.to_datetime(texts, format=date + time, errors="coerce", utc=True).dt.tz_localize(None)
            read = int(found.notna().sum())
            if read < max(most, 1):
                continue
            steps = found.dropna().sort_values().diff().dt.total_seconds()
            rough = steps.std() / (steps.mean() or 1) if read > 2 else 0.0
            if read > most or rough < roughest:
                best, most, roughest = found, read, rough
        if date == "ISO8601" and most == len(texts):
            break
    return best, most


def _column_dates(cells: "pd.Series", name: str, number: Any) -> Any:
    """A column's dates; a cell that is none is an error with its row."""
    import pandas as pd

    found, _ = _parse_dates(cells.tolist())
    missing = np.ones(len(cells), dtype=bool) if found is None else found.isna().to_numpy()
    if missing.any():
        place = int(np.argmax(missing))
        cell = str(cells.iloc[place])[:40]
        raise RnnHubError(
            f"row {number(cells.index[place])} of {name}: {cell!r} in column {cells.name!r} is no date that can be read: "
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
        if _parse_dates(some)[1] >= 0.5 * len(some):
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
