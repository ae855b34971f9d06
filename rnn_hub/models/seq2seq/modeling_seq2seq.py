"""A recurrent encoder-decoder with or without attention."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqLMOutput
from transformers.utils import ModelOutput, can_return_tuple

from rnn_hub.cache import RnnCache
from rnn_hub.generation import RnnGenerationMixin
from rnn_hub.layers.attention import Memory
from rnn_hub.layers.bridge import Bridge
from rnn_hub.layers.decoder import AttentionDecoder, DecoderState
from rnn_hub.layers.dropout import SequenceDropout
from rnn_hub.layers.embedding import ScaledEmbedding
from rnn_hub.layers.loss import IGNORED, linear_cross_entropy
from rnn_hub.modeling_utils import RnnPreTrainedModel, refuse_empty_rows
from rnn_hub.models.encoder.any_encoder import build_encoder
from rnn_hub.models.encoder.modeling_encoder import RnnEncoderModel, RnnEncoderOutput
from rnn_hub.models.seq2seq.configuration_seq2seq import RnnSeq2SeqConfig


class RnnForConditionalGeneration(RnnPreTrainedModel, RnnGenerationMixin):
    """Any encoder, and a recurrent decoder that attends to it (or, with `attention_type=None`, only starts from it).

    `generate()` works unchanged. Beams of one source share its encoding: `encoder_outputs` are never repeated. In
    training with labels no logits are returned: the loss is computed without ever holding all of them.

    Args:
        config: an `RnnSeq2SeqConfig`.
        encoder: a model that returns `last_hidden_state`, instead of the one that the configuration describes.
    """

    config_class = RnnSeq2SeqConfig
    decoding_modules = ("decoder", "lm_head")
    _tied_weights_keys = {
        "lm_head.weight": "embeddings.weight",
        "encoder.embeddings.weight": "embeddings.weight",
    }

    def __init__(self, config: RnnSeq2SeqConfig, encoder: nn.Module | None = None):
        super().__init__(config)
        self.embeddings = ScaledEmbedding(config.vocab_size, config.embedding_size)
        self.encoder = self._build_encoder(config) if encoder is None else encoder
        self.embedding_dropout = SequenceDropout(config.embedding_dropout, config.variational_dropout)
        self.decoder = self._decoder_class(config)(
            config.embedding_size,
            config.decoder_hidden_size,
            config.decoder_num_layers,
            self._memory_size(),
            config.embedding_size if config.tie_word_embeddings else config.decoder_hidden_size,
            config.attention_type,
            config.attention_layer,
            config.input_feeding,
            **config.decoder_options(),
        )
        self.bridge = Bridge(config.bridge, self._summary_size(), self.decoder)
        self.lm_head = nn.Linear(self.decoder.output_size, config.vocab_size)
        self.post_init()

    @staticmethod
    def _build_encoder(config: RnnSeq2SeqConfig) -> nn.Module:
        if config.encoder is None:
            return RnnEncoderModel(config.encoder_config())
        return build_encoder(config.encoder)

    @staticmethod
    def _decoder_class(config: RnnSeq2SeqConfig) -> type[AttentionDecoder]:
        return AttentionDecoder

    def _memory_size(self) -> int:
        if isinstance(self.encoder, RnnEncoderModel):
            return self.encoder.stack.output_size
        return self.encoder.config.hidden_size

    def _summary_size(self) -> int:
        if isinstance(self.encoder, RnnEncoderModel):
            return self.encoder.stack.hidden_size * len(self.encoder.stack.directions)
        return self.encoder.config.hidden_size

    @property
    def _encoder_output_class(self) -> type[ModelOutput]:
        return RnnEncoderOutput if isinstance(self.encoder, RnnEncoderModel) else BaseModelOutput

    def _as_output(self, encoder_outputs: ModelOutput | tuple[Tensor, ...]) -> ModelOutput:
        """What the encoder returned, which may be a tuple, as an object."""
        if isinstance(encoder_outputs, ModelOutput):
            return encoder_outputs
        return self._encoder_output_class(*encoder_outputs)

    def get_expanded_tied_weights_keys(self, all_submodels: bool = False) -> dict[str, str]:
        """The weights that the configuration ties; transformers would ask `tie_word_embeddings` for all of them."""
        if all_submodels:
            return super().get_expanded_tied_weights_keys(all_submodels=True)
        tied = {"lm_head": self.config.tie_word_embeddings, "encoder": self.config.share_embeddings}
        return {name: to for name, to in self._tied_weights_keys.items() if tied[name.partition(".")[0]]}

    def get_encoder(self, *args: Any, **kwargs: Any) -> nn.Module:
        """The encoder."""
        return self.encoder

    def get_input_embeddings(self) -> nn.Embedding:
        """The target embedding, which the source shares where `share_embeddings` says so."""
        return self.embeddings

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        """Replaces the target embedding, and the source's where it is shared."""
        self.embeddings = value
        if self.config.share_embeddings:
            self.encoder.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Linear:
        """The output layer."""
        return self.lm_head

    def set_output_embeddings(self, value: nn.Linear) -> None:
        """Replaces the output layer."""
        self.lm_head = value

    def prepare_decoder_input_ids_from_labels(self, labels: Tensor) -> Tensor:
        """Labels (B, T) shifted right behind the start token; ignored positions become padding."""
        needed = ("decoder_start_token_id", "pad_token_id")
        if missing := [name for name in needed if getattr(self.config, name) is None]:
            raise ValueError(
                f"the configuration has no {' and no '.join(missing)}: labels cannot become inputs without"
            )
        start = labels.new_full((labels.shape[0], 1), self.config.decoder_start_token_id)
        inputs = torch.cat([start, labels[:, :-1]], dim=1)
        return inputs.masked_fill(inputs == IGNORED, self.config.pad_token_id)

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        encoder_outputs: ModelOutput | tuple[Tensor, ...] | None = None,
        past_key_values: RnnCache | None = None,
        inputs_embeds: Tensor | None = None,
        decoder_inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        num_items_in_batch: Tensor | int | None = None,
        **kwargs: Any,
    ) -> Seq2SeqLMOutput:
        """Runs encoder (unless its outputs are given) and decoder.

        Args:
            input_ids: source tokens (B, S); or inputs_embeds.
            attention_mask: (B, S), 1 at real source tokens.
            decoder_input_ids: target tokens (B or a multiple of B, T); made from `labels` if absent.
            decoder_attention_mask: (B, T), 1 at real target tokens; made from `labels` together with the inputs.
            encoder_outputs: what the encoder returned, as an output object or as a tuple.
            past_key_values: the state after the tokens before.
            labels: (B, T), -100 where ignored; gives the loss, a mean over real target tokens (smoothed in training).
            use_cache: whether to return the state.
            output_attentions: whether to return cross_attentions: a 1-tuple of (B, 1, T, S).
            num_items_in_batch: divides the summed loss instead of the number of real labels (gradient accumulation).
        """
        if encoder_outputs is None:
            encoder_outputs = self.encoder(
                input_ids=input_ids,
                attention_mask=attention_mask,
                inputs_embeds=inputs_embeds,
                return_dict=True,
            )
        encoder_outputs = self._as_output(encoder_outputs)
        if decoder_input_ids is None and decoder_inputs_embeds is None:
            if labels is None:
                raise ValueError("the decoder needs decoder_input_ids, decoder_inputs_embeds or labels")
            decoder_input_ids = self.prepare_decoder_input_ids_from_labels(labels)
            if self.training and self.config.scheduled_sampling:
                decoder_input_ids = self._sample_inputs(decoder_input_ids, labels, encoder_outputs, attention_mask)
            if decoder_attention_mask is None:
                decoder_attention_mask = labels != IGNORED
        embedded = self.embeddings(decoder_input_ids) if decoder_inputs_embeds is None else decoder_inputs_embeds
        if use_cache and past_key_values is None:
            past_key_values = RnnCache()
        if past_key_values is not None and not isinstance(past_key_values, RnnCache):
            raise ValueError(f"past_key_values must be an RnnCache, got a {type(past_key_values).__name__}")
        hidden, weights, state = self._decode(
            embedded, encoder_outputs, attention_mask, decoder_attention_mask, past_key_values
        )
        if past_key_values is not None:
            past_key_values.update(state, embedded.shape[1])
        return Seq2SeqLMOutput(
            loss=None if labels is None else self._loss(hidden, labels, num_items_in_batch, weights, encoder_outputs),
            logits=None if labels is not None and self.training else self._logits(hidden, weights, encoder_outputs),
            past_key_values=past_key_values,
            cross_attentions=(weights[:, None],) if output_attentions and weights is not None else None,
            encoder_last_hidden_state=encoder_outputs.last_hidden_state,
        )

    def _decode(
        self,
        embedded: Tensor,
        encoder_outputs: ModelOutput,
        attention_mask: Tensor | None,
        decoder_attention_mask: Tensor | None,
        cache: RnnCache | None,
    ) -> tuple[Tensor, Tensor | None, tuple[tuple[Tensor, ...], ...]]:
        memory = None if cache is None else cache.memory
        if memory is None:
            if not self.training:
                refuse_empty_rows(attention_mask)
            memory = self._remember(encoder_outputs, attention_mask)
            if cache is not None:
                cache.memory = memory
        state = None if cache is None else cache.state
        if state is None:
            state = self.bridge(self._summary(encoder_outputs, attention_mask), encoder_outputs.get("state"), embedded)
            state = self.decoder.begin(state, memory)
        return self.decoder(self.embedding_dropout(embedded), memory, state, decoder_attention_mask)

    def _remember(self, encoder_outputs: ModelOutput, attention_mask: Tensor | None) -> Memory | None:
        """What the decoder attends to."""
        return self.decoder.remember(encoder_outputs.last_hidden_state, attention_mask)

    def _summary(self, encoder_outputs: ModelOutput, attention_mask: Tensor | None) -> Tensor:
        """The source as one vector (B, D): our encoder's final hidden state, else the mean of the states."""
        hidden = encoder_outputs.last_hidden_state
        if isinstance(self.encoder, RnnEncoderModel):
            if encoder_outputs.get("pooler_output") is None:
                raise ValueError("encoder_outputs lack pooler_output: pass all that the encoder returned")
            return encoder_outputs.pooler_output
        if attention_mask is None:
            return hidden.mean(dim=1)
        mask = attention_mask[..., None].to(hidden.dtype)
        return (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)

    def _logits(self, hidden: Tensor, weights: Tensor | None, source: ModelOutput | Memory) -> Tensor:
        """Logits (B, T, V) of attentional vectors (B, T, D); a family may also use their weights and the source."""
        return self.lm_head(hidden)

    def _loss(
        self,
        hidden: Tensor,
        labels: Tensor,
        items: Tensor | int | None,
        weights: Tensor | None,
        source: ModelOutput,
    ) -> Tensor:
        """The loss of attentional vectors (B, T, D); a family may also use their weights (B, T, S) and the source."""
        smoothing = self.config.label_smoothing if self.training else 0.0
        loss = linear_cross_entropy(hidden, self.lm_head.weight, self.lm_head.bias, labels, smoothing)
        return loss / ((labels != IGNORED).sum().clamp(min=1) if items is None else items)

    @torch.no_grad()
    def _sample_inputs(
        self, inputs: Tensor, labels: Tensor, encoder_outputs: ModelOutput, attention_mask: Tensor | None
    ) -> Tensor:
        """Puts the model's own predictions in place of some inputs."""
        hidden, weights, _ = self._decode(
            self.embeddings(inputs), encoder_outputs, attention_mask, labels != IGNORED, None
        )
        predicted = self._logits(hidden, weights, encoder_outputs)[:, :-1].argmax(dim=-1)
        chosen = torch.rand(predicted.shape, device=inputs.device) < self.config.scheduled_sampling
        mixed = torch.where(chosen & (labels[:, :-1] != IGNORED), predicted, inputs[:, 1:])
        return torch.cat([inputs[:, :1], mixed], dim=1)

    def decode_step(self, tokens: Tensor, memory: Memory | None, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """One step of our own decoding loops: tokens (R,) -> logits (R, V) in float32 and the next state."""
        hidden, _, state = self.decoder.advance(self.embeddings(tokens), memory, state)
        return self.lm_head(hidden).float(), state

    def prepare_inputs_for_generation(
        self,
        input_ids: Tensor,
        past_key_values: RnnCache | None = None,
        attention_mask: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        encoder_outputs: ModelOutput | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """The decoder tokens that the state has not seen yet, and the source."""
        if use_cache and past_key_values is None:
            past_key_values = RnnCache()
        seen = 0 if past_key_values is None else past_key_values.get_seq_length()
        if decoder_attention_mask is not None:
            missing = input_ids.shape[1] - decoder_attention_mask.shape[1]
            decoder_attention_mask = F.pad(decoder_attention_mask, (0, missing), value=1)[:, seen:]
        return {
            "decoder_input_ids": input_ids[:, seen:],
            "decoder_attention_mask": decoder_attention_mask,
            "past_key_values": past_key_values,
            "attention_mask": attention_mask,
            "encoder_outputs": encoder_outputs,
            "use_cache": use_cache,
            "output_attentions": kwargs.get("output_attentions"),
        }

    @staticmethod
    def _expand_inputs_for_generation(
        expand_size: int = 1,
        is_encoder_decoder: bool = False,
        input_ids: Tensor | None = None,
        **model_kwargs: Any,
    ) -> tuple[Tensor | None, dict[str, Any]]:
        """Repeats the decoder's rows, and a state to resume from, for the beams; nothing of the source they share."""
        if input_ids is not None and expand_size > 1:
            input_ids = input_ids.repeat_interleave(expand_size, dim=0)
            if model_kwargs.get("decoder_attention_mask") is not None:
                mask = model_kwargs["decoder_attention_mask"].repeat_interleave(expand_size, dim=0)
                model_kwargs["decoder_attention_mask"] = mask
            cache = model_kwargs.get("past_key_values")
            if isinstance(cache, RnnCache) and cache.batch_size * expand_size == len(input_ids):
                cache.batch_repeat_interleave(expand_size)
        return input_ids, model_kwargs
