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
        axes: for each input the names of its dynamic axes; "4*steps" is a multiple of 4.
    """

    network: nn.Module
    inputs: dict[str, Tensor]
    axes: dict[str, dict[int, str]]


REFUSED = {
    "RnnForTreeClassification": "the shape of each tree decides which nodes are one step, and a graph has one order",
    "RnnForFrames": "its steps read sets of notes and are not written as a graph yet",
    "RnnForSpeechSeq2Seq": "its encoder of frames is not written as a graph beside a decoder yet",
}
"""Models without a form in ONNX, and why."""

PARTS: dict[type, Callable[[Any], dict[str, Part]]] = {}


def parts_of(model: nn.Module) -> dict[str, Part]:
    """The graphs of a model by the names of their files.

    Raises:
        RnnHubError: a model that has no such form; the message says why.
    """
    name = type(model).__name__
    for kind in type(model).__mro__ if name not in REFUSED else ():
        if kind in PARTS:
            return PARTS[kind](model)
    reason = f" ({REFUSED[name]})" if name in REFUSED else ""
    raise RnnHubError(f"{name} has no form in ONNX{reason}; these have: {', '.join(map(_name, PARTS))}")


def image_sides(backbone: Mapping[str, Any] | None) -> tuple[tuple[int, int], dict[int, str]]:
    """Rows and columns of the images to trace, and their dynamic axes: none where the backbone names its image size.

    Args:
        backbone: the configuration of a vision model of transformers, if there is one. Many pad by their size.
    """
    side = (backbone or {}).get("image_size")
    if side is None:
        return (192, 224), {2: "height", 3: "width"}
    return ((side, side) if isinstance(side, int) else (side[0], side[1])), {}


def register(kind: type) -> Callable:
    """Decorator: the function says the parts of this class of models and those below it."""

    def add(function: Callable[[Any], dict[str, Part]]) -> Callable[[Any], dict[str, Part]]:
        PARTS[kind] = function
        return function

    return add


def _name(kind: type) -> str:
    return kind.__name__


def dynamic_shapes(part: Part) -> tuple[Mapping[int, torch.export.Dim], ...]:
    """The dynamic axes as `torch.export` wants them, in the order of the inputs."""

    def size(name: str) -> torch.export.Dim:
        factor, times, unit = name.rpartition("*")
        return int(factor) * torch.export.Dim(unit) if times else torch.export.Dim(name)

    return tuple({axis: size(name) for axis, name in part.axes[name].items()} for name in part.inputs)
