"""TextLabelPipeline: text in, a label and its probability out, and on request what the model looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, BatchEncoding, TextClassificationPipeline

from rnn_hub.errors import RnnHubError
from rnn_hub.pipelines.classification import classify


class TextLabelPipeline(TextClassificationPipeline):
    """transformers' text classification, faster on many texts, with clear errors and attention.

    ``pipe("A charming film.")`` gives ``{"label": "positive", "score": 0.98}``, a list of texts a list of these. The
    score is the label's probability; of a regression the value.

    A list is sorted by length in between, and the results come in the order of the inputs. A text beyond the
    tokenizer's ``model_max_length`` is cut, with a warning; one without a word is an error.

    Call arguments:
        batch_size: texts of a batch.
        top_k: so many labels, the most probable first, as a list of dictionaries; None for all.
        return_attention: add ``words`` and ``attention``, for each the words as (start, end) in the text and their
            weights, one list a hop of the attention.
        progress: show a progress bar on standard error.
        max_length: tokens that are read of a text, more or fewer than the tokenizer's ``model_max_length``.
    """

    auto_model_class = AutoModelForSequenceClassification

    def __call__(
        self,
        inputs: str | Sequence[str],
        batch_size: int | None = None,
        top_k: int | None = 1,
        return_attention: bool = False,
        progress: bool = False,
        max_length: int | None = None,
    ) -> dict | list:
        """Classify a text or a list of texts; see the class for the arguments."""
        if return_attention and self.model.config.pooling != "attention":
            raise RnnHubError(f"this model has no attention to return: its pooling is {self.model.config.pooling!r}")
        texts = [inputs] if isinstance(inputs, str) else list(inputs)

        def read(output: Any, encoded: BatchEncoding, chunk: list[int]) -> list:
            results = [self._labels(row, top_k) for row in self._probabilities(output.logits.float()).tolist()]
            if return_attention:
                weights = output.attentions[0].float().cpu()
                for result, index, row in zip(results, chunk, weights, strict=True):
                    for record in result if isinstance(result, list) else [result]:
                        record |= _places(encoded, index, row)
            return results

        size = batch_size or self._batch_size or 32
        options = {"output_attentions": True} if return_attention else {}
        results = classify(self, texts, read, size, progress, max_length=max_length, **options)
        return results[0] if isinstance(inputs, str) else results

    def _probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        problem = self.model.config.problem_type
        if problem == "regression":
            return logits
        if problem == "multi_label_classification" or logits.shape[-1] == 1:
            return logits.sigmoid()
        return logits.softmax(dim=-1)

    def _labels(self, scores: list[float], top_k: int | None) -> dict | list[dict]:
        names = self.model.config.id2label
        records = [{"label": names[number], "score": score} for number, score in enumerate(scores)]
        records.sort(key=lambda record: -record["score"])
        return records[0] if top_k == 1 else records[:top_k]


def _places(encoded: BatchEncoding, index: int, weights: torch.Tensor) -> dict[str, list]:
    """Where the words of a text stand, and their weights (hops, T) as lists; pieces of a word count together."""
    offsets, words = encoded["offset_mapping"][index], encoded.word_ids(index)
    spans: list[list[int]] = []
    sums: list[torch.Tensor] = []
    before = None
    for place, word in enumerate(words[: len(encoded["input_ids"][index])]):
        if word is None:
            continue
        start, end = offsets[place]
        if word == before:
            spans[-1][1], sums[-1] = end, sums[-1] + weights[:, place]
        else:
            spans.append([start, end])
            sums.append(weights[:, place])
        before = word
    attention = torch.stack(sums, dim=1).tolist()
    return {"words": [tuple(span) for span in spans], "attention": attention}
