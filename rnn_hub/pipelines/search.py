"""What the pipelines share whose encoder-decoder writes a text: n-best lists, scores and attention on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from tqdm.auto import tqdm
from transformers import GenerationConfig, Pipeline

from rnn_hub.errors import RnnHubError

_GENERATION_KEYS = frozenset(key for key in GenerationConfig().to_dict() if not key.startswith("_"))


class SearchPipeline(Pipeline):
    """Writes a text for each input; a subclass checks the inputs and turns ids into its results.

    Call arguments, beyond those of ``generate()``:
        batch_size: inputs of one search.
        return_scores: add ``score``, the log-probability of the text divided by its length to the power of
            ``length_penalty``, as ``generate`` reports it for beam search.
        return_attention: add the attention weights.
        progress: show a progress bar on standard error.
    """

    _load_processor = False
    _load_image_processor = False
    _load_feature_extractor = False
    _load_tokenizer = True
    _pipeline_calls_generate = False
    activity: ClassVar[str]
    unit: ClassVar[str]

    def check_inputs(self, inputs: Any) -> list:
        """The inputs as a list; what cannot be read raises an ``RnnHubError``."""
        raise NotImplementedError

    def size(self, given: Any) -> int:
        """The size by which inputs are sorted, so that those of one batch are alike."""
        return 0

    def _sanitize_parameters(
        self, return_scores: bool | None = None, return_attention: bool | None = None, **generation: Any
    ) -> tuple[dict, dict, dict]:
        unknown = sorted(generation.keys() - _GENERATION_KEYS - {"streamer", "logits_processor", "stopping_criteria"})
        if unknown:
            raise RnnHubError(f"unknown argument {unknown[0]!r} of the {self.task or 'search'} pipeline")
        forward: dict[str, Any] = {"generation": generation} if generation else {}
        postprocess: dict[str, Any] = {}
        if return_scores is not None:
            forward["return_scores"] = postprocess["return_scores"] = return_scores
        if return_attention is not None:
            forward["return_attention"] = return_attention
        return {}, forward, postprocess

    def __call__(self, inputs: Any, progress: bool = False, **kwargs: Any) -> list:
        """An input or a list of inputs; see the class for the arguments."""
        given = self.check_inputs(inputs)
        if not given:
            return []
        batch_size = kwargs.pop("batch_size", None) or self._batch_size or 1
        if "generation" in self._forward_params:
            kwargs = {**self._forward_params["generation"], **kwargs}
        self._check_generation(kwargs)
        order = sorted(range(len(given)), key=lambda index: -self.size(given[index]))
        results: list = [None] * len(given)
        with tqdm(total=len(given), desc=self.activity, unit=self.unit, disable=not progress) as bar:
            for start in range(0, len(order), batch_size):
                chunk = order[start : start + batch_size]
                outputs = super().__call__([given[index] for index in chunk], batch_size=len(chunk), **kwargs)
                for index, output in zip(chunk, outputs, strict=True):
                    results[index] = output
                bar.update(len(chunk))
        return results

    def _forward(
        self,
        model_inputs: Mapping[str, torch.Tensor],
        return_scores: bool = False,
        return_attention: bool = False,
        generation: Mapping[str, Any] | None = None,
    ) -> dict[str, torch.Tensor]:
        inputs = {key: value for key, value in model_inputs.items() if isinstance(value, torch.Tensor)}
        batch = len(next(iter(inputs.values())))
        generation = generation or {}
        one_by_one = return_scores and self._setting(generation, "num_beams") == 1  # a beam search keeps its scores
        output = self.model.generate(**inputs, **generation, return_dict_in_generate=True, output_scores=one_by_one)
        sequences = output.sequences  # (batch * n, 1 + target)
        results = {**inputs, "sequences": sequences.view(batch, -1, sequences.shape[-1])}
        if return_scores:
            results["scores"] = self._scores(output, generation).view(batch, -1)
        if return_attention:
            attention = self._attention(inputs, sequences)
            results["attention"] = attention.view(batch, -1, *attention.shape[1:])
        return results

    def _check_generation(self, kwargs: Mapping[str, Any]) -> None:
        """Raise an error where more texts are asked for than the search can give."""
        beams, returned = (self._setting(kwargs, name) for name in ("num_beams", "num_return_sequences"))
        for name, value in (("num_beams", beams), ("num_return_sequences", returned)):
            if not isinstance(value, int) or value < 1:
                raise RnnHubError(f"{name} must be a whole number of at least 1, not {value!r}")
        sampling = kwargs.get("do_sample", self.model.generation_config.do_sample)
        if returned > beams and not (sampling and beams == 1):
            raise RnnHubError(
                f"num_return_sequences={returned} is more than num_beams={beams}: "
                "a beam search returns at most its beams"
            )

    def _setting(self, generation: Mapping[str, Any], name: str) -> int:
        """A number of the call, or else of the model's generation config."""
        value = generation.get(name)
        return value if value is not None else getattr(self.model.generation_config, name) or 1

    def _length(self, sequence: torch.Tensor) -> int:
        """Tokens of one sequence (1 + target) after the start token, the end-of-sentence included."""
        ends = (sequence[1:] == self.tokenizer.eos_token_id).nonzero()
        return int(ends[0]) + 1 if len(ends) else len(sequence) - 1

    def _scores(self, output: Any, generation: Mapping[str, Any]) -> torch.Tensor:
        """Score of each sequence (batch * n,)."""
        if getattr(output, "sequences_scores", None) is not None:
            return output.sequences_scores
        steps = self.model.compute_transition_scores(output.sequences, output.scores, normalize_logits=True)
        lengths = torch.tensor([self._length(sequence) for sequence in output.sequences], device=steps.device)
        real = torch.arange(steps.shape[1], device=steps.device) < lengths[:, None]
        penalty = generation.get("length_penalty")
        penalty = penalty if penalty is not None else self.model.generation_config.length_penalty
        total = steps.masked_fill(~real, 0.0).sum(-1)
        return total / lengths ** (1.0 if penalty is None else penalty)

    def _attention(self, inputs: Mapping[str, torch.Tensor], sequences: torch.Tensor) -> torch.Tensor:
        """Attention (batch * n, target, source) of the texts, from one teacher-forced pass."""
        output = self.model(**inputs, decoder_input_ids=sequences[:, :-1], use_cache=False, output_attentions=True)
        if not output.cross_attentions:
            raise RnnHubError("this model has no attention to return: its config has attention_type=None")
        return output.cross_attentions[-1].mean(1)


def only(records: Sequence[dict]) -> list[dict] | dict:
    """A single record by itself, several as the list."""
    return records[0] if len(records) == 1 else list(records)
