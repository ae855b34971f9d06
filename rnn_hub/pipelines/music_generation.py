"""MusicPipeline: a key, a beginning or a melody in, music out: a score, MIDI, sound."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LogitsProcessorList, Pipeline

from rnn_hub.data.conditions import condition_ids
from rnn_hub.data.midi import check_tempo, write_midi
from rnn_hub.data.music import VOICES, Score, above_c, conditions, estimate_key, parse_key
from rnn_hub.data.music_files import SAMPLING_RATE, read_music, render
from rnn_hub.data.music_tokens import MusicProcessor, beat_word, body_words
from rnn_hub.errors import RnnHubError
from rnn_hub.generation.music import MusicGrammar
from rnn_hub.pipelines.sampling import check_temperature

MAX_BEATS, DEFAULT_BEATS = 400, 64
DEFAULT_TEMPO = 72
#: harmonies that are sampled for a melody, of which the likeliest is taken
CANDIDATES = 16
_CHANCE = threading.Lock()


class MusicPipeline(Pipeline):
    """Writes music.

    ``pipe("G minor", seed=1)`` gives ``{"score": ..., "midi": ..., "music_text": ..., "seconds": ...}``; a list of keys
    gives a list. Every output is a valid score: a grammar leaves no other tokens.

    Call arguments:
        key: the positional one, such as "G minor"; None lets the model choose, or is estimated of a primer or melody.
        style: one of the model's, where it has several (``config.condition_labels["style"]``).
        beats: the length of the whole piece in quarter notes (default: 64); None lets the model end where it will.
        primer: a beginning, a ``Score`` or the path of a MIDI or MusicXML file; it is continued.
        primer_beats: how much of it is kept; None for all.
        melody: instead, a ``Score`` or file whose one voice (the first) is harmonized note by note.
        voice: which voice the melody is: "S", "A", "T" or "B".
        parallels: whether parallel fifths and octaves may occur, which the chorales avoid better than their model.
        tempo: quarter notes a minute of the result; default: the primer's, else 72.
        instrument: "organ", "piano", "strings" or "choir".
        audio: add ``audio``, float32 (2, samples), and ``sampling_rate``.
        seed: the same seed gives the same music.
        temperature, top_p, top_k, guidance_scale, do_sample, ...: of ``generate()``.
        num_return_sequences: so many pieces; the result is then a list.

    Raises:
        RnnHubError: an unknown key, a length, temperature or primer that is impossible, or outside the model's range.
    """

    _load_processor = False
    _load_image_processor = False
    _load_feature_extractor = False
    _load_tokenizer = True
    _pipeline_calls_generate = False
    auto_model_class = AutoModelForCausalLM

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.music = MusicProcessor(self.tokenizer)

    def _sanitize_parameters(
        self,
        style: str | None = None,
        beats: int | None = DEFAULT_BEATS,
        primer: Any = None,
        primer_beats: int | None = None,
        melody: Any = None,
        voice: str = "S",
        parallels: bool = False,
        tempo: int | None = None,
        instrument: str = "organ",
        audio: bool = False,
        seed: int | None = None,
        **generation: Any,
    ) -> tuple[dict, dict, dict]:
        _check_sampling(generation)
        if tempo is not None:
            check_tempo(tempo, "the music")
        if beats is not None and (isinstance(beats, bool) or not isinstance(beats, int) or not 1 <= beats <= MAX_BEATS):
            raise RnnHubError(f"beats must be a whole number from 1 to {MAX_BEATS}, not {beats!r}")
        if voice not in VOICES or not voice:
            raise RnnHubError(f"unknown voice {voice!r}; the voices are {', '.join(VOICES)}")
        if primer is not None and melody is not None:
            raise RnnHubError("give a primer to continue or a melody to harmonize, not both")
        given = {"beats": beats, "primer": primer, "primer_beats": primer_beats, "melody": melody, "voice": voice}
        given |= {"parallels": parallels, "style": style}
        shown = {"tempo": tempo, "instrument": instrument, "audio": audio}
        return given, {"seed": seed, "generation": generation}, shown

    def __call__(self, inputs: str | Sequence[str | None] | None = None, progress: bool = False, **kwargs: Any) -> Any:
        """Write music in a key, or a piece in each of several; see the class for the arguments."""
        kwargs.pop("batch_size", None)
        if isinstance(inputs, list | tuple):
            return [self(key, **kwargs) for key in inputs]
        if inputs is not None and not isinstance(inputs, str):
            raise RnnHubError(f"the music pipeline takes a key such as 'G minor', not {type(inputs).__name__}")
        return super().__call__([{"key": inputs}], **kwargs)[0]

    def preprocess(
        self,
        inputs: dict[str, str | None],
        style: str | None = None,
        beats: int | None = DEFAULT_BEATS,
        primer: Any = None,
        primer_beats: int | None = None,
        melody: Any = None,
        voice: str = "S",
        parallels: bool = False,
    ) -> dict[str, Any]:
        """The prompt's ids (1, T), key and style as condition, and the grammar."""
        key = parse_key(inputs["key"]) if inputs["key"] else None
        labels = self.model.config.condition_labels or {}
        condition_ids(labels, {"style": style})
        given = melody if melody is not None else primer
        score = None if given is None else given if isinstance(given, Score) else read_music(given)
        if score is not None and key is None:
            key = score.key or estimate_key(score)
        home = above_c(key) if key and self.music.in_c else 0
        ids, line = [self.tokenizer.bos_token_id], None
        if melody is not None:
            line = self._melody(score.transposed(-home), voice, home)
            grammar = MusicGrammar(self.music, melody=line, voice=voice, parallels=parallels)
        else:
            if score is not None:
                score = score.head(min(primer_beats or score.beats, score.beats))
                ids = self._primer(score.transposed(-home), beats)
            grammar = MusicGrammar(self.music, beats, parallels=parallels)
        told = {name: value for name, value in conditions(key, style).items() if name in labels}
        prompt = {"ids": ids, "conditions": condition_ids(labels, told)}
        about = {"home": home, "key": key, "metre": score and score.metre, "tempo": score and score.tempo}
        return {**prompt, "grammar": grammar, "about": about, "melody": line and score}

    def _forward(
        self, inputs: dict[str, Any], seed: int | None = None, generation: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        generation, grammar = dict(generation or {}), inputs["grammar"]
        wanted = generation.pop("num_return_sequences", 1)
        rows = max(wanted, CANDIDATES) if inputs["melody"] else wanted
        input_ids = torch.tensor([inputs["ids"]] * rows, device=self.model.device)
        if inputs["conditions"]:
            generation["condition_ids"] = torch.tensor([inputs["conditions"]] * rows, device=self.model.device)
        with _CHANCE if seed is not None else nullcontext():
            if seed is not None:
                torch.manual_seed(seed)
            sequences = self.model.generate(
                input_ids=input_ids,
                attention_mask=torch.ones_like(input_ids),
                logits_processor=LogitsProcessorList([grammar]),
                **generation,
            )
        if grammar.melody_scores is not None:
            sequences = sequences[grammar.melody_scores.topk(wanted).indices]
        return {"sequences": sequences, "about": inputs["about"], "melody": inputs["melody"], "voice": grammar.voice}

    def postprocess(
        self,
        outputs: dict[str, Any],
        tempo: int | None = None,
        instrument: str = "organ",
        audio: bool = False,
    ) -> dict | list[dict]:
        """Token ids (n, T) to a dictionary, or to n."""
        records = []
        for sequence in outputs["sequences"].tolist():
            about = dict(outputs["about"])
            score = self.music.decode(sequence).transposed(about.pop("home"))
            if outputs["melody"]:  # with its rests and repeated notes
                voices = list(score.voices)
                voices[outputs["voice"]] = outputs["melody"].voices[0]
                score = replace(score, voices=tuple(voices))
            about["key"] = about["key"] or estimate_key(score)
            about["tempo"] = tempo or about["tempo"] or DEFAULT_TEMPO
            score = replace(score, **about)
            record = {
                "score": score,
                "midi": write_midi(score, instrument=instrument),
                "music_text": f"{score.key}: {' '.join(body_words(score))}",
                "seconds": score.seconds(),
            }
            if audio:
                record |= {"audio": render(score, instrument), "sampling_rate": SAMPLING_RATE}
            records.append(record)
        return records if len(records) > 1 else records[0]

    def _primer(self, score: Score, beats: int | None) -> list[int]:
        """The ids of a beginning of a piece of so many beats, and of the next beat, with which the model goes on."""
        if beats is not None and beats <= score.beats:
            raise RnnHubError(f"the primer has {score.beats} beats: ask for more than that, not for {beats}")
        if score.beats > MAX_BEATS - 16:
            raise RnnHubError(
                f"the primer has {score.beats} beats, and at most {MAX_BEATS - 16} can be continued: set primer_beats"
            )
        sung = sum(low <= high for low, high in self.music.ranges)
        if len(score.voices) < sung:
            raise RnnHubError(
                f"the primer has {len(score.voices)} of {sung} voices: give the missing ones, "
                "or pass it as melody, to be harmonized"
            )
        following = None if beats is None else beats - score.beats
        return [*self.music.encode(score, following), self.music.ids[beat_word(following)]]

    def _melody(self, score: Score, voice: str, home: int) -> Score:
        """The first voice without rests, equal pitches joined, if the model's voice can sing it.

        It stands `home` semitones below its true pitch.
        """
        line = Score(score.voices[:1]).legato()
        if line.beats > MAX_BEATS:
            raise RnnHubError(f"the melody has {line.beats} beats; at most {MAX_BEATS} can be harmonized")
        if sum(low <= high for low, high in self.music.ranges) == 1:
            raise RnnHubError("this model writes melodies in one voice and cannot harmonize: use one of chorales")
        low, high = self.music.ranges[VOICES.index(voice)]
        pitches = [note.pitch for note in line.voices[0]]
        if min(pitches) < low or max(pitches) > high:
            raise RnnHubError(
                f"the melody goes from {min(pitches) + home} to {max(pitches) + home}, outside the range of voice "
                f"{voice}, {low + home} to {high + home}: transpose it"
            )
        return Score.from_grid(line.grid())


def _check_sampling(generation: dict[str, Any]) -> None:
    """Refuse what cannot be sampled with."""
    check_temperature(generation)
    count = generation.get("num_return_sequences", 1)
    if not isinstance(count, int) or count < 1:
        raise RnnHubError(f"num_return_sequences must be a whole number of at least 1, not {count!r}")
    if generation.get("num_beams", 1) not in (1, None):
        raise RnnHubError("music is sampled: num_beams must be 1")
