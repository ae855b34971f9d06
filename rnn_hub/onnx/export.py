"""Writes the graphs of a model, and makes small ones of them."""

from __future__ import annotations

import logging
import shutil
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from rnn_hub.errors import RnnHubError
from rnn_hub.onnx import generator_parts, reader_parts  # noqa: F401  (which registers them)
from rnn_hub.onnx.parts import Part, dynamic_shapes, parts_of

QUANTIZATIONS = ("int8",)
PACKAGES = ("onnx", "onnxruntime", "onnxscript")
LEFT_BEHIND = (".safetensors", ".safetensors.index.json", "results.json")
"""The ends of names of files that an exported folder has no use for."""


def require_packages(*names: str) -> None:
    """Raise an error that says what to install where a package is missing."""
    if missing := [name for name in names if find_spec(name) is None]:
        raise RnnHubError(f"ONNX needs {' and '.join(missing)}: pip install 'rnn-hub[onnx]'")


def export(model: PreTrainedModel, source: Path, folder: Path, quantize: str | None = None) -> list[Path]:
    """Writes the model's graphs beside its configuration, processor and recipe.

    Args:
        model: in evaluation mode, in float32 on a CPU.
        source: the model's folder, whose other files are copied.
        folder: where the result goes; made if absent.
        quantize: "int8" for matrices in 8-bit integers.

    Returns:
        the graphs' files.

    Raises:
        RnnHubError: an unknown quantization, a missing package, or a model without a form in ONNX.
    """
    if quantize not in (None, *QUANTIZATIONS):
        raise RnnHubError(f"unknown quantization {quantize!r}: choose {' or '.join(QUANTIZATIONS)}")
    require_packages(*PACKAGES)
    parts = parts_of(model)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        for name, part in parts.items():
            plain = Path(temporary) / f"{name}.onnx"
            write_graph(part, plain)
            if quantize:
                quantize_graph(plain, folder / plain.name)
            else:
                shutil.copyfile(plain, folder / plain.name)
    for file in source.iterdir():
        if file.is_file() and not file.name.startswith(".") and not file.name.endswith(LEFT_BEHIND):
            shutil.copyfile(file, folder / file.name)
    return [folder / f"{name}.onnx" for name in parts]


def write_graph(part: Part, path: Path) -> None:
    """One graph to one file, its constants computed."""
    from onnxscript import optimizer

    outputs = list(part.network(*part.inputs.values()))
    torch_logger, level = logging.getLogger("torch.onnx"), logging.getLogger("torch.onnx").level
    torch_logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                _InOrder(part.network),
                tuple(part.inputs.values()),
                dynamic_shapes=(dynamic_shapes(part),),
                input_names=list(part.inputs),
                output_names=outputs,
                dynamo=True,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise RnnHubError(f"the graph {path.stem!r} of this model cannot be written in ONNX: {reason}") from error
    finally:
        torch_logger.setLevel(level)
    for value in program.model.graph.inputs:
        if fixed := [axis for axis in part.axes[value.name] if isinstance(value.shape[axis], int)]:
            raise RnnHubError(
                f"the graph {path.stem!r} of this model is of one size only: {value.name}, axis {fixed[0]}"
            )
    optimizer.fold_constants(program.model, input_size_limit=2**40, output_size_limit=2**40)
    optimizer.optimize(program.model)
    program.save(path)


class _InOrder(nn.Module):
    """A network whose inputs have no names of their own, as `torch.export` wants their axes in their order."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> dict[str, Tensor]:
        """As the network."""
        return self.network(*inputs)


def quantize_graph(path: Path, target: Path) -> None:
    """A graph whose matrices are 8-bit integers, a scale for each column; inputs are quantized as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    root, level = logging.getLogger(), logging.getLogger().level
    root.setLevel(logging.ERROR)  # it advises to prepare the graph
    try:
        quantize_dynamic(path, target, per_channel=True, weight_type=QuantType.QInt8)
    finally:
        root.setLevel(level)
