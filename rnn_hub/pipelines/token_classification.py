"""EntityPipeline: text in, its entities out, with where they stand and how sure the model is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import AutoModelForTokenClassification, BatchEncoding, TokenClassificationPipeline

from rnn_hub.errors import RnnHubError
from rnn_hub.pipelines.classification import classify

STRATEGIES = ("simple", "none")


class EntityPipeline(TokenClassificationPipeline):
    """transformers' token classification, faster on many texts, whose tags are the best sequence as a whole.

    ``pipe("Jane Austen lived in Bath.")`` gives ``[{"entity_group": "PER", "score": 0.99, "word": "Jane Austen",
    "start": 0, "end": 11}, ...]``, a list of texts a list of these lists. A word's score is the probability of its tag,
    with a conditional random field the marginal; an entity's is the mean over its words.

    transformers' own pipeline takes for each token the tag that is most probable by itself; here the tags are those of
    Viterbi's path, which keeps to the order of B and I.

    Call arguments:
        batch_size: texts of a batch.
        aggregation_strategy: "simple" for entities, "none" for all words with their tags as ``entity``.
        is_split_into_words: the inputs are lists of words; ``start`` and ``end`` then count words, and with "none"
            every word has its entry.
        progress: show a progress bar on standard error.
        max_length: tokens that are read of a text, more or fewer than the tokenizer's ``model_max_length``.
    """

    auto_model_class = AutoModelForTokenClassification

    def __call__(
        self,
        inputs: str | Sequence[str] | Sequence[Sequence[str]],
        batch_size: int | None = None,
        aggregation_strategy: str = "simple",
        is_split_into_words: bool = False,
        progress: bool = False,
        max_length: int | None = None,
    ) -> list:
        """Find the entities of a text or of a list of texts; see the class for the arguments."""
        if aggregation_strategy not in STRATEGIES:
            raise RnnHubError(
                f"unknown aggregation_strategy {aggregation_strategy!r}; choose one of {', '.join(STRATEGIES)}"
            )
        texts = [inputs] if isinstance(inputs, str) else list(inputs)

        def read(output: Any, encoded: BatchEncoding, chunk: list[int]) -> list:
            probabilities, tags = output.logits.softmax(dim=-1).tolist(), output.tags.tolist()
            results = []
            for row, index in enumerate(chunk):
                words = self._words(texts[index], encoded, index, tags[row], probabilities[row])
                results.append(words if aggregation_strategy == "none" else _entities(words, texts[index]))
            return results

        size = batch_size or self._batch_size or 32
        results = classify(self, texts, read, size, progress, is_split_into_words, max_length)
        return results[0] if isinstance(inputs, str) else results

    def _words(
        self, text: Any, encoded: BatchEncoding, index: int, tags: list[int], probabilities: list[list[float]]
    ) -> list[dict]:
        """The words of a text with their tags: a word's first piece says its tag."""
        names, split = self.model.config.id2label, not isinstance(text, str)
        offsets, before, found = encoded["offset_mapping"][index], None, {}
        for place, word in enumerate(encoded.word_ids(index)[: len(encoded["input_ids"][index])]):
            if word is None:
                continue
            if word == before:
                found[word]["end"] = word + 1 if split else offsets[place][1]
                continue
            start, end = (word, word + 1) if split else offsets[place]
            tag = max(tags[place], 0)
            record = {"entity": names[tag], "score": probabilities[place][tag], "start": start, "end": end}
            found[word], before = record, word
        if split:  # also words that were cut off, or that hold nothing the tokenizer sees
            outside = next((name for name in names.values() if name == "O"), names[0])
            empty = ({"entity": outside, "score": 0.0, "start": n, "end": n + 1} for n in range(len(text)))
            return [found.get(n, record) | {"word": text[n]} for n, record in enumerate(empty)]
        return [record | {"word": text[record["start"] : record["end"]]} for record in found.values()]


def _entities(words: list[dict], text: Any) -> list[dict]:
    """Neighbouring words of one entity together, others than O."""
    groups: list[list[dict]] = []
    for word in words:
        kind = word["entity"].removeprefix("B-").removeprefix("I-")
        if groups and kind == _kind(groups[-1]) and word["entity"] == f"I-{kind}":
            groups[-1].append(word)
        else:
            groups.append([word])
    entities = []
    for group in groups:
        start, end = group[0]["start"], group[-1]["end"]
        score = sum(word["score"] for word in group) / len(group)
        covered = text[start:end] if isinstance(text, str) else " ".join(text[start:end])
        if _kind(group) != "O":
            entities.append({"entity_group": _kind(group), "score": score, "word": covered, "start": start, "end": end})
    return entities


def _kind(group: list[dict]) -> str:
    return group[0]["entity"].removeprefix("B-").removeprefix("I-")
