"""Pretrained word vectors from GloVe's and fastText's text formats."""

import gzip

import numpy as np
import pytest
import torch

from rnn_hub.data.vectors import read_vectors
from rnn_hub.data.word_pieces import train_word_pieces, vocabulary
from rnn_hub.errors import RnnHubError
from rnn_hub.tasks import load_task

GLOVE = "the 0.1 0.2 0.3\nfilm 1 2 3\n. . 9\ncast -1 -2 -3e-1\n"


@pytest.fixture
def glove(tmp_path):
    path = tmp_path / "glove.txt"
    path.write_text(GLOVE)
    return path


def test_only_the_vocabulary_is_read_and_case_falls_back(glove) -> None:
    found = read_vectors(glove, {"film": 0, "Film": 1, "absent": 2, "Cast": 3})
    assert sorted(found) == [0, 1, 3]
    np.testing.assert_allclose(found[0], [1, 2, 3])
    np.testing.assert_allclose(found[1], [1, 2, 3])
    np.testing.assert_allclose(found[3], [-1, -2, -0.3], rtol=1e-6)


def test_fasttexts_header_and_compression_are_recognized(tmp_path) -> None:
    path = tmp_path / "wiki.vec.gz"
    with gzip.open(path, "wt") as file:
        file.write("2 3\nfilm 1 2 3\n2 4 5 6\n")
    found = read_vectors(path, {"film": 5, "2": 6})
    assert found[5].tolist() == [1, 2, 3] and found[6].tolist() == [4, 5, 6]


@pytest.mark.parametrize(
    ("vocabulary", "size", "message"),
    [
        ({"film": 0}, 50, "line 2: a vector of 3 numbers, expected 50"),
        ({"dog": 0}, None, "a vector for none of the 1 words"),
        ({".": 0}, None, "line 3 holds no word and its vector: '. 9'"),
    ],
)
def test_what_does_not_fit_is_told(glove, vocabulary, size, message) -> None:
    with pytest.raises(RnnHubError, match=message):
        read_vectors(glove, vocabulary, size)


def test_a_model_starts_with_them(glove) -> None:
    task, tokenizer = load_task("text-classification"), train_word_pieces(["the film has a cast"] * 3, 60)
    fields = {"model_type": task.model_type, "embedding_size": 3, "hidden_size": 4, "word_vectors": str(glove)}
    weight = task.build_model(fields, tokenizer, {}).get_input_embeddings().weight
    words = vocabulary(tokenizer)
    film, cast = weight[words.index("film")], weight[words.index("cast")]
    torch.testing.assert_close(film / film[0], torch.tensor([1.0, 2, 3]))
    torch.testing.assert_close(cast / cast[0], torch.tensor([1.0, 2, 0.3]))
    with pytest.raises(RnnHubError, match=r"vector of 3 numbers, expected 8; set model\.embedding_size"):
        task.build_model({**fields, "embedding_size": 8}, tokenizer, {})
