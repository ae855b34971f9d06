"""Data larger than memory: a stream of rows from several files, shared out, and continued where it stopped."""

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
