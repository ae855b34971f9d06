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
TRAINING = {"eval_examples": 9, "max_grad_norm": 0.5, "lr_scheduler_type": "constant", "learning_rate": 1e-3}


def launch(values, processes):
    folder = Path(values["training"]["output_dir"])
    path = folder.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    command += ["-m", "rnn_hub", "train", str(path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    last = max((folder / "checkpoints").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    history = json.loads((last / "trainer_state.json").read_text())["log_history"]
    return history, load_file(last / "model.safetensors"), json.loads((folder / "results.json").read_text())


def equal(two, one, keys):
    """The same losses, metrics and weights."""
    for key in keys:
        curves = [[entry[key] for entry in history if key in entry] for history in (one[0], two[0])]
        assert curves[0] == pytest.approx(curves[1], abs=2e-5), key
    assert two[2]["evaluations"][0]["metrics"] == pytest.approx(one[2]["evaluations"][0]["metrics"], rel=1e-5)
    for name, tensor in one[1].items():
        torch.testing.assert_close(two[1][name], tensor, atol=1e-5, rtol=1e-4)


def test_two_processes_equal_one_with_two_accumulated_batches(corpus, tmp_path):
    two, one = (
        launch(tiny.recipe(corpus, tmp_path / name, training={**TRAINING, "gradient_accumulation_steps": batches}), n)
        for name, n, batches in (("two", 2, 1), ("one", 1, 2))
    )
    assert two[2]["training"]["processes"] == 2
    assert two[2]["training"]["steps"] == one[2]["training"]["steps"] > 10
    equal(two, one, ("loss", "grad_norm", "eval_bleu", "eval_chrf"))


def test_two_processes_equal_one_with_twice_as_many_streams(corpus, tmp_path):
    options = {**TRAINING, "num_train_epochs": 2, "bptt_random": True}
    runs = []
    for name, processes, streams in (("two", 2, 2), ("one", 1, 4)):
        values = tiny.text_recipe(corpus, tmp_path / name, per_device_train_batch_size=streams, **options)
        values["model"]["weight_dropout"] = 0.0
        runs.append(launch(values, processes))
    equal(*runs, ("loss", "grad_norm", "eval_nll"))
