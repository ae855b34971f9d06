"""Pieces to words, characters to vectors, states to one vector."""

import pytest
import torch

from rnn_hub.layers.pooling import Pooling, hop_overlap
from rnn_hub.layers.words import CharacterFeatures, WordTable, mean_of_pieces

#                 <pad>  ab     ##c    d      ##ef
STARTS = [True, True, False, True, False]
CHARACTERS = [[0, 0, 0], [2, 3, 0], [4, 0, 0], [5, 0, 0], [6, 7, 0]]
#                    ab ##c d   pad pad     pad ##c ##ef d ab
IDS = torch.tensor([[1, 2, 3, 0, 0], [0, 2, 4, 3, 1]])
MASK = torch.tensor([[1, 1, 1, 0, 0], [0, 1, 1, 1, 1]])


@pytest.fixture
def table() -> WordTable:
    table = WordTable(5, 3)
    table.set(STARTS, CHARACTERS)
    return table


def test_words_begin_where_the_table_says_and_at_the_first_real_piece(table) -> None:
    real, first, number = table(IDS, MASK)
    assert real.tolist() == MASK.bool().tolist()
    assert first.int().tolist() == [[1, 0, 1, 0, 0], [0, 1, 0, 1, 1]]
    assert number[0, :3].tolist() == [0, 0, 1] and number[1, 1:].tolist() == [0, 0, 1, 2]


def test_characters_of_the_pieces_stand_one_after_the_other_up_to_the_limit(table) -> None:
    words = table.spell(IDS, *table(IDS, MASK))
    assert words[0, :2].tolist() == [[2, 3, 4], [5, 0, 0]]
    assert words[1, :3].tolist() == [[4, 6, 7], [5, 0, 0], [2, 3, 0]]
    assert not words[0, 2:].any()
    longer = torch.tensor([[1, 4, 3]])
    assert table.spell(longer, *table(longer, None))[0].tolist() == [[2, 3, 6], [5, 0, 0], [0, 0, 0]]


def test_a_word_is_the_mean_of_its_pieces(table) -> None:
    pieces = torch.randn(2, 5, 4)
    real, _, number = table(IDS, MASK)
    words = mean_of_pieces(pieces, real, number)
    torch.testing.assert_close(words[0, 0], pieces[0, :2].mean(dim=0))
    torch.testing.assert_close(words[0, 2], pieces[0, 2])
    torch.testing.assert_close(words[1, 1], pieces[1, 1:3].mean(dim=0))
    torch.testing.assert_close(words[1, 3:], pieces[1, 3:])


def test_a_table_of_another_vocabulary_is_refused(table) -> None:
    with pytest.raises(ValueError, match="3 pieces for a vocabulary of 5"):
        table.set([True] * 3)


@pytest.mark.parametrize("kind", ["cnn", "rnn"])
def test_characters_beside_a_word_do_not_change_it(kind) -> None:
    features = CharacterFeatures(kind, 6, 5, 4)
    alone = features(torch.tensor([[[2, 3, 4, 0]]]))
    together = features(torch.tensor([[[2, 3, 4, 0], [5, 6, 7, 2]], [[3, 0, 0, 0], [2, 3, 4, 0]]]))
    assert alone.shape == (1, 1, features.output_size)
    torch.testing.assert_close(together[0, 0], alone[0, 0])
    torch.testing.assert_close(together[1, 1], alone[0, 0])
    assert not features(torch.zeros(1, 1, 4, dtype=torch.long)).any()


@pytest.mark.parametrize("kind", ["last", "mean", "max", "attention"])
def test_pooling_sees_real_positions_only(kind) -> None:
    pooling = Pooling(kind, 6, 6, attention_size=5, hops=2)
    states, mask = torch.randn(2, 5, 6), torch.tensor([[1, 1, 1, 0, 0], [0, 1, 0, 1, 0]])
    last = torch.stack([states[0, 2], states[1, 3]])
    vectors, weights = pooling(states * 1e3 * (1 - mask[..., None]) + states, mask, last)
    assert vectors.shape == (2, pooling.output_size)
    for row in range(2):
        alone = states[row, mask[row].bool()][None]
        expected, _ = pooling(alone, torch.ones(alone.shape[:2]), last[row : row + 1])
        torch.testing.assert_close(vectors[row], expected[0])
    if kind == "attention":
        assert not weights[(mask == 0)[:, None].expand_as(weights)].any()
        torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 2))


def test_overlap_is_zero_for_hops_that_look_at_one_place_each() -> None:
    assert hop_overlap(torch.eye(3)[None]) == 0
    assert hop_overlap(torch.tensor([[[1.0, 0], [1, 0]]])) == 2
