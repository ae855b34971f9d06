"""The forecasting demo: a table or an example; then history and forecast with intervals, to see and to take home."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import gradio as gr
import numpy as np

from demos import text_input
from demos.page import build_page, served_folder, whole
from demos.shelf import Shelf
from rnn_hub.cli.forecast import forecast_csv
from rnn_hub.data.series import Series
from rnn_hub.data.table_files import SUFFIXES
from rnn_hub.errors import RnnHubError
from rnn_hub.pipelines.forecast_plot import axes, bands

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

TASK = "forecasting"
TITLE = "Forecasting"
HEADING = "Let a recurrent network say what comes next, and how sure it is"
EMOJI = "📈"
EXTRA = "forecasting"
SUMMARY = (
    "A recurrent network reads the history of a series and gives a distribution for each step ahead: the line is the "
    "median, and the bands hold what comes with 50, 80 and 90 % probability. Upload a CSV with a column of dates and "
    "one of values, as a spreadsheet or a broker exports it, or pick a made-up example. Prices have no certain "
    "tomorrow: a good forecast of them is a good band. Nothing here is advice on investments."
)
UPLOAD = "my own file"
HORIZON = (1, 168)


def example(name: str) -> Series:
    """A made-up series: no data set is shown here."""
    random = np.random.default_rng(7)
    if name == "a temperature, hourly":
        hours = np.arange(24 * 40)
        day, drift = np.sin(2 * np.pi * (hours - 9) / 24), random.normal(0, 0.25, len(hours)).cumsum()
        values = 18 + 4 * day + 0.6 * (drift - drift.mean()) + random.normal(0, 0.3, len(hours))
        return Series("temperature, °C", values, _dates("2024-05-01T00", "h", len(hours)))
    if name == "calls to an office, hourly":
        hours = np.arange(24 * 7 * 6)
        open_now = np.isin(hours % 24, range(8, 19)) & (hours // 24 % 7 < 5)
        values = random.poisson(15 + 60 * open_now * (1 + 0.3 * np.sin(2 * np.pi * (hours % 24) / 12)))
        return Series("calls", values.astype(float), _dates("2024-01-01T00", "h", len(hours)))
    if name == "sales, weekly":
        weeks = np.arange(52 * 6)
        values = (900 + 2.5 * weeks) * (1 + 0.25 * np.sin(2 * np.pi * weeks / 52)) * np.exp(random.normal(0, 0.05, 312))
        return Series("sales", values, _dates("2018-01-07", "7D", len(weeks)))
    spread = 0.004 + 0.016 * np.abs(np.sin(np.arange(750) / 90))
    days = np.arange(np.datetime64("2021-01-01"), np.datetime64("2024-12-31"))
    prices = 100 * np.exp((spread * random.standard_t(5, 750)).cumsum())
    return Series("price", prices, days[np.is_busday(days)][:750].astype("datetime64[s]"))


#: name of an example -> the end of the name of the model that knows such series
EXAMPLES = {
    "a temperature, hourly": "-ett",
    "a price, daily": "-stocks",
    "calls to an office, hourly": "-m4-hourly",
    "sales, weekly": "-m4-weekly",
}


def _dates(start: str, step: str, count: int) -> np.ndarray:
    import pandas as pd

    return pd.date_range(start, periods=count, freq=step).to_numpy().astype("datetime64[s]")


class View(NamedTuple):
    """The values of the page's outputs, in their order."""

    figure: Figure | None = None
    notice: str = ""
    file: str | None = None


def forecast(
    shelf: Shelf,
    model: str,
    source: str,
    file: str | None,
    horizon: float,
    date: str | None = None,
    value: str | None = None,
) -> View:
    """The forecast as a figure and a file; a notice instead where that cannot be."""
    try:
        if source == UPLOAD and not file:
            raise RnnHubError("Choose a CSV or JSON file first, then press “Forecast”.")
        pipe = shelf[model]
        history = pipe.read(file if source == UPLOAD else example(source), *_names(date, value))
        found = pipe(history, horizon=whole(horizon, "horizon"), seed=0)
    except RnnHubError as error:
        return View(notice=text_input.notice(str(error)))
    path = served_folder() / "forecast.csv"
    path.write_text(forecast_csv(found), encoding="utf-8")
    return View(draw(history, found), "", str(path))


