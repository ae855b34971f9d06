"""A label for a video."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import can_return_tuple

from rnn_hub.layers.pooling import Pooling
from rnn_hub.layers.stack import RnnStack, StackState
from rnn_hub.modeling_utils import RnnPreTrainedModel, refuse_empty_rows
from rnn_hub.models.vision.configuration_vision import DIFFERENCES, RnnVisionConfig
from rnn_hub.models.vision.frame_encoder import FrameEncoder, difference


class RnnForVideoClassification(RnnPreTrainedModel):
    """Frames through a convolutional network, a recurrent stack, a pooling over the frames and a linear layer.

    Videos of a batch may have different numbers of frames, padded on the right; padding costs nothing and changes
    nothing. A cell over feature maps (ConvLSTM) reads maps, and the mean over its places is what is pooled.

    Args:
        config: an `RnnVisionConfig`.
        backbone: a pretrained vision model, instead of a fresh one of the configuration's.
    """

    config_class = RnnVisionConfig
    main_input_name = "pixel_values"

    def __init__(self, config: RnnVisionConfig, backbone: nn.Module | None = None):
        super().__init__(config)
        config.label_names()
        self.frames = FrameEncoder(config, backbone)
        size = self.frames.output_size * (config.reads_features + len(DIFFERENCES.intersection(config.inputs)))
        if config.feature_norm:
            self.norm = nn.BatchNorm1d(size, affine=False)
        self.feature_dropout = nn.Dropout(config.feature_dropout)
        if config.feature_size:
            self.projection = nn.Linear(size, config.feature_size)
            size = config.feature_size
        last = size
        if config.num_layers:
            self.stack = RnnStack(
                size,
                config.hidden_size,
                config.num_layers,
                bidirectional=config.bidirectional,
                merge=config.merge,
                **config.stack_options(),
            )
            size, last = self.stack.output_size, config.hidden_size * len(self.stack.directions)
        self.pooling = Pooling(config.pooling, size, last, config.attention_size, config.attention_hops)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(self.pooling.output_size, config.num_labels)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        features: Tensor | None = None,
        labels: Tensor | None = None,
        label_shares: Tensor | None = None,
        output_attentions: bool | None = None,
        num_items_in_batch: Tensor | int | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput:
        """Classifies a batch of videos.

        Args:
            pixel_values: (B, T, C, H, W); or features, what `self.frames` made of them: (B, T, D), or (B, T, h, w, D).
            attention_mask: (B, T), 1 at real frames.
            labels: (B,) numbers of labels; label_shares: (B, L), of which a mixed video is made, instead of them.
            output_attentions: whether to return the pooling's weights: a 1-tuple of (B, hops, T).
            num_items_in_batch: divides the summed loss instead of the number of videos (gradient accumulation).

        Raises:
            ValueError: a video without a frame, or attention asked of another pooling.
        """
        if (pixel_values is None) == (features is None):
            raise ValueError("pass either pixel_values or features")
        if output_attentions and self.config.pooling != "attention":
            raise ValueError(f"there is no attention to return: the config has pooling={self.config.pooling!r}")
        refuse_empty_rows(attention_mask)
        given = pixel_values if features is None else features
        mask = given.new_ones(given.shape[:2]) if attention_mask is None else attention_mask
        mask = mask.bool()
        x = self.frames(pixel_values, mask) if features is None else features
        states, last, _ = self.read(x, mask)
        pooled, weights = self.pooling(states, mask, last)
        logits = self.classifier(self.dropout(pooled))
        loss = None
        if labels is not None:
            smoothing = self.config.label_smoothing if self.training else 0.0
            target = labels.view(-1) if label_shares is None else label_shares
            loss = F.cross_entropy(logits.float(), target, reduction="sum", label_smoothing=smoothing)
            loss = loss / (len(labels) if num_items_in_batch is None else num_items_in_batch)
        return SequenceClassifierOutput(loss=loss, logits=logits, attentions=(weights,) if output_attentions else None)

    def read(
        self, features: Tensor, mask: Tensor, state: StackState | None = None, change: Tensor | None = None
    ) -> tuple[Tensor, Tensor, StackState | None]:
        """The recurrent half.

        Args:
            features: (B, T, D) or (B, T, h, w, D).
            mask: (B, T), true at real frames.
            state: the state before the first of these frames.
            change: how the features differ from those of the frame before, where that is known already.

        Returns:
            states (B, T, D'), the last of them (B, D'), and the state after them.
        """
        inputs = [features] if self.config.reads_features else []
        if DIFFERENCES.intersection(self.config.inputs):
            change = difference(features, mask) if change is None else change
            differences = {"feature_differences": change, "feature_changes": change.abs()}
            inputs += [part for name, part in differences.items() if name in self.config.inputs]
        x = torch.cat(inputs, dim=-1)
        if self.config.feature_norm:
            x = self._to_one_scale(x, mask)
        x = self.feature_dropout(x)
        if self.config.feature_size:
            x = self.feature_dropout(F.relu(self.projection(x)))
        if not self.config.num_layers:
            return x, x[:, -1], None
        states, state = self.stack(x, mask, state)
        width = len(self.stack.directions)
        last = torch.cat([layer[0] for layer in state[-width:]], dim=-1).to(states.dtype)
        if states.dim() == 5:
            states, last = states.mean(dim=(2, 3)), last.mean(dim=(1, 2))
        return states, last, state

    def _to_one_scale(self, x: Tensor, mask: Tensor) -> Tensor:
        """The batch normalization of the real ones of (B, T, D); in training it counts these only."""
        if self.training:
            return x.masked_scatter(mask[..., None], self.norm(x[mask]).to(x.dtype))
        return torch.where(mask[..., None], self.norm(x.flatten(0, 1)).to(x.dtype).unflatten(0, x.shape[:2]), x)
