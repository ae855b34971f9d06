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
        freeze_backbone: whether backbone and motion network stay as they are in training.
        feature_dropout: on regions before their projection.
        motion: the configuration, as a dictionary, of an `RnnForVideoClassification` whose states over the frames of a
            clip are attended to beside the regions of its middle frame; None for images.
        attention_penalty: weight of Xu et al. 2015's doubly stochastic regularization (section 4.2.1).
        unk_token_id: a word that is never learned as an output, and so never written.
    """

    model_type = "rnn_hub_caption"

    backbone: dict[str, Any] | None = None
    feature_size: int = 1280
    motion: dict[str, Any] | None = None
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
        for name in ("backbone", "motion"):
            if getattr(self, name) is not None and "model_type" not in getattr(self, name):
                raise ValueError(
                    f"{name} lacks 'model_type': pass a model's whole configuration, as its to_dict() gives"
                )
        if self.motion is not None and not self.motion.get("num_layers", 1):
            raise ValueError("motion needs a network with a recurrent layer: num_layers must be at least 1")
        if self.share_embeddings or self.encoder is not None:
            raise ValueError("a captioner reads images: it has no source embeddings to share, and no encoder of text")
        if self.bridge == "copy":
            raise ValueError("bridge 'copy' needs a recurrent encoder; choose 'linear' or 'zero'")
