"""Configuration of the first stages of an EfficientNet."""

from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

from rnn_hub.errors import RnnHubError

_BY_STAGE = ("kernel_sizes", "in_channels", "out_channels", "strides", "num_block_repeats", "expand_ratios")


@strict
class EfficientNetTrunkConfig(PreTrainedConfig):
    """The first stages of a network, with nothing on top of them.

    Args:
        network: the configuration of an `EfficientNetModel` as a dictionary, whose lists say of these stages only.
        image_size, num_channels: of its images.
    """

    model_type = "rnn_hub_efficientnet_trunk"

    network: dict[str, Any] | None = None
    image_size: int = 224
    num_channels: int = 3


def trunk_config(network: PreTrainedConfig, stages: int) -> EfficientNetTrunkConfig:
    """The configuration of the first stages.

    Args:
        network: an `EfficientNetConfig`.
        stages: how many of them, from 1.

    Raises:
        RnnHubError: it has fewer stages, or none is asked for.
    """
    there = len(network.out_channels)
    if not 1 <= stages <= there:
        raise RnnHubError(f"a backbone of {there} stages has no stage {stages}: give one of 1 to {there}")
    fields = {name: value for name, value in network.to_dict().items() if name not in ("id2label", "label2id")}
    fields |= {name: list(fields[name])[:stages] for name in _BY_STAGE}
    return EfficientNetTrunkConfig(network=fields, image_size=network.image_size, num_channels=network.num_channels)
