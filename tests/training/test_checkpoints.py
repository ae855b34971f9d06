"""Checkpoints, their averages and the moving average of weights."""

import json

import pytest
import torch
from safetensors.torch import save_file

from rnn_hub.errors import RnnHubError
from rnn_hub.training.averaging import average_weights, select_checkpoints
from rnn_hub.training.checkpoints import is_whole, list_checkpoints, remove_old, seal, set_aside_incomplete
from rnn_hub.training.ema import ExponentialMovingAverage


def make_checkpoint(folder, step, value=0.0, bleu=None):
    checkpoint = folder / f"checkpoint-{step}"
    checkpoint.mkdir(parents=True)
    save_file(
        {"weight": torch.full((2, 3), float(value)), "count": torch.tensor([step])}, checkpoint / "model.safetensors"
    )
    history = [{"step": 10 * index, "eval_bleu": figure} for index, figure in enumerate(bleu or [], start=1)]
    (checkpoint / "trainer_state.json").write_text(json.dumps({"log_history": history}))
    seal(checkpoint)
    return checkpoint


def test_a_checkpoint_is_whole_only_with_every_byte(tmp_path):
    checkpoint = make_checkpoint(tmp_path, 10)
    assert is_whole(checkpoint)
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert not is_whole(checkpoint)
    weights.unlink()
    assert not is_whole(checkpoint)


def test_half_written_checkpoints_are_set_aside_and_kept(tmp_path):
    whole, half = make_checkpoint(tmp_path, 10), make_checkpoint(tmp_path, 20)
    (half / "manifest.json").unlink()
    assert [path.name for path in set_aside_incomplete(tmp_path)] == ["incomplete-checkpoint-20"]
    assert list_checkpoints(tmp_path) == [whole]
    assert (tmp_path / "incomplete-checkpoint-20" / "model.safetensors").is_file()


def test_old_checkpoints_go_and_protected_ones_stay(tmp_path):
    for step in (10, 9, 100, 20):
        make_checkpoint(tmp_path, step)
    remove_old(tmp_path, 2, protected=[tmp_path / "checkpoint-9"])
    assert [path.name for path in list_checkpoints(tmp_path)] == ["checkpoint-9", "checkpoint-20", "checkpoint-100"]


def test_the_average_is_the_mean_and_needs_the_same_weights(tmp_path):
    files = [make_checkpoint(tmp_path, step, value) / "model.safetensors" for step, value in ((1, 1), (2, 2), (3, 6))]
    average = average_weights(files)
    assert torch.equal(average["weight"], torch.full((2, 3), 3.0))
    assert average["count"].item() == 3
    other = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(2, 3)}, other)
    with pytest.raises(RnnHubError, match="differ in 'count'"):
        average_weights([files[0], other])


def test_the_last_or_the_best_checkpoints_are_chosen(tmp_path):
    figures = [1.0, 5.0, 4.0, 2.0]
    checkpoints = [make_checkpoint(tmp_path, 10 * n, bleu=figures[:n]) for n in range(1, 5)]
    assert select_checkpoints(tmp_path, 2) == checkpoints[2:]
    best = select_checkpoints(tmp_path, 2, last=False, metric="eval_bleu", greater_is_better=True)
    assert best == checkpoints[1:3]
    with pytest.raises(RnnHubError, match="eval_chrf"):
        select_checkpoints(tmp_path, 2, last=False, metric="eval_chrf")
    with pytest.raises(RnnHubError, match="no whole checkpoint"):
        select_checkpoints(tmp_path / "nothing", 2)


def test_the_moving_average_follows_its_equation_and_survives_saving(tmp_path):
    model = torch.nn.Linear(3, 2)
    initial = model.weight.detach().clone()
    average = ExponentialMovingAverage(model, decay=0.5)
    expected = initial.clone()
    for step in range(1, 5):
        with torch.no_grad():
            model.weight += 1
        average.on_step_end(None, None, None)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * model.weight.detach()
    raw = model.weight.detach().clone()
    with average.applied():
        assert torch.allclose(model.weight, expected)
    assert torch.equal(model.weight, raw)
    average.save(tmp_path)
    restored = ExponentialMovingAverage(torch.nn.Linear(3, 2), decay=0.5)
    restored.load(tmp_path)
    assert restored.steps == 4
    assert torch.equal(restored._averages[0], average._averages[0])
