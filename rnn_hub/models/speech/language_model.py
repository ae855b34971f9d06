"""A language model of characters, or a list of words, beside a recognizer's search."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnn_hub.data.tokenization import SPECIAL_TOKENS
from rnn_hub.errors import RnnHubError
from rnn_hub.generation.ctc import WordListScorer
from rnn_hub.layers.stack import StackState
from rnn_hub.models.causal_lm.modeling_causal_lm import RnnForCausalLM


class _State(NamedTuple):
    """The state after a text (batch of 1), and what follows by the model: log-probabilities of its tokens."""

    state: StackState
    following: list[float]


class LanguageModelScorer:
    """Shallow fusion: weight * log p(token | text before) + bonus for each token (Hannun et al. 2014, section 2).

    Args:
        model: of characters; its tokenizer puts `</s>` before a text, which then also ends it.
        tokenizer: of the language model.
        recognizer_tokenizer: of the recognizer, whose tokens are scored. What the language model does not know it calls
            `<unk>`.
        weight: of the language model.
        bonus: for each token, since a language model likes short texts.

    Raises:
        RnnHubError: a language model of other tokens than characters, or one that reads no `</s>`.
    """

    def __init__(
        self, model: RnnForCausalLM, tokenizer: Any, recognizer_tokenizer: Any, weight: float = 0.5, bonus: float = 0.0
    ):
        names = recognizer_tokenizer.convert_ids_to_tokens(range(len(recognizer_tokenizer)))
        names = [" " if name == recognizer_tokenizer.word_delimiter_token else name for name in names]
        known = tokenizer.get_vocab()
        self.ids = [known.get(name, tokenizer.unk_token_id) for name in names]
        spelled = all(len(token) == 1 for token in known if token not in SPECIAL_TOKENS)
        if not spelled or tokenizer("").input_ids != [tokenizer.eos_token_id]:
            raise RnnHubError(
                "the language model must be one of characters, with tokenizer.type=char and tokenizer.eos=before: "
                "this one has other tokens, or does not know where a text begins"
            )
        self.model, self.weight, self.bonus, self.eos = model.eval(), weight, bonus, tokenizer.eos_token_id

    def start(self) -> _State:
        """The state after `</s>`."""
        like = torch.empty(0, dtype=self.model.dtype, device=self.model.device)
        return self._after([self.eos], self.model.init_state(1, like))[0]

    def score(self, state: _State, token: int) -> float:
        """What a token adds."""
        return self.weight * state.following[self.ids[token]] + self.bonus

    def advance(self, states: Sequence[_State], tokens: Sequence[int]) -> list[_State]:
        """The states after one more token each, in one step of the network."""
        if not tokens:
            return []
        layers = zip(*(state.state for state in states), strict=True)
        joined = tuple(tuple(torch.cat(parts) for parts in zip(*layer, strict=True)) for layer in layers)
        return self._after([self.ids[token] for token in tokens], joined)

    def end(self, state: _State) -> float:
        """What the end of the text adds."""
        return self.weight * state.following[self.eos]

    @torch.inference_mode()
    def _after(self, tokens: list[int], state: StackState) -> list[_State]:
        logits, after = self.model.decode_step(torch.tensor(tokens, device=self.model.device), None, state)
        following = torch.log_softmax(logits, dim=-1).tolist()
        return [_State(_row(after, place), row) for place, row in enumerate(following)]


def _row(state: StackState, place: int) -> StackState:
    def one(part: Tensor) -> Tensor:
        return part[place : place + 1]

    return tuple(tuple(one(part) for part in layer) for layer in state)


def word_list_scorer(words: Iterable[str], recognizer_tokenizer: Any) -> WordListScorer:
    """Only these words.

    Raises:
        RnnHubError: no word, or one with a character that the recognizer does not know.
    """
    tokenizer, spelled = recognizer_tokenizer, []
    for word in words:
        ids = tokenizer(word)["input_ids"]
        if tokenizer.unk_token_id in ids or not ids:
            raise RnnHubError(f"the model cannot spell the word {word!r}: it knows other characters")
        spelled.append(ids)
    return WordListScorer(spelled, tokenizer.word_delimiter_token_id)
