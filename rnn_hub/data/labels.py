"""The labels of a column: their names, and BIO tags in order, also from other schemes."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rnn_hub.errors import RnnHubError

if TYPE_CHECKING:
    from datasets import Dataset


def label_names(rows: "Dataset", column: str, names: Sequence[str] | None = None) -> list[str]:
    """The labels of a column of labels, or of lists of labels, in the order of their numbers.

    Args:
        rows: of the training split.
        column: holds names or numbers.
        names: those of the numbers 0, 1, ...; by default what the data set itself says, else the names that occur, in
            order ("O" first); numbers without names are LABEL_0, LABEL_1, ...

    Raises:
        RnnHubError: a value that is neither name nor number, or one that the given names leave out.
    """
    feature = rows.features.get(column)
    feature = getattr(feature, "feature", feature)  # of a list
    found = {value for row in rows[column] for value in (row if isinstance(row, list) else [row])}
    names = list(names or getattr(feature, "names", None) or ())
    if not names and all(isinstance(value, str) for value in found):
        names = sorted(found, key=lambda name: (name != "O", name[2:] if name[1:2] == "-" else name, name))
    if not names and all(isinstance(value, int) and value >= 0 for value in found):
        names = [f"LABEL_{number}" for number in range(max(found) + 1)]
    for value in found:
        name_of(value, names)
    return names


def name_of(label: Any, names: Sequence[str]) -> str:
    """The name of a label that is given by its number or by its name.

    Raises:
        RnnHubError: there is no such label.
    """
    if isinstance(label, int) and not isinstance(label, bool) and 0 <= label < len(names):
        return names[label]
    if isinstance(label, str) and label in names:
        return label
    raise RnnHubError(f"the label {label!r} is none of the model's: they are {', '.join(names) or 'not given'}")


def finite_number(value: Any, column: str, row: int | None = None) -> float:
    """A value of a column of numbers, in a row that the error names where it is known.

    Raises:
        RnnHubError: it is no number, or not a finite one.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        hint = "for labels write task: text-classification"
        where = f"row {row} of the column" if row else "the column"
        raise RnnHubError(f"{where} {column!r} holds no number but {value!r}; {hint}")
    return float(value)


def number_labels(names: Sequence[str]) -> dict[str, Mapping]:
    """What a configuration says of labels."""
    return {"id2label": dict(enumerate(names)), "label2id": {name: number for number, name in enumerate(names)}}


def inside(tag: str) -> str:
    """The tag of what follows in the same entity or word: I-X for B-X, else the tag itself."""
    return f"I-{tag[2:]}" if tag.startswith("B-") else tag


_BIO = {"S-": "B-", "U-": "B-", "E-": "I-", "L-": "I-"}


def bio_of(names: Sequence[str]) -> dict[str, str]:
    """For each tag the one of BIO: of BIOES or BILOU, B-X for S-X or U-X, I-X for E-X or L-X, the others as they are.

    Only of what has a B-X or I-X too: a tag that merely begins so is left alone.
    """
    kinds = {name[2:] for name in names if name[:2] in ("B-", "I-")}
    return {name: _BIO.get(name[:2], name[:2]) + name[2:] if name[2:] in kinds else name for name in names}


def mend_bio(tags: Sequence[str]) -> list[str]:
    """The tags with each I-X that continues nothing made B-X, which is how they are scored."""
    mended: list[str] = []
    for tag in tags:
        broken = tag.startswith("I-") and (not mended or mended[-1][1:] != tag[1:])
        mended.append(f"B-{tag[2:]}" if broken else tag)
    return mended
