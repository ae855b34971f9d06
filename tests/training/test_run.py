"""Whole runs: a tiny model learns, its folder is complete, a killed run continues as if nothing had been."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import TrainerState, TrainingArguments

from rnn_hub.errors import RnnHubError
from rnn_hub.training import trainer
from rnn_hub.training.progress import Progress
from rnn_hub.training.recipes import build_recipe
from rnn_hub.training.run import train
from tests import tiny

KILLED_WHILE_SAVING = """
import os, signal, sys
from rnn_hub.training import trainer
from rnn_hub.training.recipes import load_recipe
from rnn_hub.training.run import train

whole = trainer.seal

def die_at_the_second(checkpoint):
    if list(checkpoint.parent.glob("*/manifest.json")):
        (checkpoint / "optimizer.pt").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    whole(checkpoint)

trainer.seal = die_at_the_second
train(load_recipe(sys.argv[1]))
"""


def run(corpus, folder, **training):
    return train(build_recipe(tiny.recipe(corpus, folder, training=training)))


def test_products_have_the_precision_that_the_recipe_asks_for_in_training_only(corpus, tmp_path, monkeypatch):
    seen = []
    whole = trainer.RnnTrainer.training_step

    def noting(self, *inputs):
        seen.append(torch.get_float32_matmul_precision())
        return whole(self, *inputs)

    monkeypatch.setattr(trainer.RnnTrainer, "training_step", noting)
    run(corpus, tmp_path / "run", max_steps=2, eval_strategy="no", matmul_precision="medium")
    assert set(seen) == {"medium"} and torch.get_float32_matmul_precision() == "highest"
    with pytest.raises(RnnHubError, match="'bf16' is none of highest, high, medium"):
        run(corpus, tmp_path / "other", matmul_precision="bf16")


def test_a_compiled_training_ends_with_the_same_weights_and_compiles_no_loop(corpus, tmp_path, monkeypatch):
    few = {"max_steps": 2, "eval_strategy": "no"}
    run(corpus, tmp_path / "plain", **few)
    compiled, whole = [], torch.compile

    def compiler(graph, inputs):
        compiled.append(len(graph.graph.nodes))
        return graph

    monkeypatch.setattr(torch, "compile", lambda model, **options: whole(model, backend=compiler))
    monkeypatch.setenv("ACCELERATE_DYNAMO_BACKEND", "EAGER")
    run(corpus, tmp_path / "compiled", **few)
    plain, ours = (load_file(tmp_path / name / "model.safetensors") for name in ("plain", "compiled"))
    torch.testing.assert_close(ours, plain)
    assert 0 < sum(compiled) < 100


def test_compiling_without_a_compiler_is_refused_before_work(corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELERATE_DYNAMO_BACKEND", "INDUCTOR")
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(RnnHubError, match="torch_compile needs a C.. compiler, and there is no no-such-compiler"):
        run(corpus, tmp_path / "run", max_steps=1)


def test_a_tiny_model_learns_and_leaves_a_complete_folder(corpus, tmp_path):
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    folder = tmp_path / "run"
    results = run(corpus, folder, num_train_epochs=6, average_checkpoints=2, eval_examples=8)
    (evaluation,) = results["evaluations"]
    assert evaluation["examples"] == 24
    assert evaluation["metrics"]["bleu"] > 90
    assert json.loads((folder / "results.json").read_text()) == results
    names = {path.name for path in folder.iterdir()}
    files = {"README.md", "config.json", "generation_config.json", "model.safetensors", "recipe.yaml", "results.json"}
    assert names == files | {"tokenizer.json", "tokenizer_config.json", "checkpoints"}
    stored = load_file(folder / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}
    assert not {"lm_head.weight", "encoder.embeddings.weight"} & stored.keys()  # tied: stored once
    model = AutoModelForSeq2SeqLM.from_pretrained(folder)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert model.generation_config.num_beams == 2
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = model.generate(**tokenizer(["big dog runs."], return_tensors="pt"))
    assert tokenizer.decode(ids[0], skip_special_tokens=True) == "große Hund rennt."
    with pytest.raises(RnnHubError, match="finished run"):
        run(corpus, folder)


def test_a_run_killed_in_the_middle_of_a_save_continues_to_the_same_weights(corpus, tmp_path):
    options = {"save_strategy": "steps", "save_steps": 7, "eval_strategy": "no", "ema_decay": 0.9}
    values = tiny.recipe(corpus, tmp_path / "killed", model={"dropout": 0.2}, training=options)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", KILLED_WHILE_SAVING, str(tmp_path / "recipe.yaml")]
    assert subprocess.run(command, cwd=root, capture_output=True).returncode == -signal.SIGKILL
    with pytest.raises(RnnHubError, match=r"unfinished run \(checkpoint-7\).*training.resume=true"):
        train(build_recipe(values))
    changed = tiny.recipe(corpus, tmp_path / "killed", model={"dropout": 0.3}, training={**options, "resume": True})
    with pytest.raises(RnnHubError, match="another 'model' section"):
        train(build_recipe(changed))
    values["training"]["resume"] = True
    train(build_recipe(values))
    assert (tmp_path / "killed" / "checkpoints" / "incomplete-checkpoint-14").is_dir()
    values["training"] |= {"output_dir": str(tmp_path / "whole"), "resume": False}
    train(build_recipe(values))
    resumed, whole = (load_file(tmp_path / name / "model.safetensors") for name in ("killed", "whole"))
    for name, tensor in whole.items():
        assert torch.equal(resumed[name], tensor), name


def test_a_run_continues_with_the_same_batches_an_update_only(corpus, tmp_path):
    limits = {"max_steps": 2, "eval_strategy": "no", "save_strategy": "steps", "save_steps": 2}
    run(corpus, tmp_path / "run", **limits)
    (tmp_path / "run" / "results.json").unlink()
    again = {**limits, "max_steps": 3, "resume": True}
    told = (
        "was written with 1 processes and gradient_accumulation_steps=1, this run has 1 processes and gradient_accumul"
    )
    with pytest.raises(RnnHubError, match=f"^checkpoint-2 {told}ation_steps=2: resume with two numbers .* is 1, or"):
        run(corpus, tmp_path / "run", **again, gradient_accumulation_steps=2)
    with pytest.raises(RnnHubError, match="training.tokens_per_batch=200, this run has 50: resume with the same"):
        run(corpus, tmp_path / "run", **again, tokens_per_batch=50)
    with pytest.raises(RnnHubError, match="training.tokens_per_batch=200, this run has other batches: resume"):
        run(corpus, tmp_path / "run", **again, tokens_per_batch=0)
    updates = tmp_path / "run" / "checkpoints" / "checkpoint-2" / "updates.json"
    updates.write_text(updates.read_text().replace('"processes": 1', '"processes": 3'))  # of the same size
    with pytest.raises(RnnHubError, match="with 3 processes .* this run has 1 .*whose product is 3, or"):
        run(corpus, tmp_path / "run", **again, gradient_accumulation_steps=2)
    assert run(corpus, tmp_path / "run", **again, gradient_accumulation_steps=3)["training"]["steps"] == 3


def test_streams_continue_with_the_same_number_of_processes_only(corpus, tmp_path):
    values = tiny.text_recipe(corpus, tmp_path / "run", max_steps=2, eval_strategy="no")
    train(build_recipe(values))
    (tmp_path / "run" / "results.json").unlink()
    updates = tmp_path / "run" / "checkpoints" / "checkpoint-2" / "updates.json"
    updates.write_text(updates.read_text().replace('"processes": 1', '"processes": 2'))
    values["training"] |= {"resume": True, "max_steps": 3, "gradient_accumulation_steps": 2}
    with pytest.raises(RnnHubError, match="with 2 processes .* has 1 .*: resume with the same, as each reads"):
        train(build_recipe(values))


def test_a_resumed_run_counts_the_seconds_before_its_interruption():
    progress = Progress()
    state = TrainerState(log_history=[{"loss": 2.0, "seconds": 900.0}, {"eval_loss": 2.1, "seconds": 1000.0}, {}])
    progress.on_train_begin(TrainingArguments(disable_tqdm=True), state, None)
    progress.on_log(None, state, None, {"loss": 1.5})
    assert 1000 <= state.log_history[-1]["seconds"] < 1010
    assert 1000 < progress.seconds < 1010


def test_early_stopping_and_the_best_checkpoints(corpus, tmp_path):
    folder = tmp_path / "run"
    results = run(
        corpus,
        folder,
        num_train_epochs=9,
        learning_rate=1e-9,
        early_stopping_patience=2,
        average_checkpoints=2,
        average_last=False,
        metric_for_best_model="bleu",
    )
    assert results["training"]["epochs"] == 3


def test_bfloat16_and_accumulation_train(corpus, tmp_path):
    results = run(corpus, tmp_path / "run", bf16=True, gradient_accumulation_steps=2, eval_strategy="no")
    assert results["evaluations"] == []
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_tensorboard_logs_are_written_when_asked_for(corpus, tmp_path):
    run(corpus, tmp_path / "run", report_to="tensorboard", eval_strategy="no", max_steps=3)
    assert list((tmp_path / "run").rglob("events.out.tfevents.*"))


def test_real_sentences_train_and_evaluate(data_dir, tmp_path):
    """Two steps on multi30k: its columns, lengths and characters pass through every part."""
    folder = data_dir / "multi30k"
    if not folder.is_dir():
        pytest.skip(f"needs real data: no folder {folder}")
    dataset = {"train": "train[:300]", "validation": "validation[:8]"}
    tokenizer = {"type": "unigram", "vocab_size": 900, "dropout": 0.1, "max_length": 128}
    training = {"max_steps": 2, "tokens_per_batch": 1000}
    values = tiny.recipe(folder, tmp_path / "run", dataset=dataset, tokenizer=tokenizer, training=training)
    results = train(build_recipe(values))
    assert results["training"]["steps"] == 2
    assert results["evaluations"][0]["examples"] == 8
