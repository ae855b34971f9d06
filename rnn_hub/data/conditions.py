"""Conditions of a language model by their names: a style, a topic, a mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from rnn_hub.errors import RnnHubError

NO_CONDITION = -1


def condition_ids(labels: Mapping[str, Sequence[str]], given: Mapping[str, str | None]) -> list[int]:
    """The number of each condition's value, in the order of the labels; -1 where none is given.

    Args:
        labels: name of each condition -> the names of its values (``config.condition_labels``).
        given: name of a condition -> the name of its value, or None.

    Raises:
        RnnHubError: a condition or a value that the model does not know, listing the known ones.
    """
    for name, value in given.items():
        if value is None:
            continue
        if name not in labels:
            known = f"its conditions are {', '.join(labels)}" if labels else "it has none"
            raise RnnHubError(f"the model knows no {name}, so it cannot take {value!r}: {known}")
        if value not in labels[name]:
            close = get_close_matches(str(value), labels[name], n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise RnnHubError(f"unknown {name} {value!r}; {hint}the model knows {', '.join(labels[name])}")
    return [
        NO_CONDITION if given.get(name) is None else list(values).index(given[name]) for name, values in labels.items()
    ]
