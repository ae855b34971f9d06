"""CTC against enumeration of all alignments: loss, prefix beam search with and without scorers, times."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from rnn_hub.errors import RnnHubError
from rnn_hub.generation.ctc import (
    PrefixBeamSearch,
    SeveralScorers,
    WordListScorer,
    align,
    greedy,
)

BLANK, TOKENS = 0, 4


def draw(steps: int, seed: int = 0, tokens: int = TOKENS) -> np.ndarray:
    """Log-probabilities (T, V) of which none is tiny."""
    logits = torch.randn(steps, tokens, generator=torch.Generator().manual_seed(seed), dtype=torch.double) * 1.5
    return F.log_softmax(logits, dim=-1).numpy()


def collapse(path) -> tuple[int, ...]:
    return tuple(token for token, _ in itertools.groupby(path) if token != BLANK)


def enumerate_texts(log_probabilities: np.ndarray) -> dict[tuple[int, ...], float]:
    """The log-probability of every text: the sum over its alignments, one by one."""
    found: dict[tuple[int, ...], float] = {}
    steps, tokens = log_probabilities.shape
    for path in itertools.product(range(tokens), repeat=steps):
        score = sum(log_probabilities[time, token] for time, token in enumerate(path))
        found[collapse(path)] = np.logaddexp(found.get(collapse(path), -math.inf), score)
    return found


class Bigrams:
    """A language model of pairs, with an end."""

    def __init__(self, seed: int = 5):
        self.table = draw(TOKENS, seed, TOKENS + 1)

    def start(self):
        return 0

    def score(self, state, token):
        return 0.7 * self.table[state, token] + 0.3

    def advance(self, states, tokens):
        return list(tokens)

    def end(self, state):
        return 0.7 * self.table[state, TOKENS]

    def whole(self, text) -> float:
        pairs = zip((0, *text), text, strict=False)
        return sum(self.score(before, token) for before, token in pairs) + self.end(text[-1] if text else 0)


def exact(log_probabilities: np.ndarray, scorer=None) -> PrefixBeamSearch:
    search = PrefixBeamSearch(BLANK, num_beams=10_000, scorer=scorer, threshold=-math.inf)
    search.push(log_probabilities)
    return search


@pytest.mark.parametrize("steps", [1, 2, 4, 5])
def test_the_loss_is_minus_the_sum_over_all_alignments(steps) -> None:
    log_probabilities = draw(steps)
    for text, score in enumerate_texts(log_probabilities).items():
        loss = F.ctc_loss(
            torch.tensor(log_probabilities)[:, None],
            torch.tensor([text], dtype=torch.long).reshape(1, -1),
            torch.tensor([steps]),
            torch.tensor([len(text)]),
            reduction="sum",
        )
        assert float(loss) == pytest.approx(-score)


@pytest.mark.parametrize("seed", range(4))
def test_with_enough_beams_every_text_has_its_exact_probability(seed) -> None:
    log_probabilities = draw(5, seed)
    expected = enumerate_texts(log_probabilities)
    found = {one.tokens: one.score for one in exact(log_probabilities).best(10_000)}
    assert found.keys() == expected.keys()
    for text, score in expected.items():
        assert found[text] == pytest.approx(score)


@pytest.mark.parametrize("seed", range(4))
def test_a_language_model_is_fused_exactly(seed) -> None:
    log_probabilities, model = draw(5, seed), Bigrams()
    expected = {text: score + model.whole(text) for text, score in enumerate_texts(log_probabilities).items()}
    found = exact(log_probabilities, model).best(10_000)
    for one in found:
        assert one.score == pytest.approx(expected[one.tokens])
    assert found[0].tokens == max(expected, key=expected.get)


@pytest.mark.parametrize("seed", range(4))
def test_a_list_of_words_leaves_the_best_text_of_these_words(seed) -> None:
    log_probabilities, delimiter = draw(6, seed), 3
    words = [(1,), (1, 2), (2, 2)]
    expected = enumerate_texts(log_probabilities)

    def allowed(text) -> bool:
        parts = [tuple(part) for key, part in itertools.groupby(text, lambda token: token == delimiter) if not key]
        doubled = any(a == b == delimiter for a, b in itertools.pairwise(text))
        return all(part in words for part in parts) and not doubled and text[:1] != (delimiter,)

    legal = {text: score for text, score in expected.items() if allowed(text)}
    found = exact(log_probabilities, SeveralScorers([WordListScorer(words, delimiter)])).best(10_000)
    assert {one.tokens for one in found} == legal.keys()
    assert found[0].tokens == max(legal, key=legal.get) and found[0].score == pytest.approx(max(legal.values()))


def test_a_narrow_beam_finds_what_a_greedy_search_misses() -> None:
    log_probabilities = np.log([[0.6, 0.4], [0.6, 0.4]])
    assert greedy(log_probabilities, BLANK) == ([], [])  # the likeliest alignment: 0.36
    search = PrefixBeamSearch(BLANK, num_beams=2)
    search.push(log_probabilities)
    assert search.best()[0].tokens == (1,) and search.best()[0].score == pytest.approx(math.log(0.64))


def test_a_recording_in_pieces_is_searched_as_at_once() -> None:
    log_probabilities = draw(30, tokens=8)
    whole, pieces = (PrefixBeamSearch(BLANK, 6, None) for _ in range(2))
    whole.push(log_probabilities)
    for part in np.array_split(log_probabilities, 7):
        pieces.push(part)
    assert whole.best(6) == pieces.best(6)


def test_greedy_search_collapses_repetitions_and_blanks() -> None:
    path = [1, 1, 0, 1, 2, 2, 0, 0, 3]
    found = greedy(np.log(np.eye(TOKENS)[path] + 1e-9), BLANK)
    assert found == ([1, 1, 2, 3], [(0, 2), (3, 4), (4, 6), (8, 9)])


@pytest.mark.parametrize("seed", range(5))
def test_the_times_of_a_greedy_text_are_those_of_its_likeliest_alignment(seed) -> None:
    log_probabilities = draw(300, seed, 6)
    tokens, spans = greedy(log_probabilities, BLANK)
    assert align(log_probabilities, tokens, BLANK) == spans


@pytest.mark.parametrize("text", [(), (1,), (1, 2), (2, 2), (1, 1, 3)])
def test_times_are_those_of_the_likeliest_alignment(text) -> None:
    log_probabilities = draw(6, seed=9)
    paths = [path for path in itertools.product(range(TOKENS), repeat=6) if collapse(path) == text]
    best = max(paths, key=lambda path: sum(log_probabilities[time, token] for time, token in enumerate(path)))
    spans = align(log_probabilities, text, BLANK)
    runs = [(token, list(group)) for token, group in itertools.groupby(enumerate(best), lambda step: step[1])]
    expected = [(group[0][0], group[-1][0] + 1) for token, group in runs if token != BLANK]
    assert spans == expected


def test_a_text_that_does_not_fit_and_no_beam_are_refused() -> None:
    with pytest.raises(RnnHubError, match="2 steps are too few for 2 tokens"):
        align(draw(2), (1, 1), BLANK)
    with pytest.raises(RnnHubError, match="num_beams must be at least 1, not 0"):
        PrefixBeamSearch(BLANK, num_beams=0)
    with pytest.raises(RnnHubError, match="at least one word"):
        WordListScorer([], 3)
