"""Tables as spreadsheets and brokers export them: read, or refused with the row named."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnn_hub.data.cells import parse_numbers
from rnn_hub.data.series_tables import read_series
from rnn_hub.errors import RnnHubError


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str, name: str = "prices.csv", encoding: str = "utf-8") -> Path:
        (tmp_path / name).write_bytes(text.encode(encoding))
        return tmp_path / name

    return write


@pytest.mark.parametrize(
    ("cells", "comma", "numbers"),
    [
        (["1", "2.5", "-3e2", "+4"], False, [1, 2.5, -300, 4]),
        (["1,234.50", "12"], False, [1234.5, 12]),
        (["1.234,50", "12"], False, [1234.5, 12]),
        (["1,234", "12,345,678"], False, [1234, 12345678]),
        (["1,234", "5,678"], False, [1234, 5678]),  # three digits after each comma: thousands ...
        (["1,234", "5,678"], True, [1.234, 5.678]),  # ... unless semicolons part the cells
        (["1.234", "5.678"], False, [1.234, 5.678]),
        (["1.234", "5.678"], True, [1234, 5678]),
        (["0,5", "12,25"], False, [0.5, 12.25]),
        (["1 234,5", "1'000", "12\u00a0000,25"], False, [1234.5, 1000, 12000.25]),
        (["$1,234.50", "(2.00)", "€ 3", "4 EUR", "−5"], False, [1234.5, -2, 3, 4, -5]),
        (["", "-", "n/a", "NaN", "#N/A", "1"], False, [np.nan] * 5 + [1]),
        (["12,34,567.5"], False, [1234567.5]),
        (["twelve", "1.2.3", "5 %", "1"], False, [np.inf, np.inf, np.inf, 1]),
    ],
)
def test_numbers_as_people_write_them(cells, comma, numbers) -> None:
    np.testing.assert_allclose(parse_numbers(cells, comma), numbers)


def test_unordered_rows_gaps_and_repeated_rows(write) -> None:
    table = write("Date,Close\n2024-01-03,3\n2024-01-01,1\n2024-01-02,2\n2024-01-06,6\n2024-01-02,2\n2024-01-07,7\n")
    series = read_series(table)
    np.testing.assert_array_equal(series.values, [1, 2, 3, np.nan, np.nan, 6, 7])
    assert series.id == "Close" and str(series.dates[3])[:10] == "2024-01-04"


@pytest.mark.parametrize(
    "dates",
    [
        ["31.01.2024", "01.02.2024", "02.02.2024"],
        ["01/31/2024", "02/01/2024", "02/02/2024"],
        ["31/01/2024", "01/02/2024", "02/02/2024"],
        ["Jan 31, 2024", "Feb 01, 2024", "Feb 02, 2024"],
        ["2024-01-31 00:00:00+00:00", "2024-02-01 00:00:00+00:00", "2024-02-02 00:00:00+00:00"],
        ["2024/01/31", "2024/02/01", "2024/02/02"],
    ],
)
def test_dates_as_people_write_them(write, dates) -> None:
    rows = "\n".join(f"{date};{number},5" for number, date in enumerate(dates))
    series = read_series(write(f"Datum;Kurs\n{rows}"))
    assert [str(date)[:10] for date in series.dates] == ["2024-01-31", "2024-02-01", "2024-02-02"]
    np.testing.assert_array_equal(series.values, [0.5, 1.5, 2.5])


def test_of_two_readings_of_a_date_the_even_one_counts(write) -> None:
    series = read_series(write("date,value\n01/02/2024,1\n01/03/2024,2\n01/04/2024,3\n"))
    assert str(series.dates[-1])[:10] == "2024-01-04"  # daily, and not the first of three months


def test_holidays_of_a_series_of_weekdays_are_no_gaps(write) -> None:
    days = [day for day in pd.bdate_range("2024-01-01", "2024-02-09") if str(day)[:10] != "2024-01-15"]
    rows = "\n".join(f"{day:%Y-%m-%d},{number}" for number, day in enumerate(days))
    series = read_series(write(f"Date,Open,Close\n{rows.replace(',', ',1,')}"))
    assert len(series.values) == len(days) and not np.isnan(series.values).any()


FIRST, THIRD = ({"date": f"2024-01-0{day}", "value": day} for day in (1, 3))
EMPTY = {"date": "2024-01-02", "value": None}
COLUMNS = {"date": ["2024-01-01", "2024-01-02", "2024-01-03"], "value": [1, None, 3]}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (json.dumps([FIRST, EMPTY, THIRD]), "a.json"),
        (json.dumps(COLUMNS), "a.json"),
        (json.dumps({"data": [FIRST, THIRD, {**EMPTY, "value": ""}]}), "a.json"),
        ("\n".join(json.dumps(row) for row in (FIRST, {"date": "2024-01-02"}, THIRD)), "a.jsonl"),
    ],
)
def test_json(write, text, name) -> None:
    np.testing.assert_array_equal(read_series(write(text, name)).values, [1, np.nan, 3])


def test_other_encodings_and_separators(write) -> None:
    rows = "Datum\tPreis in €\n2024-01-01\t1\n2024-01-02\t2\n2024-01-03\t3\n"
    for encoding in ("utf-8", "utf-8-sig", "cp1252", "utf-16"):
        assert read_series(write(rows, "a.tsv", encoding)).id == "Preis in €"


def test_covariates_may_reach_further_than_the_values(write) -> None:
    rows = "Date,Sales,Holiday\n2024-01-01,5,0\n2024-01-02,6,1\n2024-01-03,7,0\n2024-01-04,,1\n2024-01-05,,0\n"
    series = read_series(write(rows), value="Sales", covariates=["Holiday"])
    assert len(series.values) == 3
    np.testing.assert_array_equal(series.covariates["Holiday"], [0, 1, 0, 1, 0])


def test_columns_are_found_or_named(write) -> None:
    table = write("Day,A,B\n2024-01-01,1,4\n2024-01-02,2,5\n2024-01-03,3,6\n")
    assert read_series(table, value="b").id == "B"
    with pytest.raises(RnnHubError, match="Name one of A, B"):
        read_series(table)
    with pytest.raises(RnnHubError, match="has no column 'C' to use as values; it has Day, A, B"):
        read_series(table, value="C")


HEAD = "Date,Close\n2024-01-01,1\n2024-01-02,2\n2024-01-03,3\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("Date,Close\n", "none of values"),
        (HEAD + "2024-01-04,high\n", "row 5 of prices.csv: 'high' in column 'Close' is no number"),
        (HEAD + "tomorrow,4\n", "row 5 of prices.csv: 'tomorrow' in column 'Date' is no known date"),
        (HEAD + "2024-01-02,9\n", "two different rows of 2024-01-02"),
        (HEAD + "2024-01-04,1,234\n", "row 5 of prices.csv has 3 cells under 2 names"),
        ("Date,Close\n2024-01-01,a\n2024-01-02,b\n", "no column of numbers"),
        ("Date,Close\n2024-01-01,\n2024-01-02,\n", "no column of numbers|no number"),
        ("Date,Close\n2024-01-01,1\n2024-01-02,2\n", "2 dates tell no frequency"),
        ("Date,A,A\n2024-01-01,1,2\n", "two columns of the same name"),
        (HEAD + "2024-01-03 01:00,4\n", "not evenly spaced|places of"),
    ],
)
def test_what_is_wrong_is_told_with_its_row(write, text, message) -> None:
    with pytest.raises(RnnHubError, match=message) as caught:
        read_series(write(text))
    assert "\n" not in str(caught.value)


def test_other_files_are_refused(tmp_path, write) -> None:
    with pytest.raises(RnnHubError, match="there is no file"):
        read_series(tmp_path / "absent.csv")
    with pytest.raises(RnnHubError, match="save it as CSV or JSON"):
        read_series(write("x", "prices.xlsx"))
    with pytest.raises(RnnHubError, match="no valid JSON"):
        read_series(write("{", "prices.json"))


def test_lists_and_pandas() -> None:
    np.testing.assert_array_equal(read_series([1, None, 3]).values, [1, np.nan, 3])
    dated = pd.Series([2.0, 1.0, 4.0], index=pd.to_datetime(["2024-01-02", "2024-01-01", "2024-01-04"]), name="x")
    series = read_series(dated)
    np.testing.assert_array_equal(series.values, [1, 2, np.nan, 4])
    for wrong, message in (
        ([], "at least one"),
        (["a"], "no list of numbers"),
        ([None], "no number"),
        ([1e999], "infinite"),
    ):
        with pytest.raises(RnnHubError, match=message):
            read_series(wrong)
