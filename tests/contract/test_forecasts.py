"""What every forecasting model keeps: a row alone = in any batch; saved = loaded; samples = distributions."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForTimeSeriesPrediction

from rnn_hub import RnnForecastConfig, RnnForTimeSeriesPrediction
from rnn_hub.cells import CELLS

Batch = dict[str, Tensor]
KINDS = {
    "direct": {},
    "direct, quantiles, seasonal, log": {
        "output": "quantiles",
        "anchor": "seasonal",
        "season": 6,
        "transform": "log",
        "scaling": "difference",
    },
    "direct, patches, linear, lags, all inputs": {
        "patch_size": 5,
        "linear_lags": 9,
        "lags": [6, 2],
        "scaling": "std",
        "num_time_features": 3,
        "num_past_covariates": 2,
        "num_static_features": 1,
    },
    "direct, normal, no anchor": {"output": "normal", "anchor": "none", "cell_type": "lstm", "num_layers": 2},
    "direct, only the spread": {"fixed_location": True, "widening": True, "scaling": "difference"},
    "recursive": {"decoding": "recursive"},
    "recursive, all inputs": {
        "decoding": "recursive",
        "output": "normal",
        "lags": [6],
        "anchor": "seasonal",
        "season": 4,
        "num_time_features": 3,
        "num_static_features": 1,
    },
    "recursive, counts": {"decoding": "recursive", "output": "negative_binomial", "anchor": "none"},
    "recursive, quantiles": {"decoding": "recursive", "output": "quantiles", "scaling": "difference"},
}
LOAD = """
import sys, torch, rnn_hub
from transformers import AutoModelForTimeSeriesPrediction
model = AutoModelForTimeSeriesPrediction.from_pretrained(sys.argv[1]).eval()
print(model.forecast(torch.arange(1.0, 21.0)[None], levels=[0.1, 0.9])[0].tolist())
"""


def build(**options: object) -> RnnForTimeSeriesPrediction:
    """A random model in evaluation mode, whose output layers do not start at 0."""
    torch.manual_seed(1)
    sizes = {"context_length": 20, "prediction_length": 4, "hidden_size": 10, "head_size": 8}
    model = RnnForTimeSeriesPrediction(RnnForecastConfig(**{**sizes, **options}))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return model.eval()


@pytest.fixture(params=KINDS.values(), ids=KINDS.keys())
def model(request: pytest.FixtureRequest) -> RnnForTimeSeriesPrediction:
    return build(**request.param)


def draw(config: RnnForecastConfig, ahead: int = 4) -> Batch:
    """Pasts of 20, 7 and 20 values, the second padded on the left, the third with a gap."""
    torch.manual_seed(2)
    batch = {"past_values": torch.randint(1, 30, (3, 20)).float(), "past_observed_mask": torch.ones(3, 20).long()}
    batch["past_observed_mask"][1, :13] = 0
    batch["past_observed_mask"][2, 8:11] = 0
    real = torch.arange(20) >= torch.tensor([[0], [13], [0]])
    if config.num_time_features:
        batch["past_time_features"] = torch.randn(3, 20, 3) * real[..., None]
        batch["future_time_features"] = torch.randn(3, ahead, 3)
    if config.num_past_covariates:
        batch["past_covariates"] = torch.randn(3, 20, 2) * real[..., None]
    if config.num_static_features:
        batch["static_features"] = torch.randn(3, 1)
    return batch


@pytest.fixture
def batch(model) -> Batch:
    return draw(model.config)


def one_row(batch: Batch, row: int, start: int) -> Batch:
    """A row alone, its past from `start` on."""
    return {
        name: part[row : row + 1, start:] if name.startswith("past") else part[row : row + 1]
        for name, part in batch.items()
    }


def test_a_row_alone_is_the_row_in_a_padded_batch(model, batch: Batch) -> None:
    together = model(**batch)
    for row, start in ((0, 0), (1, 13), (2, 0)):
        alone = model(**one_row(batch, row, start))
        for part, whole in zip(
            (*alone.params, alone.loc, alone.scale), (*together.params, together.loc, together.scale), strict=True
        ):
            torch.testing.assert_close(part, whole[row : row + 1])


def test_padding_and_the_values_under_it_change_nothing(model, batch: Batch) -> None:
    expected = model(**batch)
    shorter = {name: part[:, 2:] if name.startswith("past") else part for name, part in batch.items()}
    before = model(**shorter)
    longer = {
        name: torch.cat(
            [torch.full_like(part[:, :2], 0 if name.endswith("mask") or "features" in name else 7), part], 1
        )
        if name.startswith("past")
        else part
        for name, part in shorter.items()
    }
    if "past_covariates" in longer:
        longer["past_covariates"][:, :2] = 0
    for part, same in zip((*model(**longer).params, model(**longer).loc), (*before.params, before.loc), strict=True):
        torch.testing.assert_close(part, same)
    hidden = {**batch, "past_values": torch.where(batch["past_observed_mask"].bool(), batch["past_values"], 999.0)}
    for part, same in zip(model(**hidden).params, expected.params, strict=True):
        torch.testing.assert_close(part, same)


def test_what_is_missing_of_the_future_does_not_count(model, batch: Batch) -> None:
    future = torch.randint(1, 30, (3, 4)).float()
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]])
    loss = model(**batch, future_values=future, future_observed_mask=mask).loss
    other = torch.where(mask.bool(), future, float("nan"))
    torch.testing.assert_close(model(**batch, future_values=other, future_observed_mask=mask).loss, loss)
    torch.testing.assert_close(model(**batch, future_values=other).loss, loss)  # NaN is missing


def test_saved_equals_loaded(model, batch: Batch, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    loaded, info = AutoModelForTimeSeriesPrediction.from_pretrained(tmp_path, output_loading_info=True)
    assert type(loaded) is type(model) and not info["missing_keys"] and not info["unexpected_keys"]
    for part, same in zip(loaded.eval()(**batch).params, model(**batch).params, strict=True):
        torch.testing.assert_close(part, same)


def test_a_fresh_process_loads_the_same_model(tmp_path: Path) -> None:
    model = build()
    model.save_pretrained(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    found = subprocess.run(
        [sys.executable, "-c", LOAD, str(tmp_path)], capture_output=True, text=True, check=True, env=environment
    )
    expected = model.forecast(torch.arange(1.0, 21.0)[None], levels=[0.1, 0.9])[0]
    torch.testing.assert_close(torch.tensor(json.loads(found.stdout)), expected)


def test_missing_weights_are_drawn_anew(model, batch: Batch, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    save_file(dict(list(weights.items())[::2]), tmp_path / "model.safetensors", metadata={"format": "pt"})
    loaded = AutoModelForTimeSeriesPrediction.from_pretrained(tmp_path)
    assert all(part.isfinite().all() and part.abs().max() < 10 for part in loaded.parameters())
    assert loaded(**batch).loc.isfinite().all()


def test_samples_have_the_distribution_that_the_forecast_tells(model, batch: Batch) -> None:
    torch.manual_seed(3)
    levels = [0.1, 0.5, 0.9]
    if model.config.decoding == "recursive":  # whose first step is known exactly
        found = model(**batch)
        exact = model._restore(model.head.quantiles(found.params, found.loc, found.scale, levels))
    else:
        exact = model.forecast(**batch, levels=levels)[0]
    samples = model.generate(**batch, num_samples=4000).sequences
    steps = exact.shape[1]
    below = (samples[:, :, :steps, None] <= exact[:, None]).float().mean(dim=1)
    if model.config.output == "negative_binomial":  # whose quantiles are whole numbers
        assert (below >= torch.tensor(levels) - 0.03).all()
    else:
        torch.testing.assert_close(below, torch.tensor(levels).expand_as(below), atol=0.03, rtol=0)


def test_longer_horizons_follow_in_blocks_or_steps(model) -> None:
    batch = draw(model.config, ahead=11)
    assert model.generate(**batch, num_samples=3, horizon=11).sequences.shape == (3, 3, 11)
    quantiles, mean = model.forecast(**batch, levels=[0.1, 0.9], horizon=11, num_samples=20)
    assert quantiles.shape == (3, 11, 2) and mean.shape == (3, 11)
    assert (quantiles[..., 0] <= quantiles[..., 1]).all() and quantiles.isfinite().all()


def test_a_path_is_likely_as_the_teacher_forced_loss_says() -> None:
    """With the noise taken away, each step of a sampled path is the model's own next value."""
    model = build(decoding="recursive", output="normal", lags=[3], num_time_features=3)
    with torch.no_grad():
        model.head.projection.proj[1].weight.zero_()
        model.head.projection.proj[1].bias.fill_(-1e4)
    batch = draw(model.config)
    path = model.generate(**batch, num_samples=1).sequences[:, 0]
    found = model(**batch, future_values=path)
    torch.testing.assert_close(found.loc + found.scale * found.params[0], path, atol=2e-2, rtol=1e-3)


def test_the_scale_of_the_series_goes_through(model, batch: Batch) -> None:
    """A series ten times as large has forecasts ten times as large."""
    if model.config.output == "negative_binomial":
        pytest.skip("counts have no unit")
    levels = [0.2, 0.5, 0.8]
    exact = model.config.decoding == "direct"

    def forecast(factor: float) -> Tensor:
        torch.manual_seed(4)
        inputs = {**batch, "past_values": batch["past_values"] * factor}
        return model.forecast(**inputs, levels=levels)[0] if exact else model.generate(**inputs).sequences

    if model.config.transform == "log" or model.config.scaling != "none":
        torch.testing.assert_close(forecast(10.0), 10 * forecast(1.0), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("decoding", ["direct", "recursive"])
def test_any_cell(cell: str, decoding: str) -> None:
    model = build(cell_type=cell, decoding=decoding)
    batch = draw(model.config)
    model.train()(**batch, future_values=torch.ones(3, 4)).loss.backward()
    assert all(part.grad is not None and part.grad.isfinite().all() for part in model.stack.parameters())
    assert model.eval().generate(**batch, num_samples=2).sequences.isfinite().all()
