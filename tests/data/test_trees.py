"""Labelled trees: from brackets to one graph, with errors that say where a bracket is wrong."""

import pytest
import torch

from rnn_hub.data.tokenization import train_tokenizer
from rnn_hub.data.trees import TreeCollator, parse_tree
from rnn_hub.errors import RnnHubError

TEXT = "(3 (2 It) (4 (4 (2 really) (3 Works)) (2 .)))"


def test_a_tree_holds_children_before_parents() -> None:
    tree = parse_tree(TEXT, classes=5)
    assert tree.words == ["It", "really", "Works", None, ".", None, None]
    assert tree.labels == [2, 2, 3, 4, 2, 4, 3]
    assert tree.edges == [(1, 3), (2, 3), (3, 5), (4, 5), (0, 6), (5, 6)]
    assert [" ".join(words) for words in tree.phrases()] == [
        "It",
        "really",
        "Works",
        "really Works",
        ".",
        "really Works .",
        "It really Works .",
    ]
    assert parse_tree("(2 word)").words == ["word"]
    assert parse_tree("(2 (2 8 1\\/2) (1 -LRB-))").words == ["8 1/2", "(", None]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "row 7 is empty"),
        ("(3 (2 It) (4 works)", r"row 7: 1 nodes are not closed at character 19 of"),
        ("(3 (2 It)) (4 works)", "something follows the tree at character 12"),
        ("It works", r"a tree begins with '\(' at character 1"),
        ("(3 (2 It) (9 works))", "the label '9' is not a whole number below 5 at character 12"),
        ("(It works)", "the label 'It' is not a whole number below 5"),
        ("(3 (2 It) works)", "the word 'works' stands beside a child"),
        ("(3 It (2 works))", r"a node begins where a label or '\)' should stand"),
        ("((2 It) (2 works))", r"a node begins where a label or '\)' should stand"),
        ("(3 (2 ) (2 works))", "a node needs a label, and a word or children, at character 7"),
    ],
)
def test_what_is_wrong_with_a_tree_is_said(text: str, message: str) -> None:
    with pytest.raises(RnnHubError, match=message):
        parse_tree(text, classes=5, where="row 7")


def test_a_batch_is_one_graph() -> None:
    tokenizer = train_tokenizer(["it really works ."], 20, model_type="word", lowercase=True, eos="none")
    batch = TreeCollator(tokenizer, classes=5)([{"tree": TEXT}, {"tree": "(1 Unheard)"}, {"tree": "(2 (2 it) (1 .))"}])
    words = tokenizer.convert_ids_to_tokens(batch["input_ids"])
    assert words == ["it", "really", "works", "<pad>", ".", "<pad>", "<pad>", "<unk>", "it", ".", "<pad>"]
    assert batch["roots"].tolist() == [6, 7, 10]
    assert batch["edges"].T.tolist()[-2:] == [[8, 10], [9, 10]]
    assert torch.equal(batch["labels"], torch.tensor([2, 2, 3, 4, 2, 4, 3, 1, 2, 1, 2]))
