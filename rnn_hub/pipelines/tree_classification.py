"""TreeLabelPipeline: a tree in brackets in, the label of each of its phrases out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from tqdm.auto import tqdm
from transformers import AutoModelForSequenceClassification, Pipeline

from rnn_hub.data.trees import TreeCollator, check_children, parse_tree
from rnn_hub.errors import RnnHubError


class TreeLabelPipeline(Pipeline):
    """A label for a tree, and for each phrase in it.

    ``pipe("(2 (2 It) (2 works))")`` gives ``{"label": "positive", "score": 0.6, "phrases": [{"phrase": "It", "label":
    "neutral", "score": 0.9}, ...]}``, a list of trees a list of these. The phrases come as the tree closes its
    brackets, the whole text last. The labels in the brackets are not looked at; any number will do.
    """

    auto_model_class = AutoModelForSequenceClassification

    def __call__(self, inputs: str | Sequence[str], batch_size: int | None = None, progress: bool = False) -> Any:
        """Label a tree or a list of trees."""
        texts, names = [inputs] if isinstance(inputs, str) else list(inputs), self.model.config.id2label
        results = []
        for text, rows in zip(texts, self.probabilities(texts, batch_size or 64, progress), strict=True):
            phrases = parse_tree(text).phrases()
            labels = [{"label": names[row.index(max(row))], "score": max(row)} for row in rows]
            nodes = [{"phrase": " ".join(words), **label} for words, label in zip(phrases, labels, strict=True)]
            results.append({**labels[-1], "phrases": nodes})
        return results[0] if isinstance(inputs, str) else results

    @torch.inference_mode()
    def probabilities(self, inputs: Sequence[str], batch_size: int, progress: bool = False) -> list[list[list[float]]]:
        """The probabilities of the labels of each tree's nodes, the root's last."""
        if batch_size < 1:
            raise RnnHubError(f"batch_size must be at least 1, not {batch_size}")
        trees = [parse_tree(text, where=f"tree {number}") for number, text in enumerate(inputs, 1)]
        for number, tree in enumerate(trees, 1):
            check_children(tree, self.model.config.max_children, f"tree {number}")
        results: list = []
        collate = TreeCollator(self.tokenizer)
        for start in tqdm(range(0, len(trees), batch_size), desc="reading", unit="batch", disable=not progress):
            chunk = trees[start : start + batch_size]
            batch = self.ensure_tensor_on_device(**collate.graph(chunk))
            logits = self.model(input_ids=batch["input_ids"], edges=batch["edges"], roots=batch["roots"]).node_logits
            rows = logits.float().softmax(dim=-1).split([len(tree.words) for tree in chunk])
            results.extend(part.tolist() for part in rows)
        return results

    def _sanitize_parameters(self, **kwargs: Any) -> tuple[dict, dict, dict]:
        return {}, {}, {}

    def preprocess(self, inputs: Any, **kwargs: Any) -> Any:
        """Unused: trees are read in batches of one graph."""
        raise NotImplementedError("TreeLabelPipeline reads trees in batches")

    _forward = postprocess = preprocess
