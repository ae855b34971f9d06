"""What a task is: it joins columns, processor, collator, model, generation, metric and pipeline."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from datasets import Dataset
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from rnn_hub.data.loading import load_split, load_stream
from rnn_hub.data.row_stream import RowStream
from rnn_hub.errors import RnnHubError
from rnn_hub.tasks.sections import check_keys


@dataclass
class DatasetSection:
    """Which data a recipe uses. A task adds one field for each column that it reads.

    Args:
        path: what ``datasets.load_dataset`` takes: a name on the Hub or a local folder.
        name: the configuration of the data set, where it has several.
        train, validation, test: names of the splits.
        license: licence of the data, for the model card.
        streaming: read the training split from its files as it is needed, for data that are larger than memory. The
            number of rows is then unknown: ``training.max_steps`` says when to stop.
        stream_pool: rows of a stream that are in memory at a time, shuffled and batched by length.
        stream_sample: the first rows of a stream, from which vocabulary and labels are taken.
    """

    path: str
    name: str | None = None
    train: str = "train"
    validation: str | None = "validation"
    test: str | None = "test"
    license: str | None = None
    streaming: bool = False
    stream_pool: int = 10_000
    stream_sample: int = 100_000


@dataclass
class Scores:
    """Metrics by the field's names, and the signature that makes them comparable."""

    values: dict[str, float]
    signature: str


