"""The graphs of models that generate: what comes before the first step, and the steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from rnn_hub.cells.scan import spread
from rnn_hub.errors import RnnHubError
from rnn_hub.layers.attention import Memory
from rnn_hub.layers.coverage import CoverageDecoder
from rnn_hub.models.caption.modeling_caption import RnnForCaptioning
from rnn_hub.models.causal_lm.modeling_causal_lm import RnnForCausalLM
from rnn_hub.models.seq2seq.modeling_seq2seq import RnnForConditionalGeneration
from rnn_hub.onnx.parts import Part, image_sides, register

SOURCES, BEAMS, POSITIONS = 2, 3, 7
"""The sample that is traced; each of the axes of these sizes is dynamic. No two may be alike, and none 1."""
SOURCE = {0: "sources", 1: "positions"}


class Encoder(nn.Module):
    """Of an encoder-decoder all before the first step: what the decoder attends to, and its first state."""

    def __init__(self, model: RnnForConditionalGeneration, names: Iterable[str]):
        super().__init__()
        self.model, self.names = model, list(names)

    def forward(self, *inputs: Tensor) -> dict[str, Tensor]:
        """M sources, such as tokens (M, S) and their mask -> values (M, S, C), keys where these are others, and the
        state's parts."""
        model, given = self.model, dict(zip(self.names, inputs, strict=True))
        mask = given.get("attention_mask")
        encoded = model.encoder(**given, return_dict=True)
        memory = model._remember(encoded, mask)
        state = model.bridge(model._summary(encoded, mask), encoded.get("state"), encoded.last_hidden_state[:, :1])
        state = named_state(model.decoder.begin(state, memory))
        if memory is None:
            return state
        keys = {} if memory.keys is memory.values else {"keys": memory.keys}
        return {"values": memory.values, **keys, **state}


class Step(nn.Module):
    """One step of a decoder, for N rows of each of M sources."""

    def __init__(self, model: RnnForConditionalGeneration, names: list[str], structure: pytree.TreeSpec):
        super().__init__()
        self.model, self.names, self.structure = model, names, structure

    def forward(self, *inputs: Tensor) -> dict[str, Tensor]:
        """tokens (M, N), the memory, and the state's parts (M, N, ...) -> logits (M, N, V), attention, next state."""
        given = dict(zip(self.names, inputs, strict=True))
        sources, rows = given["tokens"].shape
        memory = None
        if "values" in given:
            keys = given.get("keys", given["values"])
            mask = given["attention_mask"] != 0 if "attention_mask" in given else None
            memory = Memory(keys, given["values"], mask, given.get("input_ids"))
        parts = [part.flatten(0, 1) for name, part in given.items() if name.startswith("state_")]
        state = pytree.tree_unflatten(parts, self.structure)
        embedded = self.model.embeddings(given["tokens"].flatten())
        hidden, weights, state = self.model.decoder.advance(embedded, memory, state)
        outputs = {"logits": self.model._logits(hidden[:, None], weights, memory)[:, 0].float()}
        if weights is not None:
            outputs["attention"] = weights[:, 0]
        outputs |= {f"next_{name}": part for name, part in named_state(state).items()}
        return {name: part.unflatten(0, (sources, rows)) for name, part in outputs.items()}


def named_state(state: Any) -> dict[str, Tensor]:
    """The tensors of a nested state by names."""
    return {f"state_{number}": part for number, part in enumerate(pytree.tree_leaves(state))}


@register(RnnForConditionalGeneration)
def encoder_and_step(model: RnnForConditionalGeneration) -> dict[str, Part]:
    """The two graphs of an encoder-decoder over tokens."""
    tokens = {"input_ids": torch.full((SOURCES, POSITIONS), model.config.eos_token_id or 0)}
    tokens["attention_mask"] = torch.ones_like(tokens["input_ids"])
    encoder = Part(Encoder(model, tokens), tokens, dict.fromkeys(tokens, SOURCE))
    return {"encoder": encoder, "step": decoder_step(model, encoder, tokens)}


@register(RnnForCaptioning)
def captioner(model: RnnForCaptioning) -> dict[str, Part]:
    """The two graphs of a captioner of images."""
    if model.config.motion is not None:
        raise RnnHubError("captions of clips have no form in ONNX yet, those of images have")
    if model.config.backbone is None:
        raise RnnHubError("this model has no backbone: without one it cannot see an image")
    sides, axes = image_sides(model.config.backbone)
    pixels = {"pixel_values": torch.zeros(SOURCES, 3, *sides)}
    encoder = Part(Encoder(model, pixels), pixels, {"pixel_values": {0: "sources", **axes}})
    return {"encoder": encoder, "step": decoder_step(model, encoder)}


