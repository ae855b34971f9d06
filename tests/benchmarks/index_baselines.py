"""What rnn-forecast-stocks is compared with: a GARCH(1,1) of the package arch and a random walk, on the same days.

`python -m tests.benchmarks.index_baselines [validation|test]` prints a line of JSON for each.
"""

import json
import sys
from collections.abc import Iterator

import numpy as np
from arch import arch_model

from rnn_hub.tasks.forecasting import LEVELS, ForecastDataset, ForecastingTask
from rnn_hub.training.recipes import load_recipe

PATHS = 4000
REFIT = 250
"""Trading days after which the GARCH is fitted anew, to all days before."""


def garch(prices: np.ndarray, first: int, last: int, horizon: int, noise: str) -> Iterator[np.ndarray]:
    """For each place from `first` to before `last` the quantiles (horizon, Q) of the prices from there on."""
    returns = 100 * np.diff(np.log(prices))
    random = np.random.default_rng(0)
    for start in range(first, last, REFIT):
        parameters = arch_model(returns[: start - 1], p=1, q=1, dist=noise).fit(disp="off").params
        stop = min(start + REFIT, last)
        model = arch_model(returns[: stop - 2], p=1, q=1, dist=noise)
        model.distribution._generator = random
        found = model.fix(parameters).forecast(horizon=horizon, start=start - 2, method="simulation", simulations=PATHS)
        for place, paths in zip(range(start, stop), found.simulations.values, strict=True):
            path = prices[place - 1] * np.exp(paths.cumsum(axis=1) / 100)
            yield np.quantile(path, LEVELS, axis=0).T


def random_walk(prices: np.ndarray, first: int, last: int, horizon: int, window: int) -> Iterator[np.ndarray]:
    """Normal steps with the standard deviation of the last `window` days, no drift."""
    from scipy.stats import norm

    returns = np.diff(np.log(prices))
    for place in range(first, last):
        spread = returns[place - 1 - window : place - 1].std() * np.sqrt(np.arange(1, horizon + 1))
        yield prices[place - 1] * np.exp(spread[:, None] * norm.ppf(LEVELS))


def main(split: str = "test") -> None:
    """Print the scores."""
    recipe = load_recipe("model_cards/rnn-forecast-stocks")
    task, dataset = ForecastingTask(), recipe.dataset
    assert isinstance(dataset, ForecastDataset)
    rows = task.load(dataset, split)
    references = task.references(rows, dataset)
    ways = {
        "GARCH(1,1), normal": lambda *place: garch(*place, noise="normal"),
        "GARCH(1,1), Student-t": lambda *place: garch(*place, noise="t"),
        "random walk, 120 days": lambda *place: random_walk(*place, window=120),
        "random walk, 1000 days": lambda *place: random_walk(*place, window=1000),
    }
    for name, way in ways.items():
        predictions = []
        for number, series in enumerate(rows.series):
            places = [origin.place for origin in rows.origins if origin.series == number]
            found = way(series.values, places[0], places[-1] + 1, dataset.horizon)
            predictions += [{"quantiles": quantiles, "mean": quantiles.mean(axis=1)} for quantiles in found]
        scores = task.score(predictions, references, dataset)
        print(json.dumps({"model": name, "split": split, "examples": len(rows), "metrics": scores.values}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
