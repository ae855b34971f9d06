"""Loading what `export` wrote."""

from __future__ import annotations

from pathlib import Path

from transformers import AutoConfig, GenerationConfig, PreTrainedModel

from rnn_hub.errors import RnnHubError
from rnn_hub.onnx import generators, language_models, readers  # noqa: F401  (which registers them)
from rnn_hub.onnx.models import RUN


def load_onnx(folder: str | Path) -> PreTrainedModel:
    """The model of an exported folder, run by onnxruntime.

    Raises:
        RnnHubError: no graphs there, or a model that is none of ours.
    """
    folder = Path(folder)
    if not list(folder.glob("*.onnx")):
        raise RnnHubError(f"{str(folder)!r} holds no graph of ONNX: say rnn-hub export MODEL, and give its folder")
    config = AutoConfig.from_pretrained(folder)
    name = (config.architectures or ["no architecture"])[0]
    if name not in RUN:
        raise RnnHubError(f"{name} cannot be run by onnxruntime; these can: {', '.join(sorted(RUN))}")
    model = RUN[name](config, folder)
    if model.can_generate() and (folder / "generation_config.json").is_file():
        model.generation_config = GenerationConfig.from_pretrained(folder)
    return model.eval()
