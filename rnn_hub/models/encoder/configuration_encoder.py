"""The configuration of a recurrent encoder."""

from huggingface_hub.dataclasses import strict

from rnn_hub.layers.words import KINDS
from rnn_hub.models.configuration_utils import RnnConfig


@strict
class RnnEncoderConfig(RnnConfig):
    """What an `RnnEncoderModel` is made of, besides what `RnnConfig` tells.

    Args:
        vocab_size: rows of the embedding.
        embedding_size: features of an embedded token.
        hidden_size: units of a layer and direction.
        num_layers: how many layers.
        word_dropout: probability in training that a word's embedding is hidden; its characters stay.
        whole_words: whether the pieces of a word are one step, the mean of their embeddings, at its first piece. Which
            pieces begin a word the model's `WordTable` holds.
        char_features: "cnn" or "rnn" for a vector from a word's characters beside its embedding; None for none.
        characters: the characters that it knows.
        char_embedding_size: features of a character; char_hidden_size: filters, or units of a direction.
        char_kernel_size: characters that a filter sees; char_dropout: on embedded characters.
        max_word_length: characters that are read of a word.
    """

    model_type = "rnn_hub_encoder"

    vocab_size: int = 8000
    embedding_size: int = 256
    hidden_size: int = 256
    num_layers: int = 1
    word_dropout: float | int = 0.0
    whole_words: bool = False
    char_features: str | None = None
    characters: str | None = None
    char_embedding_size: int = 30
    char_hidden_size: int = 50
    char_kernel_size: int = 3
    char_dropout: float | int = 0.0
    max_word_length: int = 20
    pad_token_id: int | None = 0
    bos_token_id: int | None = 2
    eos_token_id: int | None = 3

    def validate_words(self) -> None:
        """Character features must be known ones."""
        if self.char_features not in (None, *KINDS):
            raise ValueError(f"unknown char_features {self.char_features!r}; choose one of {', '.join(KINDS)}, or null")
