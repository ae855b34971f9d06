"""What the tasks share whose models an Auto class builds and loads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from datasets import Dataset
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, PreTrainedModel, PreTrainedTokenizerBase

from rnn_hub.data.collators import read_column
from rnn_hub.errors import RnnHubError
from rnn_hub.pipelines.loading import load_pretrained, reason
from rnn_hub.tasks.base import Task, check_config_fields


class AutoModelTask(Task):
    """A task over a model of transformers.

    Attributes:
        auto_class: the Auto class of transformers that builds and loads the model.
    """

    auto_class: ClassVar[Any]

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


def column_texts(rows: Dataset, column: str) -> list[str]:
    """All texts of a column; a dot reaches into a column of dictionaries."""
    if column in rows.column_names:
        return list(rows[column])
    return [read_column(row, column) for row in rows]
