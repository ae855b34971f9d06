"""Metrics of captions against several references, all times 100: BLEU-1 to 4, ROUGE-L, CIDEr-D, chrF.

Texts are first put into the words that the literature scores: lower case, no punctuation (`caption_text`). The figures
are those of the evaluation server of COCO (Chen et al. 2015, "Microsoft COCO Captions: Data Collection and Evaluation
Server"), whose code the tests hold them against.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import evaluate

from rnn_hub.data.captions import caption_text
from rnn_hub.metrics.base import OfflineMetric, text_features
from rnn_hub.metrics.translation import References, reference_streams

Ngram = tuple[str, ...]
WORDS = "case:lc|punctuation:none"


class CaptionMetric(OfflineMetric):
    """What the metrics of this file share: predictions are texts, references lists of texts (or one text each)."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=type(self).__doc__ or "",
            citation="",
            features=text_features(),
            inputs_description="predictions: captions; references: a list of captions each, or a caption each",
        )

    def _compute(self, predictions: Sequence[str], references: References) -> dict[str, Any]:
        grouped = [[texts] if isinstance(texts, str) else list(texts) for texts in references]
        found = [caption_text(text) for text in predictions]
        wanted = [[caption_text(text) for text in texts] for texts in grouped]
        value, signature = self.score(found, wanted)
        return {self.name: value, "signature": f"{WORDS}|{signature}"}

    def score(self, predictions: list[str], references: list[list[str]]) -> tuple[float, str]:
        """The value and its signature, of texts whose words stand between spaces."""
        raise NotImplementedError


class Bleu1(CaptionMetric):
    """BLEU of single words (Papineni et al. 2002): over the corpus, the closest reference length, no smoothing."""

    name = "bleu_1"
    order = 1

    def score(self, predictions: list[str], references: list[list[str]]) -> tuple[float, str]:
        """sacreBLEU's, of words as they are."""
        from sacrebleu.metrics import BLEU

        metric = BLEU(tokenize="none", force=True, smooth_method="none", max_ngram_order=self.order)
        score = metric.corpus_score(predictions, reference_streams(references))
        return score.score, f"order:{self.order}|{metric.get_signature()}"


class Bleu2(Bleu1):
    """BLEU of up to 2 words, otherwise as `Bleu1`."""

    name = "bleu_2"
    order = 2


class Bleu3(Bleu1):
    """BLEU of up to 3 words, otherwise as `Bleu1`."""

    name = "bleu_3"
    order = 3


class Bleu4(Bleu1):
    """BLEU of up to 4 words, otherwise as `Bleu1`."""

    name = "bleu_4"
    order = 4


class CaptionChrf(CaptionMetric):
    """chrF (Popović 2015), as sacreBLEU defines it."""

    name = "caption_chrf"

    def score(self, predictions: list[str], references: list[list[str]]) -> tuple[float, str]:
        """sacreBLEU's."""
        from sacrebleu.metrics import CHRF

        metric = CHRF()
        return metric.corpus_score(predictions, reference_streams(references)).score, str(metric.get_signature())


class RougeL(CaptionMetric):
    """The F-score (beta 1.2) of the longest common subsequence (Lin 2004, section 2), a mean over captions.

    As on COCO's server, precision and recall are each those of the best reference.
    """

    name = "rouge_l"
    beta = 1.2

    def score(self, predictions: list[str], references: list[list[str]]) -> tuple[float, str]:
        """The mean over captions."""
        values = [
            self._one(text.split(), [other.split() for other in others])
            for text, others in zip(predictions, references, strict=True)
        ]
        return 100 * sum(values) / len(values), f"beta:{self.beta}|best precision, best recall"

    def _one(self, words: list[str], references: list[list[str]]) -> float:
        common = [longest_common(words, other) for other in references]
        precision = max(length / max(len(words), 1) for length in common)
        recall = max(length / max(len(other), 1) for length, other in zip(common, references, strict=True))
        if not precision * recall:
            return 0.0
        return (1 + self.beta**2) * precision * recall / (recall + self.beta**2 * precision)


class CiderD(CaptionMetric):
    """CIDEr-D (Vedantam et al. 2015, "CIDEr: Consensus-based Image Description Evaluation", section 3 and appendix).

    The mean over n = 1 to 4 and over the references of 10 min(g, r) . r / (|g| |r|) exp(-(l_g - l_r)^2 / (2 sigma^2)),
    where g and r are the n-grams of caption and reference, counted and weighted by the logarithm of how few images
    have them in a reference, and sigma is 6. It needs many images: of one alone every weight is 0.
    """

    name = "cider_d"
    order = 4
    sigma = 6.0

    def score(self, predictions: list[str], references: list[list[str]]) -> tuple[float, str]:
        """The mean over images."""
        counted = [[ngrams(text.split(), self.order) for text in texts] for texts in references]
        images = Counter(ngram for texts in counted for ngram in set().union(*texts))
        rarity = {ngram: math.log(len(counted) / number) for ngram, number in images.items()}
        unseen = math.log(len(counted))
        values = [
            self._one(self._weigh(ngrams(text.split(), self.order), rarity, unseen), others, rarity, unseen)
            for text, others in zip(predictions, counted, strict=True)
        ]
        return 100 * sum(values) / len(values), f"order:{self.order}|sigma:{self.sigma}|idf:references|scale:10"

    def _one(self, found: "_Weighed", others: list[Counter], rarity: dict[Ngram, float], unseen: float) -> float:
        weighed = [self._weigh(counts, rarity, unseen) for counts in others]
        return 10 * sum(self._similarity(found, other) for other in weighed) / len(weighed)

    def _weigh(self, counts: Counter, rarity: dict[Ngram, float], unseen: float) -> "_Weighed":
        vectors: list[dict[Ngram, float]] = [{} for _ in range(self.order)]
        for ngram, number in counts.items():
            vectors[len(ngram) - 1][ngram] = number * rarity.get(ngram, unseen)
        norms = [math.sqrt(sum(weight**2 for weight in vector.values())) for vector in vectors]
        return vectors, norms, sum(number for ngram, number in counts.items() if len(ngram) == 2)

    def _similarity(self, found: "_Weighed", other: "_Weighed") -> float:
        total = 0.0
        for mine, theirs, my_norm, their_norm in zip(found[0], other[0], found[1], other[1], strict=True):
            if my_norm and their_norm:
                shared = sum(
                    min(weight, theirs[ngram]) * theirs[ngram] for ngram, weight in mine.items() if ngram in theirs
                )
                total += shared / (my_norm * their_norm)
        return total / self.order * math.exp(-((found[2] - other[2]) ** 2) / (2 * self.sigma**2))


_Weighed = tuple[list[dict[Ngram, float]], list[float], int]
"""A caption's weighted n-grams by their order, their norms, and its length (pairs of words, as COCO's code has it)."""


def ngrams(words: Sequence[str], order: int) -> Counter:
    """How often each n-gram of 1 to `order` words occurs."""
    return Counter(tuple(words[start : start + n]) for n in range(1, order + 1) for start in range(len(words) - n + 1))


def longest_common(first: Sequence[str], second: Sequence[str]) -> int:
    """Words of the longest common subsequence."""
    row = [0] * (len(second) + 1)
    for word in first:
        before = 0
        for index, other in enumerate(second, 1):
            before, row[index] = row[index], before + 1 if word == other else max(row[index], row[index - 1])
    return row[-1]
