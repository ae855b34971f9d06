"""Tokenizers trained on a dataset's own text, and the noise that regularizes those of subwords.

Subwords ("bpe", "unigram"): the text is normalized lightly (Unicode NFC; every run of white space
becomes one space) and comes back from `decode` otherwise unchanged, whatever its punctuation,
quotes, script or emoji: a character that the training text lacks is spelled in UTF-8 bytes (tokens
`<0x00>` to `<0xFF>`), so `<unk>` never occurs.

"char" has a token for each character, white space included, and "word" one for whatever stands
between white space, as the corpora of language modelling come; what is rare or unseen is `<unk>`.
"""

import copy
import json
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from rnn_hub.errors import RnnHubError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, UNK, BOS, EOS = SPECIAL_TOKENS = ("<pad>", "<unk>", "<s>", "</s>")
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
MODEL_TYPES = ("bpe", "unigram", "char", "word")
EOS_PLACES = ("after", "before", "none")
BYTE_SCORE = -20.0  # of a byte in a unigram model: below that of every learned piece

NO_TEXT = "there is no text to train a tokenizer on: check the dataset's columns and split"

_dropout_lock = threading.RLock()


def train_tokenizer(
    texts: Iterable[str],
    vocab_size: int,
    model_type: str = "bpe",
    lowercase: bool = False,
    model_max_length: int | None = 512,
    eos: str = "after",
) -> "PreTrainedTokenizerFast":
    """Train a tokenizer; ids 0 to 3 are `<pad> <unk> <s> </s>`.

    Words of subwords start with "▁" and never share a token with punctuation ("Haus." is "▁Haus", ".").
    Special tokens are recognized only as ids: a text that spells "</s>" is plain text.

    Args:
        texts: training text, e.g. both sides of a parallel corpus for a shared vocabulary.
        vocab_size: tokens in all, among them 4 special ones and, of subwords, 256 bytes.
        model_type: "bpe" (Sennrich et al. 2016), "unigram" (Kudo 2018), "char" or "word".
        lowercase: fold the case, which decoding cannot restore.
        model_max_length: tokens to which `truncation=True` cuts; None for no limit.
        eos: where `tokenizer(text)` puts `</s>`: "after" the text; "before" it, for a language model, which
            reads it between texts and starts from it; or "none". Only "after" decodes without the space before the
            first word, since what a language model writes stands behind a prompt.

    Raises:
        RnnHubError: unknown model_type or eos, no text, or a vocabulary too small for the text's characters.
    """
    for name, value, known in (("type", model_type, MODEL_TYPES), ("eos", eos, EOS_PLACES)):
        if value not in known:
            raise RnnHubError(f"tokenizer {name} {value!r} is unknown; choose one of {', '.join(known)}")
    texts = list(texts)
    train = _train_whole if model_type in ("char", "word") else _train_subwords
    backend = train(texts, vocab_size, model_type, lowercase, eos)
    if eos != "none":
        single = f"$A {EOS}" if eos == "after" else f"{EOS} $A"
        pair = f"$A {EOS} $B:1 {EOS}:1" if eos == "after" else f"{EOS} $A {EOS}:1 $B:1"
        backend.post_processor = processors.TemplateProcessing(
            single=single, pair=pair, special_tokens=[(EOS, SPECIAL_TOKENS.index(EOS))]
        )
    return _as_fast_tokenizer(backend, model_max_length, eos)


def _train_whole(texts: list[str], vocab_size: int, model_type: str, lowercase: bool, eos: str) -> Tokenizer:
    """The most frequent characters or words; a word that is spelled `<unk>`, as in the Penn Treebank, is that token."""
    if vocab_size <= len(SPECIAL_TOKENS):
        raise RnnHubError(f"vocab_size {vocab_size} leaves nothing beside the {len(SPECIAL_TOKENS)} special tokens")
    normalizer = normalizers.Sequence([normalizers.NFC()] + [normalizers.Lowercase()] * lowercase)
    split = str.split if model_type == "word" else list
    counts = Counter(piece for text in texts for piece in split(normalizer.normalize_str(text)))
    if not "".join(counts).strip():
        raise RnnHubError(NO_TEXT)
    learned = sorted(counts.keys() - set(SPECIAL_TOKENS), key=lambda piece: (-counts[piece], piece))
    pieces = [*SPECIAL_TOKENS, *learned][:vocab_size]
    backend = Tokenizer(models.WordLevel({piece: index for index, piece in enumerate(pieces)}, unk_token=UNK))
    backend.normalizer = normalizer
    if model_type == "word":
        backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        backend.decoder = decoders.Sequence([decoders.Replace(Regex("^"), " "), decoders.Fuse(), *_first_space(eos)])
    else:
        backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
        backend.decoder = decoders.Fuse()
    return backend


def _first_space(eos: str) -> list[decoders.Decoder]:
    """Takes away the space before the first word."""
    return [decoders.Strip(" ", 1, 0)] * (eos == "after")


def _train_subwords(texts: list[str], vocab_size: int, model_type: str, lowercase: bool, eos: str) -> Tokenizer:
    """Pieces of words, and the 256 bytes."""
    learned_size = vocab_size - len(BYTES)
    backend = _pipeline(model_type, lowercase, eos)
    _check_training(texts, backend, vocab_size)
    common: dict[str, Any] = {"special_tokens": list(SPECIAL_TOKENS), "show_progress": False}
    if model_type == "bpe":
        trainer = trainers.BpeTrainer(vocab_size=learned_size, **common)
    else:
        trainer = trainers.UnigramTrainer(vocab_size=learned_size, unk_token=UNK, **common)
    backend.train_from_iterator(texts, trainer, length=len(texts))
    return _with_bytes(backend)


