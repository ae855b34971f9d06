"""From frames to vectors or feature maps: the convolutional half."""

from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnn_hub.cells import fused
from rnn_hub.cells.scan import spread
from rnn_hub.models.vision.configuration_vision import RnnVisionConfig

#: frames that a frozen network sees at once, which bounds its memory
CHUNK = 32


def build_backbone(config: dict[str, Any]) -> nn.Module:
    """The vision model, with fresh weights, of a configuration of transformers as a dictionary."""
    from transformers import AutoBackbone, AutoConfig, AutoModel  # here, since these register this very module

    built = AutoConfig.for_model(**config)
    return (AutoBackbone if "out_features" in config else AutoModel).from_config(built)


class SmallCnn(nn.Module):
    """Convolutions of 3 x 3, each with a batch normalization, a relu and a maximum over 2 x 2.

    Args:
        num_channels: of a frame.
        channels: of each layer.
        grid: rows and columns to which the last maps are averaged and laid out as one vector; None leaves maps.
    """

    def __init__(self, num_channels: int, channels: list[int], grid: list[int] | None = None):
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip([num_channels, *channels], channels, strict=False):
            layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            layers += [nn.MaxPool2d(2, ceil_mode=True)]
        self.layers = nn.Sequential(*layers)
        self.grid = grid
        self.output_size = channels[-1] * (grid[0] * grid[1] if grid else 1)

    def forward(self, frames: Tensor) -> Tensor:
        """(N, C, H, W) -> maps (N, D, h, w), or vectors (N, D)."""
        maps = self.layers(frames)
        if self.grid is None:
            return maps
        if fused.exports_to_onnx():
            return _average(_average(maps, self.grid[0]).mT, self.grid[1]).mT.flatten(1)
        return F.adaptive_avg_pool2d(maps, self.grid).flatten(1)


def _average(x: Tensor, count: int) -> Tensor:
    """(N, C, H, W) -> (N, C, count, W), the means that `adaptive_avg_pool2d` takes, for an H that is not known."""
    size, place = x.shape[2], torch.arange(count)[:, None]
    row = torch.arange(size)
    inside = (row >= place * size // count) & (row < ((place + 1) * size + count - 1) // count)
    share = inside.to(x.dtype)
    return (share / share.sum(dim=1, keepdim=True)) @ x


class FrameEncoder(nn.Module):
    """A network that sees one frame at a time, run once over all real frames of a batch: padding costs nothing.

    Args:
        config: what network it is, as `RnnVisionConfig` says.
        backbone: a vision model to use instead of a fresh one of `config.backbone`.
        maps: whether feature maps come out; by default as the configuration's cell needs.
    """

    def __init__(self, config: RnnVisionConfig, backbone: nn.Module | None = None, maps: bool | None = None):
        super().__init__()
        self.maps = config.reads_maps if maps is None else maps
        self.frozen = bool(config.backbone) and config.freeze_backbone
        self.differences = "pixel_differences" in config.inputs
        if config.backbone:
            self.backbone = build_backbone(config.backbone) if backbone is None else backbone
            self.output_size = _size(self)
            self.backbone.requires_grad_(not self.frozen).train(not self.frozen)
        elif config.channels:
            self.beside = self.differences and "frames" in config.inputs
            grid = None if self.maps else config.conv_grid or [1, 1]
            self.cnn = SmallCnn(config.num_channels * (1 + self.beside), config.channels, grid)
            self.output_size = self.cnn.output_size
        else:
            self.output_size = config.input_size

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.parameters()).device

    def train(self, mode: bool = True) -> Self:
        """A frozen network keeps its statistics: it stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self

    def forward(self, pixel_values: Tensor, mask: Tensor | None = None) -> Tensor:
        """Looks at every real frame once.

        Args:
            pixel_values: (B, T, C, H, W).
            mask: (B, T), 1 at real frames.

        Returns:
            vectors (B, T, D) or maps (B, T, h, w, D), 0 at padding.
        """
        mask = torch.ones_like(pixel_values[:, :, 0, 0, 0]) if mask is None else mask
        mask = mask.bool()
        if self.differences:
            change = difference(pixel_values, mask)
            pixel_values = torch.cat([pixel_values, change], dim=2) if self.beside else change
        found = self.encode(pixel_values[mask])
        return found.new_zeros(*mask.shape, *found.shape[1:]).masked_scatter(spread(mask, found[:, None]), found)

    def encode(self, frames: Tensor) -> Tensor:
        """Frames (N, C, H, W) -> vectors (N, D) or maps (N, h, w, D)."""
        if not self.frozen:
            return self.see(frames)
        with torch.no_grad():
            return torch.cat([self.see(chunk) for chunk in frames.split(CHUNK)])

    def see(self, frames: Tensor) -> Tensor:
        """`encode` of all frames at once."""
        if hasattr(self, "cnn"):
            found = self.cnn(frames)
            return found.movedim(1, -1) if self.maps else found
        if not hasattr(self, "backbone"):
            raise ValueError("this model has no network for frames: give it features")
        output = self.backbone(pixel_values=frames, return_dict=True)
        maps = getattr(output, "feature_maps", None)
        found = maps[-1] if maps else output.last_hidden_state
        if self.maps:
            if found.dim() != 4:
                raise ValueError(f"a {self.backbone.config.model_type} gives no feature maps: choose another backbone")
            return found.movedim(1, -1)
        pooled = getattr(output, "pooler_output", None)
        if pooled is not None:
            return pooled.flatten(1)
        return found.mean(dim=(2, 3)) if found.dim() == 4 else found.mean(dim=1)


def difference(x: Tensor, mask: Tensor) -> Tensor:
    """How each of (B, T, ...) differs from the one before; 0 at the first real one of a row and at padding."""
    before = F.pad(x[:, :-1], (0, 0) * (x.dim() - 2) + (1, 0))
    both = mask & F.pad(mask[:, :-1], (1, 0))
    return (x - before) * spread(both, x).to(x.dtype)


@torch.no_grad()
def _size(encoder: FrameEncoder) -> int:
    """Features that come out for a frame: found out with an empty one, since configurations name them differently."""
    config, device = encoder.backbone.config, next(encoder.backbone.parameters()).device
    side = getattr(config, "image_size", None) or 64
    height, width = side if isinstance(side, list | tuple) else (side, side)
    training = encoder.backbone.training
    encoder.backbone.eval()
    empty = torch.zeros(1, getattr(config, "num_channels", 3), height, width, device=device)
    size = encoder.see(empty).shape[-1]
    encoder.backbone.train(training)
    return size
