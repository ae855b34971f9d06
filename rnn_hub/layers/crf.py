"""A linear-chain conditional random field: the tags of a sequence as one decision."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnn_hub.cells import fused, onnx_scan

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
        return score - torch.logsumexp(self._forward(emissions, mask, start, transitions)[:, -1] + end, dim=1)

    def log_marginals(self, emissions: Tensor, mask: Tensor | None = None) -> Tensor:
        """log p(y_t | x) (B, T, N) of every tag at every position, by the forward-backward algorithm."""
        emissions, mask, order = _to_front(emissions.float(), mask)
        start, transitions, end = self._scores()
        alpha = self._forward(emissions, mask, start, transitions)

        def before(beta: Tensor, emission: Tensor) -> Tensor:
            return torch.logsumexp((emission + beta).unsqueeze(1) + transitions, dim=2)

        beta = _walk(before, end.expand_as(emissions[:, 0]), _next(emissions).flip(1), _next(mask).flip(1))
        result = torch.log_softmax(alpha + beta.flip(1), dim=-1)
        return _reorder(result, None if order is None else order.argsort(dim=1))

    def _forward(self, emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor) -> Tensor:
        """alpha (B, T, N), the log of the summed scores of all beginnings that end in a tag at a step."""
        arriving = transitions.T

        def after(alpha: Tensor, emission: Tensor) -> Tensor:
            return torch.logsumexp(alpha.unsqueeze(1) + arriving, dim=2) + emission

        return _walk(after, start + emissions[:, 0], emissions, _but_first(mask))

    @torch.no_grad()
    def decode(self, emissions: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The most probable tags (B, T), 0 where there is no element, and their scores s(x, y) (B,) (Viterbi 1967)."""
        emissions, mask, order = _to_front(emissions.float(), mask)
        start, transitions, end = self._scores()
        arriving = transitions.T + emissions[..., None]  # (B, T, to, from)
        search = _search_in_graph if fused.exports_to_onnx() else _search
        tags, score = search(start + emissions[:, 0], arriving, end, mask)
        return _reorder(tags * mask, None if order is None else order.argsort(dim=1)), score


def _search(best: Tensor, arriving: Tensor, end: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The best tags (B, T) and their scores (B,), from those of first tags (B, N) and of moves (B, T, to, from)."""
    stay, pointers = torch.arange(len(end), device=end.device), []
    for position, (scores, moves) in enumerate(zip(arriving.unbind(1), _moves(mask), strict=True)):
        if position == 0:
            continue
        value, pointer = (best.unsqueeze(1) + scores).max(dim=2)
        if moves:
            best = value
        else:
            real = mask[:, position, None]
            best, pointer = torch.where(real, value, best), torch.where(real, pointer, stay)
        pointers.append(pointer)
    score, tag = (best + end).max(dim=1)
    path = [tag[:, None]]
    for pointer in reversed(pointers):
        path.append(pointer.gather(1, path[-1]))
    return torch.cat(path[::-1], dim=1), score


def _search_in_graph(best: Tensor, arriving: Tensor, end: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """What `_search` finds, in two operators."""

    def move(before: tuple[Tensor], given: tuple[Tensor, Tensor]) -> tuple[tuple[Tensor], Tensor]:
        value, pointer = (before[0].unsqueeze(1) + given[0]).max(dim=2)
        return (torch.where(given[1][:, None], value, before[0]),), pointer

    (best,), pointers = onnx_scan.run_steps(move, (best,), (arriving, _but_first(mask)))
    score, tag = (best + end).max(dim=1)
    tags = _walk(
        lambda tag, pointer: pointer.gather(1, tag), tag[:, None], _next(pointers).flip(1), _next(mask).flip(1)
    )
    return tags[..., 0].flip(1), score


def _walk(step: Callable[[Tensor, Tensor], Tensor], state: Tensor, inputs: Tensor, mask: Tensor) -> Tensor:
    """The state (B, ...) after each step over inputs (B, T, ...): (B, T, ...). Where mask (B, T) is 0 it stays."""
    if fused.exports_to_onnx():

        def masked(before: tuple[Tensor], given: tuple[Tensor, Tensor]) -> tuple[tuple[Tensor], Tensor]:
            after = torch.where(given[1][:, None], step(before[0], given[0]), before[0])
            return (after,), after.clone()

        return onnx_scan.run_steps(masked, (state,), (inputs, mask))[1]
    states = []
    for position, (given, moves) in enumerate(zip(inputs.unbind(1), _moves(mask), strict=True)):
        if moves is not None:
            after = step(state, given)
            state = after if moves else torch.where(mask[:, position, None], after, state)
        states.append(state)
    return torch.stack(states, dim=1)


def _moves(mask: Tensor) -> list[bool | None]:
    """For each step of (B, T) whether all rows take it: None if none does; a graph knows of none."""
    if torch.compiler.is_compiling():
        return [False] * mask.shape[1]
    taken = mask.sum(dim=0).tolist()
    return [None if count == 0 else count == len(mask) for count in taken]


def _next(x: Tensor) -> Tensor:
    """For each position of (B, T, ...) what stands at the next; 0 at the last."""
    return F.pad(x[:, 1:], (0, 0) * (x.dim() - 2) + (0, 1))


def _but_first(mask: Tensor) -> Tensor:
    """(B, T) without its first position, at which the state is there already."""
    return F.pad(mask[:, 1:], (1, 0))


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


def _to_front(emissions: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Real positions first in each row: emissions (B, T, N), mask (B, T), and where they came from (B, T) if moved."""
    if mask is None:
        return emissions, torch.ones(emissions.shape[:2], dtype=torch.bool, device=emissions.device), None
    mask = mask.bool()
    if not torch.compiler.is_compiling() and bool((mask[:, :-1] >= mask[:, 1:]).all()):
        return emissions, mask, None
    emissions, order = fused.in_order(emissions, mask)
    return emissions, mask.gather(1, order), order


def _reorder(x: Tensor, order: Tensor | None) -> Tensor:
    """The positions of each row of (B, T) or (B, T, N) in its order (B, T)."""
    if order is None:
        return x
    return x.gather(1, order if x.dim() == 2 else order[..., None].expand_as(x))
