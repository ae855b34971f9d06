"""Joint decoding: what a CTC head says of a text that goes on in any way, beside what attention says of its next token.

One-pass joint decoding of Watanabe et al. 2017, "Hybrid CTC/Attention Architecture for End-to-End Speech Recognition";
the prefix probabilities are those of Graves 2008, section 7.5. All sums over steps are closed forms: nothing loops over
time.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from transformers import LogitsProcessor

from rnn_hub.generation.beam import NEVER


class PrefixState(NamedTuple):
    """R texts so far, all in float64; step t of T + 1 is after t of the recording's steps.

    Args:
        blank, other: (R, T + 1), log-probability of the text over these steps where a blank stands last, or does not.
        last: (R,), the last token; -1 of an empty text.
        prefix: (R,), log-probability that the text of the recording begins so.
    """

    blank: Tensor
    other: Tensor
    last: Tensor
    prefix: Tensor

    def select(self, rows: Tensor) -> PrefixState:
        """Some of the texts, in any order and number."""
        return PrefixState(*(part.index_select(0, rows) for part in self))


class CtcPrefixScorer:
    """log p(text goes on with c | it begins so) of every token c, and of its end; over all of them it sums to 1.

    Args:
        log_probabilities: (M, T, V) of M recordings; padding is certainly blank.
        blank: the token that means none, which nothing goes on with.
        end: the token that ends a text.
    """

    def __init__(self, log_probabilities: Tensor, blank: int, end: int):
        self.steps = log_probabilities.double()
        self.chances = self.steps.exp()
        self.blank, self.end = blank, end

    def start(self, rows: int) -> PrefixState:
        """Empty texts (rows,), as many of each recording, which stand together."""
        before = self.steps.new_zeros(len(self.steps), 1)
        blank = torch.cat([before, self.steps[:, :, self.blank].cumsum(dim=1)], dim=1)
        blank = blank.repeat_interleave(rows // len(self.steps), dim=0)
        last = torch.full((rows,), -1, device=blank.device)
        return PrefixState(blank, torch.full_like(blank, -torch.inf), last, blank.new_zeros(rows))

    def prefixes(self, state: PrefixState) -> Tensor:
        """log p(text begins so, and with this token) for each of R texts and V tokens, at the end token p(text)."""
        rows, sources = len(state.last), len(self.steps)
        before = torch.logaddexp(state.blank, state.other)
        largest = before[:, :-1].amax(dim=1, keepdim=True).clamp(min=NEVER)
        shares = (before[:, :-1] - largest).exp().view(sources, rows // sources, -1)
        scores = (shares @ self.chances).log().view(rows, -1) + largest
        known = state.last.clamp(min=0)[:, None]
        after_blank = (state.blank[:, :-1] + self._column(known[:, 0])).logsumexp(dim=1, keepdim=True)
        scores = scores.scatter(1, known, torch.where(state.last[:, None] < 0, scores.gather(1, known), after_blank))
        scores[:, self.blank] = -torch.inf
        scores[:, self.end] = before[:, -1]
        return scores

    def scores(self, state: PrefixState) -> Tensor:
        """(R, V); what cannot follow has `NEVER`."""
        return (self.prefixes(state) - state.prefix.clamp(min=NEVER)[:, None]).clamp(min=NEVER)

    def advance(self, state: PrefixState, tokens: Tensor) -> PrefixState:
        """The texts with one more token each (R,); a blank and the end leave a text as it is.

        other_t = p_t(c) (other_{t-1} + before_{t-1}) and blank_t = p_t(blank) (blank_{t-1} + other_{t-1}), where before
        lacks what ends in c itself without a blank.
        """
        before = torch.where((tokens == state.last)[:, None], state.blank, torch.logaddexp(state.blank, state.other))
        column = self._column(tokens)
        other = _linear(column, before[:, :-1])
        blank = _linear(self._column(torch.full_like(tokens, self.blank)), other[:, :-1])
        kept = (tokens == self.blank) | (tokens == self.end)
        new = PrefixState(blank, other, tokens, (before[:, :-1] + column).logsumexp(dim=1))
        return PrefixState(
            *(torch.where(kept.view(-1, *[1] * (old.dim() - 1)), old, one) for old, one in zip(state, new, strict=True))
        )

    def _column(self, tokens: Tensor) -> Tensor:
        """The log-probabilities (R, T) of one token for each text."""
        sources = len(self.steps)
        chosen = tokens.view(sources, 1, -1).expand(-1, self.steps.shape[1], -1)
        return self.steps.gather(2, chosen).transpose(1, 2).flatten(0, 1)


def _linear(factor: Tensor, inputs: Tensor) -> Tensor:
    """h_t = f_t (h_{t-1} + x_{t-1}) from h_0 = 0, in logarithms: factors and inputs (R, T) -> (R, T + 1).

    With F_t = f_1 ... f_t this is h_t = F_t (x_0 / F_0 + ... + x_{t-1} / F_{t-1}).
    """
    product = factor.cumsum(dim=1)
    shifted = torch.cat([torch.zeros_like(product[:, :1]), product[:, :-1]], dim=1)
    found = product + (inputs - shifted).logcumsumexp(dim=1)
    return torch.cat([torch.full_like(found[:, :1], -torch.inf), found], dim=1)


class CtcPrefixProcessor(LogitsProcessor):
    """(1 - weight) log p_attention(c | text) + weight log p_ctc(c | text) (Watanabe et al. 2017).

    It belongs to one search: between its calls it keeps what CTC says of the texts, and finds each again by its tokens.

    Args:
        scorer: of the recordings.
        weight: from 0 to 1.
        silent: tokens that are no text, the start and the padding: a prompt may have them, and none is written.
    """

    def __init__(self, scorer: CtcPrefixScorer, weight: float, silent: tuple[int, ...] = ()):
        self.scorer, self.weight, self.silent = scorer, weight, list(silent)
        self._texts: Tensor | None = None
        self._state: PrefixState | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Texts (R, T) and logits (R, V), R a multiple of the recordings -> scores (R, V)."""
        state = self._after(input_ids)
        self._texts, self._state = input_ids.clone(), state
        attention = scores.log_softmax(dim=-1)
        heard = self.scorer.scores(state).to(scores.dtype)
        heard[:, self.silent] = NEVER
        joint = (1 - self.weight) * attention + self.weight * heard
        return torch.where(attention > -torch.inf, joint, -torch.inf)

    def _after(self, texts: Tensor) -> PrefixState:
        """The state after these texts: from those of the last call, or from the beginning."""
        parents = self._parents(texts)
        if parents is None:
            state, new = self.scorer.start(len(texts)), texts
        else:
            state, new = self._state.select(parents), texts[:, -1:]
        for tokens in new.unbind(1):
            silent = torch.isin(tokens, tokens.new_tensor(self.silent))
            state = self.scorer.advance(state, tokens.masked_fill(silent, self.scorer.blank))
        return state

    def _parents(self, texts: Tensor) -> Tensor | None:
        """Which text of the last call each one continues, of the same recording; None where one continues none."""
        if self._texts is None or self._texts.shape != texts[:, :-1].shape:
            return None
        sources = len(self.scorer.steps)
        before, now = (part.view(sources, -1, part.shape[1]) for part in (self._texts, texts[:, :-1]))
        same = (now[:, :, None] == before[:, None]).all(dim=-1)
        if not same.any(dim=-1).all():
            return None
        first = torch.arange(0, len(texts), before.shape[1], device=texts.device)[:, None]
        return (same.long().argmax(dim=-1) + first).flatten()
