"""Text classification: a column of text -> words -> a label -> accuracy and macro F1."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from datasets import Dataset
from transformers import AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase

from rnn_hub.data.label_collators import TextLabelCollator
from rnn_hub.data.labels import label_names, name_of, number_labels
from rnn_hub.data.row_stream import RowStream
from rnn_hub.data.tokenization import token_lengths
from rnn_hub.errors import RnnHubError
from rnn_hub.metrics import compute_metrics
from rnn_hub.pipelines.text_classification import TextLabelPipeline
from rnn_hub.tasks.auto_model import column_texts
from rnn_hub.tasks.base import DatasetSection, Scores
from rnn_hub.tasks.classification import LabelTask, WordPieceSection, train_words


@dataclass
class LabelledTexts(DatasetSection):
    """The columns of texts and labels.

    Args:
        labels: names of the numbers in the second, where the data set does not tell them.
        long_words, long_repeats: texts of at least so many words are seen so often in an epoch of training: a
            corpus of phrases has few whole sentences.
    """

    text: str = "text"
    label: str = "label"
    labels: list[str] | None = None
    long_words: int = 0
    long_repeats: int = 1


class TextClassificationTask(LabelTask):
    """A label for a text."""

    name = "text-classification"
    columns = ("text", "label")
    streams = True
    dataset_section: ClassVar[type] = LabelledTexts
    auto_class = AutoModelForSequenceClassification
    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "macro_f1")
    main_metric = "accuracy"
    collator: ClassVar[type[TextLabelCollator]] = TextLabelCollator
    top_k: ClassVar[int | None] = 1  # the labels that the pipeline gives of a text
    demo = "demos.sentiment"
    failures = "its labels are guesses"
    usage = """```python
import rnn_hub

classify = rnn_hub.pipeline("text-classification", model="{name}")
classify("A charming and often moving film.", return_attention=True)
```

or, after `import rnn_hub`, with transformers' own `pipeline("text-classification", model="{name}")`, or from the
command line: `rnn-hub predict {name} "A charming and often moving film."`."""

    def network(self, model: Mapping[str, Any]) -> str:
        """The layers and what pools them."""
        return f"{super().network(model)}, in both directions, with {model.get('pooling', 'attention')} pooling"

    def load(self, dataset: LabelledTexts, split: str, **kwargs: Any) -> Dataset:
        """Load one split, the long texts of the training split several times."""
        rows = super().load(dataset, split, **kwargs)
        if split != dataset.train or dataset.long_repeats == 1:
            return rows
        words = [len(text.split()) for text in column_texts(rows, dataset.text)]
        repeats = (dataset.long_repeats if count >= dataset.long_words else 1 for count in words)
        return rows.select([place for place, times in enumerate(repeats) for _ in range(times)])

    def stream(self, dataset: LabelledTexts, split: str, seed: int) -> RowStream:
        """One split as a stream, each text once."""
        if dataset.long_repeats != 1:
            raise RnnHubError(f"a stream has each text once: set dataset.long_repeats to 1, not {dataset.long_repeats}")
        return super().stream(dataset, split, seed)

    def model_fields(self, rows: Dataset, dataset: LabelledTexts) -> dict[str, Any]:
        """The labels; the section keeps them too, for the batches."""
        dataset.labels = label_names(rows, dataset.label, dataset.labels)
        return number_labels(dataset.labels)

    def build_processor(
        self, rows: Dataset, dataset: LabelledTexts, tokenizer: WordPieceSection
    ) -> PreTrainedTokenizerBase:
        """Train the tokenizer on the texts."""
        return train_words(column_texts(rows, dataset.text), tokenizer)

    def build_collator(
        self,
        processor: PreTrainedTokenizerBase,
        dataset: LabelledTexts,
        tokenizer: WordPieceSection,
        training: bool,
    ) -> Callable[[list[dict]], dict]:
        """Rows of raw text to padded ids and what is learned; BPE-dropout only in training."""
        dropout = tokenizer.dropout if training else 0.0
        return self.collator(processor, dataset.text, dataset.label, dataset.labels or (), dropout)

    def lengths(self, rows: Dataset, processor: PreTrainedTokenizerBase, dataset: LabelledTexts) -> list[int]:
        """Tokens of each text, as far as the limit."""
        return token_lengths(processor, column_texts(rows, dataset.text), max_length=processor.model_max_length)

    def inputs(self, rows: Dataset, dataset: LabelledTexts) -> list[str]:
        """The texts."""
        return column_texts(rows, dataset.text)

    def references(self, rows: Dataset, dataset: LabelledTexts) -> list[str]:
        """The names of the labels."""
        names = label_names(rows, dataset.label, dataset.labels)
        return [name_of(label, names) for label in rows[dataset.label]]

    def predict(
        self,
        model: PreTrainedModel,
        processor: PreTrainedTokenizerBase,
        inputs: Sequence[str],
        batch_size: int = 64,
        progress: bool = False,
        **generation: Any,
    ) -> list:
        """The answer of each text."""
        task = self.pipeline_tag or self.name
        pipe = TextLabelPipeline(model=model, tokenizer=processor, device=model.device, task=task)
        outputs = pipe(list(inputs), batch_size=batch_size, top_k=self.top_k, progress=progress)
        return [self.answer(output) for output in outputs]

    def answer(self, output: Any) -> Any:
        """What the metrics take of the pipeline's output for a text: the most probable label."""
        return output["label"]

    def score(self, predictions: Sequence[Any], references: Sequence[Any], dataset: LabelledTexts) -> Scores:
        """The task's metrics."""
        return Scores(*compute_metrics(self.metrics, predictions, references))
