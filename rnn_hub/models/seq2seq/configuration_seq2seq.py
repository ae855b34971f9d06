"""The configuration of a recurrent encoder-decoder."""

from typing import Any

from huggingface_hub.dataclasses import strict

from rnn_hub.models.configuration_utils import RnnConfig
from rnn_hub.models.encoder.configuration_encoder import RnnEncoderConfig

BRIDGES = ("linear", "copy", "zero")


@strict
class RnnSeq2SeqConfig(RnnConfig):
    """What an `RnnForConditionalGeneration` is made of, besides what `RnnConfig` tells.

    Args:
        vocab_size: tokens of the target, and of the source where the embeddings are shared.
        source_vocab_size: tokens of the source, if it has a vocabulary of its own.
        embedding_size: features of an embedded token.
        encoder_hidden_size: units of an encoder layer and direction; encoder_num_layers: how many.
        decoder_hidden_size: units of a decoder layer; decoder_num_layers: how many.
        attention_type: the name of a registered attention; None for the plain encoder-decoder, whose decoder sees only
            the encoder's final state.
        attention_layer: after which decoder layer to attend; negative counts from the last.
        input_feeding: whether the last attentional vector is part of the next input (Luong et al. 2015, section 3.3).
        bridge: how the encoder's final state starts the decoder: "linear", "copy" (equal sizes) or "zero".
        share_embeddings: whether source and target share one embedding.
        tie_word_embeddings: whether the output layer is the target embedding (Press & Wolf 2017).
        label_smoothing: weight of the uniform distribution in the training loss (Szegedy et al. 2016, section 7).
        scheduled_sampling: probability in training that an input is the model's own prediction (Bengio et al. 2015, in
            the parallel form of Duckworth et al. 2019).
        encoder: the configuration, as a dictionary, of any other encoder of transformers to use instead of ours.
    """

    model_type = "rnn_hub_seq2seq"
    keys_to_ignore_at_inference = ["past_key_values"]

    vocab_size: int = 8000
    source_vocab_size: int | None = None
    embedding_size: int = 256
    encoder_hidden_size: int = 256
    encoder_num_layers: int = 1
    decoder_hidden_size: int = 512
    decoder_num_layers: int = 1
    attention_type: str | None = "general"
    attention_layer: int = -1
    input_feeding: bool = False
    bridge: str = "linear"
    share_embeddings: bool = True
    tie_word_embeddings: bool = True
    label_smoothing: float | int = 0.0
    scheduled_sampling: float | int = 0.0
    encoder: dict[str, Any] | None = None
    is_encoder_decoder: bool = True
    use_cache: bool = True
    pad_token_id: int | None = 0
    bos_token_id: int | None = 2
    eos_token_id: int | list[int] | None = 3
    decoder_start_token_id: int | None = 2

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if not self.share_embeddings and self.source_vocab_size is None:
            self.source_vocab_size = self.vocab_size  # of its own from here on: resizing the target's leaves it

    def validate_seq2seq(self) -> None:
        """The parts must fit together."""
        if self.bridge not in BRIDGES:
            raise ValueError(f"unknown bridge {self.bridge!r}; choose one of {', '.join(BRIDGES)}")
        if self.attention_type is None and self.bridge == "zero":
            raise ValueError("without attention the bridge is all that a decoder sees: bridge='zero' hides the source")
        if self.encoder is not None and "model_type" not in self.encoder:
            raise ValueError("encoder lacks 'model_type': pass a model's whole configuration, as its to_dict() gives")
        if not -self.decoder_num_layers <= self.attention_layer < self.decoder_num_layers:
            raise ValueError(
                f"attention_layer {self.attention_layer} is not one of the decoder's {self.decoder_num_layers} layers"
            )
        if self.share_embeddings and (self.source_vocab_size not in (None, self.vocab_size) or self.encoder):
            raise ValueError("share_embeddings needs our encoder and one vocabulary: set share_embeddings=False")
        for name in ("label_smoothing", "scheduled_sampling"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")

    def decoder_options(self) -> dict[str, Any]:
        """The arguments of our decoder's stacks; a bridge leaves no initial state to learn."""
        return self.stack_options() | {"learned_initial_state": self.learned_initial_state and self.bridge == "zero"}

    def encoder_config(self) -> RnnEncoderConfig:
        """The configuration of our encoder."""
        options = self.stack_options() | {
            "embedding_dropout": self.embedding_dropout,
            "bidirectional": self.bidirectional,
        }
        return RnnEncoderConfig(
            vocab_size=self.source_vocab_size or self.vocab_size,
            embedding_size=self.embedding_size,
            hidden_size=self.encoder_hidden_size,
            num_layers=self.encoder_num_layers,
            merge=self.merge,
            initializer_range=self.initializer_range,
            pad_token_id=self.pad_token_id,
            bos_token_id=self.bos_token_id,
            eos_token_id=self.eos_token_id if isinstance(self.eos_token_id, int) else None,
            **options,
        )
