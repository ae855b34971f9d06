"""The configuration of a captioner."""

from typing import Any

from huggingface_hub.dataclasses import strict

from rnn_hub.models.seq2seq.configuration_seq2seq import RnnSeq2SeqConfig


@strict
class RnnCaptionConfig(RnnSeq2SeqConfig):
    """What an `RnnForCaptioning` is made of, besides what `RnnSeq2SeqConfig` tells of its decoder.

    Args:
        backbone: the configuration, as a dictionary, of a vision model of transformers; None for a model that is given
            features only.
        feature_size: channels of the backbone's last feature map.
        encoder_hidden_size: features of a region as the decoder sees it.
        freeze_backbone: whether the backbone stays as it is in training.
        feature_dropout: on regions before their projection.
        attention_penalty: weight of Xu et al. 2015's doubly stochastic regularization (section 4.2.1).
        unk_token_id: a word that is never learned as an output, and so never written.
    """

    model_type = "rnn_hub_caption"

    backbone: dict[str, Any] | None = None
    feature_size: int = 1280
    freeze_backbone: bool = True
    feature_dropout: float | int = 0.0
    attention_penalty: float | int = 0.0
    unk_token_id: int | None = None
    attention_type: str | None = "additive"
    share_embeddings: bool = False

    def validate_caption(self) -> None:
        """What a decoder of regions cannot have."""
        if self.attention_penalty < 0:
            raise ValueError(f"attention_penalty must not be negative, got {self.attention_penalty}")
        if self.attention_penalty and self.attention_type is None:
            raise ValueError("attention_penalty needs an attention: set attention_type")
        if self.backbone is not None and "model_type" not in self.backbone:
            raise ValueError("backbone lacks 'model_type': pass a model's whole configuration, as its to_dict() gives")
        if self.share_embeddings or self.encoder is not None:
            raise ValueError("a captioner reads images: it has no source embeddings to share, and no encoder of text")
        if self.bridge == "copy":
            raise ValueError("bridge 'copy' needs a recurrent encoder; choose 'linear' or 'zero'")
