"""Texts out of a recognizer's log-probabilities: greedy, by prefix beam search, and their times.

Log-probabilities are (T, V), of each step and token; one token is the blank.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from rnn_hub.errors import RnnHubError

NEVER = -math.inf


class PrefixScorer(Protocol):
    """What is added to the score of a text for its tokens; a state stands for the tokens before."""

    def start(self) -> Any:
        """The state before the first token."""

    def score(self, state: Any, token: int) -> float:
        """What a token adds after this state; -inf forbids it."""

    def advance(self, states: Sequence[Any], tokens: Sequence[int]) -> list[Any]:
        """The states after one more token each."""

    def end(self, state: Any) -> float:
        """What the end of the text adds; -inf if it may not end here."""


class Hypothesis(NamedTuple):
    """A text: its tokens and their score, the log-probability of all its alignments and what a scorer added."""

    tokens: tuple[int, ...]
    score: float


class PrefixBeamSearch:
    """The likeliest texts, each summed over its alignments (Graves 2008, section 7.5; Hannun et al. 2014, algorithm 1).

    Log-probabilities may come in pieces. A text is kept by its probability so far and what the scorer says of it
    (shallow fusion). With as many beams as there are prefixes, and `threshold=-inf`, the search is exact.

    Args:
        blank: the token that means none.
        num_beams: prefixes that are kept after each step.
        scorer: a language model, a list of words, or several of them.
        threshold: tokens of a lower log-probability at a step do not go on there.
    """

    def __init__(self, blank: int, num_beams: int = 16, scorer: PrefixScorer | None = None, threshold: float = -8.0):
        if num_beams < 1:
            raise RnnHubError(f"num_beams must be at least 1, not {num_beams}")
        self.blank, self.num_beams, self.threshold = blank, num_beams, threshold
        self.scorer = NoScorer() if scorer is None else scorer
        self._beams: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, NEVER)}  # ends in a blank, and not
        self._added: dict[tuple[int, ...], float] = {(): 0.0}
        self._states: dict[tuple[int, ...], Any] = {(): self.scorer.start()}

    def push(self, log_probabilities: np.ndarray) -> None:
        """The next steps (T, V)."""
        for step in np.asarray(log_probabilities, dtype=np.float64):
            tokens = [token for token in np.flatnonzero(step >= self.threshold).tolist() if token != self.blank]
            self._step(step.tolist(), tokens)

    def _step(self, step: list[float], tokens: list[int]) -> None:
        after: dict[tuple[int, ...], list[float]] = {}

        def add(prefix: tuple[int, ...], place: int, value: float) -> None:
            parts = after.setdefault(prefix, [NEVER, NEVER])
            parts[place] = _add(parts[place], value)

        for prefix, (blank, other) in self._beams.items():
            both, last = _add(blank, other), prefix[-1] if prefix else None
            add(prefix, 0, both + step[self.blank])
            if last is not None:
                add(prefix, 1, other + step[last])
            for token in tokens:
                longer = (*prefix, token)
                if longer not in self._added:
                    self._added[longer] = self._added[prefix] + self.scorer.score(self._states[prefix], token)
                if self._added[longer] > NEVER:
                    add(longer, 1, (blank if token == last else both) + step[token])
        ranked = sorted(after, key=lambda prefix: -(_add(*after[prefix]) + self._added[prefix]))[: self.num_beams]
        self._beams = {prefix: (after[prefix][0], after[prefix][1]) for prefix in ranked}
        self._added = {prefix: self._added[prefix] for prefix in ranked}
        new = [prefix for prefix in ranked if prefix not in self._states]
        states = self.scorer.advance([self._states[prefix[:-1]] for prefix in new], [prefix[-1] for prefix in new])
        self._states = {prefix: self._states[prefix] for prefix in ranked if prefix in self._states}
        self._states |= dict(zip(new, states, strict=True))

    def best(self, count: int = 1) -> list[Hypothesis]:
        """The best texts if the recording ended here, best first; one at least, if nothing may end an empty one."""
        found = [
            Hypothesis(prefix, _add(*parts) + self._added[prefix] + self.scorer.end(self._states[prefix]))
            for prefix, parts in self._beams.items()
        ]
        found = [one for one in found if one.score > NEVER] or [Hypothesis((), NEVER)]
        return sorted(found, key=lambda one: -one.score)[:count]


class NoScorer:
    """Adds nothing."""

    def start(self) -> None:
        """As `PrefixScorer`."""

    def score(self, state: None, token: int) -> float:
        """As `PrefixScorer`."""
        return 0.0

    def advance(self, states: Sequence[None], tokens: Sequence[int]) -> list[None]:
        """As `PrefixScorer`."""
        return [None] * len(tokens)

    def end(self, state: None) -> float:
        """As `PrefixScorer`."""
        return 0.0


class SeveralScorers:
    """The sum of several."""

    def __init__(self, scorers: Sequence[PrefixScorer]):
        self.scorers = scorers

    def start(self) -> tuple:
        """As `PrefixScorer`."""
        return tuple(scorer.start() for scorer in self.scorers)

    def score(self, state: tuple, token: int) -> float:
        """As `PrefixScorer`."""
        return sum(scorer.score(part, token) for scorer, part in zip(self.scorers, state, strict=True))

    def advance(self, states: Sequence[tuple], tokens: Sequence[int]) -> list[tuple]:
        """As `PrefixScorer`."""
        columns = [
            scorer.advance([state[place] for state in states], tokens) for place, scorer in enumerate(self.scorers)
        ]
        return list(zip(*columns, strict=True))

    def end(self, state: tuple) -> float:
        """As `PrefixScorer`."""
        return sum(scorer.end(part) for scorer, part in zip(self.scorers, state, strict=True))


class WordListScorer:
    """Only these words, any number of them; a state is a node of their tree.

    Args:
        words: the tokens of each word.
        delimiter: the token between words.
    """

    def __init__(self, words: Sequence[Sequence[int]], delimiter: int):
        self.delimiter, self.root = delimiter, {}
        for word in words:
            node = self.root
            for token in word:
                node = node.setdefault(token, {})
            node[delimiter] = self.root
        if not self.root or delimiter in self.root:
            raise RnnHubError("a list of words needs at least one word, and none of them empty")

    def start(self) -> dict:
        """As `PrefixScorer`."""
        return self.root

    def score(self, state: dict, token: int) -> float:
        """As `PrefixScorer`."""
        return 0.0 if token in state else NEVER

    def advance(self, states: Sequence[dict], tokens: Sequence[int]) -> list[dict]:
        """As `PrefixScorer`."""
        return [state[token] for state, token in zip(states, tokens, strict=True)]

    def end(self, state: dict) -> float:
        """As `PrefixScorer`."""
        return 0.0 if state is self.root or self.delimiter in state else NEVER


Span = tuple[int, int]
"""The first step of a token, and the one after its last."""
MOST_CELLS = 10**9
"""Steps times tokens of the largest alignment that is searched for: its memory in bytes is twice that."""


def greedy(log_probabilities: np.ndarray, blank: int) -> tuple[list[int], list[Span]]:
    """The tokens of the likeliest alignment of all, and their steps in it."""
    best = np.asarray(log_probabilities).argmax(axis=-1)
    starts = np.flatnonzero(np.diff(best, prepend=-1))
    runs = zip(best[starts].tolist(), starts.tolist(), [*starts[1:].tolist(), len(best)], strict=True)
    found = [(token, (begin, end)) for token, begin, end in runs if token != blank]
    return [token for token, _ in found], [span for _, span in found]


def align(log_probabilities: np.ndarray, tokens: Sequence[int], blank: int) -> list[Span]:
    """The steps of each token in the likeliest alignment of a text (Viterbi).

    Raises:
        RnnHubError: there are too few steps for the text, or both are too long.
    """
    if len(log_probabilities) * len(tokens) > MOST_CELLS:
        raise RnnHubError("this recording is too long for the times of a text that was searched for: cut it")
    steps = np.asarray(log_probabilities, dtype=np.float64)
    states = np.full(2 * len(tokens) + 1, blank)
    states[1::2] = tokens
    skips = np.zeros(len(states), bool)
    skips[3::2] = states[3::2] != states[1:-2:2]
    scores, back = np.full(len(states), NEVER), np.zeros((len(steps), len(states)), np.int8)
    scores[:2] = steps[0, states[:2]]
    for time in range(1, len(steps)):
        ways = np.full((3, len(states)), NEVER)
        ways[0], ways[1, 1:], ways[2, 2:] = scores, scores[:-1], np.where(skips[2:], scores[:-2], NEVER)
        back[time] = ways.argmax(axis=0)
        scores = ways.max(axis=0) + steps[time, states]
    place = len(states) - 1 - int(len(tokens) > 0 and scores[-2] > scores[-1])
    if scores[place] == NEVER:
        raise RnnHubError(f"{len(steps)} steps are too few for {len(tokens)} tokens")
    path = [place]
    for time in range(len(steps) - 1, 0, -1):
        path.append(path[-1] - int(back[time, path[-1]]))
    path = np.array(path[::-1])
    spans = (np.flatnonzero(path == 2 * place + 1) for place in range(len(tokens)))
    return [(int(span[0]), int(span[-1]) + 1) for span in spans]


def _add(left: float, right: float) -> float:
    """log(exp(left) + exp(right))."""
    if left < right:
        left, right = right, left
    return left if right == NEVER else left + math.log1p(math.exp(right - left))
