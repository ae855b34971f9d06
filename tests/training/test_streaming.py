"""Data larger than memory: a stream of rows from several files, shared out, and continued where it stopped."""

import json
import shutil

import pytest
import torch

from rnn_hub.data.loading import load_stream
from rnn_hub.errors import RnnHubError
from rnn_hub.training.recipes import build_recipe
from rnn_hub.training.run import train
from tests import tiny
from tests.launching import read_run

STREAM = {"streaming": True, "stream_pool": 20, "stream_sample": 60}
LIMITS = {"max_steps": 20, "tokens_per_batch": 200, "save_strategy": "steps", "save_steps": 3, "save_total_limit": 99}


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return tiny.write_shards(tmp_path_factory.mktemp("shards"))


@pytest.mark.parametrize("processes", [1, 2, 5, 7])
def test_each_row_has_one_process_in_each_epoch(processes, shards) -> None:
    orders = []
    for epoch in range(2):
        stream = load_stream(shards, "train", columns=("en",), pool=20)
        stream.epoch = epoch
        pools = [list(stream.pools(processes, rank)) for rank in range(processes)]
        assert all(len(pool) <= 20 for share in pools for pool in share)
        orders.append([int(row["id"]) for share in pools for pool in share for row in pool])
        assert sorted(orders[-1]) == list(range(101))
    assert orders[0] != orders[1]


def test_a_stream_continues_where_it_stopped_also_at_the_end_of_an_epoch(shards, tmp_path) -> None:
    whole = tiny.recipe(shards, tmp_path / "whole", dataset=STREAM, model={"dropout": 0.1}, training=LIMITS)
    results = train(build_recipe(whole))
    assert results["training"]["steps"] == 20 and results["training"]["epochs"] >= 2
    complete = read_run(tmp_path / "whole")
    ends = {entry["step"] for entry in complete.history if "eval_loss" in entry}
    assert len(ends) >= 2
    for step in (6, 9):
        folder = tmp_path / f"resumed-{step}"
        shutil.copytree(tmp_path / "whole", folder)
        (folder / "results.json").unlink()
        for path in (folder / "checkpoints").glob("checkpoint-*"):
            if path.name != f"checkpoint-{step}":
                shutil.rmtree(path)
        values = {**whole, "training": {**whole["training"], "output_dir": str(folder), "resume": True}}
        train(build_recipe(values))
        resumed = read_run(folder)
        assert resumed.curve("loss") == complete.curve("loss")
        for name, tensor in complete.weights.items():
            assert torch.equal(resumed.weights[name], tensor), name


WORDS = ("gas", "oil", "wind", "rain")
ROWS = [{"text": " ".join(WORDS[n % 3 :]), "tokens": list(WORDS), "label": n % 2, "n": n} for n in range(7)]
LABELLED = {
    "text-classification": {"label": "label", "labels": ["bad", "good"]},
    "multi-label-classification": {"label": "several", "labels": ["bad", "good"]},
    "text-regression": {"label": "score"},
    "token-classification": {"tags": "tags"},
    "conditional-text-generation": {"label": "label", "condition": "mood", "labels": ["bad", "good"]},
}


def labelled_recipe(task, folder, name, **training):
    """A recipe without chance, over a stream of seven rows in two files."""
    if not folder.exists():
        folder.mkdir()
        tags = ["B-GAS", "I-GAS", "O", "B-RAIN"]
        rows = [{**row, "several": [row["label"]], "score": row["n"] / 2, "tags": tags} for row in ROWS]
        for file, few in (("train-0", rows[:5]), ("train-1", rows[5:]), ("validation-0", rows[:2])):
            (folder / f"{file}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in few))
    steps = {"max_steps": 2, "per_device_train_batch_size": 7, "learning_rate": 0.02, "lr_scheduler_type": "constant"}
    common = {"output_dir": str(folder.parent / name), "use_cpu": True, "logging_steps": 1, "eval_strategy": "no"}
    size = {"hidden_size": 8, "embedding_size": 8, "dropout": 0.0}
    pieces, words = {"vocab_size": 40}, {"type": "word", "vocab_size": 40}
    tokenizer, model = {
        "text-classification": (pieces, {"attention_hops": 2, "attention_penalty": 0.5}),
        "token-classification": (pieces, {"crf": True}),
        "conditional-text-generation": (words, {}),
    }.get(task, (pieces, {}))
    return {
        "task": task,
        "name": "tiny",
        "dataset": {"path": str(folder), "streaming": True, **LABELLED[task]},
        "tokenizer": tokenizer,
        "model": {**size, **model},
        "training": {**steps, **common, **training},
    }


@pytest.mark.parametrize("task", LABELLED)
def test_batches_that_fill_up_an_update_count_for_nothing(task, tmp_path) -> None:
    """An epoch is one batch of seven rows: with two accumulated batches an update is that batch and an empty one."""
    found = []
    for accumulated in (1, 2):
        values = labelled_recipe(task, tmp_path / "data", f"run-{accumulated}", gradient_accumulation_steps=accumulated)
        assert train(build_recipe(values))["training"]["steps"] == 2
        found.append(read_run(tmp_path / f"run-{accumulated}"))
    one, two = found
    assert two.curve("loss") == pytest.approx(one.curve("loss"), rel=1e-5) and one.curve("loss")[0] > 0
    for name, tensor in one.weights.items():
        torch.testing.assert_close(two.weights[name], tensor, atol=1e-6, rtol=1e-5, msg=name)


def test_a_value_amid_a_stream_that_cannot_be_learned_is_named(tmp_path) -> None:
    values = labelled_recipe("text-regression", tmp_path / "data", "run")
    broken = tmp_path / "data" / "train-1.jsonl"
    broken.write_text(broken.read_text().replace("2.5", "null"))
    values["dataset"]["stream_sample"] = 5
    with pytest.raises(RnnHubError, match="the column 'score' holds no number but None"):
        train(build_recipe(values))
    values = labelled_recipe("token-classification", tmp_path / "data", "other")
    for path in (tmp_path / "data").glob("*.jsonl"):
        path.write_text(path.read_text().replace("B-RAIN", "S-GAS"))
    with pytest.raises(RnnHubError, match="a stream has its tags as they are, and 'S-GAS' is none of BIO"):
        train(build_recipe(values))


def test_mistakes_are_told_at_once(shards, corpus, tmp_path) -> None:
    values = tiny.recipe(shards, tmp_path / "run", dataset=STREAM)
    with pytest.raises(RnnHubError, match="dataset.streaming needs training.max_steps"):
        train(build_recipe(values))
    text = tiny.text_recipe(corpus, tmp_path / "text", max_steps=3)
    text["dataset"]["streaming"] = True
    with pytest.raises(RnnHubError, match="'language-modeling' reads its rows at once"):
        train(build_recipe(text))
    with pytest.raises(RnnHubError, match="stream_pool=0 must be at least 1"):
        load_stream(shards, "train", pool=0)
    with pytest.raises(RnnHubError, match="no column 'fr' in split 'train'; it has en, de, id"):
        load_stream(shards, "train", columns=("fr",))
    with pytest.raises(RnnHubError, match="no split 'dev'"):
        load_stream(shards, "dev")
