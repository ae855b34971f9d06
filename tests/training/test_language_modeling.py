"""A tiny language model: it learns what there is to learn, continues after an interruption, is measured and writes."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from rnn_hub.cli import main
from rnn_hub.data.streams import join_texts
from rnn_hub.errors import RnnHubError
from rnn_hub.tasks import load_task
from rnn_hub.training.recipes import build_recipe
from rnn_hub.training.run import train
from tests import tiny

ENTROPY = 0.899  # nats a token


@pytest.fixture(scope="module")
def folder(corpus, tmp_path_factory):
    """A trained model's folder, with a checkpoint in the middle of an epoch."""
    folder = tmp_path_factory.mktemp("lm") / "run"
    options = {"save_strategy": "steps", "save_steps": 17, "save_total_limit": 99, "bptt_random": True}
    train(build_recipe(tiny.text_recipe(corpus, folder, **options)))
    return folder


def test_the_measured_figure_is_that_of_the_text_read_at_once(folder, corpus, capsys) -> None:
    assert main(["evaluate", str(folder), "--dataset", str(corpus), "--split", "validation", "--batch-size", "1"]) == 0
    metrics = json.loads(capsys.readouterr().out.splitlines()[-1])["metrics"]
    task = load_task("language-modeling")
    model, tokenizer = task.load_model(str(folder))
    lines = [json.loads(line)["en"] for line in (corpus / "validation.jsonl").read_text().splitlines()]
    tokens, counts = join_texts(tokenizer, lines)
    loss = model(tokens[None], labels=tokens[None]).loss.item()
    assert metrics == {"nll": pytest.approx(loss, abs=1e-5), "perplexity": pytest.approx(2.71828**loss, abs=1e-3)}
    assert metrics["nll"] == pytest.approx(ENTROPY, abs=0.12)
    assert json.loads((folder / "results.json").read_text())["evaluations"][0]["metrics"] == pytest.approx(
        metrics, abs=1e-3
    )
    values = task.predict(model, tokenizer, lines * 40, batch_size=1)
    assert [len(value) for value in values] == counts * 40
    several = task.predict(model, tokenizer, lines * 40, batch_size=5)
    for one, other in zip(values, several, strict=True):
        assert one == pytest.approx(other, abs=1e-3)


def test_a_neural_cache_has_its_say_in_what_is_measured(folder, corpus, capsys) -> None:
    command = ["evaluate", str(folder), "--dataset", str(corpus), "--split", "validation"]

    def figures(*options: str) -> dict:
        assert main([*command, *options]) == 0
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    plain, helped = figures(), figures("--cache-size", "50", "--cache-weight", "0.2")
    assert plain["metrics"]["nll"] != helped["metrics"]["nll"]
    assert helped["search"] == "cache size 50, cache weight 0.2"
    assert figures("--cache-size", "50", "--cache-weight", "0")["metrics"] == pytest.approx(plain["metrics"])
    for options in (["--cache-theta", "-1"], ["--cache-size", "0"], ["--num-beams", "3"]):
        assert main([*command, *options]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_run_continued_inside_an_epoch_ends_with_the_same_weights(folder, corpus, tmp_path) -> None:
    resumed = tmp_path / "resumed"
    shutil.copytree(folder, resumed)
    (resumed / "results.json").unlink()
    for checkpoint in (resumed / "checkpoints").iterdir():
        if checkpoint.name != "checkpoint-17":
            shutil.rmtree(checkpoint)
    options = {"save_strategy": "steps", "save_steps": 17, "save_total_limit": 99, "bptt_random": True, "resume": True}
    train(build_recipe(tiny.text_recipe(corpus, resumed, **options)))
    weights = [load_file(path / "model.safetensors") for path in (folder, resumed)]
    for name, tensor in weights[0].items():
        assert torch.equal(weights[1][name], tensor), name


def test_predict_continues_a_prompt(folder, capsys) -> None:
    assert main(["predict", str(folder), "red dog", "--n-best", "2", "--max-new-tokens", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("red dog ") and len(line.split()) == 3 for line in lines)


def test_a_text_shorter_than_its_streams_is_refused(corpus, tmp_path) -> None:
    with pytest.raises(RnnHubError, match="too few for 9999 streams"):
        train(build_recipe(tiny.text_recipe(corpus, tmp_path / "run", per_device_train_batch_size=9999)))
