"""Speech to characters: connectionist temporal classification."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_outputs import CausalLMOutput
from transformers.utils import can_return_tuple

from rnn_hub.layers.dropout import SequenceDropout
from rnn_hub.layers.loss import IGNORED, ctc_loss
from rnn_hub.layers.stack import RnnStack
from rnn_hub.layers.time_windows import JoinedSteps, TimeConvolution, TimeWindows
from rnn_hub.modeling_utils import RnnPreTrainedModel, refuse_empty_rows
from rnn_hub.models.speech.configuration_speech import RnnSpeechConfig, SpeechEncoderConfig


class SpeechEncoder(nn.Module):
    """Convolutions over time, then recurrent layers, maybe with fewer and fewer steps; `stages` one after the other."""

    def __init__(self, config: SpeechEncoderConfig):
        super().__init__()
        size, self.stages = config.input_size, nn.ModuleList()
        for kernel, stride in config.convolutions:
            self.stages.append(TimeConvolution(size, config.conv_size, kernel, stride))
            size = config.conv_size
        strides = config.pyramid_strides or []
        options = {"bidirectional": config.bidirectional, "merge": config.merge, **config.stack_options()}
        for layers, stride in [*((1, stride) for stride in strides), (config.num_layers - len(strides), 1)]:
            self.stages.append(RnnStack(size, config.hidden_size, layers, **options))
            size = self.stages[-1].output_size
            if stride > 1:
                self.stages.append(JoinedSteps(size, stride))
                size *= stride
        self.output_size = size
        self.feature_dropout = SequenceDropout(config.feature_dropout, config.variational_dropout)
        self.dropout = SequenceDropout(config.dropout, config.variational_dropout)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Frames (B, T, D) with a mask (B, T), padded on the right -> states (B, T', D') and their mask (B, T')."""
        for place, stage in enumerate(self.stages):
            if isinstance(stage, TimeWindows):
                x, mask = stage(x, mask)
            else:
                first = not any(isinstance(before, RnnStack) for before in self.stages[:place])
                x, _ = stage((self.feature_dropout if first else self.dropout)(x), mask)
        return self.dropout(x), mask


class RnnForCTC(RnnPreTrainedModel):
    """Frames to log-probabilities of characters and the blank, a step for some of them (Graves et al. 2006).

    The alignment of a text to the steps is summed over, so no times are needed in training (Amodei et al. 2016 have
    such a network). Recordings of a batch are padded on the right; padding changes nothing, and is said to be blank.
    """

    config_class = RnnSpeechConfig
    main_input_name = "input_features"
    search_options = ("num_beams", "language_model", "lm_weight", "token_bonus", "word_list")

    def __init__(self, config: RnnSpeechConfig):
        super().__init__(config)
        self.encoder = SpeechEncoder(config)
        self.lm_head = nn.Linear(self.encoder.output_size, config.vocab_size)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_features: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
        **kwargs: Any,
    ) -> CausalLMOutput:
        """Recognizes a batch.

        Args:
            input_features: (B, T, D).
            attention_mask: (B, T), 1 at real frames, which stand first.
            labels: (B, L) characters, -100 where ignored; gives the loss, a mean over the characters. A text that is
                too long for its recording counts 0.
            num_items_in_batch: divides the summed loss instead of the number of characters (gradient accumulation).

        Returns:
            logits (B, T', V), log-probabilities of the steps, T' = ceil(T / subsampling).

        Raises:
            ValueError: a recording without a frame, or padded on the left.
        """
        states, mask = self.encoder(input_features, real_frames(input_features, attention_mask))
        logits, loss = self.log_probabilities(states), None
        if labels is not None:
            loss = ctc_loss(logits, mask, labels, self.config.pad_token_id)
            items = (labels != IGNORED).sum().clamp(min=1) if num_items_in_batch is None else num_items_in_batch
            loss = loss / items
        return CausalLMOutput(loss=loss, logits=blank_padding(logits, mask, self.config.pad_token_id))

    def log_probabilities(self, states: Tensor) -> Tensor:
        """Of each character, given the encoder's states (B, T, D): (B, T, V)."""
        return F.log_softmax(self.lm_head(states).float(), dim=-1)


def real_frames(input_features: Tensor, attention_mask: Tensor | None) -> Tensor:
    """The mask (B, T) of features (B, T, D), as booleans; a `ValueError` for a recording without any, or misplaced."""
    mask = input_features.new_ones(input_features.shape[:2]) if attention_mask is None else attention_mask
    mask = mask.bool()
    refuse_empty_rows(mask)
    refuse_left_padding(mask)
    return mask


def blank_padding(log_probabilities: Tensor, mask: Tensor, blank: int) -> Tensor:
    """Log-probabilities (B, T, V) by which padding, where the mask (B, T) is 0, is certainly blank."""
    certain = F.one_hot(torch.tensor(blank, device=mask.device), log_probabilities.shape[-1])
    certain = (certain.to(log_probabilities.dtype) - 1) * -torch.finfo(torch.float16).min
    return torch.where(mask[..., None], log_probabilities, certain)


def refuse_left_padding(mask: Tensor | None) -> None:
    """A recording whose frames (a row of a (B, T) mask) do not stand first is a `ValueError`."""
    if mask is not None and not torch.compiler.is_compiling() and not mask[:, 0].all():
        raise ValueError("recordings are padded on the right, and this batch is padded on the left")
