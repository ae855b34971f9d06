"""A linear-chain conditional random field: the tags of a sequence as one decision."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

IMPOSSIBLE = -1e4
"""The score of a transition that no sequence may have."""


class LinearChainCrf(nn.Module):
    """p(y | x) = exp(s(x, y)) / sum_y' exp(s(x, y')), with s(x, y) = start(y_1) + sum_t emission_t(y_t)
    + sum_t transition(y_t, y_t+1) + end(y_T) (Lafferty et al. 2001; Lample et al. 2016, section 2.2).

    Where the mask is 0, anywhere in a row, there is no element: its neighbours follow each other.

    Args:
        num_tags: tags N.
        allowed: (N, N), whether tag j may follow tag i; allowed_first: (N,), whether a sequence may begin with it. All
            may by default.
    """

    def __init__(
        self,
        num_tags: int,
        allowed: Sequence[Sequence[bool]] | None = None,
        allowed_first: Sequence[bool] | None = None,
    ):
        super().__init__()
        self.transitions = nn.Parameter(torch.zeros(num_tags, num_tags))
        self.start = nn.Parameter(torch.zeros(num_tags))
        self.end = nn.Parameter(torch.zeros(num_tags))
        self._penalty = _penalties(allowed or [[True] * num_tags] * num_tags)
        self._penalty_first = _penalties(allowed_first or [True] * num_tags)

    def _scores(self) -> tuple[Tensor, Tensor, Tensor]:
        """start (N,), transitions (N, N) and end (N,), with what is not allowed out of reach."""
        like = {"dtype": torch.float32, "device": self.start.device}
        start = self.start.float() + torch.tensor(self._penalty_first, **like)
        return start, self.transitions.float() + torch.tensor(self._penalty, **like), self.end.float()

    def log_likelihood(self, emissions: Tensor, tags: Tensor, mask: Tensor | None = None) -> Tensor:
        """log p(y | x) (B,) of tags (B, T), given emissions (B, T, N)."""
        emissions, mask, order = _to_front(emissions.float(), mask)
        tags = _reorder(tags.clamp(min=0), order)
        start, transitions, end = self._scores()
        steps = emissions.gather(2, tags[..., None])[..., 0] * mask
        moves = transitions[tags[:, :-1], tags[:, 1:]] * mask[:, 1:]
        last = tags.gather(1, (mask.sum(dim=1, keepdim=True) - 1).clamp(min=0))[:, 0]
        score = start[tags[:, 0]] + steps.sum(dim=1) + moves.sum(dim=1) + end[last]
        return score - torch.logsumexp(self._forward(emissions, mask, start, transitions)[-1] + end, dim=1)

    def log_marginals(self, emissions: Tensor, mask: Tensor | None = None) -> Tensor:
        """log p(y_t | x) (B, T, N) of every tag at every position, by the forward-backward algorithm."""
        emissions, mask, order = _to_front(emissions.float(), mask)
        start, transitions, end = self._scores()
        alpha = torch.stack(self._forward(emissions, mask, start, transitions), dim=1)
        beta, sure = [end.expand_as(emissions[:, 0])], _shortest(mask)
        steps = list(enumerate(zip(emissions.unbind(1), mask[..., None].unbind(1), strict=True)))
        for step, (emission, real) in reversed(steps[1:]):
            after = torch.logsumexp((emission + beta[-1]).unsqueeze(1) + transitions, dim=2)
            beta.append(after if step < sure else torch.where(real, after, beta[-1]))
        result = torch.log_softmax(alpha + torch.stack(beta[::-1], dim=1), dim=-1)
        return _reorder(result, None if order is None else order.argsort(dim=1))

    def _forward(self, emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor) -> list[Tensor]:
        """alpha_t (B, N), the log of the summed scores of all beginnings that end in a tag at step t."""
        arriving, sure, alpha = transitions.T, _shortest(mask), []
        for step, (emission, real) in enumerate(zip(emissions.unbind(1), mask[..., None].unbind(1), strict=True)):
            before = torch.logsumexp(alpha[-1].unsqueeze(1) + arriving, dim=2) if alpha else start
            alpha.append(before + emission if step < sure else torch.where(real, before + emission, alpha[-1]))
        return alpha

    @torch.no_grad()
    def decode(self, emissions: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The most probable tags (B, T), 0 where there is no element, and their scores s(x, y) (B,) (Viterbi 1967)."""
        emissions, mask, order = _to_front(emissions.float(), mask)
        start, transitions, end = self._scores()
        sure, pointers, best = _shortest(mask), [], start + emissions[:, 0]
        stay = torch.arange(emissions.shape[2], device=emissions.device)
        arriving = (transitions.T + emissions[:, 1:, :, None]).unbind(1)  # (B, to, from) for each step
        for step, (scores, real) in enumerate(zip(arriving, mask[:, 1:, None].unbind(1), strict=True), 1):
            value, pointer = (best.unsqueeze(1) + scores).max(dim=2)
            if step < sure:
                best = value
            else:
                best, pointer = torch.where(real, value, best), torch.where(real, pointer, stay)
            pointers.append(pointer)
        score, tag = (best + end).max(dim=1)
        path = [tag[:, None]]
        for pointer in reversed(pointers):
            path.append(pointer.gather(1, path[-1]))
        tags = torch.cat(path[::-1], dim=1) * mask
        return _reorder(tags, None if order is None else order.argsort(dim=1)), score


def bio_constraints(labels: Sequence[str]) -> tuple[list[list[bool]], list[bool]]:
    """Which label may follow which, and with which a sequence may begin: I-X stands only after B-X or I-X.

    Labels that have no part in the scheme (no B-X for an I-X, other names) are free.
    """
    openers = {label.removeprefix("B-") for label in labels if label.startswith("B-")}

    def may_follow(label: str, before: str | None) -> bool:
        kind = label.removeprefix("I-")
        return not label.startswith("I-") or kind not in openers or before in (f"B-{kind}", label)

    return [[may_follow(label, before) for label in labels] for before in labels], [
        may_follow(label, None) for label in labels
    ]


def _penalties(allowed: Sequence) -> list:
    """0 where something is allowed and `IMPOSSIBLE` elsewhere, in the same nesting."""
    return [_penalties(item) if isinstance(item, Sequence) else 0.0 if item else IMPOSSIBLE for item in allowed]


def _shortest(mask: Tensor) -> int:
    """How many steps all rows have, their real positions being first; 1 is always right, and a graph gets no other."""
    if torch.compiler.is_compiling():
        return 1
    return mask.shape[1] if mask.all() else max(int(mask.sum(dim=1).min()), 1)


def _to_front(emissions: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Real positions first in each row: emissions (B, T, N), mask (B, T), and where they came from (B, T) if moved."""
    if mask is None:
        return emissions, torch.ones(emissions.shape[:2], dtype=torch.bool, device=emissions.device), None
    mask = mask.bool()
    if not torch.compiler.is_compiling() and bool((mask[:, :-1] >= mask[:, 1:]).all()):
        return emissions, mask, None
    order = torch.argsort(mask.logical_not().byte(), dim=1, stable=True)
    return _reorder(emissions, order), mask.gather(1, order), order


def _reorder(x: Tensor, order: Tensor | None) -> Tensor:
    """The positions of each row of (B, T) or (B, T, N) in its order (B, T)."""
    if order is None:
        return x
    return x.gather(1, order if x.dim() == 2 else order[..., None].expand_as(x))
