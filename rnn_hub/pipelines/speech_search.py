"""How the text of a recording is looked for: in the steps of a CTC model, or by a decoder that writes it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from rnn_hub.errors import RnnHubError
from rnn_hub.generation.ctc import Hypothesis, PrefixBeamSearch, PrefixScorer, SeveralScorers, greedy
from rnn_hub.models.speech.language_model import LanguageModelScorer, word_list_scorer
from rnn_hub.models.speech.processing_speech import RnnSpeechProcessor
from rnn_hub.models.speech.streaming import SpeechStream, obstacle
from rnn_hub.pipelines.loading import load_pretrained

BEAMS = 16
"""Of a search with a language model or a list of words, unless another number is given."""
LONGEST_TEXT = 256
"""Characters that a decoder writes at most, unless its generation config or the call says more."""
LONGEST, PIECE = 600.0, 60.0
"""Seconds of recordings that are heard at once, and of a piece of a longer one."""


@dataclass
class Search:
    """How a text is looked for.

    Args:
        num_beams: 1 takes the likeliest token of each step, more search for the likeliest text; default: 1, of a model
            with a decoder what its generation config says.
        language_model: a folder or Hub name of a language model of characters, which then has a say.
        lm_weight: its weight; token_bonus: added for each character.
        word_list: the only words that may be recognized: a list, or a file with a word a line.
        ctc_decoding_weight: the share of CTC in the score of what a decoder writes; length_penalty, max_new_tokens: as
            of every `generate()`.
    """

    num_beams: int | None = None
    language_model: str | None = None
    lm_weight: float = 0.5
    token_bonus: float = 0.0
    word_list: Iterable[str] | str | None = None
    ctc_decoding_weight: float | None = None
    length_penalty: float | None = None
    max_new_tokens: int | None = None

    def __post_init__(self) -> None:
        if self.num_beams is not None and self.num_beams < 1:
            raise RnnHubError(f"num_beams must be at least 1, not {self.num_beams}")

    def beams(self) -> int:
        """How many beams there are of a model without a decoder."""
        given = BEAMS if self.language_model or self.word_list is not None else 1
        return given if self.num_beams is None else self.num_beams

    def check(self, model: PreTrainedModel) -> None:
        """Refuse what would have no effect on this model."""
        for field in fields(self):
            if getattr(self, field.name) is not field.default and field.name not in model.search_options:
                known = ", ".join(model.search_options)
                raise RnnHubError(f"{field.name}: the search of this model knows {known}: leave it out")

    def scorer(self, tokenizer: Any) -> PrefixScorer | None:
        """What has a say in the search, if anything."""
        scorers: list[PrefixScorer] = []
        if self.language_model is not None:
            model, own = load_pretrained(AutoModelForCausalLM, self.language_model)
            scorers.append(LanguageModelScorer(model, own, tokenizer, self.lm_weight, self.token_bonus))
        if self.word_list is not None:
            scorers.append(word_list_scorer(_words(self.word_list), tokenizer))
        if scorers and self.beams() == 1:
            raise RnnHubError("num_beams=1 looks at no language model and no list of words: leave it out")
        return SeveralScorers(scorers) if scorers else None


def _words(given: Iterable[str] | str) -> list[str]:
    if not isinstance(given, str):
        return list(given)
    try:
        return Path(given).read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise RnnHubError(f"cannot read the list of words {given!r}: {error}") from error


class StepSearch:
    """The texts that a CTC model's steps say.

    Args:
        model, processor: an `RnnForCTC` and its processor.
        search: the options.
        count: further texts are not needed here: a search gives all its beams.
    """

    def __init__(self, model: PreTrainedModel, processor: RnnSpeechProcessor, search: Search, count: int = 1):
        search.check(model)
        self.model, self.processor, self.beams = model, processor, search.beams()
        if count > 1 and self.beams == 1:
            self.beams = max(BEAMS, 2 * count)
        self.scorer = search.scorer(processor.tokenizer)
        self.is_greedy = self.beams == 1

    def __call__(self, batch: Mapping[str, Tensor]) -> list[tuple[list[Hypothesis], np.ndarray]]:
        """Of each recording of a batch the texts, best first, and the log-probabilities (T, V) of its steps."""
        logits = self.model(**batch).logits.cpu().numpy()
        sizes = -(-batch["attention_mask"].sum(dim=1) // self.model.config.subsampling)
        return [self._find(row[:size]) for row, size in zip(logits, sizes.tolist(), strict=True)]

    def in_pieces(self, samples: np.ndarray) -> tuple[list[Hypothesis], np.ndarray]:
        """The same of one recording of any length, (N,), in memory for a piece of it."""
        stream, steps = SpeechStream(self.model, self.processor), []
        size = round(PIECE * stream.sampling_rate)
        for start in range(0, len(samples), size):
            stream.push(samples[start : start + size])
            steps.append(stream.log_probabilities)
        stream.finish()
        steps.append(stream.log_probabilities)
        return self._find(torch.cat([part for part in steps if part is not None]).cpu().numpy())

    def _find(self, steps: np.ndarray) -> tuple[list[Hypothesis], np.ndarray]:
        blank = self.model.config.pad_token_id
        if self.is_greedy:
            return [Hypothesis(tuple(greedy(steps, blank)[0]), float(steps.max(axis=-1).sum()))], steps
        search = PrefixBeamSearch(blank, self.beams, self.scorer)
        search.push(steps)
        return search.best(self.beams), steps


class WrittenSearch:
    """The texts that a decoder writes; their score is that of `generate()`, which a greedy search has none of.

    Args:
        model, processor: an `RnnForSpeechSeq2Seq` and its processor.
        search: the options.
        count: how many texts of a recording.
    """

    is_greedy = False

    def __init__(self, model: PreTrainedModel, processor: RnnSpeechProcessor, search: Search, count: int = 1):
        search.check(model)
        self.model, self.count, own = model, count, model.generation_config
        self.options = {name: getattr(search, name) for name in model.search_options}
        beams = search.num_beams or max(own.num_beams or 1, count)
        if beams < count:
            raise RnnHubError(
                f"num_return_sequences={count} is more than num_beams={beams}: a search returns its beams"
            )
        self.options |= {"num_beams": beams, "num_return_sequences": count, "do_sample": False}
        self.options["max_new_tokens"] = search.max_new_tokens or own.max_new_tokens or LONGEST_TEXT
        self.options = {name: value for name, value in self.options.items() if value is not None}

    def __call__(self, batch: Mapping[str, Tensor]) -> list[tuple[list[Hypothesis], np.ndarray | None]]:
        """Of each recording of a batch the texts, best first, and the steps (T, V) of the CTC head, if there is one."""
        encoded, rows = self.model.encoder(**batch), len(batch["input_features"])
        try:
            output = self.model.generate(encoder_outputs=encoded, **self.options, return_dict_in_generate=True)
        except ValueError as error:
            raise RnnHubError(str(error)) from error
        scores = getattr(output, "sequences_scores", None)
        scores = [math.nan] * len(output.sequences) if scores is None else scores.tolist()
        texts = [
            Hypothesis(self._said(ids), score) for ids, score in zip(output.sequences.tolist(), scores, strict=True)
        ]
        steps: list[np.ndarray | None] = [None] * rows
        if self.model.config.ctc_weight:
            sizes = encoded.mask.sum(dim=1).tolist()
            known = self.model.log_probabilities(encoded).cpu().numpy()
            steps = [row[:size] for row, size in zip(known, sizes, strict=True)]
        return [(texts[row * self.count : (row + 1) * self.count], steps[row]) for row in range(rows)]

    def _said(self, ids: Sequence[int]) -> tuple[int, ...]:
        """The tokens between start and end."""
        config, said = self.model.config, list(ids[1:])
        if config.eos_token_id in said:
            said = said[: said.index(config.eos_token_id)]
        return tuple(token for token in said if token not in (config.pad_token_id, config.decoder_start_token_id))


def search_of(
    model: PreTrainedModel, processor: RnnSpeechProcessor, search: Search, count: int = 1
) -> StepSearch | WrittenSearch:
    """The search of a model."""
    return (WrittenSearch if model.config.is_encoder_decoder else StepSearch)(model, processor, search, count)


def longest(model: PreTrainedModel, processor: RnnSpeechProcessor) -> float | None:
    """Seconds of the longest recording that a model can hear; None for one that hears it piece by piece."""
    return None if obstacle(model, processor) is None else LONGEST


def batches(seconds: Sequence[float], batch_size: int) -> Iterator[range]:
    """The numbers of recordings that are heard at once, in their order: so many, and padded no longer than `LONGEST`.

    One that is longer stands alone.
    """
    start = 0
    while start < len(seconds):
        stop, most = start + 1, seconds[start]
        while stop < min(len(seconds), start + batch_size):
            most = max(most, seconds[stop])
            if most * (stop + 1 - start) > LONGEST:
                break
            stop += 1
        yield range(start, stop)
        start = stop
