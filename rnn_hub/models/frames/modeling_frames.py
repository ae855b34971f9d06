"""A recurrent model of frames whose parts are independent of each other."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import initialization as init
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.utils import can_return_tuple

from rnn_hub.cache import RnnCache
from rnn_hub.layers.dropout import SequenceDropout
from rnn_hub.layers.loss import IGNORED
from rnn_hub.layers.stack import RnnStack, StackState
from rnn_hub.modeling_utils import RnnPreTrainedModel
from rnn_hub.models.frames.configuration_frames import RnnFramesConfig

RARE = -3.0
"""The log-odds of a note at the start: 4 of 88 sound."""


class RnnForFrames(RnnPreTrainedModel):
    """Each note of the next frame, given the frames before it: one logit a note (Boulanger-Lewandowski et al. 2012,
    section 3: the RNN without a conditional estimator of a frame)."""

    config_class = RnnFramesConfig

    def __init__(self, config: RnnFramesConfig):
        super().__init__(config)
        self.embedding = nn.Linear(config.frame_size, config.embedding_size)
        self.embedding_dropout = SequenceDropout(config.embedding_dropout, config.variational_dropout)
        self.stack = RnnStack(config.embedding_size, config.hidden_size, config.num_layers, **config.stack_options())
        self.output_dropout = SequenceDropout(config.dropout, config.variational_dropout)
        self.head = nn.Linear(config.hidden_size, config.frame_size)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """As everywhere, but that a frame of four notes enters with unit variance, and that notes are rare.

        With the inputs of a linear layer's usual size, training stays at the notes' mean frequencies for long.
        """
        super()._init_weights(module)
        if module is self.embedding:
            init.normal_(module.weight, std=0.5)
        if module is self.head:
            init.constant_(module.bias, RARE)

    def init_state(self, batch_size: int, like: Tensor) -> StackState:
        """The state before the first frame."""
        return self.stack.init_state(batch_size, like)

    @can_return_tuple
    def forward(
        self,
        frames: Tensor,
        attention_mask: Tensor | None = None,
        past_key_values: RnnCache | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        num_items_in_batch: Tensor | int | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Reads frames.

        Args:
            frames: (B, T, frame_size), 1 where something sounds; the first is what stands before the piece.
            attention_mask: (B, T), 1 at real frames.
            past_key_values: the state after the frames before.
            labels: (B, T, frame_size), the frame that follows each frame, -100 where ignored. Gives the loss, a mean
                over all notes of all frames.
            use_cache: whether to return the state.
            num_items_in_batch: divides the summed loss instead of the number of labels.
        """
        if use_cache and past_key_values is None:
            past_key_values = RnnCache()
        before = None if past_key_values is None else past_key_values.state
        x = self.embedding_dropout(self.embedding(frames.to(self.dtype)))
        state = self.init_state(len(frames), x) if before is None else before
        hidden, state = self.stack(x, attention_mask, state)
        if past_key_values is not None:
            past_key_values.update(state, frames.shape[1])
        logits, loss = self.head(self.output_dropout(hidden)), None
        if labels is not None:
            real = labels != IGNORED
            targets = labels[real].float()
            nats = F.binary_cross_entropy_with_logits(logits[real].float(), targets, reduction="sum")
            loss = nats / (real.sum().clamp(min=1) if num_items_in_batch is None else num_items_in_batch)
        return CausalLMOutputWithPast(loss=loss, logits=logits, past_key_values=past_key_values)
