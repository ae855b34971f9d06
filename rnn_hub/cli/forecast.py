"""What ``rnn-hub predict`` does with a forecasting model: a table in, the forecast as CSV and as a plot out."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from pathlib import Path
from typing import Any

from rnn_hub.errors import RnnHubError


def write_forecast(pipe: Any, table: str | None, options: argparse.Namespace) -> None:
    """Forecast a table's column; print it as CSV, or write it to ``--output``, and draw it to ``--plot``.

    Raises:
        RnnHubError: no table, an ending that cannot be written, and whatever the pipeline refuses; before work starts.
    """
    from rnn_hub.pipelines.forecast_plot import check_plot, plot_forecast
    from rnn_hub.pipelines.forecasting import check_horizon

    if table is None:
        raise RnnHubError("which table? Give --input FILE.csv with a column of dates and one of values")
    if options.horizon is not None:
        check_horizon(options.horizon)
    if options.plot:
        check_plot(options.plot)
    outputs = [Path(path) for path in options.output or ()]
    for path in outputs:
        if path.suffix.lower() != ".csv" or not path.parent.is_dir():
            raise RnnHubError(f"a forecast is written as CSV to a folder that exists, not to {str(path)!r}")
    history = pipe.read(table, options.date, options.value)
    forecast = pipe(history, horizon=options.horizon, seed=options.seed)
    text = forecast_csv(forecast)
    for path in outputs:
        path.write_text(text, encoding="utf-8")
        print(path, flush=True)
    if options.plot:
        plot_forecast(history, forecast, options.plot)
        print(options.plot, flush=True)
    if not outputs:
        sys.stdout.write(text)


def forecast_csv(forecast: dict[str, Any]) -> str:
    """A forecast as CSV: the date or the number of each step, its mean and its quantiles."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step" if forecast["dates"] is None else "date", "mean", *forecast["quantiles"]])
    for step, mean in enumerate(forecast["mean"]):
        date = step + 1 if forecast["dates"] is None else forecast["dates"][step].replace("T", " ")
        writer.writerow(
            [date, *(f"{value:.7g}" for value in (mean, *(q[step] for q in forecast["quantiles"].values())))]
        )
    return text.getvalue()
