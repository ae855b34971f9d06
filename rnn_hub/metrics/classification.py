"""Metrics of labels, one or several, from 0 to 100: accuracy, mean F1, F1 of entities; and which are confused."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import datasets
import evaluate

from rnn_hub.metrics.base import OfflineMetric, ValueMetric


class LabelMetric(ValueMetric):
    """What the metrics of one label a text share: labels by name."""

    value = datasets.Value("string")


class Accuracy(LabelMetric):
    """The share of right labels."""

    name = "accuracy"

    def _compute(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
        right = sum(map(str.__eq__, predictions, references))
        return {self.name: 100 * right / len(references), "signature": f"labels:{len(references)}"}


class MacroF1(LabelMetric):
    """The mean of the F1 scores of all labels that occur, each weighing the same."""

    name = "macro_f1"

    def _compute(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
        from sklearn.metrics import f1_score

        score = f1_score(references, predictions, average="macro", zero_division=0)
        return {self.name: 100 * float(score), "signature": f"average:macro|scikit-learn:{version('scikit-learn')}"}


class LabelSetMetric(ValueMetric):
    """What the metrics of several labels a text share: lists of labels, in any order, perhaps empty."""

    value = datasets.Sequence(datasets.Value("string"))


class LabelSetAccuracy(LabelSetMetric):
    """The share of texts that have exactly the right labels."""

    name = "label_set_accuracy"

    def _compute(self, predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> dict[str, Any]:
        right = sum(set(one) == set(other) for one, other in zip(predictions, references, strict=True))
        return {self.name: 100 * right / len(references), "signature": f"texts:{len(references)}"}


class LabelSetF1(LabelSetMetric):
    """The mean over labels of the F1 score of having it, of all labels that occur."""

    name = "label_set_f1"

    def _compute(self, predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> dict[str, Any]:
        from sklearn.metrics import f1_score
        from sklearn.preprocessing import MultiLabelBinarizer

        table = MultiLabelBinarizer().fit([*predictions, *references])
        truth, guess = table.transform(references), table.transform(predictions)
        score = f1_score(truth, guess, average="macro", zero_division=0) if len(table.classes_) else 1.0
        return {self.name: 100 * float(score), "signature": f"average:macro|scikit-learn:{version('scikit-learn')}"}


class ConfusionMatrix(LabelMetric):
    """How often each label (a row) was called each (a column), in the order of ``labels``, which occur in either."""

    name = "confusion_matrix"

    def _compute(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
        from sklearn.metrics import confusion_matrix

        labels = sorted({*predictions, *references})
        counts = confusion_matrix(references, predictions, labels=labels).tolist()
        return {self.name: counts, "labels": labels, "signature": f"scikit-learn:{version('scikit-learn')}"}


class EntityF1(OfflineMetric):
    """F1 of entities: one is right if its kind and its first and last word are (Tjong Kim Sang & De Meulder 2003).

    Tags are B-X, I-X and O, as seqeval reads them (Nakayama 2018), which agrees with the task's conlleval.
    """

    name = "entity_f1"

    def _info(self) -> evaluate.MetricInfo:
        tags = datasets.Sequence(datasets.Value("string"))
        return evaluate.MetricInfo(
            description=type(self).__doc__ or "",
            citation="",
            features=datasets.Features({"predictions": tags, "references": tags}),
            inputs_description="predictions: a list of tags for each text; references: the same",
        )

    def _compute(self, predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> dict[str, Any]:
        from seqeval.metrics import f1_score

        signature = f"scheme:BIO|average:micro|seqeval:{version('seqeval')}"
        score = f1_score(list(references), list(predictions), zero_division=0)
        return {self.name: 100 * float(score), "signature": signature}
