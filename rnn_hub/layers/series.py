"""Windows of time series: filling gaps, scales, values of an earlier season."""

import torch
import torch.nn.functional as F
from torch import Tensor

SCALINGS = ("mean", "std", "difference", "none")
TRANSFORMS = ("none", "log")


def fill_gaps(values: Tensor, observed: Tensor) -> Tensor:
    """(B, T) values where those not observed repeat the last observed one, or else the first."""
    places = torch.arange(values.shape[1], device=values.device).expand_as(values)
    first = observed.int().argmax(dim=1, keepdim=True)
    last = running_max(torch.where(observed, places, 0))
    return values.gather(1, torch.maximum(last, first))


def running_max(x: Tensor) -> Tensor:
    """The largest of (B, T), at least 0, up to each step; ONNX has no operator for it."""
    shift = 1
    while shift < x.shape[1]:
        x, shift = torch.maximum(x, F.pad(x[:, :-shift], (shift, 0))), 2 * shift
    return x


def window_scale(values: Tensor, observed: Tensor, scaling: str, least: Tensor) -> Tensor:
    """The scale (B, 1) of the observed values of a window.

    Args:
        values: (B, T), without gaps.
        observed: (B, T).
        scaling: "mean", the mean absolute value; "std"; "difference", the mean absolute change between neighbours that
            are both observed; "none", 1.
        least: (B, 1), the least scale; where it too is 0, 1 takes its place.
    """
    if scaling == "none":
        return torch.ones_like(values[:, :1])
    if scaling == "difference":
        scale = _mean((values[:, 1:] - values[:, :-1]).abs(), observed[:, 1:] & observed[:, :-1])
    elif scaling == "std":
        scale = _mean((values - _mean(values, observed)) ** 2, observed).sqrt()
    else:
        scale = _mean(values.abs(), observed)
    scale = torch.maximum(scale, least)
    return torch.where(scale > 0, scale, torch.ones_like(scale))


def _mean(values: Tensor, observed: Tensor) -> Tensor:
    kept = observed.to(values.dtype)
    return (values * kept).sum(dim=1, keepdim=True) / kept.sum(dim=1, keepdim=True).clamp(min=1)


def earlier(values: Tensor, period: int, steps: int) -> Tensor:
    """For each of the `steps` after a window the window's newest value a whole number of periods before: (B, steps)."""
    ahead = torch.arange(steps, device=values.device)
    return values[:, values.shape[1] - period + ahead % period]
