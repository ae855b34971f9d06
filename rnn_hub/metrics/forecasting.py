"""Metrics of forecasts. References that are NaN are not scored; a series to score is a list of numbers."""

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

from rnn_hub.errors import RnnHubError
from rnn_hub.metrics.base import OfflineMetric

NUMBERS = datasets.Sequence(datasets.Value("float64"))
Rows = Sequence[Sequence[float]]


class ForecastMetric(OfflineMetric):
    """What the metrics share: forecasts of a few steps each, point by point.

    A subclass computes `value(predicted, real, ...)` of arrays (N, H) in which what is not to be scored is NaN.
    """

    predicted: Any = NUMBERS
    inputs = "predictions: for each forecast a list of values; references: the same"

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=type(self).__doc__ or "",
            citation="",
            features=datasets.Features({"predictions": self.predicted, "references": NUMBERS}),
            inputs_description=self.inputs,
        )

    def _compute(self, predictions: Rows, references: Rows, **options: Any) -> dict[str, Any]:
        for number, (forecast, values) in enumerate(zip(predictions, references, strict=True)):
            if len(forecast) != len(values):
                raise RnnHubError(f"forecast {number} has {len(forecast)} steps, and its reference {len(values)}")
        steps = max(len(values) for values in references)
        real = _table(references, steps)
        if np.isnan(real).all():
            raise RnnHubError("there is nothing to score: every reference is missing")
        value = self.value(_table(predictions, steps), real, **options)
        signature = f"forecasts:{len(real)}|values:{int((~np.isnan(real)).sum())}"
        return {self.name: float(value), "signature": signature}

    def value(self, predicted: np.ndarray, real: np.ndarray, **options: Any) -> float:
        """The metric."""
        raise NotImplementedError


def _table(rows: Rows, steps: int) -> np.ndarray:
    """(N, steps, ...), NaN after the end of shorter rows."""
    shape = np.shape(rows[0])[1:]
    table = np.full((len(rows), steps, *shape), np.nan)
    for row, values in zip(table, rows, strict=True):
        if len(values):
            row[: len(values)] = values
    return table


class Mse(ForecastMetric):
    """The mean squared error."""

    name = "mse"

    def value(self, predicted: np.ndarray, real: np.ndarray) -> float:
        """mean (y - f)^2."""
        return np.nanmean((real - predicted) ** 2)


class Mae(ForecastMetric):
    """The mean absolute error."""

    name = "mae"

    def value(self, predicted: np.ndarray, real: np.ndarray) -> float:
        """mean |y - f|."""
        return np.nanmean(np.abs(real - predicted))


class Smape(ForecastMetric):
    """The symmetric mean absolute percentage error as the M4 competition has it, from 0 to 200: the mean over the steps
    of each forecast, and of these over the forecasts (Makridakis et al. 2020, equation 1). Where both are 0 it is 0."""

    name = "smape"

    def value(self, predicted: np.ndarray, real: np.ndarray) -> float:
        """mean 200 |y - f| / (|y| + |f|)."""
        sizes = np.abs(real) + np.abs(predicted)
        errors = 200 * np.abs(real - predicted) / np.where(sizes == 0, 1, sizes)
        return np.nanmean(_row_means(errors))


class Mase(ForecastMetric):
    """The mean absolute scaled error: each forecast's mean absolute error over its series' `scales`, the mean absolute
    error of the seasonal naive forecast within its history (Hyndman & Koehler 2006). Series of scale 0 are left out."""

    name = "mase"
    options = ("scales",)

    def value(self, predicted: np.ndarray, real: np.ndarray, scales: Sequence[float]) -> float:
        """mean (mean |y - f| / scale)."""
        scales = np.asarray(scales, dtype=np.float64)
        if len(scales) != len(real) or not (scales > 0).any():
            raise RnnHubError(f"mase needs a scale above 0 for each of the {len(real)} forecasts in `scales`")
        return np.nanmean(_row_means(np.abs(real - predicted)) / np.where(scales > 0, scales, np.nan))


class Rse(ForecastMetric):
    """The root relative squared error: the root mean squared error over the standard deviation of all that was to be
    forecast, in all series together (Lai et al. 2018, section 4.3)."""

    name = "rse"

    def value(self, predicted: np.ndarray, real: np.ndarray) -> float:
        """sqrt(sum (y - f)^2 / sum (y - mean y)^2)."""
        spread = np.nansum((real - np.nanmean(real)) ** 2)
        if spread == 0:
            raise RnnHubError("rse compares with the spread of the references, and they are all the same")
        return np.sqrt(np.nansum((real - predicted) ** 2) / spread)


