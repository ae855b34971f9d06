"""The neural cache: what followed like states of late is likely to follow again."""

import math

import torch
from torch import Tensor

from rnn_hub.errors import RnnHubError


class NeuralCache:
    """A text's last states and the words after them, mixed into a language model's distribution.

    The chance of a word in the cache is the share of the attention that falls on states which it followed (Grave,
    Joulin & Usunier 2017, section 3, equations 3 and 5). Nothing is trained.

    Args:
        size: how many of the last states attend.
        theta: how sharply: what the states' inner products are multiplied with.
        weight: the cache's part of the mixture, lambda in the paper.

    Raises:
        RnnHubError: a size below 1, a negative theta, or a weight outside 0 to 1.
    """

    def __init__(self, size: int = 2000, theta: float = 0.3, weight: float = 0.1):
        if size < 1:
            raise RnnHubError(f"the cache keeps at least one state: cache_size is {size}")
        if theta < 0:
            raise RnnHubError(f"cache_theta must not be negative, and is {theta}")
        if not 0 <= weight <= 1:
            raise RnnHubError(f"cache_weight must be from 0 to 1, and is {weight}")
        self.size, self.theta, self.weight = size, theta, weight
        self.kept: tuple[Tensor, Tensor, Tensor] | None = None

    def mix(self, hidden: Tensor, log_probs: Tensor, targets: Tensor, real: Tensor) -> Tensor:
        """The log-probabilities of the targets with the cache, which then keeps them too.

        Args:
            hidden: (B, T, D), the states that the output layer reads.
            log_probs: (B, T), the model's own, of the targets.
            targets: (B, T), the words after the states; real: (B, T), False where there is padding.
        """
        before = () if self.kept is None else self.kept
        new = (hidden, targets, real)
        keys, words, visible = (torch.cat(parts, dim=1) for parts in zip(before, new, strict=True)) if before else new
        places = torch.arange(keys.shape[1], device=keys.device)
        now = places[keys.shape[1] - hidden.shape[1] :, None]
        seen = visible[:, None] & (places < now) & (places >= now - self.size)
        scores = (self.theta * hidden @ keys.mT).masked_fill(~seen, -math.inf)
        attention = scores.softmax(dim=-1).where(seen, 0)
        follows = (attention * (words[:, None] == targets[:, :, None])).sum(dim=-1)
        weight = self.weight * seen.any(dim=-1)
        self.kept = tuple(part[:, -self.size :] for part in (keys, words, visible))
        return torch.log((1 - weight) * log_probs.exp() + weight * follows)
