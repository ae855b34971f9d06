"""The mean of the weights of several checkpoints, read from safetensors one tensor at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import safe_open

from rnn_hub.errors import RnnHubError
from rnn_hub.training.checkpoints import list_checkpoints, step_of


def select_checkpoints(
    folder: Path, count: int, last: bool = True, metric: str = "eval_loss", greater_is_better: bool = False
) -> list[Path]:
    """Return the last ``count`` whole checkpoints, or the ``count`` with the best value of ``metric``.

    Raises:
        RnnHubError: there is no whole checkpoint, or none was evaluated with ``metric``.
    """
    checkpoints = list_checkpoints(folder)
    if not checkpoints:
        raise RnnHubError(f"{folder} holds no whole checkpoint to average")
    if last:
        return checkpoints[-count:]
    state = json.loads((checkpoints[-1] / "trainer_state.json").read_text(encoding="utf-8"))
    values = {entry["step"]: entry[metric] for entry in state["log_history"] if metric in entry}
    scored = [path for path in checkpoints if step_of(path) in values]
    if not scored:
        raise RnnHubError(
            f"no checkpoint in {folder} was evaluated with {metric!r}: evaluate and save at the same steps"
        )
    ranked = sorted(scored, key=lambda path: values[step_of(path)], reverse=greater_is_better)
    return sorted(ranked[:count], key=step_of)


def average_weights(files: Sequence[Path]) -> dict[str, torch.Tensor]:
    """Return the mean of each tensor over safetensors files with the same keys; the sums run in float64.

    Only one tensor of all files is in memory at a time besides the result. A tensor of integers is the last
    file's.
    """
    handles = [safe_open(file, framework="pt") for file in files]
    keys = set(handles[0].keys())
    for file, handle in zip(files, handles, strict=True):
        if set(handle.keys()) != keys:
            different = sorted(keys.symmetric_difference(handle.keys()))
            raise RnnHubError(f"{file} and {files[0]} do not hold the same weights: they differ in {different[0]!r}")
    result = {}
    for key in sorted(keys):
        last = handles[-1].get_tensor(key)
        if last.is_floating_point():
            total = sum(handle.get_tensor(key).double() for handle in handles)
            last = (total / len(handles)).to(last.dtype)
        result[key] = last
    return result
