"""Which graphs a model has: for generation an encoder and a step, else one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rnn_hub.errors import RnnHubError


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


def dynamic_shapes(part: Part) -> list[Mapping[int, torch.export.Dim]]:
    """The dynamic axes as `torch.export` wants them, in the order of the inputs."""
    return [{axis: torch.export.Dim(name) for axis, name in part.axes[name].items()} for name in part.inputs]
