"""Text under a condition: a column of texts and one of labels -> a language model that is steered by the label."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rnn_hub.data.collators import IGNORE_INDEX, lengths_to_mask, pad_sequences
from rnn_hub.data.conditions import condition_ids
from rnn_hub.data.labels import label_names, name_of
from rnn_hub.data.tokenization import token_lengths
from rnn_hub.tasks.auto_model import column_texts
from rnn_hub.tasks.generation import batches_by_length
from rnn_hub.tasks.language_modeling import LanguageModelingTask, TextDataset, TokenSection


@dataclass
class ConditionalTexts(TextDataset):
    """The columns: each row is a text by itself.

    Args:
        text, label: the columns.
        condition: what the label is called, such as "sentiment" or "topic".
        labels: the names of the labels in the order of their numbers; by default those of the data.
    """

    label: str = "label"
    condition: str = "topic"
    labels: list[str] | None = None


class ConditionedCollator:
    """Texts with a label -> `input_ids`, `attention_mask`, `labels` (B, T) and `condition_ids` (B, 1).

    `</s>` stands before and behind a text.

    Args:
        tokenizer: puts `</s>` before a text.
        condition: what the label is called; names: its values, in the order of their numbers.
        text, label: the columns.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        condition: str,
        names: Sequence[str],
        text: str = "text",
        label: str = "label",
    ):
        self.tokenizer, self.condition, self.names = tokenizer, condition, names
        self.text, self.label = text, label

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        end = [self.tokenizer.eos_token_id]
        ids = [[*self.tokenizer(row[self.text])["input_ids"], *end] for row in rows]
        input_ids = pad_sequences(ids, self.tokenizer.pad_token_id)
        mask = lengths_to_mask(torch.tensor([len(sequence) for sequence in ids]), input_ids.shape[1])
        given = [{self.condition: name_of(row[self.label], self.names)} for row in rows]
        return {
            "input_ids": input_ids,
            "attention_mask": mask,
            "labels": input_ids.masked_fill(mask == 0, IGNORE_INDEX),
            "condition_ids": torch.tensor([condition_ids({self.condition: self.names}, each) for each in given]),
        }


class ConditionalTextTask(LanguageModelingTask):
    """The next token of a text, from those before it and from the text's label."""

    name = "conditional-text-generation"
    evaluation_options = ()
    columns = ("text", "label")
    streams = True
    dataset_section: ClassVar[type] = ConditionalTexts
    generation: ClassVar[dict[str, Any]] = {"do_sample": True, "temperature": 0.8, "max_new_tokens": 60}
    rows_are_independent = True
    unit = "examples"
    usage = """```python
import rnn_hub

write = rnn_hub.pipeline("conditional-text-generation", model="{name}")
write.model.config.condition_labels  # the conditions and their values
write("the film", condition={{"sentiment": "positive"}}, guidance_scale=2.0)
```

or from the command line: `rnn-hub predict {name} "the film" --condition sentiment=positive`."""

    def model_fields(self, rows: Dataset, dataset: ConditionalTexts) -> dict[str, Any]:
        """The condition and its values; the section keeps them too, for the batches."""
        dataset.labels = label_names(rows, dataset.label, dataset.labels)
        return {"condition_labels": {dataset.condition: dataset.labels}}

    def examples(self, rows: Dataset, processor: PreTrainedTokenizerBase, dataset: ConditionalTexts) -> Dataset:
        """The rows, each a text."""
        return rows

    def build_collator(
        self,
        processor: PreTrainedTokenizerBase,
        dataset: ConditionalTexts,
        tokenizer: TokenSection,
        training: bool,
    ) -> Callable[[list[dict]], dict]:
        """Texts to padded ids and their condition."""
        return ConditionedCollator(processor, dataset.condition, dataset.labels or (), dataset.text, dataset.label)

    def lengths(self, rows: Dataset, processor: PreTrainedTokenizerBase, dataset: ConditionalTexts) -> list[int]:
        """Tokens of each text."""
        return token_lengths(processor, column_texts(rows, dataset.text))

    def inputs(self, rows: Dataset, dataset: ConditionalTexts) -> list[dict[str, Any]]:
        """The texts and their labels."""
        texts, labels = column_texts(rows, dataset.text), rows[dataset.label]
        return [{"text": text, "label": label} for text, label in zip(texts, labels, strict=True)]

    def references(self, rows: Dataset, dataset: ConditionalTexts) -> list[str]:
        """The texts."""
        return column_texts(rows, dataset.text)

    @torch.no_grad()
    def predict(
        self,
        model: PreTrainedModel,
        processor: PreTrainedTokenizerBase,
        inputs: Sequence[Mapping[str, Any]],
        batch_size: int = 64,
        progress: bool = False,
        **generation: Any,
    ) -> list[list[float]]:
        """For each text -log p, in nats, of each of its tokens and of its end, under its label."""
        ((condition, names),) = model.config.condition_labels.items()
        collate = ConditionedCollator(processor, condition, names)
        found: list[list[float]] = [[] for _ in inputs]
        for chosen in batches_by_length([len(row["text"]) for row in inputs], batch_size, progress):
            batch = {k: v.to(model.device) for k, v in collate([inputs[index] for index in chosen]).items()}
            labels = batch.pop("labels")[:, 1:]
            nats = F.cross_entropy(model(**batch).logits[:, :-1].mT.float(), labels, reduction="none")
            for index, row, real in zip(chosen, nats, labels != IGNORE_INDEX, strict=True):
                found[index] = row[real].tolist()
        return found
