"""Forecasting: series in columns or rows -> windows -> distributions of the steps ahead -> errors, CRPS, coverage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from transformers import AutoModelForTimeSeriesPrediction, PreTrainedModel

import rnn_hub.models.forecast  # noqa: F401  (its Auto class is in the registry)
from rnn_hub.data.series import Series, SeriesWindows, find_frequency, origins
from rnn_hub.data.series_loading import bounds, load_series
from rnn_hub.data.series_processor import SeriesProcessor
from rnn_hub.data.table_files import SUFFIXES
from rnn_hub.errors import RnnHubError
from rnn_hub.metrics import load_metric
from rnn_hub.pipelines.forecasting import forecast
from rnn_hub.pipelines.loading import load_pretrained
from rnn_hub.tasks.auto_model import AutoModelTask
from rnn_hub.tasks.base import DatasetSection, Scores
from rnn_hub.tasks.sections import check_keys

LEVELS = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""Of the quantiles that are scored."""
OF_MEANS, OF_MEDIANS = ("mse", "rse", "corr"), ("mae", "smape", "mase", "directional_accuracy")
OF_QUANTILES = ("crps", "weighted_quantile_loss")
"""What each metric scores: an error is smallest in the mean or the median of a distribution (Gneiting 2011)."""
METRICS = (*OF_MEANS, *OF_MEDIANS, *OF_QUANTILES, "coverage")


@dataclass
class ForecastDataset(DatasetSection):
    """Series and how they are forecast.

    Args:
        values: the columns that are series (default: all of numbers), or the one column of lists of which each row is a
            series; the split `test` then continues those of `train`.
        id: with such a column, that of the series' names.
        date: column of dates.
        known, past: columns known ahead, and of the past only.
        static: with a column of lists, columns of numbers.
        boundaries: where the rows are parted into training, validation and test: two indices, fractions or dates, and
            maybe a third where the test ends. Default for columns: 0.6 and 0.8.
        context, horizon: values of a past, and of a future; season: steps of a season.
        calendar: cycles of the calendar that the model sees.
        stride: steps between training windows, which then move at random; validation_stride, test_stride: between those
            that are scored.
        whole: only windows whose whole horizon lies in the split are scored, not any step that does.
        least: values of the past that a training window needs.
        metrics: what is scored; `name_3` is the metric `name` of the third step ahead alone.
        standardize: errors count in units of the standard deviation of the training values.
        interval: the probability of the interval whose coverage is told.
    """

    values: list[str] | str | None = None
    id: str | None = None
    date: str | None = None
    known: list[str] = field(default_factory=list)
    past: list[str] = field(default_factory=list)
    static: list[str] = field(default_factory=list)
    boundaries: list[Any] | None = None
    context: int = 48
    horizon: int = 24
    season: int = 1
    calendar: list[str] = field(default_factory=list)
    stride: int = 1
    validation_stride: int = 1
    test_stride: int = 1
    whole: bool = True
    least: int = 1
    metrics: list[str] = field(default_factory=lambda: ["mae", "crps", "coverage"])
    standardize: bool = False
    interval: float = 0.8

    def __post_init__(self) -> None:
        self.values = [self.values] if isinstance(self.values, str) else self.values


@dataclass
class NoSection:
    """Series have no vocabulary: this section of a recipe stays empty."""


