"""From pixels to the regions that a decoder attends to."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.utils import ModelOutput

from rnn_hub.layers.dropout import SequenceDropout
from rnn_hub.models.caption.configuration_caption import RnnCaptionConfig
from rnn_hub.models.vision.configuration_vision import RnnVisionConfig
from rnn_hub.models.vision.modeling_vision import RnnForVideoClassification


@dataclass
class RegionEncoderOutput(ModelOutput):
    """Regions, and beside them a clip's states (B, S, D); one vector (B, D) of all; of a clip their mask (B, S)."""

    last_hidden_state: Tensor | None = None
    pooler_output: Tensor | None = None
    mask: Tensor | None = None


class RegionEncoder(nn.Module):
    """tanh(W f + b) of each feature f of a grid; their mean stands for the whole image.

    For a clip the grid is that of its middle frame, and tanh(V h + c) of the states h of a network that watches all
    frames stands beside it; the mean and the last of these are then added to one vector.

    Args:
        config: an `RnnCaptionConfig`.
    """

    main_input_name = "pixel_values"

    def __init__(self, config: RnnCaptionConfig):
        super().__init__()
        self.frozen = config.freeze_backbone
        self.backbone = self.motion = None
        if config.backbone is not None:
            from transformers import AutoConfig, AutoModel  # here, since these register this very module

            self.backbone = AutoModel.from_config(AutoConfig.for_model(**config.backbone))
        self.dropout = SequenceDropout(config.feature_dropout)
        self.project = nn.Linear(config.feature_size, config.encoder_hidden_size)
        if config.motion is not None:
            self.motion = RnnForVideoClassification(RnnVisionConfig(**config.motion))
            self.project_motion = nn.Linear(self.motion.stack.output_size, config.encoder_hidden_size)
        for network in self._pretrained():
            network.requires_grad_(not self.frozen)

    def _pretrained(self) -> list[nn.Module]:
        return [network for network in (self.backbone, self.motion) if network is not None]

    def train(self, mode: bool = True) -> "RegionEncoder":
        """As usual, but the statistics of what is frozen stay frozen too."""
        super().train(mode)
        for network in self._pretrained() if self.frozen else ():
            network.eval()
        return self

    def extract(self, pixel_values: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> features of their regions (B, S, C), row by row from the upper left."""
        if self.backbone is None:
            raise ValueError("this model has no backbone: pass features, or a configuration with a backbone")
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return extract_regions(self.backbone, pixel_values)

    def watch(self, clip_values: Tensor, clip_mask: Tensor | None = None) -> Tensor:
        """Clips (B, T, C, h, w) with their masks (B, T) -> the motion network's states (B, T, M), 0 at padding."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return watch_clips(self.motion, clip_values, clip_mask)

    def forward(
        self,
        pixel_values: Tensor | None = None,
        features: Tensor | None = None,
        clip_values: Tensor | None = None,
        motion_features: Tensor | None = None,
        clip_mask: Tensor | None = None,
        **kwargs: Any,
    ) -> RegionEncoderOutput:
        """Regions (B, S, D), with those of a clip's frames (B, S + T, D), and the vector (B, D) of the whole.

        Args:
            pixel_values: (B, 3, H, W), of a clip its middle frame; or features (B, S, C), what `extract` gave.
            clip_values: (B, T, C, h, w); or motion_features (B, T, M), what `watch` gave.
            clip_mask: (B, T), 1 at real frames.
        """
        if (pixel_values is None) == (features is None):
            raise ValueError("pass either pixel_values or features")
        if features is None:
            features = self.extract(pixel_values)
        regions = torch.tanh(self.project(self.dropout(features.to(self.project.weight.dtype))))
        if self.motion is None:
            return RegionEncoderOutput(last_hidden_state=regions, pooler_output=regions.mean(dim=1))
        if (clip_values is None) == (motion_features is None):
            raise ValueError("of a clip pass either clip_values or motion_features too")
        if motion_features is None:
            motion_features = self.watch(clip_values, clip_mask)
        states = torch.tanh(self.project_motion(motion_features.to(regions.dtype)))
        mask = states.new_ones(states.shape[:2], dtype=torch.long) if clip_mask is None else clip_mask.long()
        last = states.take_along_dim((mask.sum(dim=1) - 1).clamp(min=0)[:, None, None], dim=1)[:, 0]
        return RegionEncoderOutput(
            last_hidden_state=torch.cat([regions, states], dim=1),
            pooler_output=regions.mean(dim=1) + last,
            mask=torch.cat([mask.new_ones(regions.shape[:2]), mask], dim=1),
        )


def extract_regions(backbone: nn.Module, pixel_values: Tensor) -> Tensor:
    """Images (B, 3, H, W) -> the vision model's features of their regions (B, S, C), row by row from the upper left."""
    pixel_values = pixel_values.contiguous(memory_format=torch.channels_last)  # faster on a CPU, and the same
    maps = backbone(pixel_values=pixel_values).last_hidden_state
    return maps.flatten(2).transpose(1, 2) if maps.dim() == 4 else maps


def watch_clips(motion: nn.Module, clip_values: Tensor, clip_mask: Tensor | None = None) -> Tensor:
    """Clips (B, T, C, h, w) with their masks (B, T), 1 at real frames -> the states (B, T, M) of a video classifier."""
    mask = (clip_values.new_ones(clip_values.shape[:2]) if clip_mask is None else clip_mask).bool()
    states, _, _ = motion.read(motion.frames(clip_values, mask), mask)
    return states