class Task(ABC):
    """A task over sequences; a subclass is one file in this folder.

    Attributes:
        name: name of the task in recipes and on the command line.
        columns: fields of the dataset section that name columns, in the order of reading; None names no column.
        dataset_section, tokenizer_section: the dataclasses of these sections of a recipe.
        model_type: the model that a recipe gets when it names none.
        generation: defaults of generation, over which a recipe's section goes.
        main_metric: the metric that selects a checkpoint; higher is better where ``greater_is_better``.
        rows_are_independent: whether a row is predicted the same whatever stands before it, so that several processes
            may share the rows.
        streams: whether rows are used as the data set has them, so that they can be read as a stream.
        processor_file: the file that tells that a folder holds the processor.
        label_names: the inputs of a model that are not its inputs but what it learns.
        demo: module of the Gradio demo.
        usage: how a model is used, in Markdown for its card; `{name}` is the model, `{example}` a sentence.
        pipeline_tag: the Hub's name of the task, where it is not `name`.
        unit: what the training data are counted in.
        evaluation_options: what `predict` takes besides the options of the model's generation or instead of them.
        failures: what the model does wrong on other data than it knows, for its card.
    """

    name: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]
    dataset_section: ClassVar[type[DatasetSection]] = DatasetSection
    tokenizer_section: ClassVar[type]
    model_type: ClassVar[str]
    generation: ClassVar[dict[str, Any]] = {}
    main_metric: ClassVar[str]
    greater_is_better: ClassVar[bool] = True
    rows_are_independent: ClassVar[bool] = True
    streams: ClassVar[bool] = False
    processor_file: ClassVar[str] = "tokenizer.json"
    label_names: ClassVar[tuple[str, ...]] = ("labels",)
    demo: ClassVar[str | None] = None
    usage: ClassVar[str]
    pipeline_tag: ClassVar[str | None] = None
    unit: ClassVar[str] = "examples"
    evaluation_options: ClassVar[tuple[str, ...]] = ()
    failures: ClassVar[str] = "its output is fluent more often than right"

    def load(self, dataset: DatasetSection, split: str, **kwargs: Any) -> Dataset:
        """Load one split; a split or column that is missing raises an error that lists what exists."""
        return load_split(dataset.path, split, name=dataset.name, columns=self._named_columns(dataset), **kwargs)

    def stream(self, dataset: DatasetSection, split: str, seed: int) -> RowStream:
        """One split as a stream; a task that makes other rows of those of the data set has none."""
        if not self.streams:
            raise RnnHubError(f"the task {self.name!r} reads its rows at once: set dataset.streaming to false")
        columns = self._named_columns(dataset)
        sizes = {"sample": dataset.stream_sample, "pool": dataset.stream_pool, "seed": seed}
        return load_stream(dataset.path, split, name=dataset.name, columns=columns, **sizes)

    def _named_columns(self, dataset: DatasetSection) -> tuple[str, ...]:
        return tuple(column for role in self.columns if (column := getattr(dataset, role)))

    def other_data(self, section: dict[str, Any], path: str) -> dict[str, Any]:
        """The section `dataset` of a recipe for other data than its own, which have the same columns."""
        return {**section, "path": path}

    def use(self, recipe: Mapping[str, Any]) -> str:
        """How the model of a recipe is used: `usage`, unless that depends on the recipe."""
        return self.usage

    def examples(self, rows: Dataset, processor: PreTrainedTokenizerBase, dataset: DatasetSection) -> Any:
        """What the model trains on: the rows of the training split, unless a task reads them in another way."""
        return rows

    def model_fields(self, rows: Dataset, dataset: DatasetSection) -> dict[str, Any]:
        """What the training rows say of the model's configuration, such as its labels; a recipe may say otherwise."""
        return {}

    def fit_tokenizer(self, tokenizer: Any, model: Mapping[str, Any]) -> Any:
        """The tokenizer section with what follows from the model's; an ``RnnHubError`` where the two do not fit."""
        return tokenizer

    def network(self, model: Mapping[str, Any]) -> str:
        """The network in a few words for the card; ``model`` is the recipe's section."""
        count = model.get("num_layers", 1)
        return f"{count} {str(model.get('cell_type', 'lstm')).upper()} layer{'s' if count > 1 else ''}"

    def pretrained(self, recipe: Mapping[str, Any]) -> str:
        """What a model of this recipe brings from elsewhere, for the card: the end of "Trained on ..., "."""
        vectors = (recipe.get("model") or {}).get("word_vectors")
        return f"with the pretrained word vectors `{vectors}`" if vectors else "and on nothing else"

    def limits(self, recipe: Mapping[str, Any]) -> str:
        """What a model of this recipe is not fit for, for the card."""
        section = {field.name: field.default for field in fields(self.tokenizer_section)}
        limit = (section | (recipe.get("tokenizer") or {})).get("max_length")
        return (
            f"The model knows the vocabulary and the kind of text of `{recipe['dataset']['path']}` and little else; on "
            f"other text {self.failures}. {f'Inputs beyond {limit} subwords are cut. ' if limit else ''}Its outputs "
            "repeat whatever prejudice the data hold. Do not use it where an error matters."
        )

    @abstractmethod
    def build_processor(self, rows: Dataset, dataset: DatasetSection, tokenizer: Any) -> PreTrainedTokenizerBase:
        """Train the tokenizer on the rows of the training split."""

    def load_processor(self, folder: str | Path) -> Any:
        """The processor that `build_processor` made, from a folder."""
        return AutoTokenizer.from_pretrained(folder)

    @abstractmethod
    def build_model(
        self, fields: Mapping[str, Any], processor: PreTrainedTokenizerBase, generation: Mapping[str, Any]
    ) -> PreTrainedModel:
        """Build a model with fresh weights from the recipe's model section."""

    @abstractmethod
    def check_model(self, fields: Mapping[str, Any], generation: Mapping[str, Any]) -> None:
        """Raise an error for whatever in these sections could not be built, before any work."""

    @abstractmethod
    def build_collator(
        self, processor: PreTrainedTokenizerBase, dataset: DatasetSection, tokenizer: Any, training: bool
    ) -> Callable[[list[dict]], dict]:
        """Return the function from rows to a batch; augmentation is on only while ``training``."""

    @abstractmethod
    def lengths(self, rows: Dataset, processor: PreTrainedTokenizerBase, dataset: DatasetSection) -> list:
        """Return the length in elements of each row (or a pair of lengths), for bucketing."""

    @abstractmethod
    def inputs(self, rows: Dataset, dataset: DatasetSection) -> list:
        """What the model is given of each row."""

    @abstractmethod
    def references(self, rows: Dataset, dataset: DatasetSection) -> list:
        """What a prediction for each row is compared with."""

    @abstractmethod
    def predict(
        self,
        model: PreTrainedModel,
        processor: PreTrainedTokenizerBase,
        inputs: Sequence[Any],
        batch_size: int = 64,
        progress: bool = False,
        **generation: Any,
    ) -> list[Any]:
        """Return the model's output for each input, in the order of the inputs."""

    @abstractmethod
    def score(self, predictions: Sequence[Any], references: Sequence[Any], dataset: DatasetSection) -> Scores:
        """Compute the task's metrics of the predictions."""

    @abstractmethod
    def load_model(self, model: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """Load a saved model and its processor from a folder or a Hub name."""


def check_config_fields(config_class: type, values: Mapping[str, Any], where: str = "model") -> None:
    """Raise an error if ``values`` has a key that is no field of the strict dataclass ``config_class``."""
    known = {field.name for field in fields(config_class) if not field.name.startswith("_")}
    check_keys(values, known | {"model_type"}, where)


def require_split(dataset: DatasetSection, split: str) -> str:
    """Return the section's name of a split (train, validation, test), or raise if it names none."""
    name = getattr(dataset, split)
    if name is None:
        raise RnnHubError(f"dataset.{split} names no split: set it in the recipe")
    return name
