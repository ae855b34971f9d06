"""Pretrained word vectors in the text formats of GloVe and fastText: a word and its numbers a line."""

import gzip
import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rnn_hub.errors import RnnHubError

logger = logging.getLogger(__name__)


def read_vectors(path: str | Path, vocabulary: Mapping[str, int], size: int | None = None) -> dict[int, np.ndarray]:
    """The vectors of a vocabulary's words, read line by line: other words' are never held.

    A word that the file has only in lower case gets that vector. fastText's first line (how many words and numbers) is
    recognized; a file that ends in ".gz" is decompressed on the way.

    Args:
        path: the file.
        vocabulary: word -> row.
        size: numbers that a vector must have.

    Returns:
        {row: vector}, of the rows that were found.

    Raises:
        RnnHubError: no such file, a line that holds no vector, vectors of another size, or none of the words.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise RnnHubError(f"there is no file of word vectors {path}")
    lower: dict[str, list[int]] = {}
    for word, row in vocabulary.items():
        if word != word.lower():
            lower.setdefault(word.lower(), []).append(row)
    found: dict[int, np.ndarray] = {}
    second_choice: dict[int, np.ndarray] = {}
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            word, _, rest = line.rstrip().partition(" ")
            if number == 1 and rest.isdigit():
                continue
            if word not in vocabulary and word not in lower:
                continue
            vector = _parse(rest, path, number)
            size = size or len(vector)
            if len(vector) != size:
                raise RnnHubError(f"{path}, line {number}: a vector of {len(vector)} numbers, expected {size}")
            if word in vocabulary:
                found[vocabulary[word]] = vector
            for row in lower.get(word, ()):
                second_choice[row] = vector
    if not found and not second_choice:
        raise RnnHubError(f"{path} has a vector for none of the {len(vocabulary)} words of the vocabulary")
    logger.info("%d of %d words have a vector in %s", len(second_choice | found), len(vocabulary), path.name)
    return second_choice | found


def _parse(numbers: str, path: Path, line: int) -> np.ndarray:
    try:
        return np.array(numbers.split(), dtype=np.float32)
    except ValueError as error:
        raise RnnHubError(f"{path}, line {line} holds no word and its vector: {numbers[:60]!r}") from error
