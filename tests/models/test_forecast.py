"""A forecasting model: it starts as the naive forecast, learns what there is to learn, and says what is wrong."""

import math

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError

from rnn_hub import RnnForecastConfig, RnnForTimeSeriesPrediction
from rnn_hub.layers.series import earlier, fill_gaps, window_scale

SIZES = {"context_length": 24, "prediction_length": 6, "hidden_size": 16, "head_size": 32}


def test_gaps_scales_and_earlier_seasons() -> None:
    values = torch.tensor([[0.0, 2.0, 0.0, 5.0, 0.0]])
    observed = torch.tensor([[False, True, False, True, False]])
    assert fill_gaps(values, observed).tolist() == [[2, 2, 2, 5, 5]]
    known, zero = torch.tensor([[1.0, -3.0, 5.0, 9.0]]), torch.zeros(1, 1)
    real = torch.tensor([[True, True, True, False]])
    assert window_scale(known, real, "mean", zero).item() == 3
    assert window_scale(known, real, "difference", zero).item() == 6  # (4 + 8) / 2
    assert window_scale(known, real, "std", zero).item() == pytest.approx(math.sqrt((0 + 16 + 16) / 3))
    assert window_scale(torch.zeros(1, 4), real, "mean", zero).item() == 1
    assert earlier(known, 3, 5).tolist() == [[-3, 5, 9, -3, 5]]


@pytest.mark.parametrize("decoding", ["direct", "recursive"])
def test_a_fresh_model_forecasts_its_anchor(decoding: str) -> None:
    past = torch.arange(1.0, 25.0)[None]
    for anchor, season, expected in (("last", 1, [24.0] * 6), ("seasonal", 4, [21.0, 22, 23, 24, 21, 22])):
        config = RnnForecastConfig(anchor=anchor, season=season, decoding=decoding, output="normal", **SIZES)
        model = RnnForTimeSeriesPrediction(config).eval()
        if decoding == "direct":
            quantiles, mean = model.forecast(past, levels=[0.5])
            assert mean.tolist() == [expected] and quantiles[..., 0].tolist() == [expected]
        else:
            assert model(past).loc.tolist() == [[expected[0]]]


def batches(counts: bool, steps: int):
    """Waves of random phase and size, with noise, or counts whose rates are such waves."""
    for _ in range(steps):
        time = torch.arange(30.0) + 12 * torch.rand(64, 1)
        wave = torch.sin(2 * math.pi * time / 12)
        if counts:
            yield torch.poisson(20 * (1.2 + wave))
        else:
            yield (3 + 20 * torch.rand(64, 1)) * (wave + 2 + 0.1 * torch.randn(64, 30))


@pytest.mark.parametrize(
    ("decoding", "output"),
    [
        ("direct", "normal"),
        ("direct", "student_t"),
        ("direct", "negative_binomial"),
        ("direct", "quantiles"),
        ("recursive", "student_t"),
        ("recursive", "negative_binomial"),
    ],
)
def test_it_learns_and_its_intervals_hold(decoding: str, output: str) -> None:
    torch.manual_seed(0)
    counts = output == "negative_binomial"
    anchor = "none" if counts else "seasonal"
    config = RnnForecastConfig(output=output, decoding=decoding, anchor=anchor, season=12, **SIZES)
    model = RnnForTimeSeriesPrediction(config).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for values in batches(counts, 120):
        loss = model(past_values=values[:, :24], future_values=values[:, 24:]).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    values = torch.cat(list(batches(counts, 4)))
    past, future = values[:, :24], values[:, 24:]
    quantiles, mean = model.forecast(past, levels=[0.1, 0.5, 0.9])
    assert (mean - future).abs().mean() < 0.6 * (past[:, -1:] - future).abs().mean()
    inside = (quantiles[..., 0] <= future) & (future <= quantiles[..., 2])
    assert 0.5 < inside.float().mean() < 0.97


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cell_type": "grru"}, "unknown cell_type"),
        ({"output": "poisson"}, "unknown output 'poisson'; choose one of normal"),
        ({"scaling": "max"}, "unknown scaling"),
        ({"anchor": "first"}, "unknown anchor"),
        ({"bidirectional": True}, "read forwards"),
        ({"lags": [0]}, "at least 1"),
        ({"lags": [500]}, "context_length must be at least 500"),
        ({"quantile_levels": [0.1, 0.9], "output": "quantiles"}, "include 0.5"),
        ({"output": "negative_binomial"}, "counts are multiples"),
        ({"decoding": "recursive", "patch_size": 4}, "patch_size is of direct decoding"),
        ({"scaled_loss": False}, "scaled_loss=False is of quantiles"),
        ({"fixed_location": True, "anchor": "none"}, "fixed_location needs"),
        ({"context_length": 0}, "context_length must be at least"),
        ({"hidden_sizes": 3}, "did you mean 'hidden_size'"),
    ],
)
def test_a_wrong_configuration_says_what_to_write(fields: dict, message: str) -> None:
    with pytest.raises((ValueError, StrictDataclassError), match=message):
        RnnForecastConfig(**fields)


def test_wrong_inputs_say_what_is_missing() -> None:
    model = RnnForTimeSeriesPrediction(RnnForecastConfig(num_time_features=2, **SIZES)).eval()
    past = torch.ones(2, 24)
    with pytest.raises(ValueError, match="past_time_features with 2 features, and there is nothing"):
        model(past)
    known = {"past_time_features": torch.zeros(2, 24, 2), "future_time_features": torch.zeros(2, 3, 2)}
    with pytest.raises(ValueError, match="future_time_features with 2 features of 6 steps"):
        model(past, **known)
    with pytest.raises(ValueError, match="row 1 of the batch has no observed value"):
        model(past, torch.tensor([[1] * 24, [0] * 24]), **known)
    logarithms = RnnForTimeSeriesPrediction(RnnForecastConfig(transform="log", **SIZES))
    with pytest.raises(ValueError, match="a value is -1: they must be above 0"):
        logarithms(-past)


def test_a_jump_in_a_quiet_series_stays_finite() -> None:
    model = RnnForTimeSeriesPrediction(RnnForecastConfig(scaling="difference", **SIZES))
    past = torch.full((1, 24), 8.27)
    loss = model(past, future_values=torch.full((1, 6), 6.8)).loss
    loss.backward()
    assert loss.isfinite() and all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
