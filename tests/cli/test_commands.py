"""The commands, called in this process: what they print, and that every mistake is one line and exit status 2."""

import io
import json
import resource
import shutil
import subprocess
import sys

import pytest
import yaml

from rnn_hub.cli import main
from tests import tiny


def failure(capsys, *arguments: str) -> str:
    """Run a command that must fail in one line; return that line."""
    assert main([*arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    line = captured.err.strip().splitlines()[-1]
    assert line.startswith("rnn-hub: error: ")
    assert "Traceback" not in captured.err
    return line


@pytest.fixture
def copy(model_folder, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(model_folder, folder, ignore=shutil.ignore_patterns("checkpoints"))
    return folder


def test_evaluate_prints_one_json_object_last(model_folder, corpus, tmp_path, capsys):
    output = tmp_path / "hypotheses.txt"
    arguments = ["evaluate", str(model_folder), "--dataset", str(corpus), "--split", "test", "--output", str(output)]
    assert main(arguments) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(result) == ["model", "dataset", "split", "examples", "seconds", "metrics", "signature"]
    assert (result["model"], result["dataset"], result["split"]) == (str(model_folder), str(corpus), "test")
    assert result["examples"] == 24
    assert result["metrics"]["bleu"] > 90
    assert {"bleu", "bleu_lower", "chrf"} == result["metrics"].keys()
    assert "13a" in result["signature"]
    hypotheses = output.read_text(encoding="utf-8").splitlines()
    references = [json.loads(line)["de"] for line in (corpus / "test.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sum(a == b for a, b in zip(hypotheses, references, strict=True)) > 20


def test_evaluate_takes_its_data_from_the_recipe_and_can_record(copy, capsys):
    assert main(["evaluate", str(copy), "--limit", "5", "--num-beams", "1", "--record"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["examples"] == 5
    (entry,) = json.loads((copy / "results.json").read_text())["evaluations"]
    assert entry["metrics"] == result["metrics"]
    assert f"{entry['metrics']['chrf']:.2f}" in (copy / "README.md").read_text()


def test_predict_translates_words_files_and_standard_input(model_folder, tmp_path, capsys, monkeypatch):
    assert main(["predict", str(model_folder), "red dog runs."]) == 0
    assert capsys.readouterr().out == "rote Hund rennt.\n"
    assert main(["predict", str(model_folder), "red dog runs.", "--int8"]) == 0
    assert capsys.readouterr().out == "rote Hund rennt.\n"
    lines = tmp_path / "lines.txt"
    lines.write_text("cat sees.\n\nbig bird sleeps.\n", encoding="utf-8")
    assert main(["predict", str(model_folder), str(lines)]) == 0
    expected = "Katze sieht.\n\ngroße Vogel schläft.\n"
    assert capsys.readouterr().out == expected
    monkeypatch.setattr("sys.stdin", io.StringIO(lines.read_text(encoding="utf-8")))
    assert main(["predict", str(model_folder)]) == 0
    assert capsys.readouterr().out == expected


def test_predict_prints_the_n_best_with_scores(model_folder, capsys):
    assert main(["predict", str(model_folder), "red dog runs.", "--n-best", "3"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 3
    assert rows[0][1] == "rote Hund rennt."
    assert [float(score) for score, _ in rows] == sorted((float(score) for score, _ in rows), reverse=True)


def test_train_writes_a_model_and_prints_its_folder(corpus, tmp_path, capsys):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(tiny.recipe(corpus, tmp_path / "run")), encoding="utf-8")
    assert main(["train", str(path), "training.max_steps=2", "training.eval_strategy=no"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'run'}\n"
    assert (tmp_path / "run" / "model.safetensors").is_file()
    assert "finished run" in failure(capsys, "train", str(path))


def test_an_interrupted_training_names_its_last_checkpoint(corpus, tmp_path, capsys, monkeypatch):
    from rnn_hub.training.trainer import RnnTrainer

    step = RnnTrainer.training_step

    def interrupt(self, *arguments, **options):
        if self.state.global_step == 3:
            raise KeyboardInterrupt
        return step(self, *arguments, **options)

    monkeypatch.setattr(RnnTrainer, "training_step", interrupt)
    path = tmp_path / "recipe.yaml"
    training = {"save_strategy": "steps", "save_steps": 2, "eval_strategy": "no"}
    path.write_text(yaml.safe_dump(tiny.recipe(corpus, tmp_path / "run", training=training)), encoding="utf-8")
    assert main(["train", str(path)]) == 130
    assert "interrupted; the last checkpoint is" in (error := capsys.readouterr().err)
    assert "checkpoint-2" in error.splitlines()[-1]


def test_list_names_released_models_with_their_figures(copy, capsys):
    assert main(["list", "--folder", str(copy.parent)]) == 0
    assert capsys.readouterr().out.startswith("copy  translation")
    assert main(["list", "--folder", str(copy.parent), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["task"] == "translation"
    assert "no folder" in failure(capsys, "list", "--folder", str(copy.parent / "absent"))


def test_a_missing_model_is_named(tmp_path, corpus, capsys):
    missing = str(tmp_path / "absent")
    for command in (["predict", missing, "a"], ["evaluate", missing, "--dataset", str(corpus)]):
        assert missing in failure(capsys, *command)


def test_damaged_weights_and_a_wrong_config_are_named(copy, corpus, capsys):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "cell_type": "gruu"}))
    assert "gruu" in failure(capsys, "predict", str(copy), "dog")
    (copy / "config.json").write_text(json.dumps({**config, "dropout": "much"}))
    assert "dropout" in failure(capsys, "predict", str(copy), "dog")
    (copy / "config.json").write_text("{")
    assert str(copy) in failure(capsys, "predict", str(copy), "dog")
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "model.safetensors").write_bytes(b"\0" * 64)
    assert "damaged" in failure(capsys, "evaluate", str(copy), "--dataset", str(corpus), "--split", "test")
    (copy / "model.safetensors").unlink()
    assert "lacks model.safetensors" in failure(capsys, "predict", str(copy), "dog")


def test_missing_data_columns_and_splits_are_named(model_folder, corpus, tmp_path, capsys):
    base = ["evaluate", str(model_folder), "--dataset"]
    assert "no column 'fr'" in failure(capsys, *base, str(corpus), "--columns", "target=fr")
    assert "role=column" in failure(capsys, *base, str(corpus), "--columns", "fr")
    assert "no split 'tset'" in failure(capsys, *base, str(corpus), "--split", "tset")
    assert str(tmp_path / "absent") in failure(capsys, *base, str(tmp_path / "absent"))
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "test.jsonl").write_text("")
    assert str(empty) in failure(capsys, *base, str(empty), "--split", "test")


def test_help_imports_nothing_heavy_and_is_as_quick_as_python():
    code = (
        "import sys\nfrom rnn_hub.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'transformers', 'datasets', 'numpy', 'gradio', 'yaml'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )

    def seconds(source: str) -> float:
        """Processor time, which other work on the machine changes little."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", source], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    python = min(seconds("pass") for _ in range(5))
    helped = min(seconds(code) for _ in range(5))
    assert helped - python < 0.3


def test_bench_runs_benchmarks_and_prints_one_table(capsys):
    assert main(["bench", "startup", "--rounds", "1"]) == 0
    printed = capsys.readouterr()
    heading, _, *rows = printed.out.splitlines()
    assert heading == "| benchmark | what | against | times its cost |"
    assert [row.split(" | ")[1] for row in rows] == ["import rnn_hub", "rnn-hub --help"]
    assert all(float(row.split(" | ")[-1].strip("| ")) > 0.5 for row in rows)
    assert "start-up" in printed.err
    assert "unknown benchmark 'speed' (there are: " in failure(capsys, "bench", "speed")
