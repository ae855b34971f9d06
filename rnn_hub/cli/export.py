"""``rnn-hub export MODEL``: a model as graphs of ONNX, which ``predict`` and ``evaluate`` run with onnxruntime."""

from __future__ import annotations

import argparse
from pathlib import Path

from rnn_hub.cli.console import quiet
from rnn_hub.cli.evaluate import read_recipe
from rnn_hub.errors import RnnHubError

FORMATS = ("onnx",)


def export(options: argparse.Namespace) -> None:
    """Write the graphs of a model and whatever its pipeline needs beside them; print the folder."""
    if options.format not in FORMATS:
        raise RnnHubError(f"unknown --format {options.format!r}: choose {' or '.join(FORMATS)}")
    quiet()
    from rnn_hub.onnx.export import QUANTIZATIONS, require_packages
    from rnn_hub.onnx.export import export as write
    from rnn_hub.tasks import load_task

    require_packages("onnx", "onnxruntime", "onnxscript")
    if options.quantize not in (None, *QUANTIZATIONS):
        raise RnnHubError(f"unknown --quantize {options.quantize!r}: choose {' or '.join(QUANTIZATIONS)}")
    source = find_folder(options.model)
    name = "-".join([source.name, options.format, *([options.quantize] if options.quantize else [])])
    folder = Path(options.output or Path("runs") / name)
    if folder.resolve() == source.resolve():
        raise RnnHubError(f"--output {folder} is the model's own folder: give another one")
    task = load_task(read_recipe(str(source)).get("task", "translation"))
    model, _ = task.load_model(str(source))
    write(model.float(), source, folder, options.quantize)
    print(folder)


def find_folder(model: str) -> Path:
    """The folder of a model, fetched where it is a name on the Hub."""
    folder = Path(model)
    if folder.exists():
        return folder.resolve()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        raise RnnHubError(f"there is no model folder {model!r}, and the Hub does not give it: {error}") from error
