"""From a file of trees to a model that labels them, by the command line."""

import json

import pytest
from datasets import Dataset

from rnn_hub import pipeline
from rnn_hub.cli import main
from rnn_hub.errors import RnnHubError

GOOD, BAD = ("good", "great", "fine"), ("bad", "dull", "poor")


def tree(adjective: str, negated: bool) -> str:
    """`not` turns what follows it around, so the label of a phrase needs its structure."""
    label = 2 if (adjective in GOOD) != negated else 0
    leaf = f"({2 if adjective in GOOD else 0} {adjective})"
    return f"({label} (1 it) ({label} (1 is) " + (f"({label} (1 not) {leaf})))" if negated else f"{leaf}))")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory):
    """A folder of data, and one of a model trained on them."""
    folder = tmp_path_factory.mktemp("trees")
    rows = [{"tree": tree(word, negated)} for word in GOOD + BAD for negated in (False, True)] * 8
    for split in ("train", "validation", "test"):
        Dataset.from_list(rows).to_parquet(str(folder / "data" / f"{split}.parquet"))
    (folder / "recipe.yaml").write_text(
        f"""
task: tree-classification
name: tiny-trees
dataset: {{path: {folder / "data"}, labels: [negative, neutral, positive]}}
model: {{embedding_size: 12, hidden_size: 16, word_dropout: 0.05}}
training: {{num_train_epochs: 25, learning_rate: 0.02, per_device_train_batch_size: 16, output_dir: {folder / "run"}}}
"""
    )
    assert main(["train", str(folder / "recipe.yaml"), "training.disable_tqdm=true"]) == 0
    return folder


def test_it_learns_and_measures(trained, capsys) -> None:
    assert main(["evaluate", str(trained / "run"), "--dataset", str(trained / "data"), "--split", "test"]) == 0
    metrics = json.loads(capsys.readouterr().out.splitlines()[-1])["metrics"]
    assert metrics == {"root_accuracy": 100, "binary_accuracy": 100, "node_accuracy": 100}
    card = (trained / "run" / "README.md").read_text()
    assert "accuracy of the root" in card
    assert 'pipeline("tree-classification"' in card


def test_every_phrase_gets_a_label(trained, capsys) -> None:
    assert main(["predict", str(trained / "run"), "(0 (0 it) (0 (0 is) (0 (0 not) (0 dull))))"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["label"] == "positive"
    labels = {node["phrase"]: node["label"] for node in result["phrases"]}
    assert labels == {
        "it": "neutral",
        "is": "neutral",
        "not": "neutral",
        "dull": "negative",
        "not dull": "positive",
        "is not dull": "positive",
        "it is not dull": "positive",
    }


def test_what_is_no_tree_for_the_model_is_said(trained, capsys) -> None:
    label = pipeline("tree-classification", model=str(trained / "run"))
    assert [result["label"] for result in label([tree("good", False), tree("good", True)])] == ["positive", "negative"]
    with pytest.raises(RnnHubError, match="tree 2: the node over 'it is dull' has 3 children, and this model takes 2"):
        label(["(0 it)", "(0 (0 it) (0 is) (0 dull))"])
    assert main(["predict", str(trained / "run"), "(0 (0 it) (0 is)"]) == 2
    assert "tree 1: 1 nodes are not closed at character 16" in capsys.readouterr().err
    assert main(["evaluate", str(trained / "run"), "--dataset", str(trained / "nothing")]) == 2
    for option in ("--num-beams", "--max-new-tokens", "--n-best"):
        assert main(["predict", str(trained / "run"), "(0 it)", option, "3"]) == 2
        assert f"{option}" in (error := capsys.readouterr().err) and "leave it out" in error


@pytest.mark.parametrize(
    ("row", "options", "message"),
    [
        ("(0 (0 it) (0 is)", [], "validation, row 1: 1 nodes are not closed at character 16"),
        ("(3 it)", [], "validation, row 1: the label '3' is not a whole number below 3 at character 2"),
        ("(0 (0 it) (0 is) (0 dull))", [], "validation, row 1: the node over 'it is dull' has 3 children"),
        ("(0 it)", ["model.residual=true"], "residual is for sequences and means nothing in a tree"),
    ],
)
def test_a_row_or_an_option_that_will_not_do_fails_before_training(
    trained, tmp_path, capsys, row: str, options: list, message: str
) -> None:
    for split in ("train", "validation"):
        rows = [{"tree": tree("good", False)}, {"tree": row if split == "validation" else tree("bad", True)}]
        Dataset.from_list(rows).to_parquet(str(tmp_path / "data" / f"{split}.parquet"))
    changes = [f"dataset.path={tmp_path / 'data'}", f"training.output_dir={tmp_path / 'run'}", *options]
    assert main(["train", str(trained / "recipe.yaml"), *changes]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_cell_for_any_number_of_children_learns_from_a_node_of_three(trained, tmp_path) -> None:
    rows = [{"tree": f"({label} (1 it) (1 is) ({label} {word}))"} for label, word in ((2, "good"), (0, "bad"))] * 8
    for split in ("train", "validation"):
        Dataset.from_list(rows).to_parquet(str(tmp_path / "data" / f"{split}.parquet"))
    changes = [f"dataset.path={tmp_path / 'data'}", f"training.output_dir={tmp_path / 'run'}"]
    assert main(["train", str(trained / "recipe.yaml"), "model.cell_type=child_sum_lstm", *changes]) == 0
    label = pipeline("tree-classification", model=str(tmp_path / "run"))
    assert [result["label"] for result in label([row["tree"] for row in rows[:2]])] == ["positive", "negative"]