def _names(*columns: str | None) -> list[str | None]:
    """What a visitor typed as names of columns, None where nothing."""
    return [(column or "").strip() or None for column in columns]


def draw(history: Series, found: dict) -> Figure:
    """History, median and bands, to zoom into."""
    from plotly.graph_objects import Figure, Scatter

    past, values, ahead = axes(history, found)
    median = found["quantiles"].get(0.5, found["mean"])
    figure = Figure()
    for share, low, high in bands(found):
        # a band starts in the last value, so that it grows out of the history
        x, edge = np.concatenate([past[-1:], ahead]), [values[-1]]
        figure.add_trace(Scatter(x=x, y=edge + low, line={"width": 0}, showlegend=False, hoverinfo="skip"))
        figure.add_trace(
            Scatter(
                x=x,
                y=edge + high,
                line={"width": 0},
                fill="tonexty",
                fillcolor="rgba(79, 70, 229, 0.18)",
                name=f"{100 * share:.0f} %",
                hoverinfo="skip",
            )
        )
    figure.add_trace(Scatter(x=past, y=values, line={"color": "#64748b"}, name="history"))
    figure.add_trace(Scatter(x=ahead, y=median, line={"color": "#4f46e5"}, mode="lines+markers", name="median"))
    figure.update_layout(
        title=str(history.id),
        hovermode="x unified",
        margin={"l": 50, "r": 20, "t": 50, "b": 40},
        legend={"orientation": "h", "y": 1.08, "x": 1, "xanchor": "right"},
        paper_bgcolor="rgba(0,0,0,0)",
    )
    return figure


def build(models: str | Path | None = None) -> gr.Blocks:
    """The page. Models load at their first use.

    Args:
        models: a folder of model folders; default: the released ones.
    """
    return build_page(Shelf(TASK, models), _lay_out, TITLE, HEADING, SUMMARY)


def _lay_out(shelf: Shelf) -> None:
    names, first = list(shelf.models), next(iter(EXAMPLES))
    with gr.Row():
        with gr.Column(scale=1):
            source = gr.Radio([*EXAMPLES, UPLOAD], value=first, label="Series", elem_id="series")
            file = gr.File(label="CSV or JSON", file_types=list(SUFFIXES), visible=False, height=110, elem_id="table")
            with gr.Row(visible=False) as columns:
                date = gr.Textbox(label="Column of dates", placeholder="found by itself", elem_id="date")
                value = gr.Textbox(label="Column of values", placeholder="found by itself", elem_id="value")
            model = gr.Dropdown(names, value=_model_for(first, names), label="Model", elem_id="forecaster")
            horizon = gr.Slider(*HORIZON, 24, step=1, label="Steps ahead", elem_id="horizon")
            button = gr.Button("Forecast", variant="primary", elem_id="forecast")
        with gr.Column(scale=2):
            notice = gr.HTML(visible=False, elem_id="forecast-notice")
            figure = gr.Plot(label="Forecast", elem_id="forecast-plot")
            download = gr.File(label="The forecast as CSV", interactive=False, elem_id="forecast-file")

    def run(*values):
        view = forecast(shelf, *values)
        return view._replace(notice=gr.HTML(view.notice, visible=bool(view.notice)))

    def choose(source: str, present: str) -> tuple:
        own = source == UPLOAD
        return gr.File(visible=own), gr.Row(visible=own), present if own else _model_for(source, names, present)

    inputs = [model, source, file, horizon, date, value]
    button.click(run, inputs, [figure, notice, download], show_progress_on=figure, api_name="forecast")
    source.change(choose, [source, model], [file, columns, model], show_progress="hidden", api_visibility="private")


def _model_for(source: str, names: list[str], otherwise: str | None = None) -> str:
    """The model that knows series like an example, if it is there."""
    return next((name for name in names if name.endswith(EXAMPLES[source])), otherwise or names[0])


def main() -> None:
    """Serve this demo alone."""
    from demos.app import serve

    serve(build())


if __name__ == "__main__":
    main()
