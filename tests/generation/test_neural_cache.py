"""The neural cache against the paper's sum, written as a loop over the text."""

import math

import pytest
import torch

from rnn_hub.errors import RnnHubError
from rnn_hub.generation.neural_cache import NeuralCache

SIZE, THETA, WEIGHT, WORDS = 4, 0.7, 0.3, 5


def by_hand(hidden: torch.Tensor, log_probs: torch.Tensor, targets: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """One text (T, D): p = (1 - w) p_model + w sum over like states of [the word was the same] / sum over all."""
    mixed = []
    for t in range(len(targets)):
        places = [i for i in range(max(0, t - SIZE), t) if real[i]]
        p = log_probs[t].exp().item()
        if places:
            values = [math.exp(THETA * (hidden[t] @ hidden[i]).item()) for i in places]
            same = sum(value for value, i in zip(values, places, strict=True) if targets[i] == targets[t])
            p = (1 - WEIGHT) * p + WEIGHT * same / sum(values)
        mixed.append(math.log(p))
    return torch.tensor(mixed)


@pytest.mark.parametrize("windows", [[11], [1] * 11, [3, 6, 2]])
def test_the_mixture_is_that_of_the_paper_however_the_text_is_cut(windows: list[int]) -> None:
    hidden, log_probs = torch.randn(2, 11, 3), -torch.rand(2, 11) - 0.1
    targets, real = torch.randint(0, WORDS, (2, 11)), torch.ones(2, 11, dtype=torch.bool)
    real[1, :5] = False
    cache = NeuralCache(SIZE, THETA, WEIGHT)
    parts = zip(*(values.split(windows, dim=1) for values in (hidden, log_probs, targets, real)), strict=True)
    found = torch.cat([cache.mix(*part) for part in parts], dim=1)
    for row in range(2):
        torch.testing.assert_close(found[row], by_hand(hidden[row], log_probs[row], targets[row], real[row]))


def test_it_makes_a_distribution_of_all_words() -> None:
    hidden, real = torch.randn(1, 9, 3), torch.ones(1, 9, dtype=torch.bool)
    targets, probs = torch.randint(0, WORDS, (1, 9)), torch.randn(WORDS).softmax(0)
    total = 0
    for word in range(WORDS):
        cache = NeuralCache(SIZE, THETA, WEIGHT)
        cache.mix(hidden, probs[targets].log(), targets, real)
        last = torch.tensor([[word]])
        total += cache.mix(hidden[:, :1], probs[last].log(), last, real[:, :1]).exp().item()
    assert total == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [((0,), "cache_size is 0"), ((5, -1.0), "cache_theta .* -1.0"), ((5, 0.3, 1.5), "cache_weight .* is 1.5")],
)
def test_what_is_no_cache_is_refused(options: tuple, message: str) -> None:
    with pytest.raises(RnnHubError, match=message):
        NeuralCache(*options)
