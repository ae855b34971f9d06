"""Tree classification: labelled trees in brackets -> words and edges -> a label for each node -> accuracies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from datasets import Dataset
from transformers import AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase

import rnn_hub.models.tree  # noqa: F401  (registers the model with the Auto classes)
from rnn_hub.data.tokenization import train_tokenizer
from rnn_hub.data.trees import Tree, TreeCollator, check_children, parse_tree
from rnn_hub.metrics import compute_metrics
from rnn_hub.pipelines.tree_classification import TreeLabelPipeline
from rnn_hub.tasks.auto_model import AutoModelTask, column_texts
from rnn_hub.tasks.base import DatasetSection, Scores
from rnn_hub.tasks.sections import check_keys


@dataclass
class TreeDataset(DatasetSection):
    """The column of trees; ``labels`` names the numbers in them, the first of 0."""

    tree: str = "tree"
    labels: list[str] | None = None


@dataclass
class TreeWordSection:
    """The vocabulary: the most frequent words, all others `<unk>`.

    Args:
        vocab_size: at most so many words, the special tokens included.
        lowercase: fold the case.
    """

    vocab_size: int = 10000
    lowercase: bool = True


class TreeClassificationTask(AutoModelTask):
    """A label for each node of a tree; what counts is the root's."""

    name = "tree-classification"
    columns = ("tree",)
    dataset_section: ClassVar[type] = TreeDataset
    tokenizer_section: ClassVar[type] = TreeWordSection
    model_type = "rnn_hub_tree"
    auto_class = AutoModelForSequenceClassification
    metrics: ClassVar[tuple[str, ...]] = ("root_accuracy", "binary_accuracy", "node_accuracy")
    main_metric = "root_accuracy"
    widest: tuple[Tree, str] = (Tree([], [], []), "")
    """Of the trees loaded, one with as many children at a node as any, and its place in the data."""
    pipeline_tag = "text-classification"
    failures = "its labels are guesses"
    usage = """```python
import rnn_hub

label = rnn_hub.pipeline("tree-classification", model="{name}")
label("(0 (0 It) (0 (0 (0 really) (0 works)) (0 .)))")["phrases"]
```

The numbers in a tree are the labels to learn and are not looked at here. From the command line, with a tree a line:
`rnn-hub predict {name} "(0 (0 It) (0 works))"`."""

    def network(self, model: Mapping[str, Any]) -> str:
        """The cell over a tree."""
        return f"cell `{model.get('cell_type', 'binary_lstm')}` over the nodes of a tree"

    def load(self, dataset: TreeDataset, split: str, **kwargs: Any) -> Dataset:
        """Load one split; a row that holds no tree raises an error that names it, before any work."""
        rows = super().load(dataset, split, **kwargs)
        trees = self._trees(rows, dataset, f"{split}, ")
        number, tree = max(enumerate(trees), key=lambda item: item[1].widest()[1])
        self.widest = max(self.widest, (tree, f"{split}, row {number}"), key=lambda item: item[0].widest()[1])
        return rows

    def model_fields(self, rows: Dataset, dataset: TreeDataset) -> dict[str, Any]:
        """The labels: those that the section names, else the numbers in the rows."""
        if dataset.labels is None:
            numbers = {label for tree in self._trees(rows, dataset) for label in tree.labels}
            dataset.labels = [str(number) for number in range(max(numbers) + 1)]
        names = dict(enumerate(dataset.labels))
        return {"id2label": names, "label2id": {name: number for number, name in names.items()}}

    def check_model(self, fields: Mapping[str, Any], generation: Mapping[str, Any]) -> None:
        """Build the config and, without memory, the model."""
        check_keys(generation, (), "generation (labels are not generated)")
        with torch.device("meta"):
            self._model(self._config(fields))

    def build_model(
        self, fields: Mapping[str, Any], processor: PreTrainedTokenizerBase, generation: Mapping[str, Any]
    ) -> PreTrainedModel:
        """Build the model for the tokenizer's vocabulary; an error names a tree that its cell cannot read."""
        config = self._config(fields, vocab_size=len(processor), pad_token_id=processor.pad_token_id)
        tree, where = self.widest
        check_children(tree, config.max_children, where)
        return self._model(config)

    def build_processor(
        self, rows: Dataset, dataset: TreeDataset, tokenizer: TreeWordSection
    ) -> PreTrainedTokenizerBase:
        """Take the vocabulary from the leaves."""
        texts = [" ".join(tree.phrases()[-1]) for tree in self._trees(rows, dataset)]
        return train_tokenizer(
            texts, tokenizer.vocab_size, "word", lowercase=tokenizer.lowercase, model_max_length=None, eos="none"
        )

    def build_collator(
        self, processor: PreTrainedTokenizerBase, dataset: TreeDataset, tokenizer: TreeWordSection, training: bool
    ) -> Callable[[list[dict]], dict]:
        """Trees to one graph."""
        return TreeCollator(processor, dataset.tree, len(dataset.labels) if dataset.labels else None)

    def lengths(self, rows: Dataset, processor: PreTrainedTokenizerBase, dataset: TreeDataset) -> list[int]:
        """Nodes of each tree: its opening brackets."""
        return [text.count("(") for text in column_texts(rows, dataset.tree)]

    def inputs(self, rows: Dataset, dataset: TreeDataset) -> list[str]:
        """The trees as text; the labels in them are not looked at."""
        return column_texts(rows, dataset.tree)

    def references(self, rows: Dataset, dataset: TreeDataset) -> list[list[int]]:
        """The labels of each tree's nodes, the root's last."""
        return [tree.labels for tree in self._trees(rows, dataset)]

    def predict(
        self,
        model: PreTrainedModel,
        processor: PreTrainedTokenizerBase,
        inputs: Sequence[str],
        batch_size: int = 64,
        progress: bool = False,
        **generation: Any,
    ) -> list[list[list[float]]]:
        """The probabilities of the labels of each tree's nodes, the root's last."""
        pipe = TreeLabelPipeline(model=model, tokenizer=processor, device=model.device, task=self.name)
        return pipe.probabilities(inputs, batch_size, progress)

    def score(
        self, predictions: Sequence[list[list[float]]], references: Sequence[list[int]], dataset: TreeDataset
    ) -> Scores:
        """Accuracy of the roots, of their sign, and of all nodes, in percent."""
        return Scores(*compute_metrics(self.metrics, predictions, references))

    def _trees(self, rows: Dataset, dataset: TreeDataset, split: str = "") -> list[Tree]:
        classes = len(dataset.labels) if dataset.labels else None
        texts = column_texts(rows, dataset.tree)
        return [parse_tree(text, classes, f"{split}row {number}") for number, text in enumerate(texts)]
