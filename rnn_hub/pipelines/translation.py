"""TranslationPipeline: text in, translations out, with n-best lists, scores and attention on request."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from tqdm.auto import tqdm
from transformers import AutoModelForSeq2SeqLM, GenerationConfig, Pipeline
from transformers.pipelines import PIPELINE_REGISTRY

from rnn_hub.errors import RnnHubError

logger = logging.getLogger(__name__)

_GENERATION_KEYS = frozenset(key for key in GenerationConfig().to_dict() if not key.startswith("_"))


class TranslationPipeline(Pipeline):
    """Translates text with an encoder-decoder.

    ``pipe("A dog runs.")`` gives ``[{"translation_text": "Ein Hund läuft."}]``, a list of texts one
    dictionary each. With ``num_return_sequences`` above 1 every input gets a list of dictionaries, the best
    first.

    A list is sorted by length in between, so that ``batch_size`` texts of one batch are of like length; the
    results come in the order of the inputs. A text beyond the tokenizer's ``model_max_length`` is cut, with a
    warning. A text without a word gives an empty translation.

    Call arguments, beyond those of ``generate()``:
        batch_size: texts translated together.
        return_scores: add ``score``, the log-probability of the translation divided by its length to the
            power of ``length_penalty``, as ``generate`` reports it for beam search.
        return_attention: add ``source_tokens``, ``target_tokens`` and ``attention``, an array (target,
            source).
        progress: show a progress bar on standard error.
    """

    _load_processor = False
    _load_image_processor = False
    _load_feature_extractor = False
    _load_tokenizer = True
    _pipeline_calls_generate = False
    auto_model_class = AutoModelForSeq2SeqLM

    def _sanitize_parameters(
        self, return_scores: bool | None = None, return_attention: bool | None = None, **generation: Any
    ) -> tuple[dict, dict, dict]:
        unknown = sorted(generation.keys() - _GENERATION_KEYS - {"streamer", "logits_processor", "stopping_criteria"})
        if unknown:
            raise RnnHubError(f"unknown argument {unknown[0]!r} of the translation pipeline")
        forward: dict[str, Any] = {"generation": generation} if generation else {}
        postprocess: dict[str, Any] = {}
        if return_scores is not None:
            forward["return_scores"] = postprocess["return_scores"] = return_scores
        if return_attention is not None:
            forward["return_attention"] = return_attention
        return {}, forward, postprocess

    def __call__(self, inputs: str | Sequence[str], progress: bool = False, **kwargs: Any) -> list:
        """Translate a text or a list of texts; see the class for the arguments."""
        texts = [inputs] if isinstance(inputs, str) else list(inputs)
        for text in texts:
            if not isinstance(text, str):
                raise RnnHubError(
                    f"the translation pipeline takes a text or a list of texts, not {type(text).__name__}"
                )
        if not texts:
            return []
        batch_size = kwargs.pop("batch_size", None) or self._batch_size or 1
        if "generation" in self._forward_params:
            kwargs = {**self._forward_params["generation"], **kwargs}
        self._check_generation(kwargs)
        order = sorted(range(len(texts)), key=lambda index: -len(texts[index]))
        results: list = [None] * len(texts)
        with tqdm(total=len(texts), desc="translating", unit="sentence", disable=not progress) as bar:
            for start in range(0, len(order), batch_size):
                chunk = order[start : start + batch_size]
                outputs = super().__call__([texts[index] for index in chunk], batch_size=len(chunk), **kwargs)
                for index, output in zip(chunk, outputs, strict=True):
                    results[index] = output
                bar.update(len(chunk))
        return results

    def preprocess(self, text: str) -> dict[str, torch.Tensor]:
        """Text to ids of shape (1, source)."""
        limit = self.tokenizer.model_max_length
        ids = self.tokenizer(text.strip(), truncation=False, verbose=False).input_ids
        if len(ids) > limit:
            logger.warning("the text has %d subwords and is cut to the model's limit of %d", len(ids), limit)
            ids = ids[: limit - 1] + ids[-1:]
        input_ids = torch.tensor([ids])
        return {"input_ids": input_ids, "attention_mask": torch.ones_like(input_ids)}

    def _forward(
        self,
        model_inputs: Mapping[str, torch.Tensor],
        return_scores: bool = False,
        return_attention: bool = False,
        generation: Mapping[str, Any] | None = None,
    ) -> dict[str, torch.Tensor]:
        inputs = {key: model_inputs[key] for key in ("input_ids", "attention_mask")}
        batch = inputs["input_ids"].shape[0]
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

    def postprocess(self, model_outputs: Mapping[str, torch.Tensor], return_scores: bool = False) -> list | dict:
        """Ids of one input (1, n, 1 + target) to one dictionary, or to a list of n."""
        source = model_outputs["input_ids"][0][model_outputs["attention_mask"][0].bool()]
        empty = not self.tokenizer.decode(source, skip_special_tokens=True).strip()
        records = []
        for rank, sequence in enumerate(model_outputs["sequences"][0]):
            text = "" if empty else self.tokenizer.decode(sequence, skip_special_tokens=True).strip()
            record: dict[str, Any] = {"translation_text": text}
            if return_scores:
                record["score"] = model_outputs["scores"][0, rank].item()
            if "attention" in model_outputs:
                length = self._length(sequence)
                record["source_tokens"] = self.tokenizer.convert_ids_to_tokens(source.tolist())
                record["target_tokens"] = self.tokenizer.convert_ids_to_tokens(sequence[1 : 1 + length].tolist())
                record["attention"] = model_outputs["attention"][0, rank, :length, : len(source)].float().numpy()
            records.append(record)
        return records[0] if len(records) == 1 else records

    def _check_generation(self, kwargs: Mapping[str, Any]) -> None:
        """Raise an error where more translations are asked for than the search can give."""
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
        """Attention (batch * n, target, source) of the translations, from one teacher-forced pass."""
        repeats = sequences.shape[0] // inputs["input_ids"].shape[0]
        inputs = {key: value.repeat_interleave(repeats, 0) for key, value in inputs.items()}
        output = self.model(**inputs, decoder_input_ids=sequences[:, :-1], use_cache=False, output_attentions=True)
        if not output.cross_attentions:
            raise RnnHubError("this model has no attention to return: its config has attention_type=None")
        return output.cross_attentions[-1].mean(1)


# transformers 5 refuses the name "translation", so its own pipeline() knows this one by another.
PIPELINE_REGISTRY.register_pipeline(
    "rnn-translation", pipeline_class=TranslationPipeline, pt_model=AutoModelForSeq2SeqLM, type="text"
)
