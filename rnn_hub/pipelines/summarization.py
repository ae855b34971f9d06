"""SummarizationPipeline: a text in, its summary out, and on request which words of it were copied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import AutoModelForSeq2SeqLM
from transformers.pipelines import PIPELINE_REGISTRY

from rnn_hub.errors import RnnHubError
from rnn_hub.pipelines.search import only
from rnn_hub.pipelines.text_to_text import TextToTextPipeline


class SummarizationPipeline(TextToTextPipeline):
    """Summarizes: ``pipe("Attached is the service agreement ...")`` gives ``[{"summary_text": "Service Agreement"}]``.

    Call arguments are those of ``TextToTextPipeline``, and ``return_copied`` adds ``words``, a list of the summary's
    words, each with the probability that it was copied from the text and not written.
    """

    activity, unit, result = "summarizing", "text", "summary"

    def _sanitize_parameters(self, return_copied: bool | None = None, **options: Any) -> tuple[dict, dict, dict]:
        before, forward, after = super()._sanitize_parameters(**options)
        if return_copied is not None:
            if not hasattr(self.model, "copied"):
                raise RnnHubError("return_copied: this model copies nothing; it needs one of type rnn_hub_pointer")
            forward["return_copied"] = return_copied
        return before, forward, after

    def _forward(
        self, model_inputs: Mapping[str, torch.Tensor], return_copied: bool = False, **options: Any
    ) -> dict[str, torch.Tensor]:
        results = super()._forward(model_inputs, **options)
        if return_copied:
            source = {name: results[name] for name in ("input_ids", "attention_mask")}
            copied = self.model.copied(results["sequences"].flatten(0, 1), **source)
            results["copied"] = copied.view(*results["sequences"].shape[:2], -1)
        return results

    def postprocess(self, model_outputs: Mapping[str, torch.Tensor], **options: Any) -> list | dict:
        """Ids of one input (1, n, 1 + target) to one dictionary, or to a list of n."""
        records = super().postprocess(model_outputs, **options)
        if "copied" not in model_outputs:
            return records
        records = records if isinstance(records, list) else [records]
        for record, sequence, copied in zip(
            records, model_outputs["sequences"][0], model_outputs["copied"][0], strict=True
        ):
            record["words"] = self._words(sequence, copied) if record["summary_text"] else []
        return only(records)

    def _words(self, sequence: torch.Tensor, copied: torch.Tensor) -> list[tuple[str, float]]:
        """The words of a sequence (1 + T), each with the mean of its pieces' probabilities (T,)."""
        pieces: list[tuple[list[int], list[float]]] = []
        for token, share in zip(sequence[1:].tolist(), copied.tolist(), strict=True):
            if token in self.tokenizer.all_special_ids:
                continue
            if self.tokenizer.convert_ids_to_tokens(token).startswith("▁") or not pieces:
                pieces.append(([], []))
            pieces[-1][0].append(token)
            pieces[-1][1].append(share)
        return [(self.tokenizer.decode(ids).strip(), sum(shares) / len(shares)) for ids, shares in pieces]


# transformers 5 refuses the name "summarization", so its own pipeline() knows this one by another.
PIPELINE_REGISTRY.register_pipeline(
    "rnn-summarization", pipeline_class=SummarizationPipeline, pt_model=AutoModelForSeq2SeqLM, type="text"
)
