"""A captioner: a vision backbone, and a recurrent decoder that attends to its regions."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import Seq2SeqLMOutput
from transformers.utils import ModelOutput

from rnn_hub.layers.loss import IGNORED
from rnn_hub.models.caption.configuration_caption import RnnCaptionConfig
from rnn_hub.models.caption.regions import RegionEncoder, RegionEncoderOutput
from rnn_hub.models.seq2seq.modeling_seq2seq import RnnForConditionalGeneration


class RnnForCaptioning(RnnForConditionalGeneration):
    """Writes what an image or clip shows, looking at a region for each word (Xu et al. 2015, "Show, Attend and Tell").

    The whole image starts the decoder (Vinyals et al. 2015, "Show and Tell"); without attention that is all it sees.
    `generate(pixel_values)` works as of every encoder-decoder; `generate(features=...)` starts from what the backbone
    gave before. Several captions of one image stand together: labels may have a multiple of the images' rows.

    Args:
        config: an `RnnCaptionConfig`.
        encoder: instead of the region encoder that the configuration describes.
    """

    config_class = RnnCaptionConfig
    main_input_name = "pixel_values"
    input_modalities = ("image",)
    _tied_weights_keys = {"lm_head.weight": "embeddings.weight"}
    _encoder_output_class = RegionEncoderOutput

    @staticmethod
    def _build_encoder(config: RnnCaptionConfig) -> nn.Module:
        return RegionEncoder(config)

    def _memory_size(self) -> int:
        return self.config.encoder_hidden_size

    _summary_size = _memory_size

    def forward(
        self,
        pixel_values: Tensor | None = None,
        features: Tensor | None = None,
        clip_values: Tensor | None = None,
        motion_features: Tensor | None = None,
        clip_mask: Tensor | None = None,
        encoder_outputs: ModelOutput | tuple[Tensor, ...] | None = None,
        **kwargs: Any,
    ) -> Seq2SeqLMOutput | tuple:
        """Runs backbone and decoder.

        Args:
            pixel_values, features, clip_values, motion_features, clip_mask: as for `RegionEncoder`; or encoder_outputs,
                what it returned.
            kwargs: as for `RnnForConditionalGeneration`.
        """
        if encoder_outputs is None:
            encoder_outputs = self.encoder(pixel_values, features, clip_values, motion_features, clip_mask)
        encoder_outputs = self._as_output(encoder_outputs)
        kwargs["attention_mask"] = encoder_outputs.get("mask")
        return super().forward(encoder_outputs=encoder_outputs, **kwargs)

    @torch.no_grad()
    def generate(self, inputs: Tensor | None = None, features: Tensor | None = None, **kwargs: Any) -> Any:
        """As transformers has it, from images (B, 3, H, W), or from features (B, S, C) of their regions.

        Of clips pass `clip_values` or `motion_features` too, and `clip_mask`, as to `forward`.
        """
        if features is not None:
            of_clips = {name: kwargs.pop(name, None) for name in ("clip_values", "motion_features", "clip_mask")}
            kwargs["encoder_outputs"] = self.encoder(features=features, **of_clips)
        return super().generate(inputs, **kwargs)

    def _summary(self, encoder_outputs: ModelOutput, attention_mask: Tensor | None) -> Tensor:
        return encoder_outputs.pooler_output

    def _loss(
        self,
        hidden: Tensor,
        labels: Tensor,
        items: Tensor | int | None,
        weights: Tensor | None,
        source: ModelOutput,
    ) -> Tensor:
        real = labels != IGNORED
        if items is None:
            items = real.sum().clamp(min=1)
        if self.config.unk_token_id is not None:
            labels = labels.masked_fill(labels == self.config.unk_token_id, IGNORED)
        loss = super()._loss(hidden, labels, items, weights, source)
        if self.training and self.config.attention_penalty:
            loss = loss + self.config.attention_penalty * uneven_attention(weights, real) / items
        return loss


def uneven_attention(weights: Tensor, real: Tensor) -> Tensor:
    """The sum over regions of (mean - total attention)^2, where the mean is that of words over regions.

    Xu et al. 2015, section 4.2.1, who name 1 as the mean for a caption of as many words as there are regions.

    Args:
        weights: (B, T, S), 1 in sum over S; real: (B, T), where there is a word.
    """
    total = (weights * real[..., None]).sum(dim=1)
    mean = real.sum(dim=1, keepdim=True) / weights.shape[-1]
    return (mean - total).square().sum()
