"""What a training's arguments refuse, before any work, in one line that says what to write instead."""

from pathlib import Path

import pytest

from rnn_hub.errors import RnnHubError
from rnn_hub.training.arguments import build_arguments


def arguments(tmp_path: Path, **values: object):
    return build_arguments({"use_cpu": True, **values}, tmp_path, 0, "bleu", True)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fsdp": True}, "training.fsdp shares out weights that one GPU cannot hold, .*leave it out"),
        ({"deepspeed": {"zero_optimization": {"stage": 3}}}, "training.deepspeed shares out .*leave it out"),
        ({"bf16_full_eval": True}, "training.bf16_full_eval is not used: evaluations keep float32 weights"),
        ({"fp16": True}, "training.fp16 needs a GPU: on a CPU set training.bf16"),
        ({"fp16": True, "bf16": True}, "training: At most one of fp16 and bf16"),
        ({"push_to_hub": True}, "needs training.hub_model_id, such as ada/my-translator"),
        ({"hub_strategy": "every_save"}, 'training.hub_strategy must be "end"'),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, values, message) -> None:
    with pytest.raises(RnnHubError, match=message) as told:
        arguments(tmp_path, **values)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("ACCELERATE_USE_FSDP", "true", "^fsdp, for which accelerate launch asks, shares out"),
        ("ACCELERATE_USE_DEEPSPEED", "true", "^deepspeed, for which accelerate launch asks, shares out"),
        ("ACCELERATE_MIXED_PRECISION", "fp16", "training.fp16 needs a GPU"),
    ],
)
def test_what_the_launcher_asks_for_and_does_not_fit_is_refused(
    tmp_path, monkeypatch, variable, value, message
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(RnnHubError, match=message):
        arguments(tmp_path)
    monkeypatch.setenv(variable, "no")
    assert arguments(tmp_path).hub_strategy == "end"
