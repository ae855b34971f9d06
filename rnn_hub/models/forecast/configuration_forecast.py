"""The configuration of a model that forecasts time series."""

from dataclasses import field

from huggingface_hub.dataclasses import strict

from rnn_hub.layers.series import SCALINGS, TRANSFORMS
from rnn_hub.models.configuration_utils import RnnConfig

ANCHORS = ("last", "seasonal", "none")
DECODINGS = ("direct", "recursive")
OUTPUTS = ("normal", "student_t", "negative_binomial", "quantiles")
NOT_DIRECT = {"patch_size": 1, "linear_lags": 0, "num_past_covariates": 0, "widening": False}
"""What belongs to direct decoding alone, and the value that means none of it."""


@strict
class RnnForecastConfig(RnnConfig):
    """What an `RnnForTimeSeriesPrediction` is made of, besides what `RnnConfig` tells.

    Args:
        hidden_size, num_layers: of the recurrent layers.
        context_length: most values of the past that are read; fewer will do.
        prediction_length: steps that are forecast at once; more are forecast in blocks.
        decoding: "direct" gives the distributions of all steps from one state (Wen et al. 2017); "recursive" gives that
            of the next step, and samples paths through it (Salinas et al. 2020).
        output: "normal", "student_t", "negative_binomial" or "quantiles".
        quantile_levels: of the last.
        transform: of the values before all else: "none" or "log".
        scaling: what a window's values are divided by: "mean" (absolute value), "std", "difference" (mean absolute
            change from step to step) or "none".
        minimum_scale: least scale, as a part of the mean absolute value (of logarithms: as it is).
        anchor: what a forecast is a departure from: the "last" value, that of a season ago ("seasonal") or "none".
        fixed_location: whether a normal or Student-t distribution stays around its anchor and only its spread is
            learned: for changes that cannot be foreseen.
        widening: whether the scale grows with the square root of the steps ahead, as a random walk's (direct decoding).
        season: steps of a season.
        lags: distances of earlier values that a step to forecast sees, at the same place of an earlier period.
        patch_size: values that make one step of the recurrent layers (Lin et al. 2023).
        linear_lags: the forecast's location also has a linear part in so many last values (Lai et al. 2018, section
            3.5); 0 for none.
        head_size: hidden width of the output layers; position_size: features of a learned vector for each step ahead.
        num_time_features, num_past_covariates, num_static_features: inputs that are known ahead, known of the past
            only, and constant in a series.
        scaled_loss: whether errors count in units of the scale, so that series weigh alike, or (quantiles only) of the
            transformed values.
    """

    model_type = "rnn_hub_forecast"

    cell_type: str = "gru"
    bidirectional: bool = False
    hidden_size: int = 64
    num_layers: int = 1
    context_length: int = 48
    prediction_length: int = 24
    decoding: str = "direct"
    output: str = "student_t"
    quantile_levels: list[float] = field(default_factory=lambda: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    transform: str = "none"
    scaling: str = "mean"
    minimum_scale: float = 1e-4
    anchor: str = "last"
    fixed_location: bool = False
    widening: bool = False
    season: int = 1
    lags: list[int] = field(default_factory=list)
    patch_size: int = 1
    linear_lags: int = 0
    head_size: int = 64
    position_size: int = 16
    num_time_features: int = 0
    num_past_covariates: int = 0
    num_static_features: int = 0
    scaled_loss: bool = True

    def validate_forecast(self) -> None:
        """The parts must fit together."""
        choices = {"decoding": DECODINGS, "output": OUTPUTS, "transform": TRANSFORMS, "scaling": SCALINGS}
        for name, known in (choices | {"anchor": ANCHORS}).items():
            if getattr(self, name) not in known:
                raise ValueError(f"unknown {name} {getattr(self, name)!r}; choose one of {', '.join(known)}")
        if self.bidirectional:
            raise ValueError("the past is read forwards: set bidirectional=False")
        if self.season < 1 or any(lag < 1 for lag in self.lags):
            raise ValueError("season and lags must be at least 1")
        reach = max([self.linear_lags, self.season if self.anchor == "seasonal" else 1, *self.lags])
        if reach > self.context_length:
            raise ValueError(f"context_length must be at least {reach}, which season, lags or linear_lags look back")
        if self.output == "quantiles":
            levels = self.quantile_levels
            if 0.5 not in levels or sorted(set(levels)) != levels or not 0 < levels[0] <= levels[-1] < 1:
                raise ValueError(f"quantile_levels must rise between 0 and 1 and include 0.5, got {levels}")
        elif not self.scaled_loss:
            raise ValueError("scaled_loss=False is of quantiles; a likelihood is the same in any unit")
        if self.output == "negative_binomial" and (
            self.transform != "none"
            or self.anchor != "none"
            or self.scaling not in ("mean", "none")
            or self.linear_lags
        ):
            raise ValueError(
                "counts are multiples of their scale: negative_binomial needs transform='none', "
                "anchor='none', linear_lags=0 and scaling 'mean' or 'none'"
            )
        if self.fixed_location and (
            self.output not in ("normal", "student_t") or self.anchor == "none" or self.linear_lags
        ):
            raise ValueError("fixed_location needs output 'normal' or 'student_t', an anchor, and linear_lags=0")
        if self.decoding == "recursive":
            for name, absent in NOT_DIRECT.items():
                if getattr(self, name) != absent:
                    raise ValueError(f"{name} is of direct decoding: leave it at {absent}")
