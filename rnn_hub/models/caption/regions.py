"""From pixels to the regions that a decoder attends to."""

from typing import Any

import torch
from torch import Tensor, nn

from rnn_hub.layers.dropout import SequenceDropout
from rnn_hub.models.caption.configuration_caption import RnnCaptionConfig
from rnn_hub.models.encoder.modeling_encoder import RnnEncoderOutput


class RegionEncoder(nn.Module):
    """tanh(W f + b) of each feature f of a grid; their mean stands for the whole image.

    Args:
        config: an `RnnCaptionConfig`.
        backbone: a vision model, instead of the one that the configuration describes.
    """

    main_input_name = "pixel_values"

    def __init__(self, config: RnnCaptionConfig, backbone: nn.Module | None = None):
        super().__init__()
        self.frozen = config.freeze_backbone
        if backbone is None and config.backbone is not None:
            from transformers import AutoConfig, AutoModel  # here, since these register this very module

            backbone = AutoModel.from_config(AutoConfig.for_model(**config.backbone))
        self.backbone = backbone
        if self.frozen and backbone is not None:
            backbone.requires_grad_(False)
        self.dropout = SequenceDropout(config.feature_dropout)
        self.project = nn.Linear(config.feature_size, config.encoder_hidden_size)

    def train(self, mode: bool = True) -> "RegionEncoder":
        """As usual, but a frozen backbone's statistics stay frozen too."""
        super().train(mode)
        if self.frozen and self.backbone is not None:
            self.backbone.eval()
        return self

    def extract(self, pixel_values: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> features of their regions (B, S, C), row by row from the upper left."""
        if self.backbone is None:
            raise ValueError("this model has no backbone: pass features, or a configuration with a backbone")
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return extract_regions(self.backbone, pixel_values)

    def forward(
        self, pixel_values: Tensor | None = None, features: Tensor | None = None, **kwargs: Any
    ) -> RnnEncoderOutput:
        """Regions (B, S, D) as `last_hidden_state` and their mean as `pooler_output`, of images or of their features.

        Args:
            pixel_values: (B, 3, H, W); or features (B, S, C), what `extract` gave.
        """
        if (pixel_values is None) == (features is None):
            raise ValueError("pass either pixel_values or features")
        if features is None:
            features = self.extract(pixel_values)
        regions = torch.tanh(self.project(self.dropout(features.to(self.project.weight.dtype))))
        return RnnEncoderOutput(last_hidden_state=regions, pooler_output=regions.mean(dim=1))


def extract_regions(backbone: nn.Module, pixel_values: Tensor) -> Tensor:
    """Images (B, 3, H, W) -> the vision model's features of their regions (B, S, C), row by row from the upper left."""
    pixel_values = pixel_values.contiguous(memory_format=torch.channels_last)  # faster on a CPU, and the same
    maps = backbone(pixel_values=pixel_values).last_hidden_state
    return maps.flatten(2).transpose(1, 2) if maps.dim() == 4 else maps
