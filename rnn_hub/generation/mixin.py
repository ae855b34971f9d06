"""RnnGenerationMixin: `generate()` on our own loops where the options allow it."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.utils._pytree import tree_map
from transformers import CompileConfig, GenerationConfig, GenerationMixin, LogitsProcessorList, StoppingCriteriaList
from transformers.generation import EosTokenCriteria, MaxLengthCriteria, StoppingCriteria
from transformers.generation.utils import (
    GenerateBeamDecoderOnlyOutput,
    GenerateBeamEncoderDecoderOutput,
    GenerateDecoderOnlyOutput,
    GenerateEncoderDecoderOutput,
)

from rnn_hub.cache import RnnCache
from rnn_hub.cells.fused import lay_out_weight
from rnn_hub.cells.int8 import quantize
from rnn_hub.generation.beam import BeamSearch
from rnn_hub.generation.steps import Step, choose_tokens
from rnn_hub.layers.view import with_matrices


class RnnGenerationMixin(GenerationMixin):
    """`generate()` for a model that has a `decode_step` (a `Step`) and an `RnnCache`.

    Everything before and after the loop is transformers'. So is the loop where scores, logits or attention weights of
    each step are asked for, for stopping criteria other than a length and an end, without a cache, for beams with
    logits processors, sampling or a cache to resume from, and for models spread over devices. A `compile_config`
    compiles the step of our loops.
    """

    decoding_modules: ClassVar[tuple[str, ...]]
    """The submodules whose weights a `decode_step` multiplies with, apart from those of embeddings."""

    def decode_in_int8(self, on: bool = True) -> Self:
        """From now on multiply in 8-bit integers while our loops decode on a CPU, with the weights as they are now.

        Faster where a step reads more weights than a processor's cache holds; the tokens may differ, since each
        product is off by up to a hundredth. All else, and transformers' own loops, stays as it is. Returns the model.
        """
        self.__dict__.pop("_int8_view", None)
        if on:
            self.__dict__["_int8_view"] = self._view(quantize)
        return self

    def _step(self, rows: int, steps: int, compile_config: CompileConfig | None) -> Step:
        """The fastest `decode_step` for so many rows and steps, or the compiled one where the caller asks for it.

        A compiled step belongs to the model and is kept. On a GPU its outputs are copied: the next replay of its CUDA
        graph would write over the state.
        """
        if compile_config is None:
            return self._decoder(rows, steps).decode_step
        options = compile_config.to_dict()
        if self.__dict__.get("_compiled_step", (None,))[0] != options:
            self.__dict__["_compiled_step"] = options, torch.compile(self.decode_step, **options)
        step = self.__dict__["_compiled_step"][1]
        return step if self.device.type == "cpu" else lambda *inputs: tree_map(torch.clone, step(*inputs))

    def _decoder(self, rows: int, steps: int) -> Self:
        """The model, or a view of it, whose `decode_step` is fastest for so many rows and steps."""
        if self.device.type == "cpu" and "_int8_view" in self.__dict__:
            return self.__dict__["_int8_view"]
        return self if steps < 16 else self._view(partial(lay_out_weight, rows=rows))

    def _view(self, change: Callable[[Tensor], Any]) -> Self:
        """The model with other matrices in its decoding modules; it shares all else with it, also in memory."""
        view = copy.copy(self)
        view._modules = dict(self._modules)
        for name in self.decoding_modules:
            view._modules[name] = with_matrices(self._modules[name], lambda matrix: change(matrix.detach()))
        return view

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
        steps = generation_config.max_length - input_ids.shape[1]
        tokens, state = choose_tokens(
            self._step(len(input_ids), steps, generation_config.compile_config),
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
        step = self._step(rows, search.steps, generation_config.compile_config)
        tokens, scores = search.run(step, logits, cache.memory, cache.state)
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
