"""Numbers and dates as people write them in tables."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

DATES = (
    *("ISO8601", "%Y/%m/%d", "%d.%m.%Y", "%d.%m.%y", "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%d/%m/%y", "%d-%m-%Y"),
    *("%b %d, %Y", "%B %d, %Y", "%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%d-%b-%y", "%b %Y", "%B %Y", "%m/%Y"),
)
TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
MISSING = {"", "-", "–", "—", ".", "na", "n/a", "nan", "null", "none", "#n/a", "#na", "nil"}
CURRENCY = re.compile(r"[$€£¥₹₩₽]|\b(?:USD|EUR|GBP|CHF|JPY|CNY|INR|AUD|CAD|kr)\b", re.IGNORECASE)


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


def parse_dates(cells: Sequence[str]) -> tuple[Any, int]:
    """Dates by the format that reads most cells (of two such by that with the evener steps), and how many it reads."""
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
