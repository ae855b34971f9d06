"""Rows of labelled text to batches."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch

from rnn_hub.data.collators import IGNORE_INDEX, pad_sequences, read_column
from rnn_hub.data.labels import finite_number, inside, mend_bio, name_of
from rnn_hub.data.tokenization import copy_tokenizer, subword_dropout

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

logger = logging.getLogger(__name__)


class TextLabelCollator:
    """Texts with one label each -> `input_ids`, `attention_mask` (B, T) and `labels` (B,).

    Args:
        tokenizer: cuts at its `model_max_length`.
        text_column, label_column: where they stand in a row.
        labels: the names of the labels in the order of their numbers.
        dropout: rate of random segmentation, for training only.
    """

    def __init__(
        self,
        tokenizer: "PreTrainedTokenizerFast",
        text_column: str,
        label_column: str,
        labels: Sequence[str],
        dropout: float = 0.0,
    ) -> None:
        self.tokenizer = copy_tokenizer(tokenizer)
        self.text_column, self.label_column = text_column, label_column
        self.names, self.numbers = list(labels), {name: number for number, name in enumerate(labels)}
        self.dropout = dropout

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """A batch; an unknown label is an `RnnHubError`."""
        texts = [read_column(row, self.text_column) for row in rows]
        labels = self._labels([row[self.label_column] for row in rows])
        with _segmented(self.tokenizer, self.dropout):
            ids = self.tokenizer(texts, truncation=True)["input_ids"]
        return {**pad_ids(ids, self.tokenizer), "labels": labels}

    def _labels(self, values: Sequence[Any]) -> torch.Tensor:
        """The number of each label."""
        return torch.tensor([self.numbers[name_of(value, self.names)] for value in values])


class LabelSetCollator(TextLabelCollator):
    """Texts with a list of labels each -> the same, but `labels` (B, L): 1 where a text has a label, and 0."""

    def _labels(self, values: Sequence[Any]) -> torch.Tensor:
        table = torch.zeros(len(values), len(self.names))
        for row, labels in enumerate(values):
            for label in labels:
                table[row, self.numbers[name_of(label, self.names)]] = 1
        return table


class NumberCollator(TextLabelCollator):
    """Texts with a number each -> the same, but `labels` (B,) are these numbers; what is none is an `RnnHubError`."""

    def _labels(self, values: Sequence[Any]) -> torch.Tensor:
        return torch.tensor([finite_number(value, self.label_column) for value in values])


class TagCollator:
    """Words with a tag each -> `input_ids`, `attention_mask` and `labels` (B, T).

    The tokenizer may part a word: its first piece has the word's tag, the others what continues it (I-X after B-X). A
    tag that continues nothing (I-X after O) is read as B-X.

    Args:
        tokenizer: cuts at its `model_max_length`.
        words_column, tags_column: where they stand in a row.
        labels: the names of the tags in the order of their numbers.
        dropout: rate of random segmentation, for training only.
    """

    def __init__(
        self,
        tokenizer: "PreTrainedTokenizerFast",
        words_column: str,
        tags_column: str,
        labels: Sequence[str],
        dropout: float = 0.0,
    ) -> None:
        self.tokenizer = copy_tokenizer(tokenizer)
        self.words_column, self.tags_column = words_column, tags_column
        self.names, self.numbers = list(labels), {name: number for number, name in enumerate(labels)}
        self.dropout = dropout

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """A batch; an unknown tag is an `RnnHubError`."""
        with _segmented(self.tokenizer, self.dropout):
            encoded = self.tokenizer(
                [row[self.words_column] for row in rows], is_split_into_words=True, truncation=True
            )
        labels = []
        for index, row in enumerate(rows):
            tags = mend_bio([name_of(tag, self.names) for tag in row[self.tags_column]])
            labels.append(self._spread(tags, encoded.word_ids(index)))
        padded = pad_ids(encoded["input_ids"], self.tokenizer)
        return {**padded, "labels": pad_sequences(labels, IGNORE_INDEX, self.tokenizer.padding_side)}

    def _spread(self, tags: Sequence[str], words: Sequence[int | None]) -> list[int]:
        """The number of a tag for each piece, given which word it belongs to."""
        before, numbers = None, []
        for word in words:
            tag = None if word is None else tags[word] if word != before else inside(tags[word])
            numbers.append(IGNORE_INDEX if tag is None else self.numbers.get(tag, self.numbers[tags[word]]))
            before = word
        return numbers


def _segmented(tokenizer: "PreTrainedTokenizerFast", dropout: float) -> AbstractContextManager:
    """Random segmentation where there is any: a tokenizer of whole words knows none."""
    return subword_dropout(tokenizer, dropout) if dropout else nullcontext()


def pad_ids(ids: Sequence[Sequence[int]], tokenizer: "PreTrainedTokenizerFast") -> dict[str, torch.Tensor]:
    """`input_ids` and `attention_mask` (B, T), padded on the tokenizer's side."""
    side = tokenizer.padding_side
    return {
        "input_ids": pad_sequences(ids, tokenizer.pad_token_id, side).long(),
        "attention_mask": pad_sequences([[1] * len(row) for row in ids], 0, side).long(),
    }
