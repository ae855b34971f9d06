"""The conditional random field against the enumeration of all sequences."""

import itertools

import pytest
import torch
from torch import Tensor

from rnn_hub.layers.crf import LinearChainCrf, bio_constraints

LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
MASKS = {
    "full": [1, 1, 1, 1],
    "right padding": [1, 1, 1, 0],
    "left padding": [0, 0, 1, 1],
    "holes": [1, 0, 1, 1],
    "one": [0, 1, 0, 0],
}


@pytest.fixture(params=[False, True], ids=["free", "BIO"])
def crf(request) -> LinearChainCrf:
    model = LinearChainCrf(5, *(bio_constraints(LABELS) if request.param else ()))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    model.bio = request.param
    return model


def is_bio(path: tuple[int, ...]) -> bool:
    return all(tag not in (2, 4) or before in (tag, tag - 1) for before, tag in zip((0, *path), path, strict=False))


def enumerate_paths(crf: LinearChainCrf, emissions: Tensor, mask: list[int]) -> dict[tuple[int, ...], float]:
    """log p of every sequence of tags at the real positions of one row (T, N)."""
    places = [place for place, real in enumerate(mask) if real]
    paths = [path for path in itertools.product(range(5), repeat=len(places)) if not crf.bio or is_bio(path)]
    scores = []
    for path in paths:
        score = crf.start[path[0]] + crf.end[path[-1]] + sum(emissions[p, y] for p, y in zip(places, path, strict=True))
        scores.append(score + sum(crf.transitions[i, j] for i, j in itertools.pairwise(path)))
    log_p = torch.log_softmax(torch.stack(scores).double(), dim=0)
    return dict(zip(paths, log_p.tolist(), strict=True))


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())
def test_likelihood_marginals_and_best_path_are_those_of_all_paths(crf, mask) -> None:
    emissions = torch.randn(3, 4, 5) * 2
    masks = torch.tensor([mask] * 3)
    log_marginals, (tags, _) = crf.log_marginals(emissions, masks), crf.decode(emissions, masks)
    places = [place for place, real in enumerate(mask) if real]
    for row in range(3):
        paths = enumerate_paths(crf, emissions[row], mask)
        assert tuple(tags[row, places].tolist()) == max(paths, key=paths.get)
        for index, place in enumerate(places):
            expected = torch.zeros(5, dtype=torch.float64)
            for path, value in paths.items():
                expected[path[index]] += torch.tensor(value).exp()
            torch.testing.assert_close(log_marginals[row, place].exp().double(), expected, atol=1e-5, rtol=0)
        for path in list(paths)[::7]:
            gold = torch.full((1, 4), -100)
            gold[0, places] = torch.tensor(path)
            value = crf.log_likelihood(emissions[row : row + 1], gold, masks[:1])
            assert value.item() == pytest.approx(paths[path], abs=1e-4)


def test_the_best_score_is_that_of_the_best_path(crf) -> None:
    emissions = torch.randn(4, 6, 5)
    tags, score = crf.decode(emissions)
    others = torch.randint(0, 5, (4, 6))
    difference = crf.log_likelihood(emissions, tags) - crf.log_likelihood(emissions, others)
    assert (difference >= 0).all()
    shifted = crf.decode(emissions + 1)[1]
    torch.testing.assert_close(shifted, score + 6)


def test_a_batch_is_its_rows_and_padding_changes_nothing(crf) -> None:
    emissions = torch.randn(4, 9, 5)
    mask = torch.tensor([[1] * 9, [1] * 4 + [0] * 5, [0] * 6 + [1] * 3, [0, 1, 1, 0, 1, 0, 0, 1, 0]])
    gold = crf.decode(torch.randn(4, 9, 5), mask)[0]
    whole = crf.log_likelihood(emissions, gold, mask), crf.log_marginals(emissions, mask), *crf.decode(emissions, mask)
    for row in range(4):
        real = mask[row].bool()
        alone = emissions[row, real][None]
        torch.testing.assert_close(whole[0][row], crf.log_likelihood(alone, gold[row, real][None])[0])
        torch.testing.assert_close(whole[1][row, real], crf.log_marginals(alone)[0])
        assert torch.equal(whole[2][row, real], crf.decode(alone)[0][0])
        torch.testing.assert_close(whole[3][row], crf.decode(alone)[1][0])


def test_gradients_are_exact_and_finite_under_constraints() -> None:
    crf = LinearChainCrf(5, *bio_constraints(LABELS))
    emissions = torch.randn(2, 5, 5, requires_grad=True)
    tags = torch.tensor([[1, 2, 0, 3, 4], [0, 0, 1, 1, 0]])
    crf.log_likelihood(emissions, tags).sum().backward()
    one_hot = torch.nn.functional.one_hot(tags, 5)
    torch.testing.assert_close(emissions.grad, one_hot - crf.log_marginals(emissions).exp())
    assert all(parameter.grad.isfinite().all() for parameter in crf.parameters())


def test_labels_outside_the_scheme_are_free() -> None:
    allowed, first = bio_constraints(["NOUN", "VERB", "I-X", "B-Y", "I-Y"])
    assert first == [True, True, True, True, False]
    assert [row[4] for row in allowed] == [False, False, False, True, True]
    assert all(all(row[:4]) for row in allowed)


def test_half_precision_emissions_are_summed_in_float32() -> None:
    crf = LinearChainCrf(5)
    emissions = torch.randn(2, 300, 5)
    rough = crf.log_marginals(emissions.bfloat16())
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, crf.log_marginals(emissions.bfloat16().float()))
