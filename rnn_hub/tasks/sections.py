"""Strict sections: a mapping from a recipe becomes a dataclass, or an error that names what exists."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from rnn_hub.errors import RnnHubError

Section = TypeVar("Section")


def check_keys(keys: Iterable[str], known: Iterable[str], where: str) -> None:
    """Raise an error for the first of ``keys`` that is not ``known``, naming the nearest and all known."""
    known = sorted(known)
    for key in keys:
        if key not in known:
            close = get_close_matches(str(key), known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise RnnHubError(f"unknown key {key!r} in {where}{hint} (known keys: {', '.join(known)})")


def convert(value: Any, annotation: Any, where: str) -> Any:
    """Return ``value`` as the type of ``annotation`` (an int serves as a float), or raise an error."""
    choices = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    choices = tuple(typing.get_origin(choice) or choice for choice in choices)
    if Any in choices or (value is None and type(None) in choices):
        return value
    if float in choices and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, bool) and bool not in choices:
        pass
    elif isinstance(value, choices):
        return value
    names = " or ".join("null" if choice is type(None) else choice.__name__ for choice in choices)
    raise RnnHubError(f"{where} must be {names}, not {value!r}")


def build_section(section: type[Section], values: Mapping[str, Any] | None, where: str) -> Section:
    """Build the dataclass ``section`` from ``values``, checking every key and the type of every value.

    Raises:
        RnnHubError: an unknown key, a missing one, or a value of a wrong type; the message says where.
    """
    values = {} if values is None else values
    if not isinstance(values, Mapping):
        raise RnnHubError(f"{where} must be a mapping of keys to values, not {values!r}")
    fields = {field.name: field for field in dataclasses.fields(section) if field.init}
    check_keys(values, fields, where)
    hints = typing.get_type_hints(section)
    for name, field in fields.items():
        if name not in values and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise RnnHubError(f"{where} needs the key {name!r}")
    return section(**{key: convert(value, hints[key], f"{where}.{key}") for key, value in values.items()})
