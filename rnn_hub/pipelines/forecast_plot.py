"""A forecast drawn: the end of the history, the median, and bands between pairs of quantiles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn_hub.data.series import Series
from rnn_hub.errors import RnnHubError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")
#: how many times the horizon of history is shown, at least and at most
SHOWN, FEWEST = 4, 40


def check_plot(path: str | Path) -> Path:
    """A path that a plot can be written to; another ending or folder is an `RnnHubError`."""
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise RnnHubError(f"a plot is written as {', '.join(FORMATS)}, not as {path.name!r}")
    if not path.parent.is_dir():
        raise RnnHubError(f"there is no folder {path.parent} to write {path.name} to")
    return path


def bands(forecast: Mapping[str, Any]) -> list[tuple[float, list[float], list[float]]]:
    """The intervals that pairs of quantiles make, the widest first: (probability, lower ends, upper ends)."""
    quantiles = {round(level, 6): values for level, values in forecast["quantiles"].items()}
    pairs = [(level, round(1 - level, 6)) for level in sorted(quantiles) if level < 0.5]
    return [(high - low, quantiles[low], quantiles[high]) for low, high in pairs if high in quantiles]


def axes(history: Series, forecast: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places of the history's end on the axis of time, its values, and places of the forecast: dates, or numbers."""
    horizon, length = len(forecast["mean"]), len(history.values)
    first = max(length - max(SHOWN * horizon, FEWEST), 0)
    if forecast["dates"] is None:
        return np.arange(first, length), history.values[first:], np.arange(length, length + horizon)
    return history.dates[first:length], history.values[first:], np.array(forecast["dates"], dtype="datetime64[s]")


def plot_forecast(history: Series, forecast: Mapping[str, Any], path: str | Path | None = None) -> Figure:
    """Draw a forecast after its history.

    Args:
        history: what the forecast was made from.
        forecast: a result of the `ForecastingPipeline`.
        path: also write it there.

    Raises:
        RnnHubError: a path of another format, or matplotlib is missing.
    """
    path = None if path is None else check_plot(path)
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise RnnHubError("plots need matplotlib: pip install 'rnn-hub[forecasting]'") from error
    figure = Figure(figsize=(9, 4), layout="constrained")
    plot = figure.subplots()
    past, values, ahead = axes(history, forecast)
    plot.plot(past, values, color="0.25", linewidth=1.2, label="history")
    for share, low, high in bands(forecast):
        plot.fill_between(ahead, low, high, color="tab:blue", alpha=0.2, linewidth=0, label=f"{100 * share:.0f} %")
    plot.plot(ahead, forecast["quantiles"].get(0.5, forecast["mean"]), color="tab:blue", marker="." * (len(ahead) == 1))
    plot.set_title(str(history.id))
    plot.legend(loc="upper left", frameon=False)
    plot.margins(x=0.01)
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure
