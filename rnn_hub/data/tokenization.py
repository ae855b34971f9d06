"""Subword tokenizers trained on a dataset's own text, and the noise that regularizes them.

The text is normalized lightly (Unicode NFC; every run of white space becomes one space) and comes
back from `decode` otherwise unchanged, whatever its punctuation, quotes, script or emoji: a
character that the training text lacks is spelled in UTF-8 bytes (tokens `<0x00>` to `<0xFF>`), so
`<unk>` never occurs.
"""

import copy
import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from rnn_hub.errors import RnnHubError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, UNK, BOS, EOS = SPECIAL_TOKENS = ("<pad>", "<unk>", "<s>", "</s>")
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
MODEL_TYPES = ("bpe", "unigram")
BYTE_SCORE = -20.0  # of a byte in a unigram model: below that of every learned piece

_dropout_lock = threading.RLock()


def train_tokenizer(
    texts: Iterable[str],
    vocab_size: int,
    model_type: str = "bpe",
    lowercase: bool = False,
    model_max_length: int = 512,
) -> "PreTrainedTokenizerFast":
    """Train a tokenizer; `tokenizer(text)` appends `</s>`, ids 0 to 3 are `<pad> <unk> <s> </s>`.

    Words start with "▁" and never share a token with punctuation ("Haus." is "▁Haus", ".").
    Special tokens are recognized only as ids: a text that spells "</s>" is plain text.

    Args:
        texts: training text, e.g. both sides of a parallel corpus for a shared vocabulary.
        vocab_size: tokens in all, among them 4 special ones and 256 bytes.
        model_type: "bpe" (Sennrich et al. 2016) or "unigram" (Kudo 2018).
        lowercase: fold the case, which decoding cannot restore.
        model_max_length: tokens to which `truncation=True` cuts.

    Raises:
        RnnHubError: unknown model_type, no text, or a vocabulary too small for the text's characters.
    """
    if model_type not in MODEL_TYPES:
        raise RnnHubError(f"tokenizer type {model_type!r} is unknown; choose one of {', '.join(MODEL_TYPES)}")
    learned_size = vocab_size - len(BYTES)
    texts = list(texts)
    backend = _pipeline(model_type, lowercase)
    _check_training(texts, backend, vocab_size)
    common: dict[str, Any] = {"special_tokens": list(SPECIAL_TOKENS), "show_progress": False}
    if model_type == "bpe":
        trainer = trainers.BpeTrainer(vocab_size=learned_size, **common)
    else:
        trainer = trainers.UnigramTrainer(vocab_size=learned_size, unk_token=UNK, **common)
    backend.train_from_iterator(texts, trainer, length=len(texts))
    return _as_fast_tokenizer(_with_bytes(backend), model_max_length)


def _pipeline(model_type: str, lowercase: bool) -> Tokenizer:
    """An untrained tokenizer: normalize, split into words and punctuation, model, append `</s>`."""
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
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    backend.post_processor = processors.TemplateProcessing(
        single=f"$A {EOS}",
        pair=f"$A {EOS} $B:1 {EOS}:1",
        special_tokens=[(EOS, SPECIAL_TOKENS.index(EOS))],
    )
    return backend


def _check_training(texts: Sequence[str], backend: Tokenizer, vocab_size: int) -> None:
    """Refuse what the trainer would answer with a useless vocabulary."""
    alphabet = {"▁"}.union(*(set(backend.normalizer.normalize_str(text)) for text in texts)) - {" "}
    if alphabet == {"▁"}:
        raise RnnHubError("there is no text to train a tokenizer on: check the dataset's columns and split")
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


def _as_fast_tokenizer(backend: Tokenizer, model_max_length: int) -> "PreTrainedTokenizerFast":
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD,
        unk_token=UNK,
        bos_token=BOS,
        eos_token=EOS,
        model_max_length=model_max_length,
        padding_side="right",
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
