"""The base of this library's metrics: `evaluate.Metric` without files and without a network."""

import os
from typing import Any, ClassVar

import datasets
import evaluate


class OfflineMetric(evaluate.Metric):
    """An `evaluate.Metric` that keeps what it is given in memory.

    A subclass says its `name`, its `_info` and `_compute(predictions, references, **options)`, which
    returns {name: value, "signature": str}; the signature says all settings on which the value depends.
    """

    name: str
    options: tuple[str, ...] = ()  # keywords of compute() besides predictions and references

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(keep_in_memory=True, **kwargs)

    def _build_data_dir(self) -> str:
        """Where evaluate would put files; the path is never made, so a read-only home will do."""
        return os.path.join(self._data_dir_root, self.name)


class ValueMetric(OfflineMetric):
    """What metrics share that compare one value with another: both have the type `value`."""

    value: ClassVar[Any]

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=type(self).__doc__ or "",
            citation="",
            features=datasets.Features({"predictions": self.value, "references": self.value}),
            inputs_description="predictions: one for each example; references: the same",
        )


def text_features() -> list[datasets.Features]:
    """Predicted texts against one reference each, or against several."""
    text = datasets.Value("string")
    return [
        datasets.Features({"predictions": text, "references": datasets.Sequence(text)}),
        datasets.Features({"predictions": text, "references": text}),
    ]
