"""What the tasks share that give labels: the tokenizer's section, the model with its table of words."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

import rnn_hub.models.classifier  # noqa: F401  (registers the models with the Auto classes)
from rnn_hub.data.vectors import read_vectors
from rnn_hub.data.word_pieces import (
    add_words,
    common_characters,
    listed_words,
    spell,
    train_word_pieces,
    vocabulary,
    word_starts,
)
from rnn_hub.errors import RnnHubError
from rnn_hub.pipelines.loading import reason
from rnn_hub.tasks.auto_model import AutoModelTask
from rnn_hub.tasks.sections import check_keys

logger = logging.getLogger(__name__)


@dataclass
class WordPieceSection:
    """The vocabulary: frequent words, and pieces of the others.

    Args:
        vocab_size: number of tokens.
        lowercase: fold the case.
        dropout: probability of BPE-dropout in training (Provilkov et al., 2020).
        max_length: longest text in tokens; longer ones are cut with a warning.
        word_list: a file of word vectors; its words that occur in the training texts, and the first
            ``word_list_size`` of it, join the vocabulary. ``dropout`` must then be 0.
        pretrained: the folder or Hub name of a tokenizer to take as it is, that of a pretrained `model.encoder`; of
            the other values only ``max_length`` then counts.
    """

    vocab_size: int = 16000
    lowercase: bool = False
    dropout: float = 0.0
    max_length: int = 512
    word_list: str | None = None
    word_list_size: int = 50000
    pretrained: str | None = None


class LabelTask(AutoModelTask):
    """A task whose model gives labels.

    A recipe's model section may name a file of pretrained `word_vectors`, which training leaves as they are unless
    `tune_vectors` is true, or as `encoder` a pretrained one of transformers, a folder or a Hub name.
    """

    tokenizer_section: ClassVar[type] = WordPieceSection
    model_type = "rnn_hub_classifier"

    def check_model(self, fields: Mapping[str, Any], generation: Mapping[str, Any]) -> None:
        """Build the config and, without memory, the model: a wrong field, cell, pooling or size fails here."""
        check_keys({key for key in generation if key != "num_beams"}, (), "generation (labels are not generated)")
        fields = {key: value for key, value in fields.items() if key not in ("word_vectors", "tune_vectors")}
        if isinstance(fields.get("encoder"), str):
            fields["encoder"] = _pretrained(AutoConfig, fields["encoder"]).to_dict()
        with torch.device("meta"):
            self._model(self._config(fields))

    def pretrained(self, recipe: Mapping[str, Any]) -> str:
        """The encoder, or else the word vectors."""
        model = recipe.get("model") or {}
        if not isinstance(model.get("encoder"), str):
            return super().pretrained(recipe)
        return f"over the pretrained encoder `{model['encoder']}`{', frozen' if model.get('freeze_encoder') else ''}"

    def build_model(
        self, fields: Mapping[str, Any], processor: PreTrainedTokenizerBase, generation: Mapping[str, Any]
    ) -> PreTrainedModel:
        """Build the model for the tokenizer's vocabulary, with its words' pieces, characters and vectors."""
        fields, pieces, encoder = dict(fields), vocabulary(processor), None
        vectors, tune = fields.pop("word_vectors", None), fields.pop("tune_vectors", False)
        known = {"vocab_size": len(pieces), "pad_token_id": processor.pad_token_id, "bos_token_id": None}
        known |= {"eos_token_id": processor.eos_token_id}
        if fields.get("char_features"):
            known["characters"] = common_characters(pieces)
        if isinstance(fields.get("encoder"), str):
            encoder = _pretrained(AutoModel, fields["encoder"])
            fields["encoder"] = encoder.config.to_dict()
        if fields.get("encoder"):
            known["ignored_token_ids"] = sorted({*processor.all_special_ids} - {processor.unk_token_id})
        config = self._config(fields, **known)
        _check_tokenizer(config, pieces)
        model = self._model(config)
        if encoder is not None:
            model.encoder.model.load_state_dict(encoder.state_dict())
        if config.whole_words or config.char_features:
            words = model.encoder.words or model.encoder.model.words
            starts = word_starts(pieces) if config.whole_words else [True] * len(pieces)
            starts += [True] * (len(words.starts) - len(pieces))  # rows of another encoder that no token has
            characters = spell(pieces, config.characters, config.max_word_length) if config.char_features else None
            words.set(starts, characters)
        if vectors is not None:
            use_vectors(model, pieces, vectors, tune)
        return model


def _pretrained(auto_class: Any, name: str) -> Any:
    """What transformers has of that name, or an ``RnnHubError``."""
    try:
        return auto_class.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise RnnHubError(f"cannot load the pretrained encoder {name!r}: {reason(error)}") from error


def _check_tokenizer(config: Any, pieces: list[str]) -> None:
    """Another encoder must have a row for each token, and mark the pieces that continue a word as we do."""
    rows = len(pieces) if config.encoder is None else config.encoder.get("vocab_size", len(pieces))
    if rows < len(pieces):
        hint = "set tokenizer.pretrained to the encoder's name"
        raise RnnHubError(f"the encoder has {rows} tokens and the tokenizer {len(pieces)}: {hint}")
    if config.encoder is not None and config.whole_words and all(word_starts(pieces)):
        raise RnnHubError("model.whole_words needs a tokenizer some of whose pieces begin with '##', as BERT's do")


def train_words(texts: list[str], section: WordPieceSection) -> PreTrainedTokenizerBase:
    """The tokenizer that a recipe's section describes.

    Raises:
        RnnHubError: no such tokenizer or word list, or one of them together with BPE-dropout.
    """
    if section.pretrained:
        if section.dropout:
            raise RnnHubError("tokenizer.dropout is for tokenizers that are trained here, not for a pretrained one")
        tokenizer = _pretrained(AutoTokenizer, section.pretrained)
        tokenizer.model_max_length = section.max_length
        return tokenizer
    tokenizer = train_word_pieces(texts, section.vocab_size, section.lowercase, section.max_length)
    if section.word_list is None:
        return tokenizer
    if section.dropout:
        raise RnnHubError("tokenizer.dropout parts words by BPE, and tokenizer.word_list keeps them whole: choose one")
    try:
        return add_words(tokenizer, listed_words(section.word_list, section.word_list_size, texts))
    except OSError as error:
        raise RnnHubError(f"tokenizer.word_list: cannot read {section.word_list}: {error.strerror}") from error


def use_vectors(model: PreTrainedModel, words: list[str], path: str, tune: bool = False) -> int:
    """Fill the input embedding's rows with pretrained vectors, those of the words that the file has.

    They are scaled to the spread that the embedding has, so that words without a vector do not stand out. Unless they
    are tuned, gradients leave them alone: words that training never meets then stay comparable with those it does.

    Returns:
        how many words have one.

    Raises:
        RnnHubError: the vectors have another size than the embedding, or as ``read_vectors``.
    """
    weight = model.get_input_embeddings().weight
    try:
        vectors = read_vectors(path, {word: row for row, word in enumerate(words)}, size=weight.shape[1])
    except RnnHubError as error:
        hint = "; set model.embedding_size to it" if "a vector of" in str(error) else ""
        raise RnnHubError(f"model.word_vectors: {error}{hint}") from error
    found = torch.stack([torch.from_numpy(vector) for vector in vectors.values()])
    rows = torch.tensor(list(vectors))
    with torch.no_grad():
        weight[rows] = (found * (weight.std() / found.std().clamp(min=1e-6))).to(weight.dtype)
    if not tune:
        weight.register_hook(lambda gradient: gradient.index_fill(0, rows.to(gradient.device), 0))
    return len(vectors)
