"""Starts trainings in several processes, and reads what they left."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parents[1]
FORKED = ROOT / "tests" / "training" / "forked.py"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
OPTIONS = {"cwd": ROOT, "env": ENVIRONMENT, "capture_output": True, "text": True, "timeout": 280}


def write_recipe(values: dict[str, Any]) -> Path:
    """Write a recipe beside the folder of its run."""
    path = Path(values["training"]["output_dir"]).with_suffix(".yaml")
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def torchrun(processes: int, *command: str | Path) -> subprocess.CompletedProcess:
    """Start a script in so many processes."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    return subprocess.run([*launcher, *map(str, command)], **OPTIONS)


def fork(plan: Sequence[tuple[int, Sequence[dict[str, Any]]]]) -> None:
    """Train recipes in so many processes, one after the other."""
    files = [(processes, [str(write_recipe(values)) for values in recipes]) for processes, recipes in plan]
    done = subprocess.run([sys.executable, str(FORKED)], input=json.dumps(files), **OPTIONS)
    assert done.returncode == 0, done.stderr[-3000:]


@dataclass
class Run:
    """What a training left: its log, the weights of its last checkpoint, its results."""

    history: list[dict[str, Any]]
    weights: dict[str, torch.Tensor]
    results: dict[str, Any]

    def curve(self, key: str) -> list[float]:
        """The values of one figure of the log."""
        return [entry[key] for entry in self.history if key in entry]


def read_run(folder: Path) -> Run:
    """Read a run's folder."""
    last = max((folder / "checkpoints").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    history = json.loads((last / "trainer_state.json").read_text())["log_history"]
    return Run(history, load_file(last / "model.safetensors"), json.loads((folder / "results.json").read_text()))
