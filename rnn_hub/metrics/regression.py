"""Metrics of a number for each text: correlations, from -100 to 100, and the root of the mean squared error."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, ClassVar

import datasets
import numpy as np

from rnn_hub.metrics.base import ValueMetric


class NumberMetric(ValueMetric):
    """What they share: numbers against numbers."""

    value = datasets.Value("float64")


class _Correlation(NumberMetric):
    function: ClassVar[str]

    def _compute(self, predictions: Sequence[float], references: Sequence[float]) -> dict[str, Any]:
        from scipy import stats

        value = 0.0  # of numbers that are all the same nothing can be told
        if len(set(predictions)) > 1 and len(set(references)) > 1:
            value = 100 * float(getattr(stats, self.function)(predictions, references).statistic)
        return {self.name: value, "signature": f"numbers:{len(references)}|scipy:{version('scipy')}"}


class Pearson(_Correlation):
    """The correlation."""

    name = "pearson"
    function = "pearsonr"


class Spearman(_Correlation):
    """The correlation of the ranks."""

    name = "spearman"
    function = "spearmanr"


class Rmse(NumberMetric):
    """The root of the mean squared error, in the numbers' own unit."""

    name = "rmse"

    def _compute(self, predictions: Sequence[float], references: Sequence[float]) -> dict[str, Any]:
        value = float(np.sqrt(np.mean((np.array(predictions) - np.array(references)) ** 2)))
        return {self.name: value, "signature": f"numbers:{len(references)}"}
