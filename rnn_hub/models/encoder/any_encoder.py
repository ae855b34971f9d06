"""Our encoder or any other of transformers, with what heads need to know of it."""

from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from rnn_hub.layers.words import WordTable
from rnn_hub.modeling_utils import refuse_empty_rows
from rnn_hub.models.encoder.configuration_encoder import RnnEncoderConfig
from rnn_hub.models.encoder.modeling_encoder import RnnEncoderModel


def build_encoder(config: dict[str, Any]) -> nn.Module:
    """The encoder, with fresh weights, of a configuration of transformers as a dictionary."""
    from transformers import AutoConfig, AutoModel  # here, since these register this very module

    model = AutoModel.from_config(AutoConfig.for_model(**config))
    return model.get_encoder() if model.config.is_encoder_decoder else model


class AnyEncoder(nn.Module):
    """An encoder whose outputs look the same whatever it is.

    Args:
        config: an encoder's configuration, with the fields `encoder` and `ignored_token_ids` that say of another one.
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
        self.output_size = self.model.stack.output_size if self.is_ours else self.model.config.hidden_size
        self.summary_size = self.output_size
        if self.is_ours:
            self.summary_size = self.model.stack.hidden_size * len(self.model.stack.directions)

    @property
    def words(self) -> WordTable | None:
        """The table of words, where pieces are put together."""
        return self.model.words if self.is_ours and self.model.config.whole_words else None

    def forward(
        self, input_ids: Tensor | None, attention_mask: Tensor | None, inputs_embeds: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Encodes a batch.

        Returns:
            states (B, T, D); mask (B, T), where there are states of the text; and the final states (B, summary_size),
            of another encoder the state of the last real position.
        """
        given = input_ids if inputs_embeds is None else inputs_embeds
        if given is not None and given.shape[1] == 0:
            raise ValueError("the batch holds no token: leave empty texts out")
        if not self.is_ours:
            refuse_empty_rows(attention_mask)
        output = self.model(
            input_ids=input_ids, attention_mask=attention_mask, inputs_embeds=inputs_embeds, return_dict=True
        )
        states = output.last_hidden_state
        if self.is_ours:
            mask = torch.ones_like(states[..., 0]) if output.mask is None else output.mask
            return states, mask.bool(), output.pooler_output
        real = torch.ones_like(states[..., 0]) if attention_mask is None else attention_mask
        places = torch.arange(states.shape[1], device=states.device) * real.bool()
        last = states.take_along_dim(places.amax(dim=1)[:, None, None], dim=1)[:, 0]
        mask = real.bool()
        if self.ignored and input_ids is not None:
            mask = mask & ~torch.isin(input_ids, torch.tensor(self.ignored, device=mask.device))
        return states, mask, last


def _own_fields() -> list[str]:
    """What `RnnEncoderConfig` adds to the fields of every configuration."""
    from transformers import PreTrainedConfig

    inherited = {field.name for field in fields(PreTrainedConfig)}
    named = ("pad_token_id", "bos_token_id", "eos_token_id")
    return [field.name for field in fields(RnnEncoderConfig) if field.name not in inherited or field.name in named]
