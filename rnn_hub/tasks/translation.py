"""Translation: two columns of text -> subwords -> an encoder-decoder -> beam search -> BLEU and chrF."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from datasets import Dataset
from huggingface_hub.errors import StrictDataclassError
from transformers import (
    AutoConfig,
    AutoModelForSeq2SeqLM,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

import rnn_hub.models.seq2seq  # noqa: F401  (registers the model with the Auto classes)
from rnn_hub.data.collators import Seq2SeqCollator, read_column
from rnn_hub.data.tokenization import token_lengths, train_tokenizer
from rnn_hub.errors import RnnHubError
from rnn_hub.metrics import compute_metrics
from rnn_hub.pipelines.loading import load_pretrained, reason
from rnn_hub.pipelines.translation import TranslationPipeline
from rnn_hub.tasks.base import DatasetSection, Scores, Task, check_config_fields
from rnn_hub.tasks.sections import check_keys

logger = logging.getLogger(__name__)


@dataclass
class TranslationDataset(DatasetSection):
    """The columns of a parallel corpus; ``translation.en`` reads the key ``en`` of a column of dictionaries.

    ``target_language`` chooses the rules by which a metric tokenizes; the default is the column's name where
    that is a code of two letters, else English.
    """

    source: str = "source"
    target: str = "target"
    target_language: str | None = None

    def language(self) -> str:
        """The code of the target language."""
        column = self.target.rpartition(".")[2]
        return self.target_language or (column if len(column) == 2 else "en")


@dataclass
class SubwordSection:
    """One subword vocabulary for both languages.

    Args:
        type: "bpe" or "unigram".
        vocab_size: number of pieces, the special ones included.
        lowercase: fold the case of both languages.
        dropout: probability of BPE-dropout in training (Provilkov et al., 2020).
        target_dropout: the same of the target; None takes ``dropout``. With 0 the model learns one way to write
            a sentence, and beam search meets no second segmentation of it.
        max_length: longest text in subwords; longer ones are cut with a warning.
    """

    type: str = "unigram"
    vocab_size: int = 8000
    lowercase: bool = False
    dropout: float = 0.0
    target_dropout: float | None = None
    max_length: int = 256


class TranslationTask(Task):
    """Text in one language to text in another."""

    name = "translation"
    columns = ("source", "target")
    dataset_section: ClassVar[type] = TranslationDataset
    tokenizer_section: ClassVar[type] = SubwordSection
    model_type = "rnn_hub_seq2seq"
    generation: ClassVar[dict[str, Any]] = {"num_beams": 5, "max_new_tokens": 128}
    metrics: ClassVar[tuple[str, ...]] = ("bleu", "bleu_lower", "chrf")
    main_metric = "bleu"
    demo = "demos.translation"

    def build_processor(
        self, rows: Dataset, dataset: TranslationDataset, tokenizer: SubwordSection
    ) -> PreTrainedTokenizerBase:
        """Train one tokenizer on both columns."""

        def texts() -> Iterable[str]:
            for column in (dataset.source, dataset.target):
                yield from _texts(rows, column)

        return train_tokenizer(
            texts(),
            tokenizer.vocab_size,
            model_type=tokenizer.type,
            lowercase=tokenizer.lowercase,
            model_max_length=tokenizer.max_length,
        )

    def check_model(self, fields: Mapping[str, Any], generation: Mapping[str, Any]) -> None:
        """Build configs and, without memory, the model: a wrong field, cell, attention or size fails here."""
        self._generation_config(generation)
        with torch.device("meta"):
            self._model(self._config(fields))

    def build_model(
        self, fields: Mapping[str, Any], processor: PreTrainedTokenizerBase, generation: Mapping[str, Any]
    ) -> PreTrainedModel:
        """Build the encoder-decoder for the tokenizer's vocabulary."""
        ids = {
            "pad_token_id": processor.pad_token_id,
            "bos_token_id": processor.bos_token_id,
            "eos_token_id": processor.eos_token_id,
            "decoder_start_token_id": processor.bos_token_id,
        }
        model = self._model(self._config(fields, vocab_size=len(processor), **ids))
        model.generation_config = self._generation_config(generation, **ids)
        return model

    def build_collator(
        self,
        processor: PreTrainedTokenizerBase,
        dataset: TranslationDataset,
        tokenizer: SubwordSection,
        training: bool,
    ) -> Callable[[list[dict]], dict]:
        """Rows of raw text to padded ids and labels; BPE-dropout only in training."""
        return Seq2SeqCollator(
            processor,
            source_column=dataset.source,
            target_column=dataset.target,
            max_source_length=tokenizer.max_length,
            max_target_length=tokenizer.max_length,
            subword_dropout=tokenizer.dropout if training else 0.0,
            target_subword_dropout=tokenizer.target_dropout if training else 0.0,
        )

    def lengths(
        self, rows: Dataset, processor: PreTrainedTokenizerBase, dataset: TranslationDataset
    ) -> list[tuple[int, int]]:
        """Subwords of each source and target, as far as the limit."""
        limit = processor.model_max_length
        columns = (_texts(rows, dataset.source), _texts(rows, dataset.target))
        source, target = (token_lengths(processor, column, max_length=limit) for column in columns)
        return list(zip(source, target, strict=True))

    def inputs(self, rows: Dataset, dataset: TranslationDataset) -> list[str]:
        """The texts to translate."""
        return _texts(rows, dataset.source)

    def references(self, rows: Dataset, dataset: TranslationDataset) -> list[str]:
        """The human translations."""
        return _texts(rows, dataset.target)

    def predict(
        self,
        model: PreTrainedModel,
        processor: PreTrainedTokenizerBase,
        inputs: Sequence[str],
        batch_size: int = 64,
        progress: bool = False,
        **generation: Any,
    ) -> list[str]:
        """Translate the texts, sorted by length in between, in the order given."""
        pipe = TranslationPipeline(model=model, tokenizer=processor, device=model.device, task=self.name)
        outputs = pipe(list(inputs), batch_size=batch_size, progress=progress, **generation)
        return [output["translation_text"] for output in outputs]

    def score(self, predictions: Sequence[str], references: Sequence[str], dataset: TranslationDataset) -> Scores:
        """BLEU (cased and detokenized), BLEU lowercased and tokenized, chrF."""
        values, signature = compute_metrics(self.metrics, predictions, references, language=dataset.language())
        return Scores(values, signature)

    def load_model(self, model: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """Load an encoder-decoder and its tokenizer; what is missing or broken raises an ``RnnHubError``."""
        return load_pretrained(AutoModelForSeq2SeqLM, model)

    def _config(self, fields: Mapping[str, Any], **ids: Any) -> Any:
        fields = dict(fields)
        model_type = fields.pop("model_type")
        try:
            config_class = type(AutoConfig.for_model(model_type))
        except ValueError as error:
            raise RnnHubError(
                f"unknown model.model_type {model_type!r}; the model of this task is {self.model_type!r}"
            ) from error
        check_config_fields(config_class, fields)
        try:
            return config_class(**{**ids, **fields})
        except (ValueError, TypeError, StrictDataclassError) as error:
            raise RnnHubError(f"model: {reason(error)}") from error

    def _model(self, config: Any) -> PreTrainedModel:
        try:
            return AutoModelForSeq2SeqLM.from_config(config)
        except ValueError as error:
            raise RnnHubError(f"model: {reason(error)}") from error

    def _generation_config(self, generation: Mapping[str, Any], **ids: Any) -> GenerationConfig:
        check_keys(generation, (key for key in GenerationConfig().to_dict() if not key.startswith("_")), "generation")
        config = GenerationConfig(**generation, **ids)
        try:
            config.validate(strict=True)
        except ValueError as error:
            raise RnnHubError(f"generation: {reason(error)}") from error
        return config


def _texts(rows: Dataset, column: str) -> list[str]:
    """All texts of a column; a dot reaches into a column of dictionaries."""
    if column in rows.column_names:
        return list(rows[column])
    return [read_column(row, column) for row in rows]
