"""A recurrent language model, with or without a condition."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import GenerationMixin, LogitsProcessorList
from transformers.generation import UnbatchedClassifierFreeGuidanceLogitsProcessor
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.utils import can_return_tuple

from rnn_hub.cache import RnnCache
from rnn_hub.generation import RnnGenerationMixin
from rnn_hub.layers.bridge import Bridge
from rnn_hub.layers.condition import Condition
from rnn_hub.layers.dropout import SequenceDropout
from rnn_hub.layers.embedding import ScaledEmbedding
from rnn_hub.layers.loss import IGNORED, linear_cross_entropy, sampled_cross_entropy
from rnn_hub.layers.stack import RnnStack, StackState
from rnn_hub.modeling_utils import RnnPreTrainedModel
from rnn_hub.models.causal_lm.configuration_causal_lm import RnnCausalLMConfig


class RnnForCausalLM(RnnPreTrainedModel, RnnGenerationMixin):
    """Embedded tokens through recurrent layers to the next token (Mikolov et al. 2010; Merity et al. 2017).

    A condition, labels or a vector, may start the state, join each step's input, or both; it then stays in the state,
    so that a kept `RnnCache` goes on under it. `generate(guidance_scale=...)` steers away from the model without its
    condition. In training with labels no logits are returned: the loss is computed without ever holding all of them.
    """

    config_class = RnnCausalLMConfig
    decoding_modules = ("stacks", "lm_head")
    _tied_weights_keys = {"lm_head.weight": "embeddings.weight"}

    def __init__(self, config: RnnCausalLMConfig):
        super().__init__(config)
        self.embeddings = ScaledEmbedding(config.vocab_size, config.embedding_size)
        self.embedding_dropout = SequenceDropout(config.embedding_dropout, config.variational_dropout)
        if config.is_conditional:
            size = config.condition_embedding_size
            self.condition = Condition(
                config.condition_sizes, config.condition_vector_size, size, config.condition_dropout
            )
        input_size = config.embedding_size + (size if config.conditions_enter("input") else 0)
        options = config.stack_options()
        options["learned_initial_state"] &= not config.conditions_enter("state")
        self.stacks = nn.ModuleList()
        for hidden_size, num_layers in config.layer_sizes():
            self.stacks.append(RnnStack(input_size, hidden_size, num_layers, **options))
            input_size = hidden_size
        if config.conditions_enter("state"):
            self.bridge = Bridge("linear", size, self)
        self.output_dropout = SequenceDropout(config.output_dropout, config.variational_dropout)
        self.lm_head = nn.Linear(input_size, config.vocab_size)
        self.post_init()

    def get_input_embeddings(self) -> nn.Embedding:
        """The token embedding."""
        return self.embeddings

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        """Replaces the token embedding."""
        self.embeddings = value

    def init_state(self, batch_size: int, like: Tensor) -> StackState:
        """The state of all layers before the first step, where no condition makes it."""
        return tuple(state for stack in self.stacks for state in stack.init_state(batch_size, like))

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        past_key_values: RnnCache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        num_items_in_batch: Tensor | int | None = None,
        logits_to_keep: int | Tensor = 0,
        condition_ids: Tensor | None = None,
        condition_vector: Tensor | None = None,
        shift_labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Reads tokens.

        Args:
            input_ids: (B, T); or inputs_embeds (B, T, embedding_size).
            attention_mask: (B, T) or, with those of the tokens before, (B, more); 1 at real tokens. Padding, left or
                right, changes nothing.
            past_key_values: the state after the tokens before.
            labels: (B, T), the tokens themselves, -100 where ignored; shifted here. Gives the loss, a mean over all
                tokens but each row's first (regularized in training).
            use_cache: whether to return the state.
            num_items_in_batch: divides the summed loss instead of the number of predicted tokens.
            logits_to_keep: how many of the last positions get logits (0: all), or which.
            condition_ids: (B, labels), -1 for none; condition_vector: (B, condition_vector_size). With a state from
                before they change what enters each step, and without them that stays.
            shift_labels: (B, T), instead of labels: the token that follows each token, -100 where ignored.
            output_hidden_states: whether to return, as the one `hidden_states`, what the output layer reads, (B, T, D).

        Raises:
            ValueError: not exactly one kind of input, a condition that the model does not have, a foreign cache.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("pass either input_ids or inputs_embeds")
        if past_key_values is not None and not isinstance(past_key_values, RnnCache):
            raise ValueError(f"past_key_values must be an RnnCache, got a {type(past_key_values).__name__}")
        if use_cache and past_key_values is None:
            past_key_values = RnnCache()
        x = self._embed(input_ids) if inputs_embeds is None else inputs_embeds
        mask = None if attention_mask is None else attention_mask[:, attention_mask.shape[1] - x.shape[1] :]
        before = None if past_key_values is None else past_key_values.state
        state = self._start(x, before, condition_ids, condition_vector)
        raw, state = self._run(self.embedding_dropout(x), state, mask)
        if past_key_values is not None:
            past_key_values.update(state, x.shape[1])
        hidden, loss = self.output_dropout(raw), None
        if shift_labels is None and labels is not None:
            shift_labels = F.pad(labels[:, 1:], (0, 1), value=IGNORED)
            if mask is not None:
                shift_labels = shift_labels.masked_fill(mask == 0, IGNORED)
        if shift_labels is not None:
            loss = self._loss(hidden, raw, shift_labels, num_items_in_batch)
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        return CausalLMOutputWithPast(
            loss=loss,
            logits=None if loss is not None and self.training else self.lm_head(hidden[:, kept]),
            past_key_values=past_key_values,
            hidden_states=(hidden,) if output_hidden_states else None,
        )

    def _embed(self, input_ids: Tensor) -> Tensor:
        """Embedded tokens, in training without some words (Gal & Ghahramani 2016, section 4.2)."""
        embedded = self.embeddings(input_ids)
        if not self.training or not self.config.word_dropout:
            return embedded
        kept = F.dropout(embedded.new_ones(self.config.vocab_size, 1), self.config.word_dropout)
        return embedded * kept[input_ids]

    def _start(self, x: Tensor, state: StackState | None, ids: Tensor | None, vector: Tensor | None) -> StackState:
        """The state to go on from; where the condition enters each step, it is the state's last part."""
        given = ids is not None or vector is not None
        if not self.config.is_conditional:
            if given:
                raise ValueError("the model takes no condition: its config has neither condition_sizes nor a vector")
            return self.init_state(x.shape[0], x) if state is None else state
        if state is not None and not given:
            return state
        condition = self.condition(ids, vector, x)
        if state is None:
            starts = self.config.conditions_enter("state")
            state = self.bridge(condition, None, x) if starts else self.init_state(x.shape[0], x)
        return (*state[: self.config.num_layers], *[(condition,)] * self.config.conditions_enter("input"))

    def _run(self, x: Tensor, state: StackState, mask: Tensor | None = None) -> tuple[Tensor, StackState]:
        """Embedded tokens (B, T, E) through all layers: outputs (B, T, D) and the next state."""
        rest, after = state[self.config.num_layers :], ()
        for (condition,) in rest:
            x = torch.cat([x, condition[:, None].to(x.dtype).expand(-1, x.shape[1], -1)], dim=-1)
        for index, stack in enumerate(self.stacks):
            x = stack.dropout(x) if index else x
            x, part = stack(x, mask, state[len(after) : len(after) + stack.num_layers])
            after += part
        return x, after + rest

    def _loss(self, hidden: Tensor, raw: Tensor, targets: Tensor, items: Tensor | int | None) -> Tensor:
        """Cross entropy and, in training, AR and TAR (Merity et al. 2017, section 4.6), divided by the tokens."""
        head, samples = self.lm_head, self.config.softmax_samples
        if self.training and samples:
            loss = sampled_cross_entropy(hidden, head.weight, head.bias, targets, samples)
        else:
            loss = linear_cross_entropy(hidden, head.weight, head.bias, targets)
        real = targets != IGNORED
        if self.training and self.config.activation_regularization:
            loss = loss + self.config.activation_regularization * hidden[real].float().square().mean(dim=-1).sum()
        if self.training and self.config.temporal_activation_regularization:
            changes = (raw[:, 1:] - raw[:, :-1])[real[:, 1:] & real[:, :-1]]
            loss = loss + self.config.temporal_activation_regularization * changes.float().square().mean(dim=-1).sum()
        return loss / (real.sum().clamp(min=1) if items is None else items)

    def decode_step(self, tokens: Tensor, memory: None, state: StackState) -> tuple[Tensor, StackState]:
        """One step of our own decoding loops: tokens (R,) -> logits (R, V) in float32 and the next state."""
        x, rest, after = self.embeddings(tokens), state[self.config.num_layers :], ()
        for (condition,) in rest:
            x = torch.cat([x, condition.to(x.dtype)], dim=-1)
        for stack in self.stacks:
            x, part = stack.advance(x, state[len(after) : len(after) + stack.num_layers])
            after += part
        return self.lm_head(x).float(), after + rest

    def prepare_inputs_for_generation(
        self,
        input_ids: Tensor,
        next_sequence_length: int | None = None,
        past_key_values: RnnCache | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """The tokens that the state has not seen yet, and the condition."""
        if use_cache and past_key_values is None:
            past_key_values = RnnCache()
        if attention_mask is not None and bool((attention_mask[:, -1] == 0).any()):
            raise ValueError("a prompt ends in padding: pad prompts on the left (tokenizer.padding_side = 'left')")
        seen = 0 if past_key_values is None else past_key_values.get_seq_length()
        if inputs_embeds is not None and seen == 0:
            inputs = {"inputs_embeds": inputs_embeds}
        else:
            new = input_ids.shape[1] - seen if next_sequence_length is None else next_sequence_length
            inputs = {"input_ids": input_ids[:, input_ids.shape[1] - new :]}
        names = ("condition_ids", "condition_vector", "logits_to_keep")
        return inputs | {
            "attention_mask": attention_mask,
            "past_key_values": past_key_values,
            "use_cache": use_cache,
            **{name: kwargs[name] for name in names if name in kwargs},
        }

    @staticmethod
    def _expand_inputs_for_generation(expand_size: int = 1, **inputs: Any) -> tuple[Tensor | None, dict[str, Any]]:
        """Repeats everything for beams and samples, also a state to resume from."""
        cache = inputs.get("past_key_values")
        if expand_size > 1 and isinstance(cache, RnnCache) and cache.batch_size == len(inputs["input_ids"]):
            cache.batch_repeat_interleave(expand_size)
        return GenerationMixin._expand_inputs_for_generation(None, expand_size=expand_size, **inputs)

    def _sample(self, input_ids: Tensor, logits_processor: LogitsProcessorList, *args: Any, **kwargs: Any) -> Any:
        """Greedy search and sampling; what guides them has read the same prompt, unless another was given."""
        for processor in logits_processor:
            if isinstance(processor, UnbatchedClassifierFreeGuidanceLogitsProcessor):
                context = processor.unconditional_context
                if context["input_ids"] is None:
                    context |= {"input_ids": input_ids, "attention_mask": kwargs.get("attention_mask")}
        return super()._sample(input_ids, logits_processor, *args, **kwargs)

    def _beam_search(self, input_ids: Tensor, logits_processor: LogitsProcessorList, *args: Any, **kwargs: Any) -> Any:
        """Beam search, which cannot be guided: transformers does not reorder the state of what guides it."""
        if any(isinstance(part, UnbatchedClassifierFreeGuidanceLogitsProcessor) for part in logits_processor):
            raise ValueError("guidance_scale works with greedy search and sampling only: set num_beams=1")
        return super()._beam_search(input_ids, logits_processor, *args, **kwargs)
