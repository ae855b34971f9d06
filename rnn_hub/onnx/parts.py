"""Which graphs a model has: for generation an encoder and a step, else one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from rnn_hub.errors import RnnHubError
from rnn_hub.layers.attention import Memory
from rnn_hub.layers.coverage import CoverageDecoder
from rnn_hub.models.seq2seq.modeling_seq2seq import RnnForConditionalGeneration

SOURCES, BEAMS, POSITIONS, SIZE = 2, 3, 7, 32
"""The sample that is traced; each of the axes of these sizes is dynamic. No two may be alike, and none 1."""


class Part(NamedTuple):
    """A graph.

    Args:
        network: takes the inputs in their order and returns a dictionary of its outputs.
        inputs: the sample by names.
        axes: for each input the names of its dynamic axes.
    """

    network: nn.Module
    inputs: dict[str, Tensor]
    axes: dict[str, dict[int, str]]


PARTS: dict[type, Callable[[Any], dict[str, Part]]] = {}


def parts_of(model: nn.Module) -> dict[str, Part]:
    """The graphs of a model by the names of their files.

    Raises:
        RnnHubError: a model that has no such form; the message says why.
    """
    for kind in type(model).__mro__:
        if kind in PARTS:
            return PARTS[kind](model)
    raise RnnHubError(f"{type(model).__name__} has no form in ONNX yet; those of {', '.join(map(_name, PARTS))} have")


def register(kind: type) -> Callable:
    """Decorator: the function says the parts of this class of models and those below it."""

    def add(function: Callable[[Any], dict[str, Part]]) -> Callable[[Any], dict[str, Part]]:
        PARTS[kind] = function
        return function

    return add


def _name(kind: type) -> str:
    return kind.__name__


class Encoder(nn.Module):
    """Of an encoder-decoder all before the first step: what the decoder attends to, and its first state."""

    def __init__(self, model: RnnForConditionalGeneration):
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """Tokens (M, S) and their mask -> values (M, S, C), keys where these are others, and the state's parts."""
        model = self.model
        encoded = model.encoder(input_ids=input_ids, attention_mask=attention_mask, return_dict=True)
        memory = model._remember(encoded, attention_mask)
        summary = model._summary(encoded, attention_mask)
        state = model.bridge(summary, encoded.get("state"), model.embeddings(input_ids[:, :1]))
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
            memory = Memory(keys, given["values"], given["attention_mask"] != 0, given.get("input_ids"))
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
    source = {0: "sources", 1: "positions"}
    encoder = Part(Encoder(model), tokens, dict.fromkeys(tokens, source))
    with torch.no_grad():
        encoded = encoder.network(**tokens)
    start = model.decoder.init_state(SOURCES, next(model.parameters()))
    covers = isinstance(model.decoder, CoverageDecoder)
    structure = pytree.tree_structure((*start, (encoded["values"],)) if covers else start)
    inputs, axes = {"tokens": tokens["input_ids"][:, :BEAMS].contiguous()}, {"tokens": {0: "sources", 1: "rows"}}
    if "values" in encoded:
        memory = {name: encoded[name] for name in ("values", "keys") if name in encoded} | tokens
        inputs, axes = inputs | memory, axes | dict.fromkeys(memory, source)
    for name in (name for name in encoded if name.startswith("state_")):
        inputs[name] = encoded[name][:, None].repeat_interleave(BEAMS, dim=1)
        axes[name] = axes["tokens"]
    if covers:
        axes[list(inputs)[-1]] = axes["tokens"] | {2: "positions"}  # how much of each position has been attended to
    return {"encoder": encoder, "step": Part(Step(model, list(inputs), structure), inputs, axes)}


def dynamic_shapes(part: Part) -> list[Mapping[int, torch.export.Dim]]:
    """The dynamic axes as `torch.export` wants them, in the order of the inputs."""
    return [{axis: torch.export.Dim(name) for axis, name in part.axes[name].items()} for name in part.inputs]
