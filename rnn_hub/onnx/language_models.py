"""Language models over sessions of onnxruntime."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers.modeling_outputs import CausalLMOutputWithPast

from rnn_hub.cache import RnnCache
from rnn_hub.layers.condition import check_ids, check_vector
from rnn_hub.layers.stack import StackState
from rnn_hub.models.causal_lm.modeling_causal_lm import RnnForCausalLM
from rnn_hub.onnx.models import OnnxModel, runs


@runs("RnnForCausalLM")
class OnnxForCausalLM(OnnxModel, RnnForCausalLM):
    """A language model over the graphs `start` and `step`; the state is flat, one tuple of all its parts."""

    graphs = ("start", "step")

    def init_state(self, batch_size: int, like: Tensor) -> StackState:
        """The state before the first step, where no condition makes it."""
        return self._start(like.new_zeros(batch_size, 1), None, None, None)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        past_key_values: RnnCache | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        condition_ids: Tensor | None = None,
        condition_vector: Tensor | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Reads tokens. Arguments as of the torch model."""
        if use_cache and past_key_values is None:
            past_key_values = RnnCache()
        before = None if past_key_values is None else past_key_values.state
        state = self._start(input_ids, before, condition_ids, condition_vector)
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        logits, state = self._read(input_ids, attention_mask[:, -input_ids.shape[1] :], state)
        if past_key_values is not None:
            past_key_values.update(state, input_ids.shape[1])
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        return CausalLMOutputWithPast(logits=logits[:, kept], past_key_values=past_key_values)

    def decode_step(self, tokens: Tensor, memory: None, state: StackState) -> tuple[Tensor, StackState]:
        """One step of our own decoding loops: tokens (R,) -> logits (R, V) and the next state."""
        logits, state = self._read(tokens[:, None], torch.ones_like(tokens)[:, None], state)
        return logits[:, 0], state

    def _start(
        self, input_ids: Tensor, state: StackState | None, ids: Tensor | None, vector: Tensor | None
    ) -> StackState:
        """The state to go on from; where the condition enters each step, it is the state's last part."""
        config, rows = self.config, len(input_ids)
        given = ids is not None or vector is not None
        if given and not config.is_conditional:
            raise ValueError("the model takes no condition: its config has neither condition_sizes nor a vector")
        if state is not None and not given:
            return state
        sizes, size = config.condition_sizes, config.condition_vector_size
        ids = torch.full((rows, len(sizes)), -1) if ids is None else ids
        check_ids(ids, sizes)
        vector = torch.full((rows, size or 0), torch.nan) if vector is None else vector
        check_vector(vector, size or 0)
        begun = self.sessions["start"](input_ids=input_ids.long(), condition_ids=ids, condition_vector=vector.float())
        begun = tuple(begun.values())
        if state is None:
            return (begun,)
        return ((*state[0][:-1], begun[-1]),) if config.conditions_enter("input") else state

    def _read(self, input_ids: Tensor, mask: Tensor, state: StackState) -> tuple[Tensor, StackState]:
        """The second graph: tokens and their mask (B, T) -> logits (B, T, V) and the next state."""
        parts = {f"state_{number}": part for number, part in enumerate(state[0])}
        outputs = self.sessions["step"](input_ids=input_ids, attention_mask=mask.long(), **parts)
        return outputs.pop("logits"), (tuple(outputs.values()),)
