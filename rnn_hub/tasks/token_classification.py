"""Token classification: columns of words and tags -> pieces of words -> a tag for each word -> entity F1."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from datasets import Dataset
from transformers import AutoModelForTokenClassification, PreTrainedModel, PreTrainedTokenizerBase

from rnn_hub.data.label_collators import TagCollator
from rnn_hub.data.labels import bio_of, inside, label_names, mend_bio, name_of, number_labels
from rnn_hub.data.row_stream import RowStream
from rnn_hub.errors import RnnHubError
from rnn_hub.metrics import compute_metrics
from rnn_hub.pipelines.token_classification import EntityPipeline
from rnn_hub.tasks.base import DatasetSection, Scores
from rnn_hub.tasks.classification import LabelTask, WordPieceSection, train_words


@dataclass
class TaggedTexts(DatasetSection):
    """The columns of lists of words and of tags, in BIO, BIOES or BILOU, which are learned as BIO; ``labels`` names the
    numbers of the second, where the data do not."""

    words: str = "tokens"
    tags: str = "ner_tags"
    labels: list[str] | None = None


class TokenClassificationTask(LabelTask):
    """A tag for each word of a text."""

    name = "token-classification"
    columns = ("words", "tags")
    streams = True
    dataset_section: ClassVar[type] = TaggedTexts
    auto_class = AutoModelForTokenClassification
    metrics: ClassVar[tuple[str, ...]] = ("entity_f1",)
    main_metric = "entity_f1"
    demo = "demos.entities"
    failures = "it misses and invents entities"
    usage = """```python
import rnn_hub

find = rnn_hub.pipeline("token-classification", model="{name}")
find("Ada Lovelace was born in London.")
```

or, after `import rnn_hub`, with transformers' own `pipeline("token-classification", model="{name}",
aggregation_strategy="simple")`, or from the command line:
`rnn-hub predict {name} "Ada Lovelace was born in London."`."""

    def network(self, model: Mapping[str, Any]) -> str:
        """The layers and the head."""
        head = "a conditional random field" if model.get("crf") else "tags"
        return f"{super().network(model)}, in both directions, with {head}"

    def load(self, dataset: TaggedTexts, split: str, **kwargs: Any) -> Dataset:
        """Load one split, its tags in BIO."""
        rows = super().load(dataset, split, **kwargs)
        names = label_names(rows, dataset.tags, dataset.labels)
        simple = bio_of(names)
        if all(name == bio for name, bio in simple.items()):
            return rows
        tags = [[simple[name_of(tag, names)] for tag in row] for row in rows[dataset.tags]]
        return rows.remove_columns(dataset.tags).add_column(dataset.tags, tags)

    def stream(self, dataset: TaggedTexts, split: str, seed: int) -> RowStream:
        """One split as a stream, whose tags are in BIO already.

        Raises:
            RnnHubError: they are not.
        """
        stream = super().stream(dataset, split, seed)
        simple = bio_of(label_names(stream.sample, dataset.tags, dataset.labels))
        other = next((name for name, bio in simple.items() if name != bio), None)
        if other is not None:
            hint = "write them in BIO, or set dataset.streaming to false"
            raise RnnHubError(f"a stream has its tags as they are, and {other!r} is none of BIO: {hint}")
        return stream

    def model_fields(self, rows: Dataset, dataset: TaggedTexts) -> dict[str, Any]:
        """The tags, with an I-X for each B-X; the section keeps them too, for the batches."""
        names = bio_of(label_names(rows, dataset.tags, dataset.labels)).values()
        dataset.labels = list(dict.fromkeys([*names, *(inside(name) for name in names)]))
        return number_labels(dataset.labels)

    def build_processor(
        self, rows: Dataset, dataset: TaggedTexts, tokenizer: WordPieceSection
    ) -> PreTrainedTokenizerBase:
        """Train the tokenizer on the words."""
        return train_words([" ".join(words) for words in rows[dataset.words]], tokenizer)

    def build_collator(
        self, processor: PreTrainedTokenizerBase, dataset: TaggedTexts, tokenizer: WordPieceSection, training: bool
    ) -> Callable[[list[dict]], dict]:
        """Rows of words to padded ids and tags; BPE-dropout only in training."""
        dropout = tokenizer.dropout if training else 0.0
        return TagCollator(processor, dataset.words, dataset.tags, dataset.labels or (), dropout)

    def lengths(self, rows: Dataset, processor: PreTrainedTokenizerBase, dataset: TaggedTexts) -> list[int]:
        """Tokens of each text, as far as the limit."""
        encoded = processor(list(rows[dataset.words]), is_split_into_words=True, truncation=True)
        return [len(ids) for ids in encoded["input_ids"]]

    def inputs(self, rows: Dataset, dataset: TaggedTexts) -> list[list[str]]:
        """The words of each text."""
        return list(rows[dataset.words])

    def references(self, rows: Dataset, dataset: TaggedTexts) -> list[list[str]]:
        """The names of the tags."""
        names = label_names(rows, dataset.tags, dataset.labels)
        return [mend_bio([name_of(tag, names) for tag in tags]) for tags in rows[dataset.tags]]

    def predict(
        self,
        model: PreTrainedModel,
        processor: PreTrainedTokenizerBase,
        inputs: Sequence[Sequence[str]],
        batch_size: int = 64,
        progress: bool = False,
        **generation: Any,
    ) -> list[list[str]]:
        """The tags of each text's words."""
        pipe = EntityPipeline(model=model, tokenizer=processor, device=model.device, task=self.name)
        options = {"is_split_into_words": True, "aggregation_strategy": "none", "progress": progress}
        outputs = pipe([list(words) for words in inputs], batch_size=batch_size, **options)
        return [[word["entity"] for word in words] for words in outputs]

    def score(
        self, predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]], dataset: TaggedTexts
    ) -> Scores:
        """F1 of entities, in percent."""
        return Scores(*compute_metrics(self.metrics, predictions, references))
