"""Tokenizers whose words stay visible: a piece that continues a word begins with "##", every other one begins a word.

So a model can put the pieces of a word together again, from their ids alone (`layers/words.py`). Words are what stands
between white space and punctuation, which is a word by itself; English contractions part as in the Penn Treebank
("don't": "do", "n't"; "it's": "it", "'s"), so that raw and treebank text give the same words. Pieces are learned by BPE
(Sennrich et al. 2016); a character that the training text lacks is `<unk>`, a word by itself.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from rnn_hub.data.tokenization import NO_TEXT, PAD, UNK
from rnn_hub.errors import RnnHubError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

CONTINUES = "##"
WORDS = r"\w+(?=n't\b)|n't\b|'\w+|\w+|[^\w\s]"
MAX_CHARACTERS = 254
"""Characters that a table of bytes can number, besides padding and the unknown one."""


def train_word_pieces(
    texts: Iterable[str], vocab_size: int, lowercase: bool = False, model_max_length: int | None = 512
) -> "PreTrainedTokenizerFast":
    """Train a tokenizer; ids 0 and 1 are `<pad>` and `<unk>`, and no token is added to a text.

    Args:
        texts: training text.
        vocab_size: tokens in all. The more, the more words are one piece.
        lowercase: fold the case.
        model_max_length: tokens to which `truncation=True` cuts; None for no limit.

    Raises:
        RnnHubError: no text, or a vocabulary too small for its characters.
    """
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE(unk_token=UNK, continuing_subword_prefix=CONTINUES))
    backend.normalizer = normalizers.Sequence([normalizers.NFC()] + [normalizers.Lowercase()] * lowercase)
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(WORDS), "removed", invert=True)
    backend.decoder = decoders.WordPiece(prefix=CONTINUES, cleanup=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, UNK],
        continuing_subword_prefix=CONTINUES,
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    learned = backend.get_vocab_size()
    if learned <= 2:
        raise RnnHubError(NO_TEXT)
    if learned > vocab_size:
        raise RnnHubError(f"vocab_size {vocab_size} is too small: the text's characters alone need {learned}")
    special = {"pad_token": AddedToken(PAD, special=True), "unk_token": AddedToken(UNK, special=True)}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        **special,
        model_max_length=model_max_length,
        padding_side="right",
        split_special_tokens=True,
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
    )


def add_words(tokenizer: "PreTrainedTokenizerFast", words: Iterable[str]) -> "PreTrainedTokenizerFast":
    """The same tokenizer with more words that are one piece each; other words are parted by the longest match first
    (WordPiece, Schuster & Nakajima 2012), and one with a character that no piece has is `<unk>` as a whole."""
    pieces = dict.fromkeys([*vocabulary(tokenizer), *words])
    model = models.WordPiece(
        {piece: row for row, piece in enumerate(pieces)}, unk_token=UNK, continuing_subword_prefix=CONTINUES
    )
    tokenizer.backend_tokenizer.model = model
    return tokenizer


def listed_words(path: str | Path, most: int, texts: Iterable[str]) -> list[str]:
    """Words to know because a file has vectors for them: those of the texts, and the most frequent others.

    Args:
        path: a file of word vectors, or of a word a line, the most frequent first.
        most: how many of its first words are taken whatever the texts say, where they are in lower case also with a
            capital, as names are written; lower case alone of the first third.
        texts: the training texts.
    """
    with open(path, encoding="utf-8", errors="replace") as lines:
        known = list(dict.fromkeys(line.rstrip().partition(" ")[0] for line in lines))
    split = pre_tokenizers.Split(Regex(WORDS), "removed", invert=True).pre_tokenize_str
    in_texts = Counter(word for text in texts for word, _ in split(text))
    everything = set(known)
    found = [word for word in in_texts if word in everything or word.lower() in everything]
    first = [word for word in known[:most] if len(split(word)) == 1]
    return [*found, *(word[:1].upper() + word[1:] for word in first), *first[: most // 3]]


def vocabulary(tokenizer: "PreTrainedTokenizerFast") -> list[str]:
    """The tokens in the order of their ids."""
    return tokenizer.convert_ids_to_tokens(range(len(tokenizer)))


def word_starts(pieces: Sequence[str]) -> list[bool]:
    """Which pieces begin a word."""
    return [not piece.startswith(CONTINUES) for piece in pieces]


def common_characters(pieces: Iterable[str]) -> str:
    """The characters that occur in most pieces, at most `MAX_CHARACTERS` of them."""
    counts = Counter(character for piece in pieces if piece not in (PAD, UNK) for character in _spelling(piece))
    return "".join(sorted(counts, key=lambda character: (-counts[character], character))[:MAX_CHARACTERS])


def spell(pieces: Iterable[str], characters: str, longest: int) -> list[list[int]]:
    """The characters of each piece as numbers, padded with 0 to `longest`: 1 for an unknown one, 2, 3, ... for those
    of `characters`."""
    number = {character: index for index, character in enumerate(characters, 2)}
    rows = []
    for piece in pieces:
        spelled = [] if piece == PAD else [1] if piece == UNK else [number.get(c, 1) for c in _spelling(piece)]
        rows.append((spelled + [0] * longest)[:longest])
    return rows


def _spelling(piece: str) -> str:
    return piece.removeprefix(CONTINUES)