def decoder_step(
    model: RnnForConditionalGeneration, encoder: Part, tokens: Mapping[str, Tensor] = MappingProxyType({})
) -> Part:
    """The step of a decoder that attends to what this encoder gave, and to its tokens and their mask."""
    with torch.no_grad():
        encoded = encoder.network(*encoder.inputs.values())
    start = model.decoder.init_state(SOURCES, next(model.parameters()))
    covers = isinstance(model.decoder, CoverageDecoder)
    structure = pytree.tree_structure((*start, (encoded["values"],)) if covers else start)
    inputs = {"tokens": torch.zeros(SOURCES, BEAMS, dtype=torch.long)}
    axes = {"tokens": {0: "sources", 1: "rows"}}
    if "values" in encoded:
        memory = {name: encoded[name] for name in ("values", "keys") if name in encoded} | tokens
        inputs, axes = inputs | memory, axes | dict.fromkeys(memory, SOURCE)
    for name in (name for name in encoded if name.startswith("state_")):
        inputs[name] = encoded[name][:, None].repeat_interleave(BEAMS, dim=1)
        axes[name] = axes["tokens"]
    if covers:
        axes[list(inputs)[-1]] = axes["tokens"] | {2: "positions"}  # how much of each position has been attended to
    return Part(Step(model, list(inputs), structure), inputs, axes)


class Start(nn.Module):
    """Of a language model the state before the first token, which a condition may make."""

    def __init__(self, model: RnnForCausalLM, names: list[str]):
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Tokens (B, T), of which only the rows count, and the conditions -> the state's parts (B, ...).

        condition_ids are (B, labels), -1 for none; condition_vector is (B, size), NaN for none.
        """
        given = dict(zip(self.names, inputs, strict=True))
        like, ids = self.model.embeddings(given["input_ids"][:, :1]), given.get("condition_ids")
        state = self.model._start(like, None, ids, None)
        if "condition_vector" in given:
            vector = given["condition_vector"]
            told, told_state = ~vector.isnan().any(dim=1), self.model._start(like, None, ids, vector.nan_to_num())
            state = pytree.tree_map(lambda one, other: torch.where(spread(told, one), one, other), told_state, state)
        return named_state(state)


class Reader(nn.Module):
    """Any number of steps of a language model."""

    def __init__(self, model: RnnForCausalLM, structure: pytree.TreeSpec):
        super().__init__()
        self.model, self.structure = model, structure

    def forward(self, input_ids: Tensor, attention_mask: Tensor, *state: Tensor) -> dict[str, Tensor]:
        """Tokens and their mask (B, T), and the state's parts (B, ...) -> logits (B, T, V) and the next state."""
        before = pytree.tree_unflatten(list(state), self.structure)
        hidden, after = self.model._run(self.model.embeddings(input_ids), before, attention_mask)
        state = {f"next_{name}": part for name, part in named_state(after).items()}
        return {"logits": self.model.lm_head(hidden).float(), **state}


@register(RnnForCausalLM)
def start_and_step(model: RnnForCausalLM) -> dict[str, Part]:
    """The two graphs of a language model; a step reads as many tokens as there are."""
    tokens = {"input_ids": torch.zeros(SOURCES, POSITIONS, dtype=torch.long)}
    rows, given = {0: "rows"}, dict(tokens)
    if model.config.condition_sizes:
        given["condition_ids"] = torch.zeros(SOURCES, len(model.config.condition_sizes), dtype=torch.long)
    if model.config.condition_vector_size is not None:
        given["condition_vector"] = torch.zeros(SOURCES, model.config.condition_vector_size)
    axes = dict.fromkeys(given, rows) | dict.fromkeys(tokens, rows | {1: "positions"})
    start = Part(Start(model, list(given)), given, axes)
    conditions = [given.get("condition_ids"), given.get("condition_vector")]
    with torch.no_grad():
        state = model._start(model.embeddings(tokens["input_ids"]), None, *conditions)
    parts = {name: part.clone() for name, part in named_state(state).items()}  # tensors that are one would stay one
    tokens["attention_mask"] = torch.ones_like(tokens["input_ids"])
    axes = dict.fromkeys(tokens, rows | {1: "positions"}) | dict.fromkeys(parts, rows)
    return {"start": start, "step": Part(Reader(model, pytree.tree_structure(state)), tokens | parts, axes)}
