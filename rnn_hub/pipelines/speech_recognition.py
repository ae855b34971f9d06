"""SpeechPipeline: recordings of any kind in, what is said in them out, word by word with times if wanted."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm
from transformers import AutoModelForCausalLM, AutoModelForCTC, Pipeline, PreTrainedModel

from rnn_hub.errors import RnnHubError
from rnn_hub.generation.ctc import (
    Hypothesis,
    PrefixBeamSearch,
    PrefixScorer,
    SeveralScorers,
    align,
    greedy,
)
from rnn_hub.models.speech.language_model import LanguageModelScorer, word_list_scorer
from rnn_hub.models.speech.processing_speech import RnnSpeechProcessor
from rnn_hub.models.speech.streaming import SpeechStream
from rnn_hub.pipelines.loading import load_pretrained

BEAMS = 16
"""Of a search with a language model or a list of words, unless another number is given."""


@dataclass
class Transcript:
    """What was said in a recording.

    Args:
        text: the words.
        duration: seconds of the recording; seconds: that recognizing it took.
        words: each with the seconds of its first and last character.
        others: further texts of a search with their scores, the best first.
    """

    text: str
    duration: float
    seconds: float
    words: list[dict[str, Any]] = field(default_factory=list)
    others: list[dict[str, Any]] = field(default_factory=list)

    def __str__(self) -> str:
        return self.text


@dataclass
class Search:
    """How a text is looked for.

    Args:
        num_beams: 1 takes the likeliest token of each step, more search for the likeliest text.
        language_model: a folder or Hub name of a language model of characters, which then has a say.
        lm_weight: its weight; token_bonus: added for each character.
        word_list: the only words that may be recognized: a list, or a file with a word a line.
    """

    num_beams: int | None = None
    language_model: str | None = None
    lm_weight: float = 0.5
    token_bonus: float = 0.0
    word_list: Iterable[str] | str | None = None

    def __post_init__(self) -> None:
        if self.num_beams is not None and self.num_beams < 1:
            raise RnnHubError(f"num_beams must be at least 1, not {self.num_beams}")

    def beams(self) -> int:
        """How many beams there are."""
        given = BEAMS if self.language_model or self.word_list is not None else 1
        return given if self.num_beams is None else self.num_beams

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


@torch.inference_mode()
def recognize(
    model: PreTrainedModel,
    processor: RnnSpeechProcessor,
    inputs: Sequence[Any],
    search: Search | None = None,
    batch_size: int = 16,
    progress: bool = False,
    num_return_sequences: int = 1,
    return_words: bool = False,
) -> list[Transcript]:
    """The texts of recordings, each samples (N,) or features (T, D) as the processor's extractor takes them."""
    search = search or Search()
    if batch_size < 1:
        raise RnnHubError(f"batch_size must be at least 1, not {batch_size}")
    scorer, found = search.scorer(processor.tokenizer), []
    extractor = processor.feature_extractor
    step = model.config.inputs_to_logits_ratio / extractor.sampling_rate
    for start in tqdm(range(0, len(inputs), batch_size), desc="listening", unit="batch", disable=not progress):
        chunk, started = list(inputs[start : start + batch_size]), time.perf_counter()
        batch = extractor(chunk).to(model.device)
        logits = model(**batch).logits.cpu().numpy()
        sizes = -(-batch["attention_mask"].sum(dim=1) // model.config.subsampling)
        rows = [row[:size] for row, size in zip(logits, sizes.tolist(), strict=True)]
        ranked = [find(row, model.config.pad_token_id, search.beams(), scorer) for row in rows]
        spent = (time.perf_counter() - started) / len(chunk)
        for one, row, texts in zip(chunk, rows, ranked, strict=True):
            duration = len(one) * (extractor.hop_length if extractor.kind == "given" else 1) / extractor.sampling_rate
            named = distinct(texts, processor, num_return_sequences)
            transcript = Transcript(named[0]["text"], duration, spent, others=named)
            if return_words:
                transcript.words = find_words(row, texts[0].tokens, processor, step, search.beams() == 1)
            found.append(transcript)
    return found


def find(log_probabilities: np.ndarray, blank: int, num_beams: int, scorer: PrefixScorer | None) -> list[Hypothesis]:
    """The best texts of one recording's log-probabilities (T, V)."""
    if num_beams == 1:
        return [Hypothesis(tuple(greedy(log_probabilities, blank)[0]), float(log_probabilities.max(axis=-1).sum()))]
    search = PrefixBeamSearch(blank, num_beams, scorer)
    search.push(log_probabilities)
    return search.best(num_beams)


def distinct(texts: Sequence[Hypothesis], processor: RnnSpeechProcessor, count: int) -> list[dict[str, Any]]:
    """The best texts that read differently, with their scores: tokens may differ in spaces only."""
    found: dict[str, float] = {}
    for text in texts:
        found.setdefault(spell(text.tokens, processor), text.score)
    return [{"text": text, "score": score} for text, score in list(found.items())[:count]]


def spell(tokens: Sequence[int], processor: RnnSpeechProcessor) -> str:
    """The text of tokens that alignments are no longer part of."""
    return " ".join(processor.tokenizer.decode(list(tokens), group_tokens=False).split())


def find_words(
    log_probabilities: np.ndarray,
    tokens: Sequence[int],
    processor: RnnSpeechProcessor,
    step: float,
    is_greedy: bool = False,
) -> list[dict[str, Any]]:
    """The words of a text with their first and last seconds, where a step takes `step` seconds.

    Of a text that a greedy search found the likeliest alignment is known.
    """
    tokenizer, words, last = processor.tokenizer, [], None
    blank = tokenizer.pad_token_id
    spans = greedy(log_probabilities, blank)[1] if is_greedy else align(log_probabilities, tokens, blank)
    for token, (begin, end) in zip(tokens, spans, strict=True):
        if token == tokenizer.word_delimiter_token_id:
            last = None
            continue
        if last is None:
            last = {"word": "", "start": round(begin * step, 3), "end": 0.0}
            words.append(last)
        last["word"] += tokenizer.convert_ids_to_tokens(token)
        last["end"] = round(end * step, 3)
    return words


class SpeechPipeline(Pipeline):
    """Recognizes speech.

    ``pipe("recording.wav")`` gives ``{"text": "one two"}``, a list of recordings a list of these. A recording is what
    ``rnn_hub.data.audio.read_audio`` takes: files of any format, rate and number of channels.

    Call arguments:
        return_words: add ``words``, each a ``word`` with the seconds of its ``start`` and ``end``.
        num_return_sequences: add ``others``, so many best texts with their ``score``.
        num_beams, language_model, lm_weight, token_bonus, word_list: as `Search` says.
        batch_size: recordings that are heard at once.
        progress: show a progress bar on standard error.
    """

    auto_model_class = AutoModelForCTC
    processor_class = RnnSpeechProcessor
    _load_processor = True
    _load_image_processor = _load_feature_extractor = _load_tokenizer = False

    def __call__(
        self,
        inputs: Any,
        return_words: bool = False,
        num_return_sequences: int = 1,
        batch_size: int = 16,
        progress: bool = False,
        **search: Any,
    ) -> dict | list[dict]:
        """Recognize a recording or a list of them; see the class for the arguments."""
        several = isinstance(inputs, list) and not (inputs and isinstance(inputs[0], int | float))
        try:
            options = Search(**search)
        except TypeError as error:
            raise RnnHubError(f"speech-recognition: {str(error).partition(' ')[2]}") from error
        if num_return_sequences > 1 and options.beams() == 1:
            options.num_beams = max(BEAMS, 2 * num_return_sequences)
        sounds = [self.processor.read(one) for one in (inputs if several else [inputs])]
        order = sorted(range(len(sounds)), key=lambda place: -len(sounds[place]))
        found = recognize(
            self.model,
            self.processor,
            [sounds[place] for place in order],
            options,
            batch_size,
            progress,
            num_return_sequences,
            return_words,
        )
        records: list[dict] = [{}] * len(sounds)
        for place, transcript in zip(order, found, strict=True):
            records[place] = {"text": transcript.text}
            if return_words:
                records[place]["words"] = transcript.words
            if num_return_sequences > 1:
                records[place]["others"] = transcript.others
        return records if several else records[0]

    def stream(self, pieces: Iterable[Any], sampling_rate: int | None = None) -> Iterator[str]:
        """What was said so far, after each piece of samples (N,) and once more at the end; see `SpeechStream`."""
        stream = SpeechStream(self.model, self.processor, sampling_rate)
        for piece in pieces:
            yield stream.push(piece)
        yield stream.finish()

    def _sanitize_parameters(self, **kwargs: Any) -> tuple[dict, dict, dict]:
        return {}, {}, {}

    def preprocess(self, inputs: Any, **kwargs: Any) -> Any:
        """Unused: recordings are heard in batches."""
        raise NotImplementedError("SpeechPipeline hears recordings in batches")

    _forward = postprocess = preprocess
