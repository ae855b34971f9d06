"""An image backbone and its processor by name."""

from typing import Any

import torch
from transformers import AutoImageProcessor, AutoModel, PreTrainedModel

from rnn_hub.errors import RnnHubError
from rnn_hub.models.backbone.efficientnet_lite import convert_lite0, lite0_processor

LITE0 = "efficientnet-lite0"


def load_backbone(name: str) -> tuple[PreTrainedModel, Any]:
    """A vision model of transformers, without its classes, in evaluation mode, and the processor of its images.

    Args:
        name: "efficientnet-lite0", whose ImageNet weights a package brings and no network is needed for; else a folder
            or a Hub name, as `AutoModel` takes it.

    Raises:
        RnnHubError: it cannot be loaded, or is no vision model.
    """
    if name == LITE0:
        return convert_lite0().efficientnet, lite0_processor()
    try:
        model = AutoModel.from_pretrained(name, dtype=torch.float32)
        processor = AutoImageProcessor.from_pretrained(name)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise RnnHubError(f"cannot load the backbone {name!r}: {' '.join(str(error).split())}") from error
    if model.main_input_name != "pixel_values":
        raise RnnHubError(f"the backbone {name!r} reads {model.main_input_name}, not pixel_values: give a vision model")
    return model.eval(), processor
