"""The configuration of a recurrent model of frames."""

from huggingface_hub.dataclasses import strict

from rnn_hub.models.configuration_utils import RnnConfig


@strict
class RnnFramesConfig(RnnConfig):
    """What an `RnnForFrames` is made of, besides what `RnnConfig` tells.

    Args:
        frame_size: how many things may sound at a step.
        embedding_size: features of an embedded frame.
        hidden_size: units of a layer.
        num_layers: how many layers.
    """

    model_type = "rnn_hub_frames"
    keys_to_ignore_at_inference = ["past_key_values"]

    frame_size: int = 88
    embedding_size: int = 128
    hidden_size: int = 256
    num_layers: int = 1
    bidirectional: bool = False
