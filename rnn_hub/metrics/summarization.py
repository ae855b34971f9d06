"""Metrics of summaries, all from 0 to 100: ROUGE-1, ROUGE-2 and ROUGE-L of the package `rouge-score`."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, ClassVar

import evaluate

from rnn_hub.metrics.base import OfflineMetric, text_features


class Rouge(OfflineMetric):
    """The F measure of what a summary shares with a reference (Lin 2004), a mean over the summaries.

    Words are lowercased runs of letters and digits, those of more than three letters stemmed. Of several references the
    one counts that gives most.
    """

    kind: ClassVar[str]

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=type(self).__doc__ or "",
            citation="",
            features=text_features(),
            inputs_description="predictions: texts; references: a text each, or a list of texts each",
        )

    def _compute(self, predictions: Sequence[str], references: Sequence[str | Sequence[str]]) -> dict[str, Any]:
        from rouge_score.rouge_scorer import RougeScorer

        scorer = RougeScorer([self.kind], use_stemmer=True)
        total = 0.0
        for prediction, reference in zip(predictions, references, strict=True):
            texts = [reference] if isinstance(reference, str) else list(reference)
            total += scorer.score_multi(texts, prediction)[self.kind].fmeasure
        most = max(1 if isinstance(reference, str) else len(reference) for reference in references)
        signature = f"F|stemmed|refs:{most}|rouge-score:{version('rouge-score')}"
        return {self.name: 100 * total / len(predictions), "signature": signature}


class Rouge1(Rouge):
    """ROUGE-1: single words (Lin 2004, section 2)."""

    name, kind = "rouge_1", "rouge1"


class Rouge2(Rouge):
    """ROUGE-2: pairs of neighbouring words (Lin 2004, section 2)."""

    name, kind = "rouge_2", "rouge2"


class RougeLSummary(Rouge):
    """ROUGE-L: the longest common subsequence of words (Lin 2004, section 3)."""

    name, kind = "rouge_l_summary", "rougeL"
