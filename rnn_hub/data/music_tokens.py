"""Scores as tokens and back, and the grammar that every sequence of them keeps.

A score is written beat by beat: `|`, then what begins on the beat, voice by voice (`S67 A62 T59 B43`; `B-` for a voice
that falls silent), then `:1`, `:2` or `:3` where something begins on that sixteenth after it. A note lasts until the
next one of its voice. The last sixteen beats count down to the end, `|15` to `|0`: so a model knows when to cadence,
and a length can be asked for. Key, metre and tempo may stand in front: `K:G-major M:4/4 Q:80`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rnn_hub.data.midi import TEMPOS
from rnn_hub.data.music import KEYS, STEPS, VOICES, Note, Score
from rnn_hub.errors import RnnHubError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, UNK, BOS, EOS = "<pad>", "<unk>", "<s>", "</s>"
COUNTDOWN = 16
BEAT = "|"
BEATS = (BEAT, *(f"|{left}" for left in range(COUNTDOWN - 1, -1, -1)))
OFFSETS = tuple(f":{step}" for step in range(1, STEPS))
KEY_TOKENS = tuple(f"K:{key.replace(' ', '-')}" for key in KEYS)
METRE_TOKENS = tuple(f"M:{beats}/{unit}" for unit in (2, 4, 8, 16) for beats in range(1, 13))
TEMPO_TOKENS = tuple(f"Q:{tempo}" for tempo in range(TEMPOS[0], TEMPOS[1] + 1))
HEADERS = (KEY_TOKENS, METRE_TOKENS, TEMPO_TOKENS)
PITCHES = range(21, 109)


def vocabulary(
    ranges: Sequence[Sequence[int]] = ((PITCHES[0], PITCHES[-1]),) * len(VOICES),
    rests: bool = True,
    header: bool = True,
) -> list[str]:
    """All tokens.

    Args:
        ranges: the lowest and the highest pitch of each voice.
        rests: whether a voice may be silent.
        header: whether key, metre and tempo are tokens.
    """
    tokens = [PAD, UNK, BOS, EOS, *BEATS, *OFFSETS]
    for voice, (low, high) in zip(VOICES, ranges, strict=True):
        tokens += [f"{voice}-"] * rests + [f"{voice}{pitch}" for pitch in range(low, high + 1)]
    return tokens + [token for tokens in HEADERS for token in tokens] * header


@dataclass(frozen=True)
class Position:
    """Where in a score the next token stands.

    Args:
        header: how many kinds of header tokens are passed; 3 after the first beat.
        offset: the sixteenth of the present beat; -1 before the first.
        voice: the last voice that was named there, -1 for none.
        beat: the number of the present beat.
        left: how many beats follow, where that is decided.
        sounding: the voices that sound, as bits.
    """

    header: int = 0
    offset: int = -1
    voice: int = -1
    beat: int = -1
    left: int | None = None
    sounding: int = 0

    def allows(self, token: str) -> bool:
        """Whether a token may stand here; a score has one spelling only."""
        started, first = self.offset >= 0, self.beat == 0 and self.offset == 0
        complete = started and (not first or self.voice == len(VOICES) - 1) and (self.offset == 0 or self.voice >= 0)
        if token in _HEADER:
            return not started and _HEADER[token] >= self.header
        if token in _BEAT:
            if self.left is None:  # a short score begins inside of the countdown
                return not started or (complete and token in (BEAT, BEATS[1]))
            return complete and _BEAT[token] == self.left - 1
        if token in _OFFSET:
            return complete and _OFFSET[token] > self.offset
        if token in _NOTES:
            voice, pitch = _NOTES[token]
            if first:  # each voice has its turn, and one of them sings
                return voice == self.voice + 1 and (pitch is not None or voice < len(VOICES) - 1 or self.sounding > 0)
            return started and voice > self.voice and (pitch is not None or bool(self.sounding >> voice & 1))
        return token == EOS and complete and self.left == 0

    def after(self, token: str) -> Position:
        """The position behind a token that may stand here."""
        if token in _HEADER:
            return replace(self, header=_HEADER[token] + 1)
        if token in _BEAT:
            return Position(3, 0, -1, self.beat + 1, _BEAT[token], self.sounding)
        if token in _OFFSET:
            return replace(self, offset=_OFFSET[token], voice=-1)
        voice, pitch = _NOTES[token]
        bit = 1 << voice
        sounding = self.sounding & ~bit if pitch is None else self.sounding | bit
        return replace(self, voice=voice, sounding=sounding)


_HEADER = {token: kind for kind, tokens in enumerate(HEADERS) for token in tokens}
_BEAT: dict[str, int | None] = {token: int(token[1:]) if token != BEAT else None for token in BEATS}
_OFFSET = {token: int(token[1:]) for token in OFFSETS}
_NOTES = {
    f"{name}{pitch if pitch is not None else '-'}": (voice, pitch)
    for voice, name in enumerate(VOICES)
    for pitch in (None, *range(128))
}


class MusicProcessor:
    """Scores to token ids and back.

    Args:
        tokenizer: one that `music_tokenizer` built: each token a word.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast):
        self.tokenizer = tokenizer
        self.ids: dict[str, int] = tokenizer.get_vocab()
        self.tokens = {index: token for token, index in self.ids.items()}
        self.rests = "S-" in self.ids
        self.header = KEY_TOKENS[0] in self.ids
        self.in_c = bool(tokenizer.init_kwargs.get("in_c"))
        self.ranges = tuple(
            (min(pitches, default=PITCHES[-1]), max(pitches, default=PITCHES[0]))
            for name in VOICES
            for pitches in [[int(token[1:]) for token in self.ids if token[0] == name and token[1:].isdigit()]]
        )

    def encode(self, score: Score, remaining: int | None = 0) -> list[int]:
        """The ids of a score, `<s>` first, or of the beginning of one, of which `remaining` beats follow.

        With 0 it ends in `</s>`; None is an unknown number. A processor without rests holds each note until the next
        one. A voice that is missing is silent.

        Raises:
            RnnHubError: a note outside the voice's range, more voices than four, a missing voice without rests.
        """
        if not score.length or len(score.voices) > len(VOICES):
            raise RnnHubError(f"a score needs notes in 1 to {len(VOICES)} voices, not {len(score.voices)}")
        score = replace(score, voices=score.voices + ((),) * (len(VOICES) - len(score.voices)))
        self._check(score)
        score = score if self.rests else score.legato()
        words = [BOS, *(header_words(score) if self.header else ()), *body_words(score, remaining)]
        words += [EOS] if remaining == 0 else []
        return [self.ids[word] for word in words]

    def decode(self, ids: Iterable[int]) -> Score:
        """The score of token ids; `<s>`, `</s>` and padding may be there or not.

        Raises:
            RnnHubError: a token that cannot stand where it does.
        """
        words = (self.tokens.get(int(index), UNK) for index in ids)
        return read_words(word for word in words if word not in (PAD, BOS, EOS))

    def _check(self, score: Score) -> None:
        """Refuse what the vocabulary cannot say."""
        for name, voice, (low, high) in zip(VOICES, score.voices, self.ranges, strict=True):
            if not voice and not self.rests:
                raise RnnHubError(f"the voice {name} is missing: the model needs all of {', '.join(VOICES)}")
            for note in voice:
                if not low <= note.pitch <= high:
                    beat = note.start // STEPS + 1
                    raise RnnHubError(
                        f"the pitch {note.pitch} at beat {beat} is outside the range of voice {name}, {low} to {high}: "
                        "transpose the music"
                    )


