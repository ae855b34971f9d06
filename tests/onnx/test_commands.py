"""`rnn-hub export`, and what runs its folders: the results of torch, and mistakes in one line."""

import json
import shutil

import pytest

from rnn_hub.cli import main
from tests import tiny

TEXT = "big dog runs."


@pytest.fixture(scope="session")
def exported(model_folder, tmp_path_factory):
    """The folders of the tiny model's graphs, plain and in 8-bit integers."""
    folders = {kind: tmp_path_factory.mktemp("exported") / kind for kind in ("plain", "int8")}
    assert main(["export", str(model_folder), "--output", str(folders["plain"])]) == 0
    with pytest.MonkeyPatch.context() as patch:  # to trace the same graphs once more takes seconds
        copy = lambda part, path: shutil.copyfile(folders["plain"] / path.name, path)  # noqa: E731
        patch.setattr("rnn_hub.onnx.export.write_graph", copy)
        assert main(["export", str(model_folder), "--output", str(folders["int8"]), "--quantize", "int8"]) == 0
    return folders


def output(capsys, *arguments) -> str:
    """What a command that succeeds prints."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out


def failure(capsys, *arguments) -> str:
    """The one line of a command that fails."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    return capsys.readouterr().err.strip().removeprefix("rnn-hub: error: ")


def test_predict_says_the_same_with_the_same_scores(model_folder, exported, capsys):
    expected = output(capsys, "predict", model_folder, TEXT, "--n-best", "2").splitlines()
    found = output(capsys, "predict", exported["plain"], TEXT, "--n-best", "2", "--runtime", "onnx").splitlines()
    assert [line.split("\t")[1] for line in found] == [line.split("\t")[1] for line in expected]
    for line, other in zip(found, expected, strict=True):
        assert abs(float(line.split("\t")[0]) - float(other.split("\t")[0])) < 2e-4


def test_an_exported_folder_has_graphs_and_no_weights_and_in_int8_it_is_smaller(exported):
    size = {kind: sum(file.stat().st_size for file in folder.glob("*.onnx")) for kind, folder in exported.items()}
    assert size["int8"] < 0.5 * size["plain"]
    for folder in exported.values():
        assert {file.name for file in folder.glob("*.onnx")} == {"encoder.onnx", "step.onnx"}
        assert not list(folder.glob("*.safetensors"))


def test_evaluate_measures_graphs_as_it_measures_weights(model_folder, exported, tmp_path, capsys):
    corpus = tiny.write_corpus(tmp_path / "corpus")
    values = {}
    for name, folder in {"torch": model_folder, **exported}.items():
        printed = output(capsys, "evaluate", folder, "--dataset", corpus, "--split", "test")
        values[name] = json.loads(printed.splitlines()[-1])["metrics"]["bleu"]
    assert values["plain"] == values["torch"] > 50
    assert abs(values["int8"] - values["torch"]) < 15


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "tflite"], "unknown --format 'tflite': choose onnx"),
        (["--quantize", "int4"], "unknown --quantize 'int4': choose int8"),
        (["--output", "MODEL"], "is the model's own folder: give another one"),
    ],
)
def test_a_wrong_export_is_one_line(model_folder, capsys, arguments, message):
    arguments = [str(model_folder) if argument == "MODEL" else argument for argument in arguments]
    assert message in failure(capsys, "export", model_folder, *arguments)


def test_a_runtime_that_a_folder_is_not_for_is_one_line(model_folder, exported, tmp_path, capsys):
    assert "holds no graphs: say rnn-hub export" in failure(capsys, "predict", model_folder, TEXT, "--runtime", "onnx")
    assert "holds graphs and no weights" in failure(capsys, "predict", exported["plain"], TEXT, "--runtime", "torch")
    assert "say torch or onnx" in failure(capsys, "predict", model_folder, TEXT, "--runtime", "jax")
    assert "--quantize int8" in failure(capsys, "predict", exported["plain"], TEXT, "--int8")


def test_a_damaged_graph_is_one_line(exported, tmp_path, capsys):
    for file in exported["plain"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes()[:1000] if file.name == "step.onnx" else file.read_bytes())
    assert "step.onnx is no graph that onnxruntime can run" in failure(capsys, "predict", tmp_path, TEXT)
