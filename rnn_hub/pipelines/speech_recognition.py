"""SpeechPipeline: recordings of any kind in, what is said in them out, word by word with times if wanted."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm
from transformers import Pipeline, PreTrainedModel

from rnn_hub.errors import RnnHubError
from rnn_hub.generation.ctc import Hypothesis, align, greedy
from rnn_hub.models.speech.auto_speech import AutoModelForSpeech
from rnn_hub.models.speech.processing_speech import RnnSpeechProcessor
from rnn_hub.models.speech.streaming import SpeechStream
from rnn_hub.pipelines.speech_search import LONGEST, Search, batches, longest, search_of


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
    """The texts of recordings, each samples (N,) or features (T, D) as the processor's extractor takes them.

    Raises:
        RnnHubError: a recording that is too long for the model, options that it does not know, times that it cannot
            tell.
    """
    if batch_size < 1:
        raise RnnHubError(f"batch_size must be at least 1, not {batch_size}")
    if return_words and not getattr(model.config, "ctc_weight", 1):
        raise RnnHubError("return_words: this model has no CTC head, so it knows no times: leave it out")
    find = search_of(model, processor, search or Search(), num_return_sequences)
    extractor, found = processor.feature_extractor, []
    step = model.config.inputs_to_logits_ratio / extractor.sampling_rate
    seconds = [len(one) * _samples(extractor) / extractor.sampling_rate for one in inputs]
    refuse_long(max(seconds, default=0.0), longest(model, processor))
    for places in tqdm(list(batches(seconds, batch_size)), desc="listening", unit="batch", disable=not progress):
        chunk, started = [inputs[place] for place in places], time.perf_counter()
        if seconds[places[0]] > LONGEST:
            heard = [find.in_pieces(chunk[0])]
        else:
            heard = find(extractor(chunk).to(model.device))
        spent = (time.perf_counter() - started) / len(chunk)
        for place, (texts, steps) in zip(places, heard, strict=True):
            named = distinct(texts, processor, num_return_sequences)
            transcript = Transcript(named[0]["text"], seconds[place], spent, others=named)
            if return_words:
                transcript.words = find_words(steps, texts[0].tokens, processor, step, find.is_greedy)
            found.append(transcript)
    return found


def _samples(extractor: Any) -> int:
    """Samples of an element of a recording."""
    return extractor.hop_length if extractor.kind == "given" else 1


def refuse_long(seconds: float, most: float | None) -> None:
    """A recording of more seconds than a model can hear at once is an ``RnnHubError`` that says what to do."""
    if most is not None and seconds > most:
        raise RnnHubError(
            f"a recording lasts {seconds:.0f} seconds, and this model hears {most:.0f} at once: cut it where nobody "
            "speaks, or take a model that reads forwards only and needs no utterance's mean"
        )


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
    blank, space = tokenizer.pad_token_id, word_delimiter(tokenizer)
    spans = greedy(log_probabilities, blank)[1] if is_greedy else align(log_probabilities, tokens, blank)
    for token, (begin, end) in zip(tokens, spans, strict=True):
        if token == space:
            last = None
            continue
        if last is None:
            last = {"word": "", "start": round(begin * step, 3), "end": 0.0}
            words.append(last)
        last["word"] += tokenizer.convert_ids_to_tokens(token)
        last["end"] = round(end * step, 3)
    return words


def word_delimiter(tokenizer: Any) -> int:
    """The token between words."""
    return tokenizer.convert_tokens_to_ids(getattr(tokenizer, "word_delimiter_token", " "))


class SpeechPipeline(Pipeline):
    """Recognizes speech.

    ``pipe("recording.wav")`` gives ``{"text": "one two"}``, a list of recordings a list of these. A recording is what
    ``rnn_hub.data.audio.read_audio`` takes: files of any format, rate and number of channels.

    Call arguments:
        return_words: add ``words``, each a ``word`` with the seconds of its ``start`` and ``end``.
        num_return_sequences: add ``others``, so many best texts with their ``score``.
        num_beams, language_model, lm_weight, token_bonus, word_list, ctc_decoding_weight, length_penalty,
            max_new_tokens: as `Search` says, each for some models.
        batch_size: recordings that are heard at once.
        progress: show a progress bar on standard error.
    """

    auto_model_class = AutoModelForSpeech
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
        most = longest(self.model, self.processor)
        sounds = [self.processor.read(one, most) for one in (inputs if several else [inputs])]
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
