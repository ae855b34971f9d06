"""Tokenizers whose words stay visible: a piece that continues a word begins with "##", every other one begins a word.

So a model can put the pieces of a word together again, from their ids alone (`layers/words.py`). Words are what stands
between white space and punctuation, which is a word by itself; English contractions part as in the Penn Treebank
("don't": "do", "n't"; "it's": "it", "'s"), so that raw and treebank text give the same words. Pieces are learned by BPE
(Sennrich et al. 2016); a character that the training text lacks is `<unk>`, a word by itself.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
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
