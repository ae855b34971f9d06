"""Metrics of language models, of the negative log-likelihoods of tokens: their mean, and perplexity."""

import math
from collections.abc import Sequence
from typing import Any

import datasets
import evaluate

from rnn_hub.metrics.base import OfflineMetric


class Nll(OfflineMetric):
    """Negative log-likelihood in nats, the mean over all tokens."""

    name = "nll"

    def _info(self) -> evaluate.MetricInfo:
        features = {"predictions": datasets.Sequence(datasets.Value("float64")), "references": datasets.Value("string")}
        return evaluate.MetricInfo(
            description=type(self).__doc__ or "",
            citation="",
            features=datasets.Features(features),
            inputs_description="predictions: for each text -log p of each of its tokens; references: the texts",
        )

    def _compute(self, predictions: Sequence[Sequence[float]], references: Sequence[str]) -> dict[str, Any]:
        tokens = sum(map(len, predictions))
        value = math.fsum(map(math.fsum, predictions)) / max(tokens, 1)
        return {self.name: self._from_nats(value), "signature": f"natural logarithm|tokens:{tokens}"}

    def _from_nats(self, nats: float) -> float:
        return nats


class Perplexity(Nll):
    """exp of the mean negative log-likelihood of a token (Jelinek et al. 1977)."""

    name = "perplexity"

    def _from_nats(self, nats: float) -> float:
        return math.exp(nats)
