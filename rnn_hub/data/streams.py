"""One long text as parallel streams, read window by window with the state carried on: truncated backpropagation.

A text of N tokens makes S streams of equal length, which stand below each other in a batch; each batch holds the next
tokens of every stream (Zaremba et al. 2014, section 4; Mikolov et al. 2010).
"""

import math
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from rnn_hub.errors import RnnHubError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def join_texts(tokenizer: "PreTrainedTokenizerFast", texts: Sequence[str]) -> tuple[torch.Tensor, list[int]]:
    """All tokens of some texts in their order.

    Where the tokenizer puts `</s>` before a text, another one ends the last: every token of every text is then
    predicted, and so is its end.

    Returns:
        the tokens (N,), and of each text how many of the N - 1 predicted tokens belong to it.
    """
    ids = tokenizer(list(texts), return_attention_mask=False, verbose=False)["input_ids"]
    counts = [len(sequence) for sequence in ids]
    tokens = list(chain.from_iterable(ids))
    if tokens[:1] == [tokenizer.eos_token_id]:
        tokens.append(tokenizer.eos_token_id)
    elif tokens:
        counts[next(i for i, count in enumerate(counts) if count)] -= 1  # nothing comes before the very first token
    if len(tokens) < 2:
        raise RnnHubError("the text has no token to predict: it needs at least two")
    return torch.tensor(tokens), counts


class Window(NamedTuple):
    """The tokens [start, stop) of a stream, and whether they continue those of the batch before."""

    start: int
    stop: int
    continues: bool


class TokenStreams(Dataset):
    """A text's tokens (N,), read by windows; its length is the number of tokens that are predicted."""

    def __init__(self, tokens: torch.Tensor) -> None:
        self.tokens = tokens

    def __len__(self) -> int:
        return len(self.tokens) - 1

    def __getitem__(self, window: Window) -> dict[str, Any]:
        return {
            "input_ids": self.tokens[window.start : window.stop],
            "shift_labels": self.tokens[window.start + 1 : window.stop + 1],
            "continues": window.continues,
        }


def collate_windows(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Windows of one length -> `input_ids` and `shift_labels` (B, T), and `continues`: whether the state goes on."""
    batch = {name: torch.stack([row[name] for row in rows]) for name in ("input_ids", "shift_labels")}
    return {**batch, "continues": rows[0]["continues"]}


class StreamBatchSampler(Sampler[list[Window]]):
    """The windows of S parallel streams, in order: nothing is shuffled.

    Process r of R reads the streams r, r + R, ... of S x R, so that R processes read what one with R times as many
    streams does. What does not fill a last step of all streams (fewer tokens than streams) is left out.

    Args:
        tokens: how many tokens are predicted.
        streams: S, a process's share.
        steps: the length of a window.
        random: draw the lengths of each epoch's windows anew, around `steps` and sometimes around half of it, so that
            the cuts fall elsewhere each time (Merity et al. 2017, section 4.1). Their number stays.
        num_replicas, rank: the processes, and which of them this is.
        seed: the lengths follow from (seed, epoch).

    Raises:
        RnnHubError: numbers below 1, random windows of fewer than 10 steps, or fewer tokens than streams.
    """

    batch_size: int | None = None
    drop_last = False

    def __init__(
        self,
        tokens: int,
        streams: int,
        steps: int,
        random: bool = False,
        num_replicas: int = 1,
        rank: int = 0,
        seed: int = 0,
    ) -> None:
        if streams < 1 or steps < 1:
            raise RnnHubError(f"streams={streams} and steps={steps} must be at least 1")
        if random and steps < 10:
            raise RnnHubError(f"windows of random length need at least 10 steps in the mean, not {steps}")
        self.length = tokens // (streams * num_replicas)
        if self.length < 1:
            raise RnnHubError(
                f"{tokens} tokens are too few for {streams * num_replicas} streams: "
                "set training.per_device_train_batch_size lower"
            )
        self.starts = range(rank * self.length, streams * num_replicas * self.length, num_replicas * self.length)
        self.steps, self.random, self.seed, self.epoch = steps, random, seed, 0
        self.mean_tokens = self.length * streams * num_replicas / len(self)
        """Predicted tokens of a batch of all processes together, in the mean."""

    @property
    def sampler(self) -> "StreamBatchSampler":
        """Accelerate looks for `set_epoch` here once it has wrapped a batch sampler."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose windows the next iteration gives."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(self.length / self.steps)

    def __iter__(self) -> Iterator[list[Window]]:
        cuts = self._cuts()
        for begin, end in pairwise(cuts):
            yield [Window(start + begin, start + end, begin > 0) for start in self.starts]

    def _cuts(self) -> list[int]:
        """Where this epoch's windows begin and end in a stream."""
        if not self.random:
            return [*range(0, self.length, self.steps), self.length]
        draw = np.random.default_rng([self.seed, self.epoch])
        middle = np.where(draw.random(len(self)) < 0.95, self.steps, self.steps / 2)
        ends = draw.normal(middle, 5).clip(min=5).cumsum()
        return [0, *np.rint(ends / ends[-1] * self.length).astype(int).tolist()]
