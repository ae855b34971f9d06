"""A tiny language model whose condition decides what it writes, from the recipe to the demo."""

import json
import random

import pytest

from demos import text_generation
from demos.shelf import Shelf
from rnn_hub.cli import main
from rnn_hub.errors import RnnHubError
from rnn_hub.pipelines import pipeline
from rnn_hub.training.recipes import build_recipe
from rnn_hub.training.run import train

WORDS = {"low": ["one", "two", "three", "four"], "high": ["seven", "eight", "nine", "ten"]}
NAME = "rnn-text-numbers"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder, generator = tmp_path_factory.mktemp("numbers"), random.Random(0)
    for split, size in (("train", 200), ("validation", 20)):
        rows = []
        for _ in range(size):
            label = generator.randrange(2)
            words = generator.choices(WORDS[("low", "high")[label]], k=generator.randrange(2, 6))
            rows.append(json.dumps({"text": " ".join(["count", *words]), "label": label}) + "\n")
        (folder / f"{split}.jsonl").write_text("".join(rows))
    return folder


@pytest.fixture(scope="module")
def folder(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / NAME
    recipe = {
        "task": "conditional-text-generation",
        "name": NAME,
        "dataset": {"path": str(corpus), "condition": "size", "labels": ["low", "high"], "test": None},
        "tokenizer": {"type": "word", "vocab_size": 50},
        "model": {"embedding_size": 16, "hidden_size": 16, "condition_dropout": 0.1},
        "generation": {"guidance_scale": 1.5, "max_new_tokens": 12},
        "training": {
            "output_dir": str(folder),
            "learning_rate": 0.02,
            "per_device_train_batch_size": 20,
            "num_train_epochs": 12,
            "eval_strategy": "no",
            "use_cpu": True,
        },
    }
    train(build_recipe(recipe))
    return folder


@pytest.mark.parametrize("size", ["low", "high"])
def test_the_condition_decides_what_is_written(folder, size) -> None:
    write = pipeline("conditional-text-generation", model=folder)
    texts = [record["generated_text"] for record in write("count", condition={"size": size}, num_return_sequences=20)]
    words = [word for text in texts for word in text.split()[1:]]
    assert len(words) > 20 and sum(word in WORDS[size] for word in words) > 0.95 * len(words)
    with pytest.raises(RnnHubError, match="unknown size 'huge'; the model knows low, high"):
        write("count", condition={"size": "huge"})


def test_a_text_is_likelier_under_its_own_label(folder, corpus, capsys) -> None:
    from rnn_hub.tasks import load_task

    task = load_task("conditional-text-generation")
    model, processor = task.load_model(str(folder))
    texts = ["count one two", "count nine ten ten", "count"]
    own, other = (
        task.predict(
            model, processor, [{"text": text, "label": label} for text, label in zip(texts, labels, strict=True)]
        )
        for labels in ((0, 1, 0), (1, 0, 0))
    )
    assert [len(nats) for nats in own] == [4, 5, 2]
    assert sum(own[0]) < sum(other[0]) - 3 and sum(own[1]) < sum(other[1]) - 3
    assert own[2] == pytest.approx(other[2], abs=1e-5)
    assert main(["evaluate", str(folder), "--split", "validation"]) == 0
    assert 0 < json.loads(capsys.readouterr().out.splitlines()[-1])["metrics"]["nll"] < 1.5


def test_predict_takes_a_condition(folder, capsys) -> None:
    assert main(["predict", str(folder), "count", "--condition", "size=high"]) == 0
    assert set(capsys.readouterr().out.split()) <= {"count", *WORDS["high"]}
    for options, message in (
        (["--condition", "size"], "write NAME=VALUE"),
        (["--condition", "size=huge"], "unknown size 'huge'"),
        (["--condition", "colour=red"], "knows no colour"),
    ):
        assert main(["predict", str(folder), "count", *options]) == 2
        assert message in capsys.readouterr().err


def test_the_demo_offers_the_conditions(folder) -> None:
    shelf = Shelf(text_generation.TASK, folder.parent, text_generation.ALSO)
    assert text_generation.conditions_of(shelf, NAME) == ["size: low", "size: high"]
    *_, view = text_generation.write(shelf, "count", NAME, 12, 0.7, 1.0, 1, "size: high")
    assert set(view.text.split()[1:]) <= set(WORDS["high"]) and view.notice == ""
    *_, view = text_generation.write(shelf, "count", NAME, 12, 0.7, 1.0, 1, text_generation.NO_CONDITION)
    assert view.text.startswith("count ")


def test_a_seed_gives_the_same_samples_and_what_has_no_effect_is_refused(folder, capsys) -> None:
    def predict(*options: str) -> tuple[int, str]:
        code = main(["predict", str(folder), "count", "--max-new-tokens", "8", "--n-best", "4", *options])
        captured = capsys.readouterr()
        return code, captured.out or captured.err.splitlines()[-1]

    hot = ("--temperature", "50", "--seed")
    assert predict(*hot, "1") == predict(*hot, "1") != predict(*hot, "2")
    code, message = predict("--temperature", "-1")
    assert code == 2 and "temperature must be above 0, not -1.0" in message
    code, message = predict("--tempo", "90")
    assert code == 2
    assert message.endswith(
        "--tempo is for music-generation, and this model does conditional-text-generation: leave it out"
    )
    code, message = predict("--input", "table.csv")
    assert code == 2 and "--input is for forecasting" in message
