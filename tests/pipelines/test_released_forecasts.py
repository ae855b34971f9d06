"""The released forecasting models do on test what their cards say."""

import json

import numpy as np
import pytest

from rnn_hub import pipeline
from rnn_hub.cli import main
from tests.conftest import ROOT

CARDS = ROOT / "model_cards"


def measured(name: str, capsys, *arguments: str) -> dict[str, float]:
    """The figures of the test split, measured now and as the folder has them, which must agree."""
    assert main(["evaluate", str(CARDS / name), *arguments]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])["metrics"]
    recorded = json.loads((CARDS / name / "results.json").read_text())["evaluations"]
    (before,) = (entry["metrics"] for entry in recorded if entry["split"] == "test")
    assert found == pytest.approx(before, rel=1e-3)
    return found


@pytest.mark.parametrize(("name", "most"), [("rnn-forecast-m4-weekly", 7.817), ("rnn-forecast-m4-hourly", 9.328)])
def test_m4_is_forecast_better_than_by_the_winner(data_dir, capsys, name: str, most: float) -> None:
    assert measured(name, capsys, "--dataset", str(data_dir / "m4"))["smape"] < most


def test_the_intervals_of_indices_hold(capsys) -> None:
    pytest.importorskip("arch")
    found = measured("rnn-forecast-stocks", capsys)
    assert (
        76 < found["coverage"] < 84 and found["crps"] < 35.71
    )  # the GARCH(1,1) of tests/benchmarks/index_baselines.py


@pytest.mark.slow
def test_ett_is_forecast_better_than_by_its_last_value(data_dir, capsys) -> None:
    found = measured("rnn-forecast-ett", capsys, "--dataset", str(data_dir / "ett"))
    assert found["mse"] < 0.032 < found["mse_last_value"]


@pytest.mark.slow
def test_exchange_rates_have_intervals_that_hold(data_dir, capsys) -> None:
    found = measured("rnn-forecast-exchange", capsys, "--dataset", str(data_dir / "exchange_rate"))
    for step in (3, 6, 12, 24):
        assert 77 < found[f"coverage_{step}"] < 83
        assert found[f"rse_{step}"] == pytest.approx(found[f"rse_{step}_last_value"], rel=1e-6)


@pytest.mark.parametrize("name", sorted(path.name for path in CARDS.glob("rnn-forecast-*")))
def test_each_forecasts_a_rising_wave(name: str) -> None:
    pipe = pipeline("forecasting", model=CARDS / name)
    steps = np.arange(600)
    days = np.datetime64("2024-01-01T00:00") + steps.astype("timedelta64[h]")
    from rnn_hub.data.series import Series

    wave = 100 + 0.02 * steps + 5 * np.sin(2 * np.pi * steps / 24)
    found = pipe(Series("wave", wave, days), horizon=30, num_samples=7, seed=0)
    low, high = np.array(found["quantiles"][0.05]), np.array(found["quantiles"][0.95])
    assert (low < high).all() and low.min() > 80 and high.max() < 160 and found["samples"].shape == (7, 30)
