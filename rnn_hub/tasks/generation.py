"""What the tasks share whose models generate tokens: checking, building and loading model and generation config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from datasets import Dataset
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from rnn_hub.data.collators import read_column
from rnn_hub.errors import RnnHubError
from rnn_hub.pipelines.loading import load_pretrained, reason
from rnn_hub.tasks.base import Task, check_config_fields
from rnn_hub.tasks.sections import check_keys


class GenerationTask(Task):
    """A task whose model generates tokens.

    Attributes:
        auto_class: the Auto class of transformers that builds and loads the model.
    """

    auto_class: ClassVar[Any]

    def check_model(self, fields: Mapping[str, Any], generation: Mapping[str, Any]) -> None:
        """Build configs and, without memory, the model: a wrong field, cell, attention or size fails here."""
        self._generation_config(generation)
        with torch.device("meta"):
            self._model(self._config(fields))

    def build_model(
        self, fields: Mapping[str, Any], processor: PreTrainedTokenizerBase, generation: Mapping[str, Any]
    ) -> PreTrainedModel:
        """Build the model for the tokenizer's vocabulary."""
        ids = self.token_ids(processor)
        model = self._model(self._config(fields, vocab_size=len(processor), **ids))
        model.generation_config = self._generation_config(generation, **ids)
        return model

    def token_ids(self, processor: PreTrainedTokenizerBase) -> dict[str, int | None]:
        """The special tokens that the configs name."""
        return {name: getattr(processor, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")}

    def load_model(self, model: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """Load a model and its tokenizer; what is missing or broken raises an ``RnnHubError``."""
        return load_pretrained(self.auto_class, model)

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
            return self.auto_class.from_config(config)
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


def column_texts(rows: Dataset, column: str) -> list[str]:
    """All texts of a column; a dot reaches into a column of dictionaries."""
    if column in rows.column_names:
        return list(rows[column])
    return [read_column(row, column) for row in rows]
