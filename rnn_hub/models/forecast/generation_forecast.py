"""What a forecasting model gives besides its loss: samples, quantiles, means."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from transformers.modeling_outputs import SampleTSPredictionOutput
from transformers.utils import ModelOutput


@dataclass
class ForecastOutput(ModelOutput):
    """Distributions of the steps ahead, of the transformed values.

    Args:
        loss: mean over the observed values to forecast.
        params: of the distributions, (B, H) each, or ((B, H, Q),) quantiles; with recursive decoding those of the steps
            whose predecessors are known.
        loc: (B, H), what they are around; scale: (B, 1) or (B, H), their unit.
    """

    loss: Tensor | None = None
    params: tuple[Tensor, ...] | None = None
    loc: Tensor | None = None
    scale: Tensor | None = None


class Window(NamedTuple):
    """A batch of pasts: transformed values without gaps, which are real, their centre and scale.

    Args:
        values: (B, T); observed: (B, T), of bool; centre, scale: (B, 1).
    """

    values: Tensor
    observed: Tensor
    centre: Tensor
    scale: Tensor


class ForecastGeneration:
    """`generate` and `forecast` of an `RnnForTimeSeriesPrediction`."""

    @torch.no_grad()
    def generate(
        self, past_values: Tensor, num_samples: int = 100, horizon: int | None = None, **inputs: Tensor
    ) -> SampleTSPredictionOutput:
        """Samples of what follows, (B, num_samples, horizon), raw.

        With recursive decoding a sample is a path. With direct decoding the steps of a block of `prediction_length` are
        drawn each by itself, and only later blocks follow from a sample's earlier ones; what is known of the past only
        then keeps its last value.

        Args:
            past_values, inputs: as in `forward`.
            num_samples: for each row.
            horizon: steps; default: the config's `prediction_length`. Features of the future must reach as far.
        """
        horizon = horizon or self.config.prediction_length
        sample = self._sample_paths if self.config.decoding == "recursive" else self._sample_blocks
        found = sample(past_values, num_samples, horizon, **_of_the_past(inputs))
        return SampleTSPredictionOutput(sequences=found.view(-1, num_samples, horizon))

    @torch.no_grad()
    def forecast(
        self,
        past_values: Tensor,
        levels: Sequence[float],
        horizon: int | None = None,
        num_samples: int = 200,
        **inputs: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Quantiles (B, horizon, Q) and means (B, horizon), raw.

        They are exact for direct decoding up to `prediction_length`, else those of samples. With "log" the mean is
        taken before the logarithm is undone, since after it the mean of a Student-t does not exist.
        """
        horizon = horizon or self.config.prediction_length
        if self.config.decoding == "direct" and horizon <= self.config.prediction_length:
            found = self(past_values, **_of_the_past(inputs))
            quantiles = self.head.quantiles(found.params, found.loc, found.scale, levels)
            mean = self.head.mean(found.params, found.loc, found.scale)
            return self._restore(quantiles)[:, :horizon], self._restore(mean)[:, :horizon]
        samples = self._transform(self.generate(past_values, num_samples, horizon, **inputs).sequences)
        quantiles = samples.quantile(torch.tensor(levels, dtype=samples.dtype, device=samples.device), dim=1)
        return self._restore(quantiles.permute(1, 2, 0)), self._restore(samples.mean(dim=1))

    def _sample_blocks(self, past: Tensor, samples: int, horizon: int, **inputs: Tensor) -> Tensor:
        """(B * samples, horizon) of direct decoding."""

        def repeat(part: Tensor | None) -> Tensor | None:
            return None if part is None else part.repeat_interleave(samples, 0)

        steps, found = self.config.prediction_length, []
        future = inputs.get("future_time_features")
        observed = inputs.pop("past_observed_mask", None)
        observed = torch.ones_like(past) if observed is None else observed
        for start in range(0, horizon, steps):
            if future is not None:
                block = future[:, start : start + steps]
                inputs["future_time_features"] = torch.cat(
                    [block, block[:, -1:].expand(-1, steps - block.shape[1], -1)], 1
                )
            output = self(past, past_observed_mask=observed, **inputs)
            if start == 0:
                output = ForecastOutput(
                    params=tuple(map(repeat, output.params)), loc=repeat(output.loc), scale=repeat(output.scale)
                )
                past, observed, future = repeat(past), repeat(observed), repeat(future)
                inputs = {name: repeat(value) for name, value in inputs.items()}
            drawn = self._restore(self.head.sample(output.params, output.loc, output.scale))
            found.append(drawn)
            past, observed = torch.cat([past, drawn], 1), torch.cat([observed, torch.ones_like(drawn)], 1)
            if future is not None:
                inputs["past_time_features"] = torch.cat(
                    [inputs["past_time_features"], inputs["future_time_features"]], 1
                )
            if inputs.get("past_covariates") is not None:
                last = inputs["past_covariates"]
                inputs["past_covariates"] = torch.cat([last, last[:, -1:].expand(-1, steps, -1)], 1)
        return torch.cat(found, dim=1)[:, :horizon]

    def _sample_paths(self, past: Tensor, samples: int, horizon: int, **inputs: Tensor) -> Tensor:
        """(B * samples, horizon) of recursive decoding: each value drawn is the next step's input."""
        window = self.window(past, inputs.get("past_observed_mask"))
        if self.config.num_time_features:
            self._given(inputs, "future_time_features", self.config.num_time_features, horizon)
        x = self._steps(window.values, window.observed, window, inputs)
        hidden, state = self.stack(x, window.observed.cumsum(dim=1) > 0)
        hidden = hidden[:, -1:].repeat_interleave(samples, 0)
        state = tuple(tuple(part.repeat_interleave(samples, 0) for part in parts) for parts in state)
        window = Window(*(part.repeat_interleave(samples, 0) for part in window))
        inputs = {name: value.repeat_interleave(samples, 0) for name, value in inputs.items() if value is not None}
        values = window.values
        for step in range(horizon):
            loc = self._next_anchor(values)[:, -1:]
            values = torch.cat([values, self.head.sample(self._output(hidden), loc, window.scale)], dim=1)
            if step + 1 < horizon:
                x = self._steps(values, torch.ones_like(values, dtype=torch.bool), window, inputs, newest=True)
                hidden, state = self.stack(x, state=state)
        return self._restore(values[:, -horizon:])


def _of_the_past(inputs: dict[str, Tensor | None]) -> dict[str, Tensor | None]:
    """The inputs without what was to be forecast."""
    return {name: value for name, value in inputs.items() if name not in ("future_values", "future_observed_mask")}
