"""Text regression: a column of text -> words -> a number -> correlation and error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from datasets import Dataset

from rnn_hub.data.label_collators import NumberCollator
from rnn_hub.data.labels import finite_number
from rnn_hub.tasks.text_classification import LabelledTexts, TextClassificationTask


@dataclass
class NumberedTexts(LabelledTexts):
    """The columns of texts and of numbers; the rest as in ``LabelledTexts``."""

    label: str = "score"


class TextRegressionTask(TextClassificationTask):
    """A number for a text, such as a rating."""

    name = "text-regression"
    pipeline_tag = "text-classification"
    dataset_section: ClassVar[type] = NumberedTexts
    metrics: ClassVar[tuple[str, ...]] = ("pearson", "spearman", "rmse")
    main_metric = "pearson"
    collator: ClassVar[type[NumberCollator]] = NumberCollator
    demo = None
    usage = """```python
import rnn_hub

rate = rnn_hub.pipeline("text-regression", model="{name}")
rate("A charming and often moving film.")["score"]
```

or from the command line: `rnn-hub predict {name} "A charming and often moving film."`."""

    def model_fields(self, rows: Dataset, dataset: NumberedTexts) -> dict[str, Any]:
        """One output, called as the column is.

        Raises:
            RnnHubError: a row without a finite number.
        """
        for place, value in enumerate(rows[dataset.label], 1):
            finite_number(value, dataset.label, place)
        names = {"id2label": {0: dataset.label}, "label2id": {dataset.label: 0}}
        return {**names, "problem_type": "regression"}

    def references(self, rows: Dataset, dataset: NumberedTexts) -> list[float]:
        """The numbers."""
        return [float(value) for value in rows[dataset.label]]

    def answer(self, output: dict[str, Any]) -> float:
        """The number."""
        return output["score"]
