"""Text regression: a column of text -> words -> a number -> correlation and error."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rnn_hub.data.label_collators import NumberCollator
from rnn_hub.errors import RnnHubError
from rnn_hub.metrics import compute_metrics
from rnn_hub.pipelines.text_classification import TextLabelPipeline
from rnn_hub.tasks.base import Scores
from rnn_hub.tasks.classification import WordPieceSection
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
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                hint = "for labels write task: text-classification"
                raise RnnHubError(f"row {place} of the column {dataset.label!r} holds no number but {value!r}; {hint}")
        names = {"id2label": {0: dataset.label}, "label2id": {dataset.label: 0}}
        return {**names, "problem_type": "regression"}

    def build_collator(
        self, processor: PreTrainedTokenizerBase, dataset: NumberedTexts, tokenizer: WordPieceSection, training: bool
    ) -> Callable[[list[dict]], dict]:
        """Rows of raw text to padded ids and numbers; BPE-dropout only in training."""
        dropout = tokenizer.dropout if training else 0.0
        return NumberCollator(processor, dataset.text, dataset.label, (), dropout)

    def references(self, rows: Dataset, dataset: NumberedTexts) -> list[float]:
        """The numbers."""
        return [float(value) for value in rows[dataset.label]]

    def predict(
        self,
        model: PreTrainedModel,
        processor: PreTrainedTokenizerBase,
        inputs: Sequence[str],
        batch_size: int = 64,
        progress: bool = False,
        **generation: Any,
    ) -> list[float]:
        """The number of each text."""
        pipe = TextLabelPipeline(model=model, tokenizer=processor, device=model.device, task=self.pipeline_tag)
        return [output["score"] for output in pipe(list(inputs), batch_size=batch_size, progress=progress)]

    def score(self, predictions: Sequence[float], references: Sequence[float], dataset: NumberedTexts) -> Scores:
        """Correlations, in percent, and the root of the mean squared error."""
        return Scores(*compute_metrics(self.metrics, predictions, references))
