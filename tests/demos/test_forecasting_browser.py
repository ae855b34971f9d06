"""The forecasting demo in a headless Chromium: a visitor picks, uploads, looks, downloads."""

import csv
import io
import time

import pytest

from demos import app, forecasting
from tests.conftest import ROOT
from tests.demos.forecast_models import write_model
from tests.demos.test_translation_browser import WAIT, Visitor, driver, pytestmark  # noqa: F401

pytest.importorskip("plotly")
ROWS = [f"{1 + day:02d}.01.2024 {hour:02d}:00;{1000 + 10 * hour},5 €" for day in range(4) for hour in range(24)]


class Forecaster(Visitor):
    """What a person does with the page of forecasts."""

    def open(self, address):
        self.driver.get(address)
        next(tab for tab in self.wait("[role=tab]", 2) if tab.text == forecasting.TITLE).click()
        self.wait("#forecast")

    def choose(self, series):
        next(label for label in self.find("#series label") if label.text == series).click()

    def upload(self, path):
        self.choose(forecasting.UPLOAD)
        self.wait("#table input[type=file], #table button")
        self.driver.find_element("css selector", "#table input[type=file]").send_keys(str(path))
        self.until(lambda: path.stem in self.find("#table")[0].text)

    def forecast(self):
        """Press the button; returns the title of the plot, or the notice."""
        before = self.title()
        self.find("#forecast")[0].click()
        self.until(lambda: self.notice() or self.title() not in ("", before))
        return self.notice() or self.title()

    def title(self):
        found = self.find("#forecast-plot .gtitle")
        return found[0].text if found else ""

    def notice(self):
        found = self.find("#forecast-notice .notice")
        return found[0].text if found else ""

    def until(self, true):
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            if true():
                return
            time.sleep(0.05)
        raise AssertionError(f"waited in vain; the page says: {self.find('body')[0].text[:2000]}")

    def download(self):
        link = self.wait("#forecast-file a")[0].get_attribute("href")
        script = "const done = arguments[1]; fetch(arguments[0]).then(r => r.text()).then(done)"
        return list(csv.reader(io.StringIO(self.driver.execute_async_script(script, link))))


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    page = app.build(write_model(tmp_path_factory.mktemp("forecasts")))
    yield app.serve(page, host="127.0.0.1", block=False)
    page.close()


@pytest.fixture
def visitor(driver, address):  # noqa: F811
    visitor = Forecaster(driver)
    visitor.open(address)
    return visitor


def test_an_example_gives_a_plot_and_a_table(visitor) -> None:
    assert visitor.forecast() == "temperature, °C"
    names = [each.text for each in visitor.wait("#forecast-plot .legendtext", 5)]
    assert set(names) == {"90 %", "80 %", "50 %", "history", "median"}
    rows = visitor.download()
    assert rows[0][:2] == ["date", "mean"] and len(rows) == 25 and rows[1][0] == "2024-06-10 00:00"


def test_a_table_of_a_spreadsheet_is_forecast(visitor, tmp_path) -> None:
    table = tmp_path / "kurse.csv"
    table.write_text("Datum;Kurs\n" + "\n".join(ROWS), encoding="utf-8")
    visitor.upload(table)
    assert visitor.forecast() == "Kurs"
    rows = visitor.download()
    assert rows[1][0] == "2024-01-05 00:00" and 900 < float(rows[1][1]) < 1500


def test_what_is_wrong_with_a_table_is_told_with_its_row(visitor, tmp_path) -> None:
    visitor.choose(forecasting.UPLOAD)
    assert "Choose a CSV or JSON file first" in visitor.forecast()
    table = tmp_path / "broken.csv"
    table.write_text("Datum;Kurs\n" + "\n".join([*ROWS[:5], ROWS[5].replace("1050,5", "closed"), *ROWS[6:]]), "utf-8")
    visitor.upload(table)
    visitor.find("#forecast")[0].click()
    visitor.until(lambda: "row 7" in visitor.notice())
    assert "'closed €' in column 'Kurs' is no number" in visitor.notice()


def test_every_example_suits_its_model() -> None:
    for name, ending in forecasting.EXAMPLES.items():
        series = forecasting.example(name)
        assert series.values.min() > 0 and len(series.values) == len(series.dates)
        model = next(path for path in (ROOT / "model_cards").glob("rnn-forecast-*") if path.name.endswith(ending))
        view = forecasting.forecast(forecasting.Shelf(forecasting.TASK, model.parent), model.name, name, None, 12)
        assert not view.notice and view.figure is not None, view.notice
