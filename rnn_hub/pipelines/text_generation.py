"""ContinuationPipeline: a prompt in, the text that continues it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import AutoModelForCausalLM, TextGenerationPipeline
from transformers.generation.utils import GenerationConfig

from rnn_hub.data.conditions import condition_ids
from rnn_hub.errors import RnnHubError
from rnn_hub.pipelines.sampling import check_temperature


class ContinuationPipeline(TextGenerationPipeline):
    """transformers' text generation, with the defaults of the model's own generation config.

    ``pipe("ROMEO:")`` gives ``[{"generated_text": "ROMEO:\\nI will..."}]``, a list of prompts one such list each. Call
    arguments are those of ``TextGenerationPipeline`` and ``generate()``; a language model with conditions takes
    ``condition={"sentiment": "positive"}`` (its names are in ``config.condition_labels``), or ``condition_ids`` and
    ``condition_vector``.

    Raises:
        RnnHubError: an unknown condition or value, listing the known ones; a temperature of 0 or less.
    """

    auto_model_class = AutoModelForCausalLM
    _default_generation_config = GenerationConfig()

    def __call__(
        self,
        inputs: str | Sequence[str],
        progress: bool = False,
        condition: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> list:
        """Continue a prompt or a list of prompts; a sample needs no progress bar, which other pipelines have."""
        check_temperature(kwargs)
        if condition:
            ids = condition_ids(self.model.config.condition_labels or {}, condition)
            kwargs |= {"condition_ids": torch.tensor([ids], device=self.model.device), "batch_size": 1}
        return super().__call__(inputs if isinstance(inputs, str) else list(inputs), **kwargs)

    def preprocess(self, prompt_text: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Text to ids of shape (1, T)."""
        inputs = super().preprocess(prompt_text, *args, **kwargs)
        if inputs["input_ids"].shape[1] == 0:
            raise RnnHubError("this model knows no start of a text, so it cannot continue an empty prompt: give a word")
        return inputs
