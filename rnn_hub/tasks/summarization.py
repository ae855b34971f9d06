"""Summarization: long texts with short ones -> subwords -> a pointer-generator -> beam search -> ROUGE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import rnn_hub.models.pointer  # noqa: F401  (registers the model with the Auto classes)
from rnn_hub.metrics import compute_metrics
from rnn_hub.pipelines.summarization import SummarizationPipeline
from rnn_hub.tasks.base import DatasetSection, Scores
from rnn_hub.tasks.translation import TranslationTask


@dataclass
class SummarizationDataset(DatasetSection):
    """The columns of texts and of their summaries; of a measured split a column of lists holds several references."""

    source: str = "document"
    target: str = "summary"


class SummarizationTask(TranslationTask):
    """A text to a shorter one."""

    name = "summarization"
    dataset_section: ClassVar[type] = SummarizationDataset
    model_type = "rnn_hub_pointer"
    pipeline_class: ClassVar[type] = SummarizationPipeline
    generation: ClassVar[dict[str, Any]] = {"num_beams": 5, "max_new_tokens": 64, "no_repeat_ngram_size": 3}
    metrics: ClassVar[tuple[str, ...]] = ("rouge_1", "rouge_2", "rouge_l_summary")
    main_metric = "rouge_1"
    demo = "demos.summarization"
    failures: ClassVar[str] = "it copies words that do not matter"
    usage = """```python
import rnn_hub

summarize = rnn_hub.pipeline("summarization", model="{name}")
summarize("{example}", num_return_sequences=3)
```

or from the command line: `rnn-hub predict {name} "{example}" --n-best 3`."""

    def network(self, model: Mapping[str, Any]) -> str:
        """What copies, and how it attends."""
        cell = str(model.get("cell_type", "lstm")).upper()
        return f"a pointer-generator of {cell} layers {'with' if model.get('coverage', True) else 'without'} coverage"

    def score(self, predictions: Sequence[str], references: Sequence[Any], dataset: SummarizationDataset) -> Scores:
        """ROUGE-1, ROUGE-2 and ROUGE-L."""
        return Scores(*compute_metrics(self.metrics, predictions, references))
