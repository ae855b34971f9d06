"""SeriesProcessor: windows of time series to the inputs of a model."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from transformers import FeatureExtractionMixin

from rnn_hub.data.series import calendar_features, find_frequency, future_dates
from rnn_hub.errors import RnnHubError


class SeriesProcessor(FeatureExtractionMixin):
    """Pads pasts on the left, makes features of dates, standardizes covariates; saved as `preprocessor_config.json`.

    Args:
        context_length: values of a past.
        prediction_length: values of a future.
        calendar: cycles of `rnn_hub.data.series.CALENDAR` that the model sees; dates are then needed.
        known_covariates, past_covariates, static_features: names of columns that are known ahead, known of the past
            only, and constant in a series.
        standards: of each such column [mean, standard deviation].
        frequency: step of the series, as pandas names it, or None.
        season: steps of a season, of which errors and naive forecasts are told.
        least: the fewest values of a past that the model knows.
        target: what the values are, such as the name of their column.
    """

    model_input_names = ["past_values", "past_observed_mask"]

    def __init__(
        self,
        context_length: int = 48,
        prediction_length: int = 24,
        calendar: Sequence[str] = (),
        known_covariates: Sequence[str] = (),
        past_covariates: Sequence[str] = (),
        static_features: Sequence[str] = (),
        standards: Mapping[str, Sequence[float]] | None = None,
        frequency: str | None = None,
        season: int = 1,
        least: int = 1,
        target: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.context_length, self.prediction_length = context_length, prediction_length
        self.calendar, self.frequency, self.season, self.target = list(calendar), frequency, season, target
        self.known_covariates, self.past_covariates = list(known_covariates), list(past_covariates)
        self.static_features, self.standards = list(static_features), dict(standards or {})
        self.least = least

    def sizes(self) -> dict[str, int]:
        """What a model's configuration must say to take this processor's inputs."""
        return {
            "context_length": self.context_length,
            "prediction_length": self.prediction_length,
            "num_time_features": 2 * len(self.calendar) + len(self.known_covariates),
            "num_past_covariates": len(self.past_covariates),
            "num_static_features": len(self.static_features),
        }

    def __call__(self, windows: Sequence[Mapping[str, Any]], horizon: int | None = None) -> dict[str, torch.Tensor]:
        """A batch.

        Args:
            windows: as `SeriesWindows` gives them; `future` and what else the model does not need may be missing.
            horizon: steps of the future that features are made for; default: `prediction_length`.

        Raises:
            RnnHubError: a covariate, its future or dates are missing that the model needs.
        """
        horizon = horizon or self.prediction_length
        pasts = [np.asarray(window["values"], dtype=np.float64)[-self.context_length :] for window in windows]
        length = max(len(past) for past in pasts)
        values = np.stack([_pad(past[:, None], length)[:, 0] for past in pasts])
        batch = {"past_values": np.nan_to_num(values), "past_observed_mask": (~np.isnan(values)).astype(np.int64)}
        if self.calendar or self.known_covariates:
            known = [self._known(window, len(past), horizon) for window, past in zip(windows, pasts, strict=True)]
            batch["past_time_features"] = np.stack([_pad(rows[:-horizon], length, 0) for rows in known])
            batch["future_time_features"] = np.stack([rows[-horizon:] for rows in known])
        if self.past_covariates:
            rows = [
                np.stack([self._column(window, name, len(past)) for name in self.past_covariates], axis=1)
                for window, past in zip(windows, pasts, strict=True)
            ]
            batch["past_covariates"] = np.stack([_pad(part, length, 0) for part in rows])
        if self.static_features:
            batch["static_features"] = np.stack([self._static(window) for window in windows])
        if all(window.get("future") is not None for window in windows):
            future = np.stack([np.asarray(window["future"], dtype=np.float64) for window in windows])
            batch["future_values"] = np.nan_to_num(future)
            batch["future_observed_mask"] = (~np.isnan(future)).astype(np.int64)
        return {
            name: torch.as_tensor(part, dtype=torch.long if name.endswith("mask") else torch.float32)
            for name, part in batch.items()
        }

    def _known(self, window: Mapping[str, Any], past: int, horizon: int) -> np.ndarray:
        """What is known ahead, of past and future: (past + horizon, F)."""
        parts = []
        if self.calendar:
            parts.append(calendar_features(self._dates(window, past, horizon), self.calendar))
        for name in self.known_covariates:
            parts.append(self._column(window, name, past, horizon)[:, None])
        return np.concatenate(parts, axis=1)

    def _static(self, window: Mapping[str, Any]) -> list[float]:
        """The features of a series, standardized."""
        static = window.get("static") or {}
        if missing := [name for name in self.static_features if name not in static]:
            raise RnnHubError(f"series {window.get('id')!r} has no feature {missing[0]!r}, which the model needs")
        return [self._standard(name, static[name]) for name in self.static_features]

    def _dates(self, window: Mapping[str, Any], past: int, horizon: int) -> np.ndarray:
        """The dates of past and future; those beyond the last follow from the frequency."""
        dates = window.get("dates")
        if dates is None:
            needed = ", ".join(self.calendar)
            raise RnnHubError(f"series {window.get('id')!r} has no dates, and the model sees the calendar: {needed}")
        dates = dates[len(window["values"]) - past :][: past + horizon]
        missing = past + horizon - len(dates)
        if missing:
            dates = np.append(dates, future_dates(dates, self.frequency or find_frequency(dates), missing))
        return dates

    def _column(self, window: Mapping[str, Any], name: str, past: int, horizon: int = 0) -> np.ndarray:
        """A covariate of the past and so many further steps, standardized, 0 where it is missing."""
        if name not in window.get("covariates", {}):
            raise RnnHubError(f"series {window.get('id')!r} has no column {name!r}, which the model needs")
        column = np.asarray(window["covariates"][name], dtype=np.float64)
        start = len(window["values"]) - past
        column = column[start : start + past + horizon]
        if len(column) < past + horizon:
            missing = past + horizon - len(column)
            raise RnnHubError(
                f"column {name!r} ends {missing} steps early: it must be known for all {horizon} steps ahead"
            )
        return np.nan_to_num(self._standard(name, column))

    def _standard(self, name: str, value: Any) -> Any:
        mean, deviation = self.standards.get(name, (0.0, 1.0))
        return (value - mean) / (deviation or 1.0)


def _pad(rows: np.ndarray, length: int, value: float = np.nan) -> np.ndarray:
    """(T, F) with rows of `value` before it."""
    padding = np.full((length - len(rows), rows.shape[1]), value)
    return np.concatenate([padding, rows])
