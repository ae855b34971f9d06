"""The configuration of recurrent networks over images and frames."""

from typing import Any

from huggingface_hub.dataclasses import strict

from rnn_hub.layers.pooling import POOLINGS
from rnn_hub.models.configuration_utils import RnnConfig

INPUTS = ("frames", "pixel_differences", "feature_differences", "feature_changes")
DIFFERENCES = frozenset(INPUTS[2:])
"""What is told beside the features of a frame."""
MAP_CELLS = ("conv_lstm",)
CHANNELS = [16, 32, 64]


@strict
class RnnVisionConfig(RnnConfig):
    """What an `RnnForVideoClassification` is made of, besides what `RnnConfig` tells.

    What makes a vector, or for a cell over feature maps a map, of a frame is a `backbone`, or a small network of our
    own, of `conv_channels`, or nothing where features of `input_size` come ready.

    Args:
        backbone: the configuration, as a dictionary, of a vision model of transformers.
        freeze_backbone: leave it as it is in training; its features can then be kept between epochs.
        conv_channels: channels of the layers of the small network, each a convolution of 3 x 3, a batch normalization,
            a relu and a maximum over 2 x 2 (default: 16, 32, 64).
        conv_grid: rows and columns to which its last maps are averaged before they are one vector.
        num_channels: colours of a frame, 3 or 1.
        input_size: features of a frame that come ready.
        frame_inputs: what the recurrent network is told: "frames"; "feature_differences", how the features differ from
            those of the frame before; "feature_changes", how much, up or down; "pixel_differences", the differences of
            what the small network sees.
        feature_norm: whether a batch normalization over the real frames (Ioffe & Szegedy 2015, without gain and bias)
            brings the features to one scale first.
        feature_size: features to which a linear layer brings them first; None for no such layer.
        hidden_size: units of a layer and direction, or channels of a cell over maps.
        num_layers: recurrent layers; 0 for none: frames are pooled as they are.
        pooling: of the frames: "last", "mean", "max" or "attention".
        attention_size: hidden width of the attention; attention_hops: how many places it looks at.
        feature_dropout: on the features; classifier_dropout: on what the output layer sees.
        label_smoothing: weight of the uniform distribution in the training loss.
        num_frames: how many frames of a video transformers' own pipeline asks for; None for the processor's own number.
    """

    model_type = "rnn_hub_vision"

    backbone: dict[str, Any] | None = None
    freeze_backbone: bool = True
    conv_channels: list[int] | None = None
    conv_grid: list[int] | None = None
    num_channels: int = 3
    input_size: int | None = None
    frame_inputs: list[str] | None = None
    feature_norm: bool = False
    feature_size: int | None = None
    hidden_size: int = 128
    num_layers: int = 1
    pooling: str = "attention"
    attention_size: int = 128
    attention_hops: int = 1
    feature_dropout: float | int = 0.0
    classifier_dropout: float | int = 0.0
    label_smoothing: float | int = 0.0
    num_frames: int | None = None

    @property
    def inputs(self) -> list[str]:
        """What the recurrent network is told of a frame."""
        return self.frame_inputs or ["frames"]

    @property
    def channels(self) -> list[int] | None:
        """Those of the small network, where there is one."""
        return None if self.backbone or self.input_size else self.conv_channels or CHANNELS

    @property
    def reads_features(self) -> bool:
        """Whether it is told the features themselves, beside or instead of their differences."""
        return any(name not in DIFFERENCES for name in self.inputs)

    @property
    def reads_maps(self) -> bool:
        """Whether the cell reads feature maps."""
        return self.num_layers > 0 and self.cell_type in MAP_CELLS

    def validate_numbers(self) -> None:
        """No recurrent layer is allowed here."""
        layers, self.num_layers = self.num_layers, max(self.num_layers, 1)
        super().validate_numbers()
        self.num_layers = layers

    def validate_vision(self) -> None:
        """The parts must fit together."""
        if self.pooling not in POOLINGS:
            raise ValueError(f"unknown pooling {self.pooling!r}; choose one of {', '.join(POOLINGS)}")
        if self.attention_hops < 1 or self.num_layers < 0:
            raise ValueError("attention_hops must be at least 1, and num_layers at least 0")
        for name in self.inputs:
            if name not in INPUTS:
                raise ValueError(f"unknown frame input {name!r}; choose some of {', '.join(INPUTS)}")
        ways = {"backbone": self.backbone, "conv_channels": self.conv_channels, "input_size": self.input_size}
        if len([way for way in ways.values() if way]) > 1:
            raise ValueError(f"give one of {', '.join(ways)}: it says what makes a vector of a frame")
        if self.backbone is not None and "model_type" not in self.backbone:
            raise ValueError("backbone lacks 'model_type': pass a model's whole configuration, as its to_dict() gives")
        if "pixel_differences" in self.inputs and not self.channels:
            raise ValueError("pixel_differences need a network that is trained on them: conv_channels")
        if self.reads_maps and (self.feature_size or self.feature_norm or self.conv_grid or self.input_size):
            raise ValueError(
                f"cell {self.cell_type!r} reads maps: leave feature_size, feature_norm, conv_grid and input_size out"
            )
        if self.conv_grid is not None and len(self.conv_grid) != 2:
            raise ValueError(f"conv_grid is rows and columns, got {self.conv_grid}")
        if self.num_layers == 0 and self.pooling == "last":
            raise ValueError("without a recurrent layer there is no last state: choose another pooling")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1), got {self.label_smoothing}")

    def label_names(self) -> list[str]:
        """The labels in the order of their numbers.

        Raises:
            ValueError: `id2label` does not number them 0, 1, 2, ...
        """
        if sorted(self.id2label) != list(range(len(self.id2label))):
            raise ValueError(f"id2label must number the labels 0 to {len(self.id2label) - 1}: {self.id2label}")
        return [self.id2label[number] for number in range(len(self.id2label))]
