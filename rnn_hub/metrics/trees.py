"""Accuracies of the labels of trees, from 0 to 100."""

from collections.abc import Iterator, Sequence
from typing import Any

import datasets
import evaluate

from rnn_hub.metrics.base import OfflineMetric

Nodes = Sequence[Sequence[float]]
"""The probabilities of each node's labels, the root's last."""


class TreeMetric(OfflineMetric):
    """The share of right labels among the nodes that a subclass judges."""

    def _info(self) -> evaluate.MetricInfo:
        probability = datasets.Sequence(datasets.Sequence(datasets.Value("float64")))
        label = datasets.Sequence(datasets.Value("int64"))
        return evaluate.MetricInfo(
            description=type(self).__doc__ or "",
            citation="",
            features=datasets.Features({"predictions": probability, "references": label}),
            inputs_description="predictions: for each tree the probabilities of its nodes' labels; references: labels",
        )

    def _compute(self, predictions: Sequence[Nodes], references: Sequence[Sequence[int]]) -> dict[str, Any]:
        right = [judged for tree in zip(predictions, references, strict=True) for judged in self._judge(*tree)]
        return {self.name: 100 * sum(right) / max(len(right), 1), "signature": f"judged:{len(right)}"}

    def _judge(self, nodes: Nodes, labels: Sequence[int]) -> Iterator[bool]:
        raise NotImplementedError


class RootAccuracy(TreeMetric):
    """The share of trees whose root has the right label."""

    name = "root_accuracy"

    def _judge(self, nodes: Nodes, labels: Sequence[int]) -> Iterator[bool]:
        yield _best(nodes[-1]) == labels[-1]


class NodeAccuracy(TreeMetric):
    """The share of nodes with the right label."""

    name = "node_accuracy"

    def _judge(self, nodes: Nodes, labels: Sequence[int]) -> Iterator[bool]:
        yield from (_best(node) == label for node, label in zip(nodes, labels, strict=True))


class BinaryAccuracy(TreeMetric):
    """The share of trees whose root is on the right side of the middle label; those that are neutral do not count.

    Socher et al. 2013, section 5: positive or negative, by which half of the labels has more probability.
    """

    name = "binary_accuracy"

    def _judge(self, nodes: Nodes, labels: Sequence[int]) -> Iterator[bool]:
        row, label = nodes[-1], labels[-1]
        middle, odd = divmod(len(row), 2)
        if not (odd and label == middle):
            yield (sum(row[middle + odd :]) > sum(row[:middle])) == (label >= middle + odd)


def _best(row: Sequence[float]) -> int:
    return max(range(len(row)), key=row.__getitem__)
