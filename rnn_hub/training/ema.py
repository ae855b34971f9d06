"""An exponential moving average of the weights, kept while the model trains (Polyak and Juditsky, 1992)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import TrainerCallback

EMA_FILE = "ema.safetensors"


class ExponentialMovingAverage(TrainerCallback):
    """Keeps ``average = decay * average + (1 - decay) * weight`` after each optimizer step.

    The decay of step n is at most ``(1 + n) / (10 + n)``, so that the random initial weights are forgotten at
    once.

    Args:
        model: the model whose parameters are averaged; the averages lie on its device, in float32.
        decay: between 0 and 1, such as 0.999.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self._names, self._parameters = zip(
            *((name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad),
            strict=True,
        )
        self._averages = [parameter.detach().float().clone() for parameter in self._parameters]

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Move the averages towards the weights of this step."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            weights = [parameter.detach().float() for parameter in self._parameters]
            torch._foreach_lerp_(self._averages, weights, 1.0 - decay)

    def save(self, folder: Path) -> None:
        """Write the averages and the number of steps into a checkpoint's folder."""
        tensors = dict(zip(self._names, self._averages, strict=True))
        save_file(tensors, folder / EMA_FILE, metadata={"format": "pt", "steps": str(self.steps)})

    def load(self, folder: Path) -> None:
        """Continue from the averages of a checkpoint."""
        from safetensors import safe_open

        with safe_open(folder / EMA_FILE, framework="pt") as file:
            self.steps = int(file.metadata()["steps"])
        tensors = load_file(folder / EMA_FILE)
        with torch.no_grad():
            for name, average in zip(self._names, self._averages, strict=True):
                average.copy_(tensors[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within this context the model's weights are the averages."""
        saved = [parameter.detach().clone() for parameter in self._parameters]
        with torch.no_grad():
            torch._foreach_copy_(list(self._parameters), self._averages)
            try:
                yield
            finally:
                torch._foreach_copy_(list(self._parameters), saved)
