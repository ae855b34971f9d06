"""RnnGenerationMixin: `generate()` on our own loops where the options allow it."""

from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, GenerationMixin, LogitsProcessorList, StoppingCriteriaList
from transformers.generation import EosTokenCriteria, MaxLengthCriteria, StoppingCriteria
from transformers.generation.utils import (
    GenerateBeamDecoderOnlyOutput,
    GenerateBeamEncoderDecoderOutput,
    GenerateDecoderOnlyOutput,
    GenerateEncoderDecoderOutput,
)

from rnn_hub.cache import RnnCache
from rnn_hub.generation.beam import BeamSearch
from rnn_hub.generation.steps import choose_tokens


class RnnGenerationMixin(GenerationMixin):
    """`generate()` for a model that has a `decode_step` (a `Step`) and an `RnnCache`.

    Everything before and after the loop is transformers'. So is the loop where scores, logits or attention weights of
    each step are asked for, for stopping criteria other than a length and an end, without a cache, for beams with
    logits processors, sampling or a cache to resume from, and for models spread over devices.
    """

    def _sample(
        self,
        input_ids: Tensor,
        logits_processor: LogitsProcessorList,
        stopping_criteria: StoppingCriteriaList,
        generation_config: GenerationConfig,
        synced_gpus: bool = False,
        streamer: Any = None,
        **model_kwargs: Any,
    ) -> Any:
        """Greedy search and sampling."""
        if synced_gpus or not self._asks_for_tokens(generation_config, stopping_criteria, model_kwargs):
            return super()._sample(
                input_ids, logits_processor, stopping_criteria, generation_config, synced_gpus, streamer, **model_kwargs
            )
        state_is_kept = generation_config.return_dict_in_generate or model_kwargs.get("past_key_values") is not None
        logits, cache = self._read_prompt(input_ids, model_kwargs)
        drop = not (state_is_kept or logits_processor or generation_config.do_sample)
        tokens, state = choose_tokens(
            self.decode_step,
            logits,
            cache.memory,
            cache.state,
            input_ids,
            generation_config,
            logits_processor,
            streamer,
            drop,
        )
        sequences = torch.cat([input_ids, tokens], dim=1)
        if streamer is not None:
            streamer.end()
        if state_is_kept:
            cache.update(state, tokens.shape[1] - 1)
        if not generation_config.return_dict_in_generate:
            return sequences
        kind = GenerateEncoderDecoderOutput if self.config.is_encoder_decoder else GenerateDecoderOnlyOutput
        return kind(sequences=sequences, past_key_values=cache)

    def _beam_search(
        self,
        input_ids: Tensor,
        logits_processor: LogitsProcessorList,
        stopping_criteria: StoppingCriteriaList,
        generation_config: GenerationConfig,
        synced_gpus: bool = False,
        **model_kwargs: Any,
    ) -> Any:
        """Beam search. An output object has `sequences_scores` also where no other scores are asked for."""
        unknown = generation_config.do_sample or logits_processor or model_kwargs.get("past_key_values") is not None
        if synced_gpus or unknown or not self._asks_for_tokens(generation_config, stopping_criteria, model_kwargs):
            wanted, generation_config.output_scores = generation_config.output_scores, True
            output = super()._beam_search(
                input_ids, logits_processor, stopping_criteria, generation_config, synced_gpus, **model_kwargs
            )
            if generation_config.return_dict_in_generate and not wanted:
                output.scores = None
            return output
        rows, beams = len(input_ids), generation_config.num_beams
        prompt = input_ids[::beams]  # the beams of a sentence begin alike
        for name, value in model_kwargs.items():
            if isinstance(value, Tensor) and value.dim() and len(value) == rows:
                model_kwargs[name] = value[::beams]
        logits, cache = self._read_prompt(prompt, model_kwargs)
        search = BeamSearch(generation_config, prompt.shape[1])
        tokens, scores = search.run(self.decode_step, logits, cache.memory, cache.state)
        prompts = prompt.repeat_interleave(generation_config.num_return_sequences, dim=0)
        sequences = torch.cat([prompts, tokens], dim=1)
        if not generation_config.return_dict_in_generate:
            return sequences
        kind = GenerateBeamEncoderDecoderOutput if self.config.is_encoder_decoder else GenerateBeamDecoderOnlyOutput
        return kind(sequences=sequences, sequences_scores=scores)

    def _asks_for_tokens(
        self, config: GenerationConfig, criteria: StoppingCriteriaList, model_kwargs: dict[str, Any]
    ) -> bool:
        """Whether tokens are all that is asked for, of a model in one place, and only a length or an end stops it."""
        more = config.output_scores or config.output_logits or config.output_attentions or config.output_hidden_states
        known = all(_is_configured(criterion, config) for criterion in criteria)
        spread = self.training or getattr(self, "hf_device_map", None) is not None
        return known and not more and not spread and bool(model_kwargs.get("use_cache"))

    def _read_prompt(self, prompt: Tensor, model_kwargs: dict[str, Any]) -> tuple[Tensor, RnnCache]:
        """The logits (B, V) after a prompt (B, T), and the cache that holds its state."""
        output = self(**self.prepare_inputs_for_generation(prompt, **model_kwargs), return_dict=True)
        return output.logits[:, -1].float(), output.past_key_values


def _is_configured(criterion: StoppingCriteria, config: GenerationConfig) -> bool:
    """Whether a criterion is the length or the end of the configuration, and not one of the caller's own."""
    if type(criterion) is MaxLengthCriteria:
        return criterion.max_length == config.max_length
    return type(criterion) is EosTokenCriteria and criterion.eos_token_id is config._eos_token_tensor
