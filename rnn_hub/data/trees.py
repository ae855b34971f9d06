"""Labelled trees in brackets, `(3 (2 It) (4 (4 works) (2 .)))`, as the Stanford Sentiment Treebank writes them."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from rnn_hub.errors import RnnHubError

PIECES = re.compile(r"[()]|[^\s()]+")
IGNORED = -100
WRITTEN = {"-LRB-": "(", "-RRB-": ")"}
"""How the Penn Treebank writes a word that is a bracket; a slash has a backslash before it."""


class Tree(NamedTuple):
    """A tree of N nodes, children before their parents, so that the last node is the root.

    Args:
        words: the word of each leaf, None at inner nodes.
        labels: of each node.
        edges: (child, parent) pairs, the children of a node from left to right.
    """

    words: list[str | None]
    labels: list[int]
    edges: list[tuple[int, int]]

    def phrases(self) -> list[list[str]]:
        """The words below each node, in order."""
        below: list[list[str]] = [[] if word is None else [word] for word in self.words]
        for child, parent in self.edges:  # children before parents: each is whole when it is added
            below[parent] = below[parent] + below[child]
        return below

    def widest(self) -> tuple[int, int]:
        """A node that has as many children as any, and how many."""
        children = Counter(parent for _, parent in self.edges)
        return max(children.items(), key=lambda item: item[1], default=(0, 0))


def check_children(tree: Tree, limit: int | None, where: str) -> None:
    """Refuses a tree with a node of more children than `limit`, which `where` names: an `RnnHubError`."""
    node, count = tree.widest()
    if limit is not None and count > limit:
        phrase = " ".join(tree.phrases()[node])
        raise RnnHubError(
            f"{where}: the node over {phrase[:60]!r} has {count} children, and this model takes {limit}: make the tree "
            "binary, or train a model with cell_type child_sum_lstm"
        )


def parse_tree(text: str, classes: int | None = None, where: str = "the tree") -> Tree:
    """Reads a tree; a node is `(label word)` or `(label child child ...)`; a word may hold spaces.

    Args:
        text: the tree.
        classes: how many labels there are, 0 the first; None for any number.
        where: what an error calls the tree, such as "row 7".

    Raises:
        RnnHubError: brackets that do not match, a node without a label, a word or a child, or a label out of range,
            with its place in the text.
    """
    words: list[str | None] = []
    labels: list[int] = []
    edges: list[tuple[int, int]] = []
    open_nodes: list[dict[str, Any]] = []

    def fail(message: str, place: int) -> RnnHubError:
        return RnnHubError(f"{where}: {message} at character {place + 1} of {text[:60]!r}")

    for match in PIECES.finditer(text):
        piece, place = match.group(), match.start()
        if words and not open_nodes:
            raise fail("something follows the tree", place)
        if piece == "(":
            if open_nodes and (open_nodes[-1]["label"] is None or open_nodes[-1]["word"] is not None):
                raise fail("a node begins where a label or ')' should stand", place)
            open_nodes.append({"label": None, "word": None, "children": []})
            continue
        if not open_nodes:
            raise fail("a tree begins with '('", place)
        node = open_nodes[-1]
        if piece == ")":
            if node["label"] is None or (node["word"] is None) == (not node["children"]):
                raise fail("a node needs a label, and a word or children,", place)
            open_nodes.pop()
            number = len(words)
            words.append(node["word"])
            labels.append(node["label"])
            edges.extend((child, number) for child in node["children"])
            if open_nodes:
                open_nodes[-1]["children"].append(number)
        elif node["label"] is None:
            if not piece.isdecimal() or (classes is not None and int(piece) >= classes):
                known = "a whole number" if classes is None else f"a whole number below {classes}"
                raise fail(f"the label {piece!r} is not {known}", place)
            node["label"] = int(piece)
        elif node["children"]:
            raise fail(f"the word {piece!r} stands beside a child", place)
        else:
            word = WRITTEN.get(piece, piece.replace("\\/", "/"))
            node["word"] = word if node["word"] is None else f"{node['word']} {word}"
    if open_nodes:
        raise fail(f"{len(open_nodes)} nodes are not closed", len(text) - 1)
    if not words:
        raise RnnHubError(f"{where} is empty: write one such as (3 (2 It) (4 works))")
    return Tree(words, labels, edges)


class TreeCollator:
    """Trees -> one graph.

    Args:
        tokenizer: one token a word.
        column: of the rows, the trees as text; classes: how many labels there are.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, column: str = "tree", classes: int | None = None):
        self.tokenizer, self.column, self.classes = tokenizer, column, classes

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        """Rows of text to a batch, as `graph` returns it."""
        return self.graph([parse_tree(row[self.column], self.classes) for row in rows])

    def graph(self, trees: Sequence[Tree]) -> dict[str, Tensor]:
        """The N nodes of all trees, one after the other.

        Returns:
            input_ids (N,), the padding token at inner nodes; edges (2, E); roots (B,); labels (N,).
        """
        pad = self.tokenizer.pad_token_id
        words = [word for tree in trees for word in tree.words]
        known = iter(self.tokenizer.convert_tokens_to_ids(self.normalize([word for word in words if word is not None])))
        ends = torch.tensor([len(tree.words) for tree in trees]).cumsum(0)
        starts = [0, *ends.tolist()]
        edges = [
            (child + start, parent + start)
            for start, tree in zip(starts, trees, strict=False)
            for child, parent in tree.edges
        ]
        return {
            "input_ids": torch.tensor([pad if word is None else next(known) for word in words]),
            "edges": torch.tensor(edges, dtype=torch.long).view(-1, 2).T.contiguous(),
            "roots": ends - 1,
            "labels": torch.tensor([label for tree in trees for label in tree.labels]),
        }

    def normalize(self, words: list[str]) -> list[str]:
        """The words as the tokenizer's vocabulary has them."""
        normalizer = self.tokenizer.backend_tokenizer.normalizer
        return words if normalizer is None else [normalizer.normalize_str(word) for word in words]