class Corr(ForecastMetric):
    """The correlation of forecasts and values within a series, the mean over the series (Lai et al. 2018, section 4.3).

    `series` names the series of each forecast; by default all are of one. Those that do not vary are left out.
    """

    name = "corr"
    options = ("series",)

    def value(self, predicted: np.ndarray, real: np.ndarray, series: Sequence[Any] | None = None) -> float:
        """The mean of the Pearson correlations."""
        names = np.array(["all"] * len(real) if series is None else [str(name) for name in series])
        found = []
        for name in np.unique(names):
            f, y = predicted[names == name], real[names == name]
            f, y = f[~np.isnan(y)], y[~np.isnan(y)]
            if len(y) > 1 and f.std() > 0 and y.std() > 0:
                found.append(np.corrcoef(f, y)[0, 1])
        if not found:
            raise RnnHubError("corr needs a series whose forecasts and values vary")
        return float(np.mean(found))


class DirectionalAccuracy(ForecastMetric):
    """In how many percent of the steps the forecast lies on the same side of the value that it was made from as the
    real value does. `origins` are these values. Steps that do not move are left out."""

    name = "directional_accuracy"
    options = ("origins",)

    def value(self, predicted: np.ndarray, real: np.ndarray, origins: Sequence[float]) -> float:
        """100 mean [sign(f - o) = sign(y - o)]."""
        start = np.asarray(origins, dtype=np.float64)[:, None]
        moves = ~np.isnan(real) & (real != start)
        if not moves.any():
            raise RnnHubError("directional_accuracy needs a value that differs from the one it is forecast from")
        return 100 * np.mean((np.sign(predicted - start) == np.sign(real - start))[moves])


class QuantileMetric(ForecastMetric):
    """What the metrics of quantiles share: for each step the values of the quantiles `levels`."""

    predicted = datasets.Sequence(NUMBERS)
    inputs = "predictions: for each forecast and step a list of quantiles; references: lists of values"
    options = ("levels",)


def _pinball(predicted: np.ndarray, real: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """Twice the pinball loss of each step, the mean over the levels: (N, H)."""
    levels = np.asarray(levels, dtype=np.float64)
    if predicted.shape[-1] != len(levels):
        raise RnnHubError(f"there are {predicted.shape[-1]} quantiles, and {len(levels)} levels")
    error = real[..., None] - predicted
    return 2 * np.maximum(levels * error, (levels - 1) * error).mean(axis=-1)


class Crps(QuantileMetric):
    """The continuous ranked probability score in the unit of the values, from quantiles: twice the mean pinball loss
    (Gneiting & Raftery 2007, section 4.2; exact as the levels grow dense)."""

    name = "crps"

    def value(self, predicted: np.ndarray, real: np.ndarray, levels: Sequence[float]) -> float:
        """mean over steps and levels of 2 max(q (y - f), (q - 1) (y - f))."""
        return np.nanmean(_pinball(predicted, real, levels))


class WeightedQuantileLoss(QuantileMetric):
    """The pinball losses of all steps, twice, over the sum of the absolute values, the mean over the levels (Salinas et
    al. 2020, section 4): the CRPS as a part of the size of the series."""

    name = "weighted_quantile_loss"

    def value(self, predicted: np.ndarray, real: np.ndarray, levels: Sequence[float]) -> float:
        """sum 2 pinball / sum |y|."""
        return np.nansum(_pinball(predicted, real, levels)) / np.nansum(np.abs(real))


class Coverage(ForecastMetric):
    """How many percent of the values lie in their intervals, ends included."""

    name = "coverage"
    predicted = datasets.Sequence(NUMBERS)
    inputs = "predictions: for each forecast and step the lower and the upper end; references: lists of values"

    def value(self, predicted: np.ndarray, real: np.ndarray) -> float:
        """100 mean [low <= y <= high]."""
        if predicted.shape[-1] != 2:
            raise RnnHubError(f"an interval has 2 ends, not {predicted.shape[-1]}")
        inside = (predicted[..., 0] <= real) & (real <= predicted[..., 1])
        return 100 * np.mean(inside[~np.isnan(real)])


def _row_means(errors: np.ndarray) -> np.ndarray:
    """The mean of each row, NaN where nothing of it is scored."""
    scored = ~np.isnan(errors)
    with np.errstate(invalid="ignore"):
        return np.where(scored, errors, 0).sum(axis=1) / scored.sum(axis=1)
