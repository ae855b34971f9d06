"""Metrics of music: likelihood, and what describes pieces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rnn_hub.data.music import STEPS
from rnn_hub.metrics.language_modeling import Nll


class NllStep(Nll):
    """Negative log-likelihood in nats of all that happens at a sixteenth, the mean over all sixteenths.

    Predictions are -log p of a piece's tokens, references the pieces in words. A token is an event, not a step: this
    figure does not depend on how music is cut into tokens.
    """

    name = "nll_step"

    def _compute(self, predictions: Sequence[Sequence[float]], references: Sequence[str]) -> dict[str, Any]:
        steps = STEPS * sum(word.startswith("|") for words in references for word in words.split())
        value = math.fsum(map(math.fsum, predictions)) / max(steps, 1)
        return {self.name: value, "signature": f"natural logarithm|sixteenths:{steps}"}