class ForecastingTask(AutoModelTask):
    """The next values of a series."""

    name = "forecasting"
    columns = ("date", "values")
    dataset_section: ClassVar[type] = ForecastDataset
    tokenizer_section: ClassVar[type] = NoSection
    model_type = "rnn_hub_forecast"
    auto_class = AutoModelForTimeSeriesPrediction
    main_metric = "crps"
    greater_is_better = False
    demo = "demos.forecasting"
    pipeline_tag = "time-series-forecasting"
    processor_file = "preprocessor_config.json"
    label_names = ("future_values",)
    unit = "windows"
    usage = """```python
import rnn_hub

forecast = rnn_hub.pipeline("forecasting", model="{name}")
forecast("prices.csv", horizon=24)["quantiles"][0.9]
```

From the command line: `rnn-hub predict {name} --input prices.csv --horizon 24 --plot out.png`."""

    def load(self, dataset: ForecastDataset, split: str, **kwargs: Any) -> SeriesWindows:
        """The windows of a split; a missing column, or series too short for any window, raises an error."""
        check_section(dataset)
        series, regions = load_series(dataset, split, dataset.horizon)
        training = split == dataset.train
        found = origins(
            series,
            *zip(*regions, strict=True),
            horizon=dataset.horizon,
            stride=self._stride(dataset, split),
            whole=dataset.whole or training,
            least=dataset.least if training else 1,
            random=training,
        )
        if not found:
            longest = max(end - begin for begin, end in regions)
            raise RnnHubError(
                f"split {split!r} of {dataset.path} has at most {longest} values of a series: too few for a horizon of "
                f"{dataset.horizon} after {dataset.least} values"
            )
        return SeriesWindows(series, found, dataset.context, dataset.horizon)

    def other_data(self, section: dict[str, Any], path: str) -> dict[str, Any]:
        """A table in a file has its own columns and length: those of the recipe's data set are not asked of it."""
        own = ("name", "id", "date", "values", "boundaries") if Path(path).suffix.lower() in SUFFIXES else ()
        return {**{key: value for key, value in section.items() if key not in own}, "path": path}

    def _stride(self, dataset: ForecastDataset, split: str) -> int:
        if split == dataset.train:
            return dataset.stride
        return dataset.validation_stride if split == dataset.validation else dataset.test_stride

    def load_processor(self, folder: str | Path) -> SeriesProcessor:
        """The processor of a model folder."""
        return SeriesProcessor.from_pretrained(folder)

    def load_model(self, model: str) -> tuple[PreTrainedModel, SeriesProcessor]:
        """Load a model and its processor."""
        return load_pretrained(self.auto_class, model, SeriesProcessor)

    def network(self, model: Mapping[str, Any]) -> str:
        """The layers, what they give, and how."""
        output = str(model.get("output", "student_t")).replace("_", " ")
        return f"{super().network({'cell_type': 'gru', **model})}, {output} output, {model.get('decoding', 'direct')}"

    def limits(self, recipe: Mapping[str, Any]) -> str:
        """A forecast continues what was seen."""
        return (
            f"The model continues what it saw in `{recipe['dataset']['path']}`: other kinds of series are "
            "guesswork, and so is what has no precedent in their history. The intervals hold on average over many "
            "forecasts, as measured above, and not for each one. This is no advice on investments."
        )

    def model_fields(self, rows: SeriesWindows, dataset: ForecastDataset) -> dict[str, Any]:
        """Lengths and numbers of inputs."""
        return {**self.build_processor(rows, dataset, None).sizes(), "season": dataset.season}

    def check_model(self, fields: Mapping[str, Any], generation: Mapping[str, Any]) -> None:
        """Build the config and, without memory, the model."""
        check_keys(generation, (), "generation (nothing to set)")
        with torch.device("meta"):
            self._model(self._config({"context_length": 100_000, **fields}))

    def build_model(
        self, fields: Mapping[str, Any], processor: SeriesProcessor, generation: Mapping[str, Any]
    ) -> PreTrainedModel:
        """Build the model."""
        return self._model(self._config(fields))

    def build_processor(self, rows: SeriesWindows, dataset: ForecastDataset, tokenizer: Any) -> SeriesProcessor:
        """Take the means and deviations of covariates, and the step of the dates, from the training part."""
        ends: dict[int, int] = {}
        for origin in rows.origins:
            ends[origin.series] = max(ends.get(origin.series, 0), origin.end)
        standards = {}
        for name in (*dataset.known, *dataset.past):
            column = np.concatenate([rows.series[number].covariates[name][:end] for number, end in ends.items()])
            standards[name] = [float(np.nanmean(column)), float(np.nanstd(column))]
        for name in dataset.static:
            column = np.array([rows.series[number].static[name] for number in ends])
            standards[name] = [float(column.mean()), float(column.std())]
        dates = rows.series[0].dates
        return SeriesProcessor(
            context_length=dataset.context,
            prediction_length=dataset.horizon,
            calendar=dataset.calendar,
            known_covariates=dataset.known,
            past_covariates=dataset.past,
            static_features=dataset.static,
            standards=standards,
            frequency=None if dates is None else find_frequency(dates),
            season=dataset.season,
            least=dataset.least,
            target=rows.series[0].id if len(rows.series) == 1 else None,
        )

    def build_collator(
        self, processor: SeriesProcessor, dataset: ForecastDataset, tokenizer: Any, training: bool
    ) -> Callable[[list[dict]], dict]:
        """The processor."""
        return processor

    def lengths(self, rows: SeriesWindows, processor: SeriesProcessor, dataset: ForecastDataset) -> list[int]:
        """Values of each past."""
        return rows.lengths()

    def inputs(self, rows: SeriesWindows, dataset: ForecastDataset) -> list[dict[str, Any]]:
        """The pasts."""
        return [{**window, "future": None} for window in rows]

    def references(self, rows: SeriesWindows, dataset: ForecastDataset) -> list[dict[str, Any]]:
        """What came, with the naive forecasts, and of each series the scale and the unit of its errors."""
        found, units = [], [_training_spread(series, dataset) for series in rows.series]
        wants_scale = any(metric.startswith("mase") for metric in dataset.metrics)
        for window, origin in zip(rows, rows.origins, strict=True):
            history = rows.series[origin.series].values[: origin.place]
            found.append(
                {
                    "id": window["id"],
                    "future": window["future"],
                    "last": naive(history, 1, dataset.horizon),
                    "seasonal": naive(history, dataset.season, dataset.horizon),
                    "scale": seasonal_error(history, dataset.season) if wants_scale else None,
                    "unit": units[origin.series],
                }
            )
        return found

    def predict(
        self,
        model: PreTrainedModel,
        processor: SeriesProcessor,
        inputs: Sequence[Mapping[str, Any]],
        batch_size: int = 64,
        progress: bool = False,
        **generation: Any,
    ) -> list[dict[str, Any]]:
        """For each window its `mean` (H) and its `quantiles` (H, Q) of `LEVELS`."""
        found = forecast(model, processor, inputs, LEVELS, batch_size=batch_size, progress=progress)
        return [{name: part.tolist() for name, part in one.items()} for one in found]

    def score(
        self,
        predictions: Sequence[Mapping[str, Any]],
        references: Sequence[Mapping[str, Any]],
        dataset: ForecastDataset,
    ) -> Scores:
        """The section's metrics and the CRPS; of errors also those of the naive forecasts."""
        return score(predictions, references, dataset)


