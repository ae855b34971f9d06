"""TrainingArguments: transformers' Seq2SeqTrainingArguments, plus token batches, averages and resuming."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import Seq2SeqTrainingArguments

from rnn_hub.errors import RnnHubError

MATMUL_PRECISIONS = ("highest", "high", "medium")
_WHOLE = "leave it out: each process then keeps a whole copy of the model, and the batches are shared out"
#: what transformers and `accelerate launch` offer and a training here cannot use: the variable by which the launcher
#: asks for it, why not, and what to do instead
_REFUSED = {
    "fsdp": ("ACCELERATE_USE_FSDP", f"shares out weights that one GPU cannot hold, and these models fit; {_WHOLE}"),
    "deepspeed": ("ACCELERATE_USE_DEEPSPEED", f"shares out what one GPU cannot hold, and these models fit; {_WHOLE}"),
    "bf16_full_eval": (None, "is not used: evaluations keep float32 weights"),
    "fp16_full_eval": (None, "is not used: evaluations keep float32 weights"),
}


@dataclass
class TrainingArguments(Seq2SeqTrainingArguments):
    """Arguments of a training: every field of ``Seq2SeqTrainingArguments``, and these.

    Args:
        tokens_per_batch: padded tokens (source and target) of a batch on one device; batches are then formed
            by length, and 0 means ``per_device_train_batch_size`` examples of like length.
        bptt_steps: of a text that is read in streams, tokens of each stream in a batch, over which gradients flow;
            ``per_device_train_batch_size`` is the number of streams.
        bptt_random: draw these lengths anew in each epoch.
        average_checkpoints: the final weights are the mean of those of this many checkpoints (0: the last
            step's).
        average_last: average the last checkpoints; if False, those with the best validation metric.
        ema_decay: keep an exponential moving average of the weights with this decay, for evaluation and as
            the final weights (0: none).
        early_stopping_patience: stop after this many evaluations without a better metric (0: never).
        eval_examples: during training, generate for at most this many validation examples (0: all).
        matmul_precision: how exact products of float32 matrices are, for ``torch.set_float32_matmul_precision``:
            "highest" (float32), "high" (TF32 on a GPU) or "medium" (bfloat16 inside a product, where there are units
            for it: tensor cores, a CPU's AMX). Weights, states and sums stay float32.
        resume: continue from the last whole checkpoint of ``output_dir``, if there is one.
    """

    tokens_per_batch: int = 0
    bptt_steps: int = 70
    bptt_random: bool = False
    average_checkpoints: int = 0
    average_last: bool = True
    ema_decay: float = 0.0
    early_stopping_patience: int = 0
    eval_examples: int = 0
    matmul_precision: str = "highest"
    resume: bool = False
    per_device_eval_batch_size: int = 64
    lr_scheduler_type: str = "cosine"
    logging_steps: float = 50
    logging_nan_inf_filter: bool = False
    save_strategy: str = "epoch"
    eval_strategy: str = "epoch"
    metric_for_best_model: str | None = None
    remove_unused_columns: bool = False
    use_cache: bool = True
    predict_with_generate: bool = True
    dataloader_pin_memory: bool | None = None
    ddp_broadcast_buffers: bool | None = False
    hub_strategy: str = "end"
    label_names: list[str] | None = field(default_factory=lambda: ["labels"])

    @property
    def order_seed(self) -> int:
        """Of the order in which rows are read."""
        return self.seed if self.data_seed is None else self.data_seed

    def __post_init__(self) -> None:
        """Check the added fields and what does not fit, keep what an average needs, then do as transformers does."""
        self._refuse()
        if not 0.0 <= self.ema_decay < 1.0:
            raise RnnHubError(f"training.ema_decay must be at least 0 and below 1, not {self.ema_decay}")
        for name in ("tokens_per_batch", "average_checkpoints", "early_stopping_patience", "eval_examples"):
            if getattr(self, name) < 0:
                raise RnnHubError(f"training.{name} must not be negative, and is {getattr(self, name)}")
        if self.matmul_precision not in MATMUL_PRECISIONS:
            choices = ", ".join(MATMUL_PRECISIONS)
            raise RnnHubError(f"training.matmul_precision {self.matmul_precision!r} is none of {choices}")
        if self.save_strategy == "no":
            raise RnnHubError("the model comes from the last checkpoints: set training.save_strategy to epoch or steps")
        if self.early_stopping_patience and self.eval_strategy == "no":
            raise RnnHubError("training.early_stopping_patience needs evaluations: set training.eval_strategy")
        if self.save_total_limit is not None:
            self.save_total_limit = max(self.save_total_limit, self.average_checkpoints, 1)
        pin_memory, self.dataloader_pin_memory = self.dataloader_pin_memory, False
        super().__post_init__()
        self.dataloader_pin_memory = self.device.type == "cuda" if pin_memory is None else pin_memory
        if self.mixed_precision == "fp16" and self.device.type == "cpu":
            raise RnnHubError("training.fp16 needs a GPU: on a CPU set training.bf16, or leave both out for float32")

    def _refuse(self) -> None:
        """Raise an error for what these trainings cannot do, also where `accelerate launch` asks for it."""
        for name, (variable, reason) in _REFUSED.items():
            launched = variable and os.environ.get(variable, "no").lower() not in ("", "0", "no", "false")
            if launched or getattr(self, name, None):
                asked = f"{name}, for which accelerate launch asks," if launched else f"training.{name}"
                raise RnnHubError(f"{asked} {reason}")
        if self.push_to_hub and self.hub_model_id is None:
            raise RnnHubError("training.push_to_hub needs training.hub_model_id, such as ada/my-translator")
        if self.hub_strategy != "end":
            raise RnnHubError('training.hub_strategy must be "end": checkpoints hold the optimizer and stay here')


#: what a recipe's training section may say
RECIPE_TRAINING_KEYS = frozenset(field.name for field in dataclasses.fields(TrainingArguments) if field.init)


def build_arguments(
    values: dict[str, Any], output_dir: Path, seed: int, main_metric: str, greater: bool
) -> TrainingArguments:
    """Turn a recipe's training section into arguments; checkpoints go to ``output_dir/checkpoints``.

    Raises:
        RnnHubError: a value that transformers refuses, with its reason.
    """
    values = {key: value for key, value in values.items() if key != "output_dir"}
    values.setdefault("metric_for_best_model", main_metric)
    values.setdefault("greater_is_better", greater if values["metric_for_best_model"] == main_metric else None)
    if not values.get("average_last", True):
        values.setdefault("save_total_limit", None)
    else:
        values.setdefault("save_total_limit", max(2, values.get("average_checkpoints", 0)))
    try:
        return TrainingArguments(output_dir=str(output_dir / "checkpoints"), seed=seed, **values)
    except RnnHubError:
        raise
    except (TypeError, ValueError, ImportError) as error:
        raise RnnHubError(f"training: {error}") from error
