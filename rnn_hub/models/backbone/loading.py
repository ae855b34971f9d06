"""An image backbone and its processor by name."""

from typing import Any

import torch
from transformers import AutoConfig, AutoImageProcessor, AutoModel, PreTrainedModel

from rnn_hub.errors import RnnHubError
from rnn_hub.models.backbone.configuration_trunk import trunk_config
from rnn_hub.models.backbone.efficientnet_lite import convert_lite0, lite0_config, lite0_processor
from rnn_hub.models.backbone.modeling_trunk import cut

LITE0 = "efficientnet-lite0"
STAGE = f"{LITE0}-stage"
"""What stands before the number of stages where only the first of them are wanted."""


def is_lite0(name: str) -> bool:
    """Whether a name means EfficientNet-Lite0 or its first stages."""
    return name == LITE0 or name.startswith(STAGE)


def load_backbone(name: str) -> tuple[PreTrainedModel, Any]:
    """A vision model of transformers, without its classes, in evaluation mode, and the processor of its images.

    Args:
        name: "efficientnet-lite0", whose ImageNet weights a package brings and no network is needed for, or, as
            "efficientnet-lite0-stage5", its first 5 of 7 stages; else a folder or a Hub name, as `AutoModel` takes it.

    Raises:
        RnnHubError: it cannot be loaded, or is no vision model.
    """
    if is_lite0(name):
        whole = convert_lite0().efficientnet
        return whole if name == LITE0 else cut(whole, _stages(name)), lite0_processor()
    try:
        model = AutoModel.from_pretrained(name, dtype=torch.float32)
        processor = AutoImageProcessor.from_pretrained(name)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise RnnHubError(f"cannot load the backbone {name!r}: {' '.join(str(error).split())}") from error
    if model.main_input_name != "pixel_values":
        raise RnnHubError(f"the backbone {name!r} reads {model.main_input_name}, not pixel_values: give a vision model")
    return model.eval(), processor


def backbone_config(name: str) -> dict[str, Any]:
    """The configuration of a backbone by name, without its weights.

    Raises:
        RnnHubError: there is none of that name.
    """
    if is_lite0(name):
        whole = lite0_config()
        return (whole if name == LITE0 else trunk_config(whole, _stages(name))).to_dict()
    try:
        return AutoConfig.from_pretrained(name).to_dict()
    except (OSError, ValueError) as error:
        raise RnnHubError(f"cannot load the backbone {name!r}: {' '.join(str(error).split())}") from error


def _stages(name: str) -> int:
    number = name.removeprefix(STAGE)
    if not number.isdecimal():
        raise RnnHubError(f"{name!r} does not say how many stages: write {STAGE}5 for the first 5")
    return int(number)