def check_section(dataset: ForecastDataset) -> None:
    """Raise an error for lengths below 1 and unknown metrics, before any work."""
    for name in ("context", "horizon", "season", "stride", "validation_stride", "test_stride", "least"):
        if getattr(dataset, name) < 1:
            raise RnnHubError(f"dataset.{name} must be at least 1, not {getattr(dataset, name)}")
    for metric in dataset.metrics:
        name, _, step = metric.rpartition("_") if metric not in METRICS else (metric, "", "")
        if name not in METRICS or (step and not (step.isdecimal() and 1 <= int(step) <= dataset.horizon)):
            known = ", ".join(METRICS)
            raise RnnHubError(f"unknown metric {metric!r}: choose from {known}, or one with a step, such as mae_1")
    if not 0 < dataset.interval < 1 or round((1 - dataset.interval) / 2, 3) not in LEVELS:
        raise RnnHubError(f"dataset.interval must be 0.1, 0.2, ... or 0.9, not {dataset.interval}")


def score(
    predictions: Sequence[Mapping[str, Any]], references: Sequence[Mapping[str, Any]], dataset: ForecastDataset
) -> Scores:
    """Score forecasts; see `ForecastingTask.score`."""
    values, signatures = {}, []
    for metric in dict.fromkeys([*dataset.metrics, "crps"]):
        name, step = (
            (metric, None) if metric in METRICS else (metric.rpartition("_")[0], int(metric.rpartition("_")[2]))
        )
        forecasts = {metric: [_part(one, name, dataset) for one in predictions]}
        if name in (*OF_MEANS, *OF_MEDIANS) and name != "directional_accuracy":
            forecasts[f"{metric}_last_value"] = [one["last"] for one in references]
            if dataset.season > 1:
                forecasts[f"{metric}_seasonal"] = [one["seasonal"] for one in references]
        for label, rows in forecasts.items():
            values[label], signature = _score(name, step, rows, references)
            if label == metric:
                signatures.append(f"{label}: {signature}")
    return Scores(values, "; ".join(signatures))


