"""The first stages of an EfficientNet: a small file, and features of small things and of their motion."""

from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndNoAttention

from rnn_hub.models.backbone.configuration_trunk import EfficientNetTrunkConfig, trunk_config


class EfficientNetTrunk(PreTrainedModel):
    """Images (B, 3, H, W) -> the maps of the last stage (B, C, h, w), and their mean (B, C)."""

    config_class = EfficientNetTrunkConfig
    main_input_name = "pixel_values"
    input_modalities = ("image",)

    def __init__(self, config: EfficientNetTrunkConfig):
        super().__init__(config)
        from transformers import EfficientNetConfig, EfficientNetModel  # importing these registers this very module

        self.network = EfficientNetModel(EfficientNetConfig(**config.network))
        for name in ("top_conv", "top_bn", "top_activation"):
            setattr(self.network.encoder, name, nn.Identity())
        self.post_init()

    def forward(self, pixel_values: Tensor, **kwargs: Any) -> BaseModelOutputWithPoolingAndNoAttention:
        """As of every vision model of transformers."""
        return self.network(pixel_values=pixel_values, **kwargs)


def cut(model: PreTrainedModel, stages: int) -> EfficientNetTrunk:
    """The first stages of an `EfficientNetModel`, with its weights, in evaluation mode."""
    trunk = EfficientNetTrunk(trunk_config(model.config, stages)).eval()
    theirs = model.state_dict()
    trunk.network.load_state_dict({name: theirs[name] for name in trunk.network.state_dict()})
    return trunk
