"""TextToTextPipeline: text in, text out, as translations and summaries are made."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from transformers import AutoModelForSeq2SeqLM

from rnn_hub.errors import RnnHubError
from rnn_hub.pipelines.search import SearchPipeline, only

logger = logging.getLogger(__name__)


class TextToTextPipeline(SearchPipeline):
    """Writes a text for each text with an encoder-decoder.

    A text gives a list of one dictionary, a list of texts one dictionary each. With ``num_return_sequences`` above 1
    every input gets a list of dictionaries, the best first.

    A list is sorted by length in between, so that ``batch_size`` texts of one batch are of like length; the
    results come in the order of the inputs. A text beyond the tokenizer's ``model_max_length`` is cut, with a
    warning. A text without a word gives an empty text.

    Call arguments are those of ``SearchPipeline``; ``return_attention`` adds ``source_tokens``, ``target_tokens`` and
    ``attention``, an array (target, source).
    """

    auto_model_class = AutoModelForSeq2SeqLM
    result: ClassVar[str]
    _cut = False

    def check_inputs(self, inputs: str | Sequence[str]) -> list[str]:
        """A text or a list of texts."""
        self._cut = False
        texts = [inputs] if isinstance(inputs, str) else list(inputs)
        for text in texts:
            if not isinstance(text, str):
                raise RnnHubError(
                    f"the {self.task or 'text'} pipeline takes a text or a list of texts, not {type(text).__name__}"
                )
        return texts

    def size(self, given: str) -> int:
        """Characters."""
        return len(given)

    def preprocess(self, text: str) -> dict[str, torch.Tensor]:
        """Text to ids of shape (1, source)."""
        limit = self.tokenizer.model_max_length
        ids = self.tokenizer(text.strip(), truncation=False, verbose=False).input_ids
        if len(ids) > limit:
            if not self._cut:
                told = "a text of %d subwords is cut to the model's limit of %d; further cuts are not reported"
                logger.warning(told, len(ids), limit)
            self._cut = True
            ids = ids[: limit - 1] + ids[-1:]
        input_ids = torch.tensor([ids])
        return {"input_ids": input_ids, "attention_mask": torch.ones_like(input_ids)}

    def postprocess(self, model_outputs: Mapping[str, torch.Tensor], return_scores: bool = False) -> list | dict:
        """Ids of one input (1, n, 1 + target) to one dictionary, or to a list of n."""
        source = model_outputs["input_ids"][0][model_outputs["attention_mask"][0].bool()]
        empty = not self.tokenizer.decode(source, skip_special_tokens=True).strip()
        records = []
        for rank, sequence in enumerate(model_outputs["sequences"][0]):
            text = "" if empty else self.tokenizer.decode(sequence, skip_special_tokens=True).strip()
            record: dict[str, Any] = {f"{self.result}_text": text}
            if return_scores:
                record["score"] = model_outputs["scores"][0, rank].item()
            if "attention" in model_outputs:
                length = self._length(sequence)
                record["source_tokens"] = self.tokenizer.convert_ids_to_tokens(source.tolist())
                record["target_tokens"] = self.tokenizer.convert_ids_to_tokens(sequence[1 : 1 + length].tolist())
                record["attention"] = model_outputs["attention"][0, rank, :length, : len(source)].float().numpy()
            records.append(record)
        return only(records)
