"""Two machines, which are two network namespaces of this one, train as one process does."""

import os
import shutil
import subprocess
import sys

import pytest
import torch

from rnn_hub.training.recipes import build_recipe
from rnn_hub.training.run import train
from tests import tiny
from tests.launching import OPTIONS, read_run, write_recipe

ADDRESSES = ("10.213.77.1", "10.213.77.2")
INTERFACE = "machine"


def ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True, capture_output=True, text=True)


@pytest.fixture
def machines():
    """Names of two network namespaces with a cable between them and nothing else."""
    if os.geteuid() or not shutil.which("ip"):
        pytest.skip("network namespaces need root and the command ip (iproute2)")
    names = [f"rnn-hub-{os.getpid()}-{number}" for number in (0, 1)]
    cable = [f"rh{os.getpid()}{end}" for end in "ab"]
    try:
        try:
            for name in names:
                ip(f"netns add {name}")
            ip(f"link add {cable[0]} type veth peer name {cable[1]}")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
        for name, end, address in zip(names, cable, ADDRESSES, strict=True):
            ip(f"link set {end} netns {name} name {INTERFACE}")
            ip(f"-n {name} address add {address}/24 dev {INTERFACE}")
            ip(f"-n {name} link set {INTERFACE} up")
            ip(f"-n {name} link set lo up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)
        subprocess.run(["ip", "link", "delete", cable[0]], capture_output=True)


def test_two_machines_equal_one_process(machines, corpus, tmp_path) -> None:
    options = {"lr_scheduler_type": "constant", "learning_rate": 1e-3, "num_train_epochs": 1, "eval_examples": 9}
    one, two = (
        tiny.recipe(corpus, tmp_path / name, training={**options, "gradient_accumulation_steps": batches})
        for name, batches in (("one", 2), ("two", 1))
    )
    path = write_recipe(two)
    common = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "2", "--num_processes", "2"]
    common += ["--main_process_ip", ADDRESSES[0], "--main_process_port", "29400", "--mixed_precision", "no"]
    common += ["--dynamo_backend", "no"]
    options = {**OPTIONS, "env": {**OPTIONS["env"], "GLOO_SOCKET_IFNAME": INTERFACE}}
    del options["timeout"], options["capture_output"]
    launched = []
    for rank, name in enumerate(machines):
        command = [sys.executable, *common, "--machine_rank", str(rank), "-m", "rnn_hub", "train", str(path)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        launched.append(subprocess.Popen(["ip", "netns", "exec", name, *command], **pipes, **options))
    outputs = [process.communicate(timeout=280) for process in launched]
    for process, (_, errors) in zip(launched, outputs, strict=True):
        assert process.returncode == 0, errors[-3000:]
    assert [out.strip() for out, _ in outputs] == [str(tmp_path / "two"), ""], "only the first process tells the folder"
    train(build_recipe(one))
    first, second = read_run(tmp_path / "one"), read_run(tmp_path / "two")
    assert second.results["training"]["processes"] == 2
    assert second.curve("loss") == pytest.approx(first.curve("loss"), abs=2e-5)
    for name, tensor in first.weights.items():
        torch.testing.assert_close(second.weights[name], tensor, atol=1e-5, rtol=1e-4)
