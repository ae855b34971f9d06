"""The first stages of an EfficientNet: for features of small things and their motion, or a small file."""

from typing import Any

from torch import nn
from transformers import EfficientNetConfig, EfficientNetModel

from rnn_hub.errors import RnnHubError

_BY_STAGE = ("kernel_sizes", "in_channels", "out_channels", "strides", "num_block_repeats", "expand_ratios")


class EfficientNetTrunkConfig(EfficientNetConfig):
    """An EfficientNet whose lists say of fewer stages, and which ends where these end."""

    model_type = "rnn_hub_efficientnet_trunk"


class EfficientNetTrunk(EfficientNetModel):
    """Images (B, 3, H, W) -> the maps of the last stage (B, C, h, w), with nothing on top of them, and their mean."""

    config_class = EfficientNetTrunkConfig

    def __init__(self, config: EfficientNetTrunkConfig):
        super().__init__(config)
        for name in ("top_conv", "top_bn", "top_activation"):
            setattr(self.encoder, name, nn.Identity())


def trunk_config(config: EfficientNetConfig, stages: int) -> EfficientNetTrunkConfig:
    """The configuration of the first stages.

    Raises:
        RnnHubError: there are fewer stages, or none is asked for.
    """
    there = len(config.out_channels)
    if not 1 <= stages <= there:
        raise RnnHubError(f"a backbone of {there} stages has no stage {stages}: give one of 1 to {there}")
    fields: dict[str, Any] = config.to_dict()
    fields.pop("model_type")
    return EfficientNetTrunkConfig(**{**fields, **{name: list(fields[name])[:stages] for name in _BY_STAGE}})


def cut(model: EfficientNetModel, stages: int) -> EfficientNetTrunk:
    """The first stages of a model, with its weights, in evaluation mode."""
    trunk = EfficientNetTrunk(trunk_config(model.config, stages)).eval()
    theirs = model.state_dict()
    trunk.load_state_dict({name: theirs[name] for name in trunk.state_dict()})
    return trunk
