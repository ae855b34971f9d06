"""Metrics of translation, all from 0 to 100: BLEU cased, BLEU as the multi30k literature scores, chrF."""

from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import evaluate

from rnn_hub.errors import RnnHubError
from rnn_hub.metrics.base import OfflineMetric, text_features

References = Sequence[str] | Sequence[Sequence[str]]


class TranslationMetric(OfflineMetric):
    """What the metrics of this file share: their inputs, and the references in sacreBLEU's order."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=type(self).__doc__ or "",
            citation="",
            features=text_features(),
            inputs_description="predictions: texts; references: a text each, or a list of texts each",
        )

    def _score(self, metric: Any, predictions: Sequence[str], references: References) -> dict[str, Any]:
        score = metric.corpus_score(list(predictions), reference_streams(references))
        return {self.name: score.score, "signature": str(metric.get_signature())}


class Bleu(TranslationMetric):
    """BLEU of cased, detokenized text, as sacreBLEU defines it (Papineni et al. 2002, Post 2018)."""

    name = "bleu"

    def _compute(self, predictions: Sequence[str], references: References) -> dict[str, Any]:
        from sacrebleu.metrics import BLEU

        return self._score(BLEU(), predictions, references)


class BleuLower(TranslationMetric):
    """BLEU of lowercased text in Moses' tokens: how the multi30k baselines are scored.

    Both sides are lowercased, their punctuation is normalized, and they are tokenized by Moses'
    rules of the target language, without splitting hyphens ("t-shirt" stays one token). These are
    the steps of the dataset's own `scripts/task1-tokenize.sh` (repository multi30k/dataset, commit
    4bf9b8d, Moses 3a0631a: lowercase.perl | normalize-punctuation.perl -l L | tokenizer.perl -l L),
    the preprocessing of the WMT17 task for which Caglayan et al. 2017 (LIUM-CVC, arXiv:1707.04481)
    report their baseline; their toolkit nmtpy has the same steps in its multi30k example
    (examples/wmt16-mmt-task1/scripts/01-tokenize.sh). The examples of its successor nmtpytorch
    split hyphens (`-a`) and belong to later papers; that scores slightly higher. Here sacremoses
    does Moses' part and sacreBLEU counts the given tokens (tokenize="none").

    Args:
        language: the target's code, e.g. "de"; it chooses Moses' rules for quotes, apostrophes and
            abbreviations.
    """

    name = "bleu_lower"
    options = ("language",)

    def _compute(self, predictions: Sequence[str], references: References, language: str = "en") -> dict[str, Any]:
        from sacrebleu.metrics import BLEU

        tokenized = [moses_tokenize(text, language) for text in predictions]
        streams = zip(*reference_streams(references), strict=True)
        by_example = [[moses_tokenize(text, language) for text in texts] for texts in streams]
        result = self._score(BLEU(tokenize="none", force=True), tokenized, by_example)
        signature = result["signature"].replace("case:mixed", "case:lc")
        signature = signature.replace("tok:none", f"norm:moses|tok:moses-{language}|hyphens:kept")
        return {**result, "signature": f"{signature}|sacremoses:{version('sacremoses')}"}


class Chrf(TranslationMetric):
    """chrF: the F-score (beta 2) of character n-grams up to 6 (Popović 2015), as sacreBLEU defines it."""

    name = "chrf"

    def _compute(self, predictions: Sequence[str], references: References) -> dict[str, Any]:
        from sacrebleu.metrics import CHRF

        return self._score(CHRF(), predictions, references)


def reference_streams(references: References) -> list[list[str]]:
    """Each example's references as sacreBLEU's streams: the first of every example, the second, ...

    Raises:
        RnnHubError: some examples have more references than others.
    """
    grouped = [[texts] if isinstance(texts, str) else list(texts) for texts in references]
    counts = {len(texts) for texts in grouped}
    if len(counts) != 1 or 0 in counts:
        raise RnnHubError(f"every example needs the same number of references, at least 1, not {sorted(counts)}")
    return [list(stream) for stream in zip(*grouped, strict=True)]


def moses_tokenize(text: str, language: str) -> str:
    """Lowercase, normalize punctuation, tokenize: Moses' tokens of a text, joined by spaces."""
    normalizer, tokenizer = _moses(language)
    return tokenizer.tokenize(normalizer.normalize(text.lower()), return_str=True)


@lru_cache(maxsize=8)
def _moses(language: str) -> tuple[Any, Any]:
    try:
        from sacremoses import MosesPunctNormalizer, MosesTokenizer
    except ImportError as error:
        raise RnnHubError("bleu_lower needs sacremoses: pip install sacremoses") from error
    return MosesPunctNormalizer(lang=language, perl_parity=True), MosesTokenizer(lang=language)
