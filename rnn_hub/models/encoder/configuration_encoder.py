"""The configuration of a recurrent encoder."""

from huggingface_hub.dataclasses import strict

from rnn_hub.models.configuration_utils import RnnConfig


@strict
class RnnEncoderConfig(RnnConfig):
    """What an `RnnEncoderModel` is made of, besides what `RnnConfig` tells.

    Args:
        vocab_size: rows of the embedding.
        embedding_size: features of an embedded token.
        hidden_size: units of a layer and direction.
        num_layers: how many layers.
    """

    model_type = "rnn_hub_encoder"

    vocab_size: int = 8000
    embedding_size: int = 256
    hidden_size: int = 256
    num_layers: int = 1
    pad_token_id: int | None = 0
    bos_token_id: int | None = 2
    eos_token_id: int | None = 3
