"""Tables in CSV and JSON files as cells of text."""

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

from rnn_hub.errors import RnnHubError

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".jsonl")
MAX_BYTES = 50_000_000


def read_cells(path: Path) -> tuple["pd.DataFrame", bool, int]:
    """All cells as text, whether semicolons part them (as where commas are decimal), and the first row's number."""
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
    rows = csv.reader(text.splitlines(), delimiter=delimiter)
    numbered = [(number, row) for number, row in enumerate(rows, 1) if any(cell.strip() for cell in row)]
    header = [cell.strip() or f"column {place}" for place, cell in enumerate(numbered[0][1], 1)]
    if len(set(header)) < len(header):
        raise RnnHubError(f"{path.name} has two columns of the same name: {', '.join(header)}")
    for number, row in numbered[1:]:
        if len(row) > len(header) and any(cell.strip() for cell in row[len(header) :]):
            raise RnnHubError(
                f"row {number} of {path.name} has {len(row)} cells under {len(header)} names: quote numbers with "
                "commas, or part the cells by semicolons"
            )
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
