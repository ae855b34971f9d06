"""What the tasks share whose models generate tokens: checking and building model and generation config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from tqdm.auto import tqdm
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from rnn_hub.errors import RnnHubError
from rnn_hub.pipelines.loading import reason
from rnn_hub.tasks.auto_model import AutoModelTask
from rnn_hub.tasks.sections import check_keys


class GenerationTask(AutoModelTask):
    """A task whose model generates tokens.

    Attributes:
        own_options: what its models read of a generation config beside the fields of transformers.
    """

    own_options: ClassVar[tuple[str, ...]] = ()

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

    def _generation_config(self, generation: Mapping[str, Any], **ids: Any) -> GenerationConfig:
        known = [key for key in GenerationConfig().to_dict() if not key.startswith("_")]
        check_keys(generation, [*known, *self.own_options], "generation")
        config = GenerationConfig(**generation, **ids)
        try:
            config.validate(strict=True)
        except ValueError as error:
            raise RnnHubError(f"generation: {reason(error)}") from error
        return config


def batches_by_length(lengths: Sequence[int], batch_size: int, progress: bool) -> Iterator[list[int]]:
    """The places of inputs of like length, a batch at a time, from the shortest on; a bar shows the `progress`."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    for start in tqdm(range(0, len(order), batch_size), desc="reading", unit="batch", disable=not progress):
        yield order[start : start + batch_size]