def _pipeline(model_type: str, lowercase: bool, eos: str) -> Tokenizer:
    """An untrained tokenizer: normalize, split into words and punctuation, model."""
    backend = Tokenizer(models.BPE(unk_token=UNK) if model_type == "bpe" else models.Unigram())
    steps = [
        normalizers.NFC(),
        normalizers.Replace("▁", "_"),  # the sign that stands for a space
        normalizers.Replace(Regex(r"\s+"), " "),
        normalizers.Strip(),
    ]
    backend.normalizer = normalizers.Sequence(steps + [normalizers.Lowercase()] * lowercase)
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(prepend_scheme="always"),
            pre_tokenizers.Split(Regex(r"▁?[^\w▁]+"), "isolated"),
        ]
    )
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *_first_space(eos)]
    )
    return backend


def _check_training(texts: Sequence[str], backend: Tokenizer, vocab_size: int) -> None:
    """Refuse what the trainer would answer with a useless vocabulary."""
    alphabet = {"▁"}.union(*(set(backend.normalizer.normalize_str(text)) for text in texts)) - {" "}
    if alphabet == {"▁"}:
        raise RnnHubError(NO_TEXT)
    needed = len(SPECIAL_TOKENS) + len(BYTES) + len(alphabet)
    if vocab_size < needed:
        raise RnnHubError(
            f"vocab_size {vocab_size} is too small: {len(SPECIAL_TOKENS)} special tokens, {len(BYTES)} bytes "
            f"and the text's {len(alphabet)} characters need {needed}"
        )


def _with_bytes(backend: Tokenizer) -> Tokenizer:
    """Insert the 256 byte tokens after the special ones and let unseen characters fall back to them.

    The trainers know no bytes: as special tokens these would be matched in the text and skipped in
    decoding, so they enter the trained vocabulary itself.
    """
    state = json.loads(backend.to_str())
    model, first = state["model"], len(SPECIAL_TOKENS)
    if model["type"] == "BPE":
        pieces = sorted(model["vocab"], key=model["vocab"].get)
        ordered = [*pieces[:first], *BYTES, *pieces[first:]]
        model["vocab"] = {piece: index for index, piece in enumerate(ordered)}
    else:
        learned = sorted(model["vocab"][first:])  # the trainer's own order differs from run to run
        model["vocab"][first:] = [[piece, BYTE_SCORE] for piece in BYTES] + learned
    model["byte_fallback"] = True
    return Tokenizer.from_str(json.dumps(state))


def _as_fast_tokenizer(backend: Tokenizer, model_max_length: int | None, eos: str) -> "PreTrainedTokenizerFast":
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD,
        unk_token=UNK,
        bos_token={"after": BOS, "before": EOS, "none": None}[eos],
        eos_token=EOS,
        model_max_length=model_max_length,
        padding_side="right" if eos == "after" else "left",  # prompts end where generation goes on
        split_special_tokens=True,
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
    )


def token_lengths(
    tokenizer: "PreTrainedTokenizerFast", texts: Sequence[str], max_length: int | None = None
) -> list[int]:
    """Tokens of each text with its `</s>`, at most `max_length`: what the batch samplers count."""
    encoded = tokenizer(list(texts), truncation=max_length is not None, max_length=max_length)
    return [len(ids) for ids in encoded["input_ids"]]


def copy_tokenizer(tokenizer: "PreTrainedTokenizerFast") -> "PreTrainedTokenizerFast":
    """An independent copy, whose backend can be changed without anyone else seeing it."""
    return copy.deepcopy(tokenizer)


@contextmanager
def subword_dropout(tokenizer: "PreTrainedTokenizerFast", rate: float) -> Iterator["PreTrainedTokenizerFast"]:
    """Segment words at random inside the block: noise that regularizes training.

    BPE: every merge is skipped with probability `rate` (BPE-dropout, Provilkov et al. 2020; 0.1 is
    usual). Unigram: segmentations are sampled in proportion to their probability to the power of
    alpha = 1 / (1 + 7 rate) (subword regularization, Kudo 2018), at which texts grow about as much
    as under BPE's dropout of that rate. The backend draws from its own source of chance, which no
    seed reaches.

    The tokenizer itself changes for the time of the block, one block at a time in a process; work
    on a `copy_tokenizer` if other threads use it.

    Args:
        tokenizer: a fast tokenizer over BPE or Unigram.
        rate: from 0 (off) to below 1.

    Raises:
        RnnHubError: a rate outside [0, 1), or a tokenizer of another kind.
    """
    if not 0 <= rate < 1:
        raise RnnHubError(f"subword dropout must be in [0, 1), not {rate}")
    model = tokenizer.backend_tokenizer.model
    if not isinstance(model, models.BPE | models.Unigram):
        raise RnnHubError(f"subword dropout needs a BPE or Unigram tokenizer, not {type(model).__name__}")
    attribute, value = ("dropout", rate) if isinstance(model, models.BPE) else ("alpha", 1 / (1 + 7 * rate))
    with _dropout_lock:
        before = getattr(model, attribute)
        setattr(model, attribute, value if rate else None)
        try:
            yield tokenizer
        finally:
            setattr(model, attribute, before)
