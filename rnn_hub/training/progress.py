"""The progress of a training on standard error: a bar on a terminal, and one line for each log entry."""

from __future__ import annotations

import sys
import time
from typing import Any

from tqdm.auto import tqdm
from transformers import TrainerCallback

_HIDDEN = (
    "epoch",
    "total_flos",
    "runtime",
    "samples_per_second",
    "steps_per_second",
    "model_preparation_time",
    "seconds",
)


class Progress(TrainerCallback):
    """Shows step, epoch, loss, learning rate and metrics; only the main process writes.

    Each entry of the log holds the seconds that training has taken so far, those before an interruption among them.
    """

    def __init__(self) -> None:
        self._bar: tqdm | None = None
        self._before, self._started = 0.0, time.perf_counter()

    @property
    def seconds(self) -> float:
        """How long the training has taken, over all resumed runs."""
        return self._before + time.perf_counter() - self._started

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start the clock, open the bar."""
        self._before = next((entry["seconds"] for entry in reversed(state.log_history) if "seconds" in entry), 0.0)
        self._started = time.perf_counter()
        if state.is_world_process_zero:
            disable = args.disable_tqdm or not sys.stderr.isatty()
            self._bar = tqdm(
                total=state.max_steps,
                initial=state.global_step,
                unit="step",
                disable=disable,
                dynamic_ncols=True,
            )

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Advance the bar."""
        if self._bar is not None:
            self._bar.update(state.global_step - self._bar.n)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        """Note the time, write one line."""
        if state.log_history:
            state.log_history[-1]["seconds"] = round(self.seconds, 1)
        if state.is_world_process_zero and logs:
            figures = " ".join(
                f"{name} {value:.4g}"
                for name, value in logs.items()
                if isinstance(value, int | float) and name.removeprefix("eval_").removeprefix("train_") not in _HIDDEN
            )
            tqdm.write(f"step {state.global_step} epoch {state.epoch or 0:.2f}: {figures}", file=sys.stderr)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
