"""Output layers of forecasts: distributions of transformers' `time_series_utils`, or quantiles.

All have one interface, in units that the caller scales: `forward` gives parameters, and of these `loss`, `quantiles`,
`mean` and `sample` tell, given a location and a scale.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.time_series_utils import NegativeBinomialOutput, NormalOutput, StudentTOutput

DISTRIBUTIONS = {"normal": NormalOutput, "student_t": StudentTOutput, "negative_binomial": NegativeBinomialOutput}
Params = tuple[Tensor, ...]


class DistributionHead(nn.Module):
    """Parameters of one distribution for each step, (B, H) each.

    Args:
        output: a name in `DISTRIBUTIONS`.
        input_size: features of a step.
        fixed_location: whether the location stays 0.
    """

    def __init__(self, output: str, input_size: int, fixed_location: bool = False):
        super().__init__()
        self.fixed_location = fixed_location
        self.output = DISTRIBUTIONS[output]()
        self.projection = self.output.get_parameter_projection(input_size)

    def forward(self, hidden: Tensor) -> Params:
        """(B, H, F) to parameters."""
        params = self.projection(hidden)
        return (*params[:-2], torch.zeros_like(params[-2]), params[-1]) if self.fixed_location else params

    def distribution(self, params: Params, loc: Tensor, scale: Tensor) -> torch.distributions.Distribution:
        """The distribution of the values, around `loc` (B, H) in units of `scale`, (B, 1) or (B, H)."""
        if isinstance(self.output, NegativeBinomialOutput):
            count, logits = params
            return self.output.distribution((count, logits.clone()), scale=scale)  # which adds to its argument in place
        return self.output.distribution(params, loc=loc, scale=scale)

    def loss(self, params: Params, values: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
        """The negative log-likelihood in nats of each value (B, H)."""
        return -self.distribution(params, loc, scale).log_prob(values)

    def quantiles(self, params: Params, loc: Tensor, scale: Tensor, levels: Sequence[float]) -> Tensor:
        """The values (B, H, Q) below which lie the probabilities `levels`."""
        from scipy import special, stats

        q = torch.tensor(levels, dtype=torch.float64).numpy()
        parts = [part.detach().double().cpu().numpy()[..., None] for part in params]
        if isinstance(self.output, NegativeBinomialOutput):
            odds = special.expit(-parts[1] - scale.detach().double().cpu().log().numpy()[..., None])
            found = stats.nbinom.ppf(q, parts[0], odds)
            return torch.as_tensor(found, dtype=loc.dtype, device=loc.device)
        standard = special.stdtrit(parts[0], q) if isinstance(self.output, StudentTOutput) else special.ndtri(q)
        found = torch.as_tensor(parts[-2] + parts[-1] * standard, dtype=loc.dtype, device=loc.device)
        return loc[..., None] + scale[..., None] * found

    def mean(self, params: Params, loc: Tensor, scale: Tensor) -> Tensor:
        """The mean of each step, (B, H)."""
        return self.distribution(params, loc, scale).mean

    def sample(self, params: Params, loc: Tensor, scale: Tensor) -> Tensor:
        """One value for each step, (B, H), drawn by torch's random numbers."""
        return self.distribution(params, loc, scale).sample()


class QuantileHead(nn.Module):
    """Quantiles that never cross; the loss is the pinball loss (Koenker & Bassett 1978).

    Between two levels the quantile function is a line, and so it goes on outside of them.

    Args:
        levels: of the quantiles.
        input_size: features of a step.
    """

    def __init__(self, levels: Sequence[float], input_size: int, scaled_loss: bool = True):
        super().__init__()
        self.levels, self.scaled_loss = list(levels), scaled_loss
        self.middle = self.levels.index(0.5)
        self.projection = nn.Linear(input_size, len(self.levels))

    def forward(self, hidden: Tensor) -> Params:
        """(B, H, F) to a 1-tuple of (B, H, Q): the median is a number, its neighbours lie positive steps away."""
        raw = self.projection(hidden)
        median, steps = raw[..., self.middle : self.middle + 1], F.softplus(raw)
        below = median - steps[..., : self.middle].flip(-1).cumsum(-1).flip(-1)
        above = median + steps[..., self.middle + 1 :].cumsum(-1)
        return (torch.cat([below, median, above], dim=-1),)

    def loss(self, params: Params, values: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
        """Twice the mean pinball loss over the levels, which nears the CRPS, (B, H)."""
        levels = torch.tensor(self.levels, dtype=loc.dtype, device=loc.device)
        error = ((values - loc) / scale)[..., None] - params[0]
        loss = 2 * torch.maximum(levels * error, (levels - 1) * error).mean(dim=-1)
        return loss if self.scaled_loss else loss * scale

    def quantiles(self, params: Params, loc: Tensor, scale: Tensor, levels: Sequence[float]) -> Tensor:
        """The values (B, H, Q) below which lie the probabilities `levels`."""
        wanted = torch.tensor(levels, dtype=loc.dtype, device=loc.device)
        return loc[..., None] + scale[..., None] * self._at(params[0], wanted.expand(*loc.shape, len(levels)))

    def mean(self, params: Params, loc: Tensor, scale: Tensor) -> Tensor:
        """The mean of each step, (B, H): that of the quantile function."""
        return self.quantiles(params, loc, scale, [(k + 0.5) / 50 for k in range(50)]).mean(dim=-1)

    def sample(self, params: Params, loc: Tensor, scale: Tensor) -> Tensor:
        """One value for each step, (B, H), drawn by torch's random numbers."""
        return loc + scale * self._at(params[0], torch.rand(*loc.shape, 1, dtype=loc.dtype, device=loc.device))[..., 0]

    def _at(self, quantiles: Tensor, levels: Tensor) -> Tensor:
        known = torch.tensor(self.levels, dtype=levels.dtype, device=levels.device)
        if len(self.levels) == 1:
            return quantiles.expand_as(levels)
        upper = torch.searchsorted(known, levels.contiguous()).clamp(1, len(self.levels) - 1)
        low, high = quantiles.gather(-1, upper - 1), quantiles.gather(-1, upper)
        return low + (high - low) * (levels - known[upper - 1]) / (known[upper] - known[upper - 1])


def head_of(config: Any) -> DistributionHead | QuantileHead:
    """The output layer that an `RnnForecastConfig` describes, with fresh weights."""
    if config.output == "quantiles":
        return QuantileHead(config.quantile_levels, config.head_size, config.scaled_loss)
    return DistributionHead(config.output, config.head_size, config.fixed_location)
