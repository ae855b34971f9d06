"""ForecastingPipeline: the history of a series in, quantiles, mean and samples of what follows out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm
from transformers import AutoModelForTimeSeriesPrediction, Pipeline, PreTrainedModel

from rnn_hub.data.series import Series, find_frequency, future_dates
from rnn_hub.data.series_processor import SeriesProcessor
from rnn_hub.data.series_tables import read_series
from rnn_hub.errors import RnnHubError

logger = logging.getLogger(__name__)

LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
MAX_HORIZON = 10_000
FEWEST = 3
"""Values without which there is no forecast."""


class ForecastingPipeline(Pipeline):
    """Forecasts series.

    ``pipe(prices, horizon=24)`` gives ``{"id": "close", "dates": [...], "mean": [...], "quantiles": {0.1: [...],
    ...}}``; a list of series gives a list.

    Call arguments:
        series: the positional one: a list of numbers (None or NaN where one is missing), a `Series` of
            `rnn_hub.data.series`, a pandas Series (its index may be dates), or the path of a CSV or JSON table; or
            a list of such.
        horizon: steps to forecast; default: the model's.
        levels: of the quantiles.
        num_samples: add ``samples``, (num_samples, horizon); of a recursive model these are paths.
        seed: the same seed gives the same samples.
        date, value: names of a table's columns; by default they are found.
        batch_size: series of a batch.

    Raises:
        RnnHubError: a history without numbers or shorter than the model's least, a horizon below 1, a table that cannot
            be read; the message says which.
    """

    _load_processor = False
    _load_image_processor = False
    _load_feature_extractor = True
    _load_tokenizer = False
    _pipeline_calls_generate = False
    auto_model_class = AutoModelForTimeSeriesPrediction
    processor_class = SeriesProcessor

    def __call__(
        self,
        series: Any,
        horizon: int | None = None,
        levels: Sequence[float] = LEVELS,
        num_samples: int | None = None,
        seed: int | None = None,
        date: str | None = None,
        value: str | None = None,
        batch_size: int | None = None,
        progress: bool = False,
    ) -> Any:
        """Forecast one series or a list of them; see the class."""
        processor, several = self.feature_extractor, _are_several(series)
        horizon = check_horizon(processor.prediction_length if horizon is None else horizon)
        if num_samples is not None and num_samples < 1:
            raise RnnHubError(f"num_samples must be at least 1, not {num_samples}")
        if not all(0 < level < 1 for level in levels):
            raise RnnHubError(f"levels of quantiles lie between 0 and 1: {list(levels)}")
        histories = [
            self.read(each, date, value, number) for number, each in enumerate(series if several else [series])
        ]
        if seed is not None:
            torch.manual_seed(seed)
        found = forecast(
            self.model,
            processor,
            [self.window(each) for each in histories],
            levels,
            horizon,
            batch_size or 64,
            num_samples,
            progress,
        )
        results = [self._result(history, one, levels, horizon) for history, one in zip(histories, found, strict=True)]
        return results if several else results[0]

    def read(self, series: Any, date: str | None = None, value: str | None = None, number: int = 0) -> Series:
        """What a call takes, as a `Series`; `number` names it in errors."""
        wanted = (*self.feature_extractor.known_covariates, *self.feature_extractor.past_covariates)
        history = read_series(series, date, value, wanted, name=f"series {number + 1}")
        if self.model.config.transform == "log" and np.nanmin(history.values, initial=np.inf) <= 0:
            raise RnnHubError(
                f"{history.id} holds {np.nanmin(history.values):g}, and the model takes numbers above 0 only"
            )
        processor, recent = self.feature_extractor, history.values[-self.feature_extractor.context_length :]
        if len(recent) < self.least or np.isfinite(recent).sum() < FEWEST:
            raise RnnHubError(
                f"{history.id} has {np.isfinite(recent).sum()} values in its last {len(recent)} steps, and this model "
                f"reads {processor.context_length} and needs at least {self.least}: give a longer history"
            )
        if history.dates is not None and processor.frequency is not None:
            frequency = find_frequency(history.dates)
            if frequency.partition("-")[0] != processor.frequency.partition("-")[0]:
                logger.warning(
                    "%s has steps of %r, and the model learned from steps of %r: its forecast is a guess",
                    history.id,
                    frequency,
                    processor.frequency,
                )
        return history

    @property
    def least(self) -> int:
        """The fewest steps of a history: what the model was trained on, and what it looks back to."""
        config = self.model.config
        season = config.season if config.anchor == "seasonal" else 1
        return max(FEWEST, self.feature_extractor.least, season, *config.lags)

    def window(self, history: Series) -> dict[str, Any]:
        """The newest part of a history as the processor takes it."""
        length = len(history.values)
        start = max(length - self.feature_extractor.context_length, 0)
        return {
            "id": history.id,
            "values": history.values[start:],
            "dates": None if history.dates is None else history.dates[start:length],
            "covariates": {name: column[start:] for name, column in history.covariates.items()},
            "static": history.static,
        }

    def _result(
        self, history: Series, found: Mapping[str, Any], levels: Sequence[float], horizon: int
    ) -> dict[str, Any]:
        dates = None
        if history.dates is not None:
            frequency = find_frequency(history.dates)
            ahead = future_dates(history.dates, frequency, horizon).astype("datetime64[s]")
            whole_days = (ahead == ahead.astype("datetime64[D]")).all()
            dates = np.datetime_as_string(ahead, unit="D" if whole_days else "m").tolist()
        result = {
            "id": history.id,
            "dates": dates,
            "mean": found["mean"].tolist(),
            "quantiles": {level: found["quantiles"][:, place].tolist() for place, level in enumerate(levels)},
        }
        return result | ({"samples": found["samples"].numpy()} if "samples" in found else {})

    def _sanitize_parameters(self, **kwargs: Any) -> tuple[dict, dict, dict]:
        return {}, {}, {}

    def preprocess(self, inputs: Any, **kwargs: Any) -> Any:
        """Unused: series are read in batches."""
        raise NotImplementedError("ForecastingPipeline reads series in batches")

    _forward = postprocess = preprocess


def check_horizon(horizon: Any) -> int:
    """A number of steps from 1 to `MAX_HORIZON`; anything else is an `RnnHubError`."""
    if isinstance(horizon, bool) or not isinstance(horizon, int) or not 1 <= horizon <= MAX_HORIZON:
        raise RnnHubError(f"horizon must be a whole number of steps from 1 to {MAX_HORIZON}, not {horizon!r}")
    return horizon


def forecast(
    model: PreTrainedModel,
    processor: SeriesProcessor,
    windows: Sequence[Mapping[str, Any]],
    levels: Sequence[float],
    horizon: int | None = None,
    batch_size: int = 64,
    num_samples: int | None = None,
    progress: bool = False,
) -> list[dict[str, torch.Tensor]]:
    """For each window its `quantiles` (horizon, Q), `mean` (horizon,) and, where asked, `samples` (N, horizon)."""
    if batch_size < 1:
        raise RnnHubError(f"batch_size must be at least 1, not {batch_size}")
    steps, found = max(horizon or 0, processor.prediction_length), []
    for start in tqdm(range(0, len(windows), batch_size), desc="forecasting", unit="batch", disable=not progress):
        batch = processor([{**window, "future": None} for window in windows[start : start + batch_size]], steps)
        batch = {name: part.to(model.device) for name, part in batch.items()}
        quantiles, means = model.forecast(levels=levels, horizon=horizon, **batch)
        rows = [
            {"quantiles": q, "mean": m} for q, m in zip(quantiles.double().cpu(), means.double().cpu(), strict=True)
        ]
        if num_samples:
            drawn = model.generate(num_samples=num_samples, horizon=horizon, **batch).sequences.double().cpu()
            rows = [{**row, "samples": samples} for row, samples in zip(rows, drawn, strict=True)]
        found += rows
    return found


def _are_several(series: Any) -> bool:
    """Whether this is a list of series, and not one of numbers."""
    numbers = (int, float, np.number, type(None))
    return isinstance(series, list | tuple) and bool(len(series)) and not all(isinstance(x, numbers) for x in series)
