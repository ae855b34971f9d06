"""Our encoder or any other of transformers, with what heads need to know of it."""

from contextlib import nullcontext
from dataclasses import fields
from typing import Any, Self

import torch
from torch import Tensor, nn

from rnn_hub.layers.dropout import SequenceDropout
from rnn_hub.layers.stack import RnnStack
from rnn_hub.layers.words import WordTable, mean_of_pieces
from rnn_hub.modeling_utils import refuse_empty_rows
from rnn_hub.models.encoder.configuration_encoder import RnnEncoderConfig
from rnn_hub.models.encoder.modeling_encoder import RnnEncoderModel


def build_encoder(config: dict[str, Any]) -> nn.Module:
    """The encoder, with fresh weights, of a configuration of transformers as a dictionary."""
    from transformers import AutoConfig, AutoModel  # here, since these register this very module

    model = AutoModel.from_config(AutoConfig.for_model(**config))
    return model.get_encoder() if model.config.is_encoder_decoder else model


class StatesReader(nn.Module):
    """A recurrent stack, with the dropout around it, over the states (B, T, D) of another encoder."""

    def __init__(self, config: Any, input_size: int):
        super().__init__()
        self.input_dropout = SequenceDropout(config.embedding_dropout, config.variational_dropout)
        sizes = (input_size, config.hidden_size, config.num_layers)
        options = {"bidirectional": config.bidirectional, "merge": config.merge, **config.stack_options()}
        self.stack = RnnStack(*sizes, **options)
        self.dropout = SequenceDropout(config.dropout, config.variational_dropout)

    def forward(self, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The stack's states (B, T, D') and the last layer's final ones, both directions side by side."""
        hidden, after = self.stack(self.input_dropout(states), mask)
        last = torch.cat([layer[0] for layer in after[-len(self.stack.directions) :]], dim=-1)
        return self.dropout(hidden), last.to(hidden.dtype)


class AnyEncoder(nn.Module):
    """An encoder whose outputs look the same whatever it is: ours, another one, or ours over the states of another.

    Args:
        config: an encoder's configuration, with the fields `encoder`, `stack_over_encoder`, `freeze_encoder` and
            `ignored_token_ids` that say of another one.
        encoder: a model that returns `last_hidden_state`, instead of the one that the configuration describes.
    """

    def __init__(self, config: Any, encoder: nn.Module | None = None):
        super().__init__()
        if encoder is not None:
            self.model = encoder
        elif config.encoder is not None:
            self.model = build_encoder(config.encoder)
        else:
            self.model = RnnEncoderModel(RnnEncoderConfig(**{name: getattr(config, name) for name in _own_fields()}))
        self.is_ours = isinstance(self.model, RnnEncoderModel)
        self.ignored = config.ignored_token_ids or []
        self.frozen = config.freeze_encoder
        self.output_size = self.model.stack.output_size if self.is_ours else self.model.config.hidden_size
        stack = self.model.stack if self.is_ours else None
        if not self.is_ours and config.whole_words:
            self.table = WordTable(self.model.config.vocab_size)
        if not self.is_ours and config.stack_over_encoder:
            self.reader = StatesReader(config, self.output_size)
            self.output_size, stack = self.reader.stack.output_size, self.reader.stack
        self.summary_size = stack.hidden_size * len(stack.directions) if stack else self.output_size
        if self.frozen:
            self.model.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """A frozen encoder drops nothing: it stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.model.eval()
        return self

    @property
    def words(self) -> WordTable | None:
        """The table of words, where pieces are put together."""
        if self.is_ours:
            return self.model.words if self.model.config.whole_words else None
        return getattr(self, "table", None)

    def forward(
        self, input_ids: Tensor | None, attention_mask: Tensor | None, inputs_embeds: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Encodes a batch.

        Returns:
            states (B, T, D); mask (B, T), where there are states of the text; and the final states (B, summary_size),
            of another encoder without a stack over it the state of the last real position.
        """
        given = input_ids if inputs_embeds is None else inputs_embeds
        if given is not None and given.shape[1] == 0:
            raise ValueError("the batch holds no token: leave empty texts out")
        if not self.is_ours:
            refuse_empty_rows(attention_mask)
        with torch.no_grad() if self.frozen else nullcontext():
            output = self.model(
                input_ids=input_ids, attention_mask=attention_mask, inputs_embeds=inputs_embeds, return_dict=True
            )
        states = output.last_hidden_state
        if self.is_ours:
            mask = torch.ones_like(states[..., 0]) if output.mask is None else output.mask
            return states, mask.bool(), output.pooler_output
        real = torch.ones_like(states[..., 0]) if attention_mask is None else attention_mask
        return self._read(states, input_ids, real.bool())

    def _read(self, states: Tensor, input_ids: Tensor | None, real: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What `forward` returns, from the states of another encoder."""
        places = torch.arange(states.shape[1], device=states.device) * real
        last = states.take_along_dim(places.amax(dim=1)[:, None, None], dim=1)[:, 0]
        mask = real
        if self.ignored and input_ids is not None:
            mask = mask & ~torch.isin(input_ids, torch.tensor(self.ignored, device=mask.device))
        if self.words is not None and input_ids is not None:
            inside, mask, number = self.words(input_ids, mask)
            states = mean_of_pieces(states, inside, number)
        if hasattr(self, "reader"):
            states, last = self.reader(states, mask)
        return states, mask, last


def _own_fields() -> list[str]:
    """What `RnnEncoderConfig` adds to the fields of every configuration."""
    from transformers import PreTrainedConfig

    inherited = {field.name for field in fields(PreTrainedConfig)}
    named = ("pad_token_id", "bos_token_id", "eos_token_id")
    return [field.name for field in fields(RnnEncoderConfig) if field.name not in inherited or field.name in named]
