"""Beam search over a recurrent state: back-pointers, top-k per beam, and only the sentences that can still improve."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from transformers import GenerationConfig

from rnn_hub.generation.steps import States, Step, select
from rnn_hub.layers.attention import Memory

NEVER = -1e9
"""The score of what must not be chosen, as transformers has it."""
BLOCK = 64
"""How many neighbouring scores are first looked at together in a search for the best."""


@dataclass
class Hypotheses:
    """The best ended translations of N sentences, K of each, best first; all tensors are (N, K).

    Args:
        scores: log-probability divided by its length to the power of the length penalty; `NEVER` where none is yet.
        lengths: tokens, the last of them `tokens`; 0 where none is yet.
        parents: the beam, before the last token, that each comes from.
        tokens: its last token.
    """

    scores: Tensor
    lengths: Tensor
    parents: Tensor
    tokens: Tensor

    @classmethod
    def none(cls, sentences: int, beams: int, device: torch.device) -> Self:
        """No hypothesis yet."""
        zeros = torch.zeros(sentences, beams, dtype=torch.long, device=device)
        return cls(torch.full_like(zeros, NEVER, dtype=torch.float32), zeros, zeros.clone(), zeros.clone())

    def merge(self, other: Self) -> Self:
        """The best K of two."""
        scores, chosen = torch.cat([self.scores, other.scores], dim=1).topk(self.scores.shape[1])
        rest = ("lengths", "parents", "tokens")
        both = (torch.cat([getattr(self, name), getattr(other, name)], dim=1) for name in rest)
        return type(self)(scores, *(part.gather(1, chosen) for part in both))

    def rows(self, rows: Tensor) -> Self:
        """Those of some sentences."""
        return type(self)(*(part[rows] for part in vars(self).values()))

    def first(self, number: int) -> Self:
        """The best few of each sentence."""
        return type(self)(*(part[:, :number] for part in vars(self).values()))

    def write(self, rows: Tensor, other: Self) -> None:
        """Puts those of some sentences in their place."""
        for mine, part in zip(vars(self).values(), vars(other).values(), strict=True):
            mine[rows] = part


class BeamSearch:
    """The search of transformers' `generate()`, `early_stopping` and `length_penalty` included, with its results.

    Args:
        config: a `GenerationConfig` as `generate()` prepares it.
        prompt_length: tokens before the first new one.
    """

    def __init__(self, config: GenerationConfig, prompt_length: int):
        self.beams, self.returned = config.num_beams, config.num_return_sequences
        self.penalty, self.early_stopping = config.length_penalty, config.early_stopping
        self.steps = config.max_length - prompt_length
        self.ends, self.pad = config._eos_token_tensor, config._pad_token_tensor
        self.candidates = max(2, 1 + (0 if self.ends is None else len(self.ends))) * self.beams

    @property
    def fill(self) -> Tensor | int:
        """What stands behind the end of a sentence: as in transformers, a padding token 0 counts as none."""
        return -1 if self.ends is None else (self.pad or self.ends[0])

    def run(self, step: Step, logits: Tensor, memory: Memory | None, state: States) -> tuple[Tensor, Tensor]:
        """Searches.

        Args:
            step: goes on from tokens, memory and state.
            logits, memory, state: what is known after the prompts, one row for each of the B sentences.

        Returns:
            tokens (B * returned, N), filled up behind the ends, and their scores (B * returned,).
        """
        sentences, device = len(logits), logits.device
        rows = torch.arange(sentences, device=device)
        logits, state = _repeat(logits, self.beams), tuple(tuple(_repeat(p, self.beams) for p in s) for s in state)
        scores = logits.new_full((sentences, self.beams), NEVER)
        scores[:, 0] = 0  # one beam at first: all are alike
        found, active = (Hypotheses.none(sentences, self.beams, device) for _ in range(2))
        history = []
        for length in range(1, self.steps + 1):
            best, parents, tokens = self._continue(logits, scores)
            ended = torch.full_like(tokens, length == self.steps, dtype=torch.bool)
            if self.ends is not None:
                ended |= torch.isin(tokens, self.ends)
            active = active.merge(self._hypotheses(best, parents, tokens, ended, length))
            scores, chosen = torch.where(ended, best + NEVER, best).topk(self.beams)
            parents, tokens = parents.gather(1, chosen), tokens.gather(1, chosen)
            history.append(_whole(sentences, rows, parents, tokens))
            going = self._can_improve(scores, active, length)
            if length == self.steps or not going.any():
                break
            if not going.all():
                found.write(rows, active)
                left = going.nonzero()[:, 0]
                memory = None if memory is None else memory.select(left)
                rows, active, scores, tokens = rows[left], active.rows(left), scores[left], tokens[left]
                parents = parents[left] + left[:, None] * self.beams
            else:
                parents = parents + torch.arange(0, len(scores) * self.beams, self.beams, device=device)[:, None]
            logits, state = step(tokens.flatten(), memory, select(state, parents.flatten()))
        found.write(rows, active)
        return self._trace(found.first(self.returned), history), found.scores[:, : self.returned].flatten()

    def _continue(self, logits: Tensor, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The best continuations of each sentence: scores, beams and tokens, (N, candidates) each."""
        values, tokens = top_k(logits, min(self.candidates, logits.shape[-1]))
        values = values - logits.logsumexp(dim=-1, keepdim=True) + scores.view(-1, 1)
        best, places = values.view(len(scores), -1).topk(self.candidates)
        return best, places // values.shape[1], tokens.view(len(scores), -1).gather(1, places)

    def _hypotheses(self, best: Tensor, parents: Tensor, tokens: Tensor, ended: Tensor, length: int) -> Hypotheses:
        """Those of the best K continuations that have ended."""
        best, parents, tokens, ended = (part[:, : self.beams] for part in (best, parents, tokens, ended))
        scores = torch.where(ended, best / length**self.penalty, NEVER)
        return Hypotheses(scores, ended * length, parents, tokens)

    def _can_improve(self, scores: Tensor, found: Hypotheses, length: int) -> Tensor:
        """Which sentences (N,) may still find something better, by the rule that `early_stopping` names."""
        full = (found.lengths > 0).all(dim=1)
        if self.early_stopping is True:
            return ~full
        longest = self.steps if self.early_stopping == "never" and self.penalty > 0 else length
        return ~full | (scores[:, 0] / longest**self.penalty > found.scores[:, -1])

    def _trace(self, found: Hypotheses, history: list[tuple[Tensor, Tensor]]) -> Tensor:
        """The tokens (B * returned, N) of hypotheses, read backward along the pointers to their parents."""
        columns, beams = [], torch.zeros_like(found.parents)
        for length in range(int(found.lengths.max()), 0, -1):
            parents, tokens = (part.gather(1, beams) for part in history[length - 1])
            last, inside = found.lengths == length, found.lengths > length
            columns.append(torch.where(last, found.tokens, torch.where(inside, tokens, self.fill)))
            beams = torch.where(last, found.parents, torch.where(inside, parents, beams))
        return torch.stack(columns[::-1], dim=-1).flatten(0, 1)


def top_k(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """`scores.topk(k)` over rows (R, V), in two steps: the best k blocks of scores, then the best k inside these."""
    count = scores.shape[1] // BLOCK
    if count <= k:
        return scores.topk(k)
    whole, rest = scores.split([count * BLOCK, scores.shape[1] % BLOCK], dim=1)
    blocks = whole.unflatten(1, (count, BLOCK))
    chosen = blocks.amax(dim=-1).topk(k).indices
    inside = blocks.gather(1, chosen[..., None].expand(-1, -1, BLOCK)).flatten(1)
    values, places = torch.cat([inside, rest], dim=1).topk(k)
    starts = torch.cat([chosen * BLOCK, torch.full_like(chosen[:, :1], count * BLOCK)], dim=1)
    return values, starts.gather(1, places // BLOCK) + places % BLOCK


def _repeat(part: Tensor, times: int) -> Tensor:
    return part.repeat_interleave(times, dim=0)


def _whole(sentences: int, rows: Tensor, *parts: Tensor) -> tuple[Tensor, ...]:
    """Puts the rows of some sentences among those of all."""
    if len(rows) == sentences:
        return parts
    return tuple(part.new_zeros(sentences, part.shape[1]).index_copy(0, rows, part) for part in parts)