def header_words(score: Score) -> list[str]:
    """Key, metre and tempo, as far as they are known and can be said."""
    key = score.key and f"K:{score.key.replace(' ', '-')}"
    words = (key, score.metre and f"M:{score.metre}", score.tempo and f"Q:{score.tempo}")
    return [word for word in words if word in _HEADER]


def beat_word(left: int | None) -> str:
    """The word that begins a beat, where so many are left with it, or an unknown number."""
    return f"|{left - 1}" if left is not None and left <= COUNTDOWN else BEAT


def body_words(score: Score, remaining: int | None = 0) -> Iterator[str]:
    """The notes of a score of four voices, beat by beat; so many beats follow, or an unknown number."""
    events: dict[int, list[str]] = {}
    for name, voice in zip(VOICES, score.voices, strict=True):
        starts = {note.start for note in voice}
        words = {note.start: f"{name}{note.pitch}" for note in voice}
        silences = {0, *(note.end for note in voice)} - starts
        words |= {step: f"{name}-" for step in silences if step < score.beats * STEPS}
        for step, word in words.items():
            events.setdefault(step, []).append(word)
    for beat in range(score.beats):
        yield beat_word(None if remaining is None else score.beats - beat + remaining)
        for offset in range(STEPS):
            if found := events.get(beat * STEPS + offset):
                yield from (OFFSETS[offset - 1], *found) if offset else found


def read_words(words: Iterable[str]) -> Score:
    """The score that words say.

    Raises:
        RnnHubError: a word that cannot stand where it does.
    """
    voices: list[list[Note]] = [[] for _ in VOICES]
    about: dict[str, Any] = {}
    position = Position()
    for word in words:
        if not position.allows(word):
            raise RnnHubError(f"{word!r} cannot stand at beat {position.beat + 1} of a score")
        position = position.after(word)
        if word in _HEADER:
            name, value = (("key", "metre", "tempo")[_HEADER[word]], word[2:])
            about[name] = {"key": value.replace("-", " "), "metre": value}.get(name) or int(value)
        elif word in _NOTES:
            voice, pitch = _NOTES[word]
            step = position.beat * STEPS + position.offset
            _silence(voices[voice], step)
            if pitch is not None:
                voices[voice].append(Note(step, 0, pitch))
    for voice in voices:
        _silence(voice, (position.beat + 1) * STEPS)
    return Score(tuple(tuple(voice) for voice in voices), **about)


def _silence(voice: list[Note], step: int) -> None:
    """Ends the note that sounds."""
    if voice and not voice[-1].duration:
        voice[-1] = voice[-1]._replace(duration=step - voice[-1].start)


def music_tokenizer(tokens: Sequence[str], in_c: bool = False) -> PreTrainedTokenizerFast:
    """A tokenizer whose vocabulary is `tokens`, between spaces; prompts are padded on the left.

    `in_c` says that all music is transposed to C before it is encoded: the model hears degrees of a scale.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocab = {token: index for index, token in enumerate(tokens)}
    backend = Tokenizer(models.WordLevel(vocab, unk_token=UNK))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, vocab[BOS])])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD,
        unk_token=UNK,
        bos_token=BOS,
        eos_token=EOS,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        in_c=in_c,
        model_input_names=["input_ids", "attention_mask"],
    )
