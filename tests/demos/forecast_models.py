"""A model of time series that learned nothing: it forecasts the last value, as a folder has it."""

from pathlib import Path

import torch

from rnn_hub import RnnForecastConfig, RnnForTimeSeriesPrediction
from rnn_hub.data.series_processor import SeriesProcessor


def write_model(folder: Path, name: str = "rnn-forecast-ett", frequency: str | None = "h", **options) -> Path:
    """Save a model of 48 values and 12 steps ahead into `folder`/`name`; returns `folder`."""
    torch.manual_seed(0)
    processor = SeriesProcessor(48, 12, calendar=["hour_of_day"], frequency=frequency, least=24)
    config = RnnForecastConfig(hidden_size=8, head_size=8, scaling="difference", **processor.sizes(), **options)
    RnnForTimeSeriesPrediction(config).save_pretrained(folder / name)
    processor.save_pretrained(folder / name)
    (folder / name / "recipe.yaml").write_text("task: forecasting\ndataset: {path: prices.csv}\n", encoding="utf-8")
    return folder
