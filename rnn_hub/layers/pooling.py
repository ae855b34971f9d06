"""From the states of a sequence to one vector."""

import torch
from torch import Tensor, nn

POOLINGS = ("last", "mean", "max", "attention")


class Pooling(nn.Module):
    """One vector for a sequence of states.

    - "last": its final state.
    - "mean", "max": over the real positions.
    - "attention": A = softmax(W_2 tanh(W_1 H^T)) for r hops, then A H, the hops side by side (Lin et al. 2017, section
      2, equation 6).

    Args:
        kind: one of these.
        input_size: features D of a state.
        last_size: features of the final state.
        attention_size: rows of W_1; hops: r.

    Raises:
        ValueError: for an unknown kind, naming the choices.
    """

    def __init__(self, kind: str, input_size: int, last_size: int, attention_size: int = 128, hops: int = 1):
        super().__init__()
        if kind not in POOLINGS:
            raise ValueError(f"unknown pooling {kind!r}; choose one of {', '.join(POOLINGS)}")
        self.kind = kind
        self.output_size = {"last": last_size, "attention": hops * input_size}.get(kind, input_size)
        if kind == "attention":
            self.hidden = nn.Linear(input_size, attention_size, bias=False)
            self.hops = nn.Linear(attention_size, hops, bias=False)

    def forward(self, states: Tensor, mask: Tensor, last: Tensor) -> tuple[Tensor, Tensor | None]:
        """Pools.

        Args:
            states: (B, T, D).
            mask: (B, T), 1 at real positions, one at least in each row.
            last: (B, last_size), the final states.

        Returns:
            (B, output_size), and the attention's weights (B, hops, T), 0 at padding, or None.
        """
        mask = mask.bool()
        if self.kind == "last":
            return last, None
        if self.kind == "max":
            return states.masked_fill(~mask[..., None], torch.finfo(states.dtype).min).amax(dim=1), None
        if self.kind == "mean":
            total = (states * mask[..., None].to(states.dtype)).sum(dim=1)
            return total / mask.sum(dim=1, keepdim=True).clamp(min=1).to(states.dtype), None
        energy = self.hops(torch.tanh(self.hidden(states))).transpose(1, 2)
        energy = energy.masked_fill(~mask[:, None], torch.finfo(energy.dtype).min)
        weights = torch.softmax(energy, dim=-1, dtype=torch.promote_types(energy.dtype, torch.float32))
        return (weights.to(states.dtype) @ states).flatten(1), weights

    def add(self, pooled: tuple[Tensor, ...] | None, state: Tensor, last: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Pools one state more than before, where states come one at a time and forwards only.

        Args:
            pooled: what the call before returned second; None at first.
            state: (B, D); last: (B, last_size).

        Returns:
            (B, output_size), as `forward` gives it for all states so far, and what the next call needs.
        """
        if self.kind == "last":
            return last, ()
        if self.kind == "max":
            best = state if pooled is None else torch.maximum(pooled[0], state)
            return best, (best,)
        if self.kind == "mean":
            weights, energy = state.new_ones(len(state), 1), state.new_zeros(len(state), 1)
        else:
            energy = self.hops(torch.tanh(self.hidden(state)))
            weights = torch.ones_like(energy)
        terms = weights[..., None] * state[:, None]
        if pooled is not None:  # sums of exp(energy - largest energy so far)
            total, count, largest = pooled
            top = torch.maximum(largest, energy)
            old, new = (largest - top).exp(), (energy - top).exp()
            terms, weights, energy = total * old[..., None] + terms * new[..., None], count * old + weights * new, top
        return (terms / weights[..., None]).flatten(1), (terms, weights, energy)


def hop_overlap(weights: Tensor) -> Tensor:
    """||A A^T - I||^2 (Frobenius), the mean over the batch: how much hops (B, r, T) look at the same places (Lin et al.
    2017, section 2.1)."""
    products = weights @ weights.transpose(1, 2)
    identity = torch.eye(products.shape[1], dtype=products.dtype, device=products.device)
    return (products - identity).square().sum(dim=(1, 2)).mean()
