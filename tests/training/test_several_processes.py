"""Several processes do what one does with as many accumulated batches: the same losses, the same weights."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rnn_hub.training.checkpoints import list_checkpoints
from rnn_hub.training.recipes import build_recipe
from rnn_hub.training.run import train
from tests import tiny, tiny_labels
from tests.launching import fork, read_run, torchrun, write_recipe

BATCHES = 4
"""Of an update, over all processes."""
COMMON = {"max_grad_norm": 0.5, "lr_scheduler_type": "constant", "learning_rate": 1e-3, "logging_steps": 1}
TASKS = ("translation", "tagging", "text", "video")
FIGURES = {
    "translation": ("loss", "grad_norm", "eval_loss", "eval_bleu", "eval_chrf"),
    "tagging": ("loss", "grad_norm", "eval_loss", "eval_entity_f1"),
    "text": ("loss", "grad_norm", "eval_nll"),
    "video": ("loss", "grad_norm"),  # what is measured depends on running statistics of other batches
}
INTERRUPTED = {"save_strategy": "steps", "save_steps": 5, "max_steps": 12, "eval_strategy": "no", "ema_decay": 0.9}


@pytest.fixture(scope="module")
def corpora(corpus, tmp_path_factory):
    """A folder of data for each task; without PyAV none for videos."""
    folder = tmp_path_factory.mktemp("corpora")
    found = {"translation": corpus, "text": corpus, "tagging": tiny_labels.write_corpus(folder / "visit", "visit")}
    try:
        from tests import tiny_videos

        return {**found, "video": tiny_videos.write_corpus(folder / "video")}
    except ImportError:
        return found


def recipe(task, corpora, folder, processes):
    """A recipe without chance, whose updates are of four batches whatever the number of processes."""
    shares = BATCHES // processes
    training = {**COMMON, "gradient_accumulation_steps": shares}
    if task == "translation":
        few = {"eval_examples": 9, "max_steps": 8, "tokens_per_batch": 100}
        return tiny.recipe(corpora[task], folder, training={**training, **few})
    if task == "text":
        streams = {"per_device_train_batch_size": shares, "max_steps": 8, "bptt_random": True}
        values = tiny.text_recipe(corpora[task], folder, **COMMON, **streams)
        values["model"]["weight_dropout"] = 0.0
        return values
    if task == "tagging":
        training |= {"max_steps": 8, "per_device_train_batch_size": 7}
        sections = {"tokenizer": {"dropout": 0.0}, "model": {"dropout": 0.0, "word_dropout": 0.0}}
        return tiny_labels.recipe("visit", corpora[task], folder, **sections, training=training)
    from tests import tiny_videos

    training |= {"num_train_epochs": 2, "per_device_train_batch_size": 2, "load_best_model_at_end": False}
    return tiny_videos.recipe(corpora[task], folder, tokenizer={"contrast": 0.0}, training=training)


def interrupted_recipe(corpus, folder, **training):
    """A recipe with dropout, that of a run which is compared with an interrupted one."""
    return tiny.recipe(corpus, folder, model={"dropout": 0.2}, training={**INTERRUPTED, **training})


@pytest.fixture(scope="module")
def killed(corpora, tmp_path_factory):
    """How a run ended of which one of two processes was killed, and its folder."""
    folder = tmp_path_factory.mktemp("killed") / "run"
    path = write_recipe(interrupted_recipe(corpora["translation"], folder))
    done = torchrun(2, Path(__file__).with_name("launched.py"), "1:8", path)
    return done, folder, [path.name for path in list_checkpoints(folder / "checkpoints")]


@pytest.fixture(scope="module")
def runs(corpora, killed, tmp_path_factory):
    """The folder of the runs: `<task>-<processes>`, `few` and `whole`; the one that was killed is then continued."""
    folder = tmp_path_factory.mktemp("runs")
    plan = {n: [recipe(task, corpora, folder / f"{task}-{n}", n) for task in corpora] for n in (1, 2, 4)}
    plan[2].append(interrupted_recipe(corpora["translation"], folder / "whole"))
    plan[2].append(interrupted_recipe(corpora["translation"], killed[1], resume=True))
    begun = recipe("translation", corpora, folder / "moved", 1)
    begun["training"] |= {"max_steps": 4, "save_strategy": "steps", "save_steps": 4}
    train(build_recipe(begun))  # by one process, and continued by two
    (folder / "moved" / "results.json").unlink()
    moved = recipe("translation", corpora, folder / "moved", 2)
    moved["training"] |= {"resume": True}
    plan[2].append(moved)
    mixed = [recipe("translation", corpora, folder / f"bf16-{n}", n) for n in (1, 2)]
    for n, values in zip((1, 2), mixed, strict=True):
        values["training"] |= {"bf16": True, "ema_decay": 0.5}
        plan[n].append(values)
    few = {"train": "train[:3]", "validation": "validation[:3]"}
    values = tiny_labels.recipe("visit", corpora["tagging"], folder / "few", dataset=few)
    values["training"] |= {"num_train_epochs": 2, "per_device_train_batch_size": 1}
    plan[4].append(values)
    stream = {"streaming": True, "stream_pool": 20}
    limits = {"max_steps": 20, "tokens_per_batch": 60, "gradient_accumulation_steps": 2}
    shards = tiny.write_shards(folder / "shards")
    plan[2].append(tiny.recipe(shards, folder / "stream", dataset=stream, training=limits))
    tagger = build_recipe(recipe("tagging", corpora, folder, 1))
    rows = tagger.task.load(tagger.dataset, "train")
    processor = tagger.task.build_processor(rows, tagger.dataset, tagger.tokenizer)
    for n in plan:  # pieces of equal frequency come in another order each time
        processor.save_pretrained(folder / f"tagging-{n}")
    fork(list(plan.items()))
    return folder


@pytest.mark.parametrize("processes", [2, 4])
@pytest.mark.parametrize("task", TASKS)
def test_several_processes_equal_one(task, processes, runs, corpora) -> None:
    if task not in corpora:
        pytest.skip("needs PyAV")
    one, several = (read_run(runs / f"{task}-{count}") for count in (1, processes))
    assert several.results["training"]["processes"] == processes
    assert several.results["training"]["steps"] == one.results["training"]["steps"] >= 6
    for key in FIGURES[task]:
        assert len(one.curve(key)) > 0
        assert several.curve(key) == pytest.approx(one.curve(key), abs=2e-5), key
    for name, tensor in one.weights.items():
        if "running" not in name and "batches_tracked" not in name:
            torch.testing.assert_close(several.weights[name], tensor, atol=1e-5, rtol=1e-4, msg=name)
    if task != "video":
        metrics = [run.results["evaluations"][0]["metrics"] for run in (one, several)]
        assert metrics[1] == pytest.approx(metrics[0], rel=1e-5)


def test_two_processes_continue_what_one_has_begun(runs) -> None:
    moved, one = read_run(runs / "moved"), read_run(runs / "translation-1")
    assert moved.results["training"]["processes"] == 2
    assert moved.curve("loss") == pytest.approx(one.curve("loss"), abs=2e-5)
    for name, tensor in one.weights.items():
        torch.testing.assert_close(moved.weights[name], tensor, atol=1e-5, rtol=1e-4, msg=name)
    written = json.loads((runs / "moved" / "checkpoints" / "checkpoint-8" / "updates.json").read_text())
    assert written == {"processes": 2, "gradient_accumulation_steps": 2, "tokens_per_batch": 100}


def test_bfloat16_in_two_processes_with_accumulated_batches_equals_one(runs) -> None:
    one, two, exact = (read_run(runs / name) for name in ("bf16-1", "bf16-2", "translation-1"))
    assert one.curve("loss") != exact.curve("loss")
    assert one.curve("loss") == pytest.approx(exact.curve("loss"), rel=2e-3)
    for key in ("loss", "grad_norm", "eval_loss"):
        assert two.curve(key) == pytest.approx(one.curve(key), rel=2e-3), key
    average = [
        load_file(runs / name / "checkpoints" / "checkpoint-8" / "ema.safetensors") for name in ("bf16-1", "bf16-2")
    ]
    for name, tensor in average[0].items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(average[1][name], tensor, atol=2e-3, rtol=0, msg=name)


def test_fewer_rows_than_processes_end_as_well(runs) -> None:
    run = read_run(runs / "few")
    assert run.results["training"]["processes"] == 4
    assert run.results["training"]["steps"] == 2
    assert run.results["evaluations"][0]["examples"] == 3
    assert len(run.curve("eval_loss")) == 2


def test_a_killed_process_stops_the_run_with_one_line(killed) -> None:
    done, _, checkpoints = killed
    assert done.returncode != 0 and checkpoints == ["checkpoint-5"]
    told = [line for line in done.stderr.splitlines() if line.startswith("rnn-hub: ")]
    assert len(told) == 1, done.stderr[-3000:]
    assert "checkpoint-5; continue with training.resume=true" in told[0]


def test_the_launch_after_a_killed_process_ends_with_the_weights_of_an_uninterrupted_run(killed, runs) -> None:
    whole, resumed = read_run(runs / "whole"), read_run(killed[1])
    assert resumed.curve("loss") == whole.curve("loss")
    for name, tensor in whole.weights.items():
        assert torch.equal(resumed.weights[name], tensor), name


def test_two_processes_see_each_row_of_a_stream_once_an_epoch(runs) -> None:
    seen = [(runs / "stream" / "checkpoints" / f"seen-{rank}").read_text().split() for rank in (0, 1)]
    pairs = [list(zip(each[::2], each[1::2], strict=True)) for each in seen]
    first = [{int(row) for epoch, row in each if epoch == "0"} for each in pairs]
    assert len(first[0]) > 0 and len(first[1]) > 0 and len(first[0]) != len(first[1])
    assert sorted(int(row) for each in pairs for epoch, row in each if epoch == "0") == list(range(101))
    assert any(epoch == "1" for epoch, _ in pairs[0])
    run = read_run(runs / "stream")
    assert run.results["training"]["steps"] == 20 and run.results["training"]["processes"] == 2
    assert run.curve("loss")[-1] < run.curve("loss")[0]
