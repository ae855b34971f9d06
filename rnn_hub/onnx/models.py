"""transformers' models over sessions of onnxruntime: whatever uses a model of ours uses these in the same way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import torch
from transformers import PreTrainedModel

from rnn_hub.errors import RnnHubError
from rnn_hub.onnx.session import Session

RUN: dict[str, type[OnnxModel]] = {}
"""For each model of ours the class that runs its graphs."""


def runs(*names: str) -> Callable[[type[OnnxModel]], type[OnnxModel]]:
    """Class decorator: this class runs the graphs of the models with these names."""

    def add(kind: type[OnnxModel]) -> type[OnnxModel]:
        RUN.update(dict.fromkeys(names, kind))
        kind.__name__ = names[0]  # by which transformers' pipelines tell whether a model is for them
        return kind

    return add


class OnnxModel(PreTrainedModel):
    """A model without weights of its own: sessions over the graphs of a folder.

    Attributes:
        graphs: the names of the graphs' files.
    """

    graphs: ClassVar[tuple[str, ...]] = ("model",)

    def __init__(self, config: Any, folder: Path):
        PreTrainedModel.__init__(self, config)
        self.sessions = {name: Session(folder / f"{name}.onnx") for name in self.graphs}

    @property
    def device(self) -> torch.device:
        """Always the CPU."""
        return torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        """What goes in and out."""
        return torch.float32

    def decode_in_int8(self, on: bool = True) -> Any:
        """Refused: a graph is quantized when it is written."""
        raise RnnHubError("a graph is quantized when it is written: say rnn-hub export MODEL --quantize int8")

    def _decoder(self, rows: int, steps: int) -> OnnxModel:
        """What our own decoding loops run: the graph is as fast as it is."""
        return self
