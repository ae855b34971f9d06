"""Multi-label classification: a column of text -> words -> any number of labels -> exact matches and macro F1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from datasets import Dataset

from rnn_hub.data.label_collators import LabelSetCollator
from rnn_hub.data.labels import label_names, name_of
from rnn_hub.errors import RnnHubError
from rnn_hub.tasks.text_classification import LabelledTexts, TextClassificationTask

#: a text has the labels that are at least so probable
THRESHOLD = 0.5


@dataclass
class LabelSets(LabelledTexts):
    """The columns of texts and of lists of labels; the rest as in ``LabelledTexts``."""

    label: str = "labels"


class MultiLabelClassificationTask(TextClassificationTask):
    """Any number of labels for a text, each decided by itself."""

    name = "multi-label-classification"
    pipeline_tag = "text-classification"
    dataset_section: ClassVar[type] = LabelSets
    metrics: ClassVar[tuple[str, ...]] = ("label_set_accuracy", "label_set_f1")
    main_metric = "label_set_f1"
    collator: ClassVar[type[LabelSetCollator]] = LabelSetCollator
    top_k = None
    usage = """```python
import rnn_hub

classify = rnn_hub.pipeline("multi-label-classification", model="{name}")
classify("The battery died, and nobody answers.", top_k=None)  # every label with its probability
```

or, after `import rnn_hub`, with transformers' own `pipeline("text-classification", model="{name}", top_k=None)`, or on
the command line: `rnn-hub predict {name} "The battery died, and nobody answers." --n-best 3`."""

    def model_fields(self, rows: Dataset, dataset: LabelSets) -> dict[str, Any]:
        """The labels; the section keeps them too, for the batches."""
        if not isinstance(rows[0][dataset.label], list):
            hint = "for one label a text write task: text-classification"
            raise RnnHubError(f"the column {dataset.label!r} must hold lists of labels; {hint}")
        return {**super().model_fields(rows, dataset), "problem_type": "multi_label_classification"}

    def references(self, rows: Dataset, dataset: LabelSets) -> list[list[str]]:
        """The names of the labels of each text."""
        names = label_names(rows, dataset.label, dataset.labels)
        return [[name_of(label, names) for label in labels] for labels in rows[dataset.label]]

    def answer(self, output: list[dict[str, Any]]) -> list[str]:
        """The labels that are at least as probable as not."""
        return [record["label"] for record in output if record["score"] >= THRESHOLD]
