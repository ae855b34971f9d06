"""Two processes do what one does with two accumulated batches: the same losses, the same weights."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from tests import tiny

ROOT = Path(__file__).resolve().parents[2]


def launch(folder, corpus, name, processes, accumulation):
    training = {
        "gradient_accumulation_steps": accumulation,
        "eval_examples": 9,
        "max_grad_norm": 0.5,
        "lr_scheduler_type": "constant",
        "learning_rate": 1e-3,
    }
    path = folder / f"{name}.yaml"
    values = tiny.recipe(corpus, folder / name, training=training)
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    command += ["-m", "rnn_hub", "train", str(path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    last = max((folder / name / "checkpoints").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    history = json.loads((last / "trainer_state.json").read_text())["log_history"]
    return history, load_file(last / "model.safetensors"), json.loads((folder / name / "results.json").read_text())


def test_two_processes_equal_one_with_two_accumulated_batches(corpus, tmp_path):
    two, two_weights, two_results = launch(tmp_path, corpus, "two", processes=2, accumulation=1)
    one, one_weights, one_results = launch(tmp_path, corpus, "one", processes=1, accumulation=2)
    assert two_results["training"]["processes"] == 2
    assert two_results["training"]["steps"] == one_results["training"]["steps"] > 10
    for key in ("loss", "grad_norm", "eval_bleu", "eval_chrf"):
        curves = [[entry[key] for entry in history if key in entry] for history in (one, two)]
        assert curves[0] == pytest.approx(curves[1], abs=2e-5), key
    assert two_results["evaluations"][0]["metrics"] == pytest.approx(one_results["evaluations"][0]["metrics"])
    for name, tensor in one_weights.items():
        torch.testing.assert_close(two_weights[name], tensor, atol=1e-5, rtol=1e-4)
