"""Error rates of transcripts, in percent, by jiwer: of words and of characters; and which words became which."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import datasets
import evaluate

from rnn_hub.metrics.base import OfflineMetric


class ErrorRate(OfflineMetric):
    """What the error rates share: texts against one reference each, which must not be empty."""

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=type(self).__doc__ or "",
            citation="",
            features=datasets.Features({"predictions": text, "references": text}),
            inputs_description="predictions: texts; references: texts",
        )


class Wer(ErrorRate):
    """Words replaced, left out or put in, of 100 words of the references; all texts count as one."""

    name = "wer"

    def _compute(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
        import jiwer

        rate = jiwer.wer(list(references), list(predictions))
        return {self.name: 100 * rate, "signature": f"jiwer:{version('jiwer')}"}


class Cer(ErrorRate):
    """Characters replaced, left out or put in, of 100 characters of the references, blanks among them."""

    name = "cer"

    def _compute(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
        import jiwer

        rate = jiwer.cer(list(references), list(predictions))
        return {self.name: 100 * rate, "signature": f"jiwer:{version('jiwer')}"}


class WordAlignment(ErrorRate):
    """How each text differs from its reference, words under words, as jiwer prints it."""

    name = "word_alignment"

    def _compute(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
        import jiwer

        found = jiwer.process_words(list(references), list(predictions))
        report = jiwer.visualize_alignment(found, show_measures=True, skip_correct=True)
        return {self.name: report, "signature": f"jiwer:{version('jiwer')}"}
