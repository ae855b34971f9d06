"""The configuration of recurrent networks over audio."""

import math

from huggingface_hub.dataclasses import strict

from rnn_hub.models.configuration_utils import RnnConfig


@strict
class SpeechEncoderConfig(RnnConfig):
    """What a `SpeechEncoder` is made of, besides what `RnnConfig` tells and its `hidden_size` and `num_layers`.

    Args:
        input_size: features of a frame.
        hop_length: samples from one frame to the next.
        conv_size: channels of the convolutions before the recurrent layers.
        conv_kernel_sizes, conv_strides: frames that each sees, and from one of its outputs to the next (default: 5 and
            2, twice). Empty lists for no convolution.
        pyramid_strides: after each of the first recurrent layers so many steps become one (Chan et al. 2016).
        feature_dropout: on what the first recurrent layer reads; `dropout` is on all other layers' inputs.
    """

    input_size: int = 40
    hop_length: int = 160
    conv_size: int = 128
    conv_kernel_sizes: list[int] | None = None
    conv_strides: list[int] | None = None
    pyramid_strides: list[int] | None = None
    feature_dropout: float | int = 0.0

    @property
    def convolutions(self) -> list[tuple[int, int]]:
        """Kernel size and stride of each convolution."""
        strides = [2, 2] if self.conv_strides is None else self.conv_strides
        kernels = [5] * len(strides) if self.conv_kernel_sizes is None else self.conv_kernel_sizes
        return list(zip(kernels, strides, strict=True))

    @property
    def subsampling(self) -> int:
        """Frames of a step of the output."""
        return math.prod([stride for _, stride in self.convolutions] + (self.pyramid_strides or []))

    @property
    def inputs_to_logits_ratio(self) -> int:
        """Samples of a step of the output, by which transformers' pipeline tells times."""
        return self.hop_length * self.subsampling

    def validate_encoder(self) -> None:
        """Windows and layers must fit together, and there must be a blank."""
        strides, kernels = self.conv_strides, self.conv_kernel_sizes
        if kernels is not None and len(kernels) != len(strides if strides is not None else [2, 2]):
            raise ValueError(f"conv_kernel_sizes {kernels} and conv_strides {strides} must be of the same length")
        for kernel, stride in self.convolutions:
            if not 1 <= stride <= kernel:
                raise ValueError(f"a convolution over {kernel} frames can move on by 1 to {kernel}, not {stride}")
        if self.pyramid_strides is not None:
            if min(self.pyramid_strides, default=1) < 1:
                raise ValueError(f"pyramid_strides must be at least 1, got {self.pyramid_strides}")
            if len(self.pyramid_strides) >= self.num_layers:
                raise ValueError(f"{len(self.pyramid_strides)} pyramid_strides need more than {self.num_layers} layers")
        if self.pad_token_id is None or not 0 <= self.pad_token_id < self.vocab_size:
            raise ValueError(
                f"pad_token_id, the blank, must be one of {self.vocab_size} tokens, got {self.pad_token_id}"
            )


@strict
class RnnSpeechConfig(SpeechEncoderConfig):
    """What an `RnnForCTC` is made of, besides what `SpeechEncoderConfig` tells.

    Args:
        hidden_size: units of a layer and direction.
        num_layers: recurrent layers.
        vocab_size: characters, the blank included, whose number is `pad_token_id`.
    """

    model_type = "rnn_hub_speech"

    hidden_size: int = 256
    num_layers: int = 3
    vocab_size: int = 32
    pad_token_id: int | None = 0
    bos_token_id: int | None = None
    eos_token_id: int | None = None
