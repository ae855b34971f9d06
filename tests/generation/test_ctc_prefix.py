"""The prefix scores of joint decoding equal sums over all alignments, whatever search asks for them."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from rnn_hub.generation.beam import NEVER
from rnn_hub.generation.ctc_prefix import CtcPrefixProcessor, CtcPrefixScorer

BLANK, END, START, SIZE = 0, 3, 4, 5
"""Tokens: the blank, 1 and 2 that are text, the end and the start."""


def draw(steps: int, seed: int = 0) -> torch.Tensor:
    """Log-probabilities (steps, 5), sharp ones; neither end nor start is ever said by a step."""
    logits = 3 * torch.randn(steps, SIZE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    logits[:, END:] = -torch.inf
    return logits.log_softmax(dim=-1)


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(token for token, _ in itertools.groupby(path) if token != BLANK)


def texts(steps: torch.Tensor) -> dict[tuple[int, ...], float]:
    """The probability of every text, summed over all its alignments, one by one."""
    found: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(END), repeat=len(steps)):
        chance = math.exp(sum(steps[time, token].item() for time, token in enumerate(path)))
        found[collapse(path)] = found.get(collapse(path), 0.0) + chance
    return found


@pytest.mark.parametrize("count", [1, 2, 5])
def test_prefixes_equal_the_sum_over_all_alignments(count: int) -> None:
    steps, scorer = draw(count), CtcPrefixScorer(draw(count)[None], BLANK, END)
    chances = texts(steps)
    for length in range(4):
        for text in itertools.product((1, 2), repeat=length):
            state = scorer.start(1)
            for token in text:
                state = scorer.advance(state, torch.tensor([token]))
            found = scorer.prefixes(state)[0].exp()
            for token in (1, 2):
                longer = (*text, token)
                expected = sum(chance for one, chance in chances.items() if one[: length + 1] == longer)
                assert found[token].item() == pytest.approx(expected, abs=1e-12), longer
            assert found[END].item() == pytest.approx(chances.get(text, 0.0), abs=1e-12)
            assert found[BLANK] == 0
            begins = sum(chance for one, chance in chances.items() if one[:length] == text)
            assert state.prefix.exp().item() == pytest.approx(begins, abs=1e-12)


def test_the_continuations_and_the_end_of_a_text_sum_to_one() -> None:
    scorer = CtcPrefixScorer(draw(40)[None], BLANK, END)
    state = scorer.start(1)
    for token in (1, 2, 2, 1, 1):
        torch.testing.assert_close(scorer.scores(state).exp().sum(), torch.tensor(1.0, dtype=torch.float64))
        state = scorer.advance(state, torch.tensor([token]))


def test_the_sum_of_scores_is_the_loss_of_the_text_over_a_long_recording() -> None:
    steps = draw(300, seed=4)
    text = [token for token, _ in itertools.groupby(steps.argmax(dim=-1).tolist()) if token != BLANK]
    scorer, total = CtcPrefixScorer(steps[None], BLANK, END), 0.0
    state = scorer.start(1)
    for token in [*text, END]:
        total += scorer.scores(state)[0, token].item()
        state = scorer.advance(state, torch.tensor([token]))
    loss = F.ctc_loss(steps[:, None], torch.tensor([text]), (300,), (len(text),), BLANK, reduction="sum")
    assert total == pytest.approx(-loss.item(), rel=1e-9)


def test_padding_that_is_certainly_blank_changes_nothing() -> None:
    steps, certain = draw(7), torch.full((5, SIZE), -65504.0, dtype=torch.float64)
    certain[:, BLANK] = 0
    pair = torch.stack([torch.cat([steps, certain]), draw(12, seed=1)])
    alone, together = CtcPrefixScorer(steps[None], BLANK, END), CtcPrefixScorer(pair, BLANK, END)
    one, both = alone.start(1), together.start(2)
    for token in (1, 1, 2):
        torch.testing.assert_close(together.scores(both)[:1], alone.scores(one))
        one, both = alone.advance(one, torch.tensor([token])), together.advance(both, torch.tensor([token, 2]))


def test_what_cannot_follow_is_never_chosen_and_no_score_is_strange() -> None:
    scorer = CtcPrefixScorer(draw(2)[None], BLANK, END)
    state = scorer.start(1)
    for token in (1, 1, 2, 1):  # four tokens cannot stand in two steps
        state = scorer.advance(state, torch.tensor([token]))
        scores = scorer.scores(state)
        assert scores.isfinite().all() and scores[0, BLANK] == NEVER
    assert (scorer.scores(scorer.advance(scorer.start(1), torch.tensor([1])))[0, 1]) == NEVER


def test_a_processor_finds_its_texts_again_in_any_order() -> None:
    steps = torch.stack([draw(9), draw(9, seed=1)])
    scorer = CtcPrefixScorer(steps, BLANK, END)
    kept = CtcPrefixProcessor(scorer, 0.4, silent=(START,))
    calls = [
        [[START], [START], [START], [START]],
        [[START, 1], [START, 2], [START, 2], [START, 1]],
        [[START, 2, 1], [START, 2, 2], [START, 1, 1], [START, 2, 1]],
        [[START, 2, 2, 1], [START, 2, 2, 2], [START, 2, 1, 3], [START, 1, 1, 2]],
        [
            [START, 1, 1, 1, 1],
            [START, 2, 2, 2, 1],
            [START, 2, 1, 3, 0],
            [START, 1, 1, 2, 1],
        ],  # one that was never there
    ]
    torch.manual_seed(0)
    for given in calls:
        ids, logits = torch.tensor(given), torch.randn(4, SIZE, dtype=torch.float64)
        expected = CtcPrefixProcessor(scorer, 0.4, silent=(START,))(ids, logits)
        torch.testing.assert_close(kept(ids, logits), expected)
        state = scorer.start(4)
        for column in ids[:, 1:].unbind(1):
            state = scorer.advance(state, column)
        heard = scorer.scores(state)
        heard[:, START] = NEVER  # no text goes on with a start
        torch.testing.assert_close(expected, 0.6 * logits.log_softmax(-1) + 0.4 * heard)


@pytest.mark.parametrize("weight", [0.5, 1.0])
def test_what_is_forbidden_stays_forbidden(weight: float) -> None:
    processor = CtcPrefixProcessor(CtcPrefixScorer(draw(5)[None], BLANK, END), weight)
    logits = torch.tensor([[0.0, -torch.inf, 1.0, 2.0, 0.0]])
    found = processor(torch.tensor([[END]]), logits)
    assert found[0, 1] == -torch.inf and not found.isnan().any()
