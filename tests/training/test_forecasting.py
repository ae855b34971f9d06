"""From a table of series to a model that forecasts them, by the command line."""

import json

import numpy as np
import pandas as pd
import pytest
from datasets import Dataset

from rnn_hub import pipeline
from rnn_hub.cli import main
from rnn_hub.errors import RnnHubError
from rnn_hub.tasks.forecasting import ForecastDataset, ForecastingTask, naive, seasonal_error

HOURS = 600


def table() -> pd.DataFrame:
    """A day's rhythm that a known column doubles, in two series of different size."""
    random = np.random.default_rng(0)
    hours = np.arange(HOURS)
    sale = (random.random(HOURS // 24)[hours // 24] < 0.3).astype(float)
    shape = np.sin(2 * np.pi * hours / 24) * (1 + sale)
    dates = pd.date_range("2024-01-01", periods=HOURS, freq="h").strftime("%Y-%m-%d %H:%M:%S")
    noise = random.normal(0, 0.05, (2, HOURS))
    return pd.DataFrame(
        {"when": dates, "small": 5 + shape + noise[0], "large": 5000 + 1000 * (shape + noise[1]), "sale": sale}
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory):
    """A folder of data, and one of a model trained on them."""
    folder = tmp_path_factory.mktemp("series")
    (folder / "data").mkdir()
    table().to_csv(folder / "data" / "train.csv", index=False)
    (folder / "recipe.yaml").write_text(
        f"""
task: forecasting
name: tiny-series
dataset:
  path: {folder / "data"}
  date: when
  values: [small, large]
  known: [sale]
  boundaries: [0.6, 0.8]
  context: 48
  horizon: 12
  season: 24
  least: 24
  stride: 2
  calendar: [hour_of_day]
  metrics: [mae, mae_3, mse, mase, smape, rse, corr, crps, weighted_quantile_loss, coverage, directional_accuracy]
  standardize: true
model: {{hidden_size: 16, head_size: 32, scaling: std, anchor: seasonal, output: normal}}
training:
  num_train_epochs: 10
  learning_rate: 0.02
  per_device_train_batch_size: 32
  load_best_model_at_end: true
  output_dir: {folder / "run"}
"""
    )
    assert main(["train", str(folder / "recipe.yaml"), "training.disable_tqdm=true"]) == 0
    return folder


def test_it_beats_the_naive_forecasts_and_knows_what_it_does_not_know(trained, capsys) -> None:
    assert main(["evaluate", str(trained / "run"), "--dataset", str(trained / "data"), "--record"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    metrics = result["metrics"]
    assert result["examples"] == 2 * (120 - 12 + 1)  # rolling origins: each that has a whole horizon in the last fifth
    for name in ("mae", "mse", "mase", "rse"):
        assert metrics[name] < 0.85 * metrics[f"{name}_seasonal"] < metrics[f"{name}_last_value"]
    assert 60 < metrics["coverage"] < 98 and metrics["corr"] > 0.9 and metrics["directional_accuracy"] > 85
    card = (trained / "run" / "README.md").read_text()
    assert "MASE" in card and 'pipeline("forecasting"' in card and "no advice on investments" in card


def test_the_pipeline_gives_dates_quantiles_and_samples(trained) -> None:
    pipe = pipeline("forecasting", model=trained / "run")
    path = trained / "data" / "train.csv"
    future = pd.read_csv(path).assign(small=lambda rows: rows.small.where(rows.index < HOURS - 12))
    future.to_csv(trained / "future.csv", index=False)
    found = pipe(trained / "future.csv", value="small", num_samples=50, levels=[0.1, 0.5, 0.9], seed=1)
    assert found["id"] == "small" and found["dates"][0] == "2024-01-25T12:00" and len(found["dates"]) == 12
    assert found["samples"].shape == (50, 12) and list(found["quantiles"]) == [0.1, 0.5, 0.9]
    again = pipe(trained / "future.csv", value="small", num_samples=50, seed=1)
    np.testing.assert_array_equal(found["samples"], again["samples"])
    real = pd.read_csv(path).small.to_numpy()[-12:]
    assert np.abs(np.array(found["mean"]) - real).mean() < 0.4
    several = pipe([trained / "future.csv", trained / "future.csv"], value="small")
    np.testing.assert_allclose(several[1]["mean"], found["mean"], rtol=1e-4)
    with pytest.raises(RnnHubError, match="'sale' ends 12 steps early"):
        pipe(path, value="small")  # the known column must reach as far as the forecast


def test_the_command_line_writes_a_table_and_a_plot(trained, tmp_path, capsys) -> None:
    pd.read_csv(trained / "data" / "train.csv").assign(
        small=lambda rows: rows.small.where(rows.index < HOURS - 24), large=None
    ).to_csv(tmp_path / "future.csv", index=False)
    arguments = ["predict", str(trained / "run"), "--input", str(tmp_path / "future.csv"), "--value", "small"]
    assert main([*arguments, "--horizon", "24", "--plot", str(tmp_path / "out.png")]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[0] == str(tmp_path / "out.png") and rows[1].startswith("date,mean,0.05,0.1") and len(rows) == 26
    assert (tmp_path / "out.png").read_bytes()[1:4] == b"PNG"
    assert main([*arguments, "--output", str(tmp_path / "forecast.csv")]) == 0
    assert len((tmp_path / "forecast.csv").read_text().splitlines()) == 13


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--horizon", "0"], "horizon must be a whole number"),
        (["--plot", "out.gif"], "a plot is written as .png"),
        (["--value", "volume"], "has no column 'volume'"),
        (["--output", "forecast.txt"], "written as CSV"),
    ],
)
def test_mistakes_are_told_in_one_line(trained, tmp_path, capsys, arguments, message) -> None:
    table = tmp_path / "prices.csv"
    table.write_text("Date,Close,sale\n2024-01-01,1,0\n2024-01-02,2,0\n2024-01-03,3,0\n")
    assert main(["predict", str(trained / "run"), "--input", str(table), *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err.splitlines()[-1] and "Traceback" not in captured.err and not captured.out
    assert main(["predict", str(trained / "run"), "--input", str(table)]) == 2
    assert "needs at least 24: give a longer history" in capsys.readouterr().err


def test_a_recipe_is_checked_before_work(trained, capsys) -> None:
    recipe = str(trained / "recipe.yaml")
    for override, message in (
        ("dataset.metrics=[rmse]", "unknown metric 'rmse'"),
        ("dataset.horizon=0", "dataset.horizon must be at least 1"),
        ("dataset.boundaries=[0.8,0.6]", "must rise"),
        ("dataset.values=[when]", "holds no numbers"),
        ("dataset.values=[huge]", "has no column 'huge'"),
        ("dataset.context=4", "context_length must be at least 24"),
        ("model.output=poisson", "unknown output 'poisson'"),
        ("dataset.horizon=500", "too few for a horizon of 500"),
    ):
        assert main(["train", recipe, override, f"training.output_dir={trained / 'other'}"]) == 2, override
        assert message in capsys.readouterr().err.splitlines()[-1]


def test_rows_of_lists_continue_in_the_test_split(tmp_path) -> None:
    rows = [{"id": "a", "values": list(range(1, 31))}, {"id": "b", "values": [5.0] * 20}]
    Dataset.from_list(rows).to_parquet(str(tmp_path / "train.parquet"))
    test = [{"id": "b", "values": [6.0, 7.0]}, {"id": "a", "values": [31.0, 32.0]}]
    Dataset.from_list(test).to_parquet(str(tmp_path / "test.parquet"))
    section = ForecastDataset(str(tmp_path), values=["values"], id="id", context=8, horizon=2, least=3)
    task = ForecastingTask()
    windows = list(task.load(section, "test"))
    assert [window["future"].tolist() for window in windows] == [[31, 32], [6, 7]]
    assert windows[0]["values"].tolist() == list(range(23, 31))
    assert [window["future"].tolist() for window in task.load(section, "validation")] == [[29, 30], [5, 5]]
    train = task.load(section, "train")
    assert max(window["future"].max() for window in train) == 28 and len(train) == (28 - 2 - 3 + 1) + (18 - 2 - 3 + 1)


def test_naive_forecasts_and_the_scale_of_mase() -> None:
    history = np.array([1.0, 5.0, 2.0, 7.0, np.nan])
    assert naive(history, 1, 3).tolist() == [7, 7, 7]
    assert naive(history, 2, 3).tolist() == [2, 7, 2]
    assert seasonal_error(history[:4], 2) == pytest.approx((1 + 2) / 2)
    assert seasonal_error(history[:1], 2) == 0