def _score(
    name: str, step: int | None, forecasts: Sequence[Any], references: Sequence[Mapping[str, Any]]
) -> tuple[float, str]:
    """One metric of forecasts, of all steps or one."""
    steps = slice(None) if step is None else slice(step - 1, step)
    means, units = (np.array([one["unit"][part] for one in references]) for part in (0, 1))
    real = (np.stack([one["future"][steps] for one in references]) - means[:, None]) / units[:, None]
    predicted = np.stack([np.asarray(one)[steps] for one in forecasts])
    shape = (-1,) + (1,) * (predicted.ndim - 1)
    predicted = (predicted - means.reshape(shape)) / units.reshape(shape)
    options: dict[str, Any] = {}
    if name == "corr":
        options["series"] = [one["id"] for one in references]
    elif name == "mase":
        options["scales"] = [one["scale"] / one["unit"][1] for one in references]
    elif name == "directional_accuracy":
        options["origins"] = ((np.array([one["last"][0] for one in references]) - means) / units).tolist()
    elif name in OF_QUANTILES:
        options["levels"] = list(LEVELS)
    result = load_metric(name).compute(predictions=predicted.tolist(), references=real.tolist(), **options)
    return result[name], result["signature"]


def _part(prediction: Mapping[str, Any], name: str, dataset: ForecastDataset) -> Any:
    """What a metric scores of a forecast."""
    if name in OF_MEANS:
        return prediction["mean"]
    quantiles = np.asarray(prediction["quantiles"])
    if name in OF_MEDIANS:
        return quantiles[:, LEVELS.index(0.5)]
    if name == "coverage":
        lower = LEVELS.index(round((1 - dataset.interval) / 2, 3))
        return quantiles[:, [lower, len(LEVELS) - 1 - lower]]
    return quantiles


def naive(history: np.ndarray, season: int, horizon: int) -> np.ndarray:
    """Each step is the newest value a whole number of seasons before (of a shorter history: the last value)."""
    known = history[~np.isnan(history)]
    season = season if len(known) >= season else 1
    return known[len(known) - season + np.arange(horizon) % season]


def seasonal_error(history: np.ndarray, season: int) -> float:
    """The mean absolute error of the seasonal naive forecast within a history; 0 where there is none."""
    changes = np.abs(history[season:] - history[:-season])
    return float(np.nanmean(changes)) if (~np.isnan(changes)).any() else 0.0


def _training_spread(series: Series, dataset: ForecastDataset) -> tuple[float, float]:
    """Mean and standard deviation of a series' training part."""
    if not dataset.standardize:
        return 0.0, 1.0
    end = bounds(series, dataset.boundaries)[0]
    return float(np.nanmean(series.values[:end])), float(np.nanstd(series.values[:end])) or 1.0
