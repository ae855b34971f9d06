"""A recurrent network that forecasts time series."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import initialization as init
from transformers.utils import can_return_tuple

from rnn_hub.layers.dropout import SequenceDropout
from rnn_hub.layers.series import earlier, fill_gaps, window_scale
from rnn_hub.layers.stack import RnnStack
from rnn_hub.modeling_utils import RnnPreTrainedModel
from rnn_hub.models.forecast.configuration_forecast import RnnForecastConfig
from rnn_hub.models.forecast.generation_forecast import ForecastGeneration, ForecastOutput, Window
from rnn_hub.models.forecast.outputs import head_of

LARGEST = 20.0
"""Inputs are cut to so many scales around the centre: a jump in a quiet series stays finite."""


class RnnForTimeSeriesPrediction(ForecastGeneration, RnnPreTrainedModel):
    """Forecasts with their distributions, direct (Wen et al. 2017) or recursive (DeepAR, Salinas et al. 2020).

    Values are transformed, centred and scaled by window inside the model, so raw numbers go in and come out. Forecasts
    are departures from an anchor such as the last value: a fresh model with an anchor forecasts the anchor.
    """

    config_class = RnnForecastConfig
    main_input_name = "past_values"

    def __init__(self, config: RnnForecastConfig):
        super().__init__(config)
        direct = config.decoding == "direct"
        extra = config.num_time_features + config.num_static_features
        size = (2 + config.num_past_covariates + extra + (0 if direct else len(config.lags))) * config.patch_size
        self.patches = nn.Linear(size, config.hidden_size) if config.patch_size > 1 else None
        options = {"hidden_size": config.hidden_size, "num_layers": config.num_layers, **config.stack_options()}
        self.stack = RnnStack(config.hidden_size if self.patches else size, **options)
        self.positions = nn.Embedding(config.prediction_length, config.position_size) if direct else None
        features = config.hidden_size + (config.position_size + len(config.lags) + extra if direct else 0)
        self.hidden = nn.Linear(features, config.head_size)
        self.dropout = SequenceDropout(config.dropout)
        self.linear = (
            nn.Linear(config.linear_lags, config.prediction_length, bias=False) if config.linear_lags else None
        )
        self.head = head_of(config)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """As everywhere, but the output layers start at 0: a forecast starts as its anchor."""
        super()._init_weights(module)
        if module is getattr(self, "linear", None) or any(module is part for part in self.head.modules()):
            for parameter in module.parameters(recurse=False):
                init.zeros_(parameter)

    @can_return_tuple
    def forward(
        self,
        past_values: Tensor,
        past_observed_mask: Tensor | None = None,
        past_time_features: Tensor | None = None,
        future_time_features: Tensor | None = None,
        past_covariates: Tensor | None = None,
        static_features: Tensor | None = None,
        future_values: Tensor | None = None,
        future_observed_mask: Tensor | None = None,
        **kwargs: Any,
    ) -> ForecastOutput:
        """The distributions of the steps after a past, and their loss.

        Args:
            past_values: (B, T), raw; the last is the newest. Longer pasts than the config's are cut.
            past_observed_mask: (B, T), 0 where a value is missing or padding; padding on the left changes nothing.
            past_time_features: (B, T, F), future_time_features: (B, H, F): what is known ahead, such as the calendar.
            past_covariates: (B, T, P), what is known of the past only.
            static_features: (B, S).
            future_values: (B, H), what is to be forecast; gives the loss. With recursive decoding a step's distribution
                is that given the values before it.
            future_observed_mask: (B, H), 0 where it is missing.

        Raises:
            ValueError: a row without any observed value, features that the config does not know or that are missing, or
                with "log" a value that is not positive.
        """
        window = self.window(past_values, past_observed_mask)
        inputs = {
            "past_time_features": past_time_features,
            "future_time_features": future_time_features,
            "past_covariates": past_covariates,
            "static_features": static_features,
        }
        future = None if future_values is None else self._future(future_values, future_observed_mask)
        if self.config.decoding == "direct":
            found = self._direct(window, inputs)
            found.loss = None if future is None else self._loss(found, future)
            return found
        found, following = self._recursive(window, inputs, future)
        if future is None:
            return _newest(found, 1)
        found.loss = self._loss(found, following)
        return _newest(found, future.values.shape[1])

    def _loss(self, found: ForecastOutput, target: Window) -> Tensor:
        """The mean over the observed values."""
        steps, observed = target.values.shape[1], target.observed
        params, loc = tuple(part[:, :steps] for part in found.params), found.loc[:, :steps]
        loss = self.head.loss(params, torch.where(observed, target.values, loc), loc, found.scale[:, :steps])
        return (loss * observed).sum() / observed.sum().clamp(min=1)

    def _future(self, values: Tensor, observed: Tensor | None) -> Window:
        """The values to forecast, transformed."""
        observed = ~values.isnan() if observed is None else observed.bool()
        one = torch.ones_like(values)
        return Window(self._transform(torch.where(observed, values, one)), observed, one, one)

    def window(self, values: Tensor, observed: Tensor | None = None) -> Window:
        """Transforms a batch of pasts and takes their centre and scale."""
        config = self.config
        observed = torch.ones_like(values, dtype=torch.bool) if observed is None else observed.bool()
        values, observed = values[:, -config.context_length :], observed[:, -config.context_length :]
        if not torch.compiler.is_compiling() and not observed.any(dim=1).all():
            row = int((~observed.any(dim=1)).nonzero()[0, 0])
            raise ValueError(f"row {row} of the batch has no observed value among its last {values.shape[1]}")
        raw = fill_gaps(values, observed)
        short = max([config.linear_lags, config.season, 1, *config.lags]) - raw.shape[1]
        if short > 0:  # before its beginning a series had its first value
            raw = torch.cat([raw[:, :1].expand(-1, short), raw], dim=1)
            observed = F.pad(observed, (short, 0))
        values = self._transform(raw)
        kept = observed.to(values.dtype)
        mean = (values * kept).sum(dim=1, keepdim=True) / kept.sum(dim=1, keepdim=True)
        least = (raw.abs() * kept).sum(dim=1, keepdim=True) / kept.sum(dim=1, keepdim=True) * config.minimum_scale
        if config.transform == "log":
            least = torch.full_like(least, config.minimum_scale)
        scale = window_scale(values, observed, config.scaling, least)
        if config.anchor == "last":
            centre = values[:, -1:]
        else:
            centre = mean if config.anchor == "seasonal" or config.scaling == "std" else torch.zeros_like(mean)
        return Window(values, observed, centre, scale)

    def _direct(self, window: Window, inputs: dict[str, Tensor | None]) -> ForecastOutput:
        """All steps from the state after the past."""
        config, steps = self.config, self.config.prediction_length
        x = torch.cat([self._inputs(window.values, window), self._known(window, inputs)], dim=-1)
        real = window.observed.cumsum(dim=1) > 0
        if self.patches is not None:
            x, missing = x * real[..., None], -x.shape[1] % config.patch_size
            x, real = F.pad(x, (0, 0, missing, 0)), F.pad(real, (missing, 0))
            x = F.gelu(self.patches(x.reshape(x.shape[0], -1, config.patch_size * x.shape[-1])))
            real = real.view(x.shape[0], -1, config.patch_size).any(dim=-1)
        state = self.stack(x, real)[0][:, -1]
        parts = [state[:, None].expand(-1, steps, -1), self.positions.weight.expand(state.shape[0], -1, -1)]
        if config.num_time_features:
            parts.append(self._given(inputs, "future_time_features", config.num_time_features, steps))
        if config.num_static_features:
            parts.append(inputs["static_features"][:, None].expand(-1, steps, -1).to(state.dtype))
        parts += [_normal(earlier(window.values, lag, steps), window)[..., None] for lag in config.lags]
        params = self._output(torch.cat(parts, dim=-1))
        loc, scale = self._anchor(window.values, steps), window.scale
        if config.widening:
            scale = scale * torch.arange(1, steps + 1, device=loc.device).to(loc.dtype).sqrt()
        if self.linear is not None:
            loc = loc + window.scale * self.linear(_normal(window.values[:, -config.linear_lags :], window))
        return ForecastOutput(params=params, loc=loc, scale=scale)

    def _recursive(
        self, window: Window, inputs: dict[str, Tensor | None], future: Window | None
    ) -> tuple[ForecastOutput, Window]:
        """The step after each part of past and future, and what is there, from the second value on."""
        values, observed = window.values, window.observed
        if future is not None:
            values, observed = torch.cat([values, future.values], 1), torch.cat([observed, future.observed], 1)
            values = fill_gaps(values, observed)
        last = values.shape[1] if future is None else -1
        begun = observed.cumsum(dim=1)[:, :last] > 0
        hidden, _ = self.stack(self._steps(values[:, :last], observed[:, :last], window, inputs), begun)
        loc = self._next_anchor(values)[:, :last]
        found = ForecastOutput(params=self._output(hidden), loc=loc, scale=window.scale)
        known = observed[:, 1:] & begun[:, : values.shape[1] - 1]
        return found, window._replace(values=values[:, 1:], observed=known)

    def _steps(
        self, values: Tensor, observed: Tensor, window: Window, inputs: dict[str, Tensor | None], newest: bool = False
    ) -> Tensor:
        """The inputs (B, T, F) of recursive decoding: each value, and what is known of the next one."""
        length, config = values.shape[1], self.config
        first = length - 1 if newest else 0
        parts = [self._inputs(values, window._replace(observed=observed))[:, first:]]
        for lag in config.lags:
            back = torch.cat([values[:, :1].expand(-1, max(lag - 1, 0)), values], dim=1)[:, :length]
            parts.append(_normal(back, window)[:, first:, None])
        if config.num_time_features:
            steps = max(length - window.values.shape[1] + 1, 1)
            ahead = self._given(inputs, "future_time_features", config.num_time_features, steps)
            known = _fit(self._given(inputs, "past_time_features", config.num_time_features), window.values.shape[1])
            parts.append(torch.cat([known, ahead], dim=1)[:, first + 1 : length + 1])
        if config.num_static_features:
            static = self._given(inputs, "static_features", config.num_static_features)
            parts.append(static[:, None].expand(-1, length - first, -1))
        return torch.cat(parts, dim=-1)

    def _inputs(self, values: Tensor, window: Window) -> Tensor:
        """(B, T, 2): values in units of the scale from the centre, and whether they are observed."""
        return torch.stack([_normal(values, window), window.observed.to(values.dtype)], dim=-1)

    def _known(self, window: Window, inputs: dict[str, Tensor | None]) -> Tensor:
        """(B, T, F): covariates of the past, features of the calendar, features of the series."""
        config, length, parts = self.config, window.values.shape[1], [window.values[..., None][..., :0]]
        for name, size in (
            ("past_covariates", config.num_past_covariates),
            ("past_time_features", config.num_time_features),
        ):
            if size:
                parts.append(_fit(self._given(inputs, name, size), length))
        if config.num_static_features:
            static = self._given(inputs, "static_features", config.num_static_features)
            parts.append(static[:, None].expand(-1, length, -1))
        return torch.cat(parts, dim=-1)

    def _given(self, inputs: dict[str, Tensor | None], name: str, size: int, steps: int | None = None) -> Tensor:
        """An input that the config asks for: its first `steps` steps."""
        value = inputs.get(name)
        if value is None or value.shape[-1] != size or (steps is not None and value.shape[1] < steps):
            wanted = f"{size} features" + (f" of {steps} steps" if steps is not None else "")
            got = "nothing" if value is None else f"shape {tuple(value.shape)}"
            raise ValueError(f"the config asks for {name} with {wanted}, and there is {got}")
        value = value.to(self.dtype)
        return value if steps is None else value[:, :steps]

    def _output(self, hidden: Tensor) -> tuple[Tensor, ...]:
        return self.head(self.dropout(F.gelu(self.hidden(hidden))))

    def _anchor(self, values: Tensor, steps: int) -> Tensor:
        if self.config.anchor == "none":
            return values.new_zeros(values.shape[0], steps)
        return earlier(values, self.config.season if self.config.anchor == "seasonal" else 1, steps)

    def _next_anchor(self, values: Tensor) -> Tensor:
        """For each value (B, T) the anchor of the one after it."""
        if self.config.anchor == "none":
            return torch.zeros_like(values)
        back = self.config.season - 1 if self.config.anchor == "seasonal" else 0
        return torch.cat([values[:, :1].expand(-1, back), values], dim=1)[:, : values.shape[1]]

    def _transform(self, values: Tensor) -> Tensor:
        if self.config.transform == "none":
            return values
        if not torch.compiler.is_compiling() and not (values > 0).all():
            raise ValueError(
                f"the model takes logarithms, and a value is {values.min().item():g}: they must be above 0"
            )
        return values.log()

    def _restore(self, values: Tensor) -> Tensor:
        return values.exp() if self.config.transform == "log" else values


def _newest(found: ForecastOutput, steps: int) -> ForecastOutput:
    """The last steps of an output, with its loss."""
    params = tuple(part[:, -steps:] for part in found.params)
    return ForecastOutput(loss=found.loss, params=params, loc=found.loc[:, -steps:], scale=found.scale)


def _normal(values: Tensor, window: Window) -> Tensor:
    return ((values - window.centre) / window.scale).clamp(-LARGEST, LARGEST)


def _fit(features: Tensor, length: int) -> Tensor:
    """The last `length` steps of (B, T, F), zeros before the first."""
    features = features[:, -length:]
    return F.pad(features, (0, 0, length - features.shape[1], 0))
