"""Batch samplers that group sequences of similar length: little padding, a bounded batch size.

Both samplers follow one plan. An epoch's examples are shuffled, cut into pools of about
`bucket_batches` batches, sorted by length inside each pool, cut into batches, and the batches are
shuffled. The order depends only on (seed, epoch), never on the number of processes: rank r takes
the batches r, r + num_replicas, ... of one global order.
"""

import logging
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from torch.utils.data import Sampler

from rnn_hub.errors import RnnHubError

logger = logging.getLogger(__name__)

Lengths = Sequence[int] | Sequence[tuple[int, ...]]
REDRAWS = 8


class BucketBatchSampler(Sampler[list[int]]):
    """The shared plan; subclasses say with `_fits` when a batch is full.

    The number of batches is the same in every epoch (it is what a learning-rate schedule counts):
    an epoch that needs fewer halves its largest batches, one that needs more is drawn again.

    Args:
        lengths: tokens of each example, as an int or as a tuple (source, target, ...) of the
            sequences that are padded apart from each other.
        num_replicas: how many processes share the epoch.
        rank: which of them this is, from 0.
        seed: of the order; an epoch's order follows from (seed, epoch).
        shuffle: False keeps one order, longest batches first (evaluation: memory fails early).
        bucket_batches: batches a pool; larger pools pad less and mix lengths less.
        round_to: make the number of batches a multiple of this, e.g. processes times accumulation
            steps, so that every update sees the same batches however they are spread.

    Raises:
        RnnHubError: no examples, a negative length, or numbers that make no sense.
    """

    # What Accelerate reads from a batch sampler. batch_size None says that batches differ in size.
    batch_size: int | None = None
    drop_last = False

    def __init__(
        self,
        lengths: Lengths,
        num_replicas: int = 1,
        rank: int = 0,
        seed: int = 0,
        shuffle: bool = True,
        bucket_batches: int = 64,
        round_to: int = 1,
    ) -> None:
        self.lengths = _as_table(lengths)
        if num_replicas < 1 or not 0 <= rank < num_replicas:
            raise RnnHubError(f"rank {rank} of {num_replicas} processes: ranks count from 0")
        if bucket_batches < 1 or round_to < 1:
            raise RnnHubError(f"bucket_batches={bucket_batches} and round_to={round_to} must be at least 1")
        self.num_replicas, self.rank = num_replicas, rank
        self.seed, self.shuffle = seed, shuffle
        self.bucket_batches, self.round_to = bucket_batches, round_to
        self.epoch = 0
        self._position = 0
        self._resume_at = 0
        self._cached_plan: tuple[int, list[list[int]]] | None = None
        self._first_plan = self._draw(epoch=0, attempt=0)
        self._num_batches = self._rounded_count(len(self._first_plan))

    def _fits(self, size: int, longest: np.ndarray) -> bool:
        """Whether `size` examples, padded to `longest` (one entry a sequence), may share a batch."""
        raise NotImplementedError

    @property
    def sampler(self) -> "BucketBatchSampler":
        """Accelerate looks for `set_epoch` here once it has wrapped a batch sampler."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration follows; a new epoch starts at its start."""
        if epoch != self.epoch:
            self.epoch, self._position, self._resume_at = epoch, 0, 0

    def state_dict(self) -> dict[str, Any]:
        """The epoch, the batches handed out in it, and what they depend on.

        With DataLoader workers the batches handed out run ahead of those trained on; count those
        and set `position` yourself, or use `accelerate.skip_first_batches`.
        """
        return {"epoch": self.epoch, "position": self._position, **self._identity()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken: the next iteration gives the remaining batches.

        Raises:
            RnnHubError: the state belongs to other data, another seed or another number of processes.
        """
        for name, value in self._identity().items():
            if state.get(name) != value:
                raise RnnHubError(
                    f"the sampler's saved state has {name} = {state.get(name)!r}, this run has {value!r}: "
                    "resume with the same data, seed, batch size and number of processes, or start anew"
                )
        self.epoch = state["epoch"]
        self._position = self._resume_at = state["position"]

    def __iter__(self) -> Iterator[list[int]]:
        batches = self._rank_batches()
        start, self._resume_at = self._resume_at, 0
        for self._position in range(start + 1, len(batches) + 1):
            yield batches[self._position - 1]
        self._position = 0

    def __len__(self) -> int:
        return math.ceil(self._num_batches / self.num_replicas)

    def padding_ratio(self) -> float:
        """Padded positions over all positions of this epoch's batches, from 0 to 1."""
        batches = self._plan()
        padded = sum(int(self.lengths[batch].max(axis=0).sum()) * len(batch) for batch in batches)
        return 1 - sum(int(self.lengths[batch].sum()) for batch in batches) / max(padded, 1)

    def _identity(self) -> dict[str, Any]:
        return {
            "examples": len(self.lengths),
            "batches": self._num_batches,
            "seed": self.seed,
            "num_replicas": self.num_replicas,
        }

    def _rank_batches(self) -> list[list[int]]:
        """This rank's share; the last round repeats the first batches where it does not come out even."""
        plan = self._plan()
        return [plan[i % len(plan)] for i in range(self.rank, len(self) * self.num_replicas, self.num_replicas)]

    def _plan(self) -> list[list[int]]:
        """All batches of this epoch in the global order, as many in every epoch."""
        if self._cached_plan is None or self._cached_plan[0] != self.epoch:
            self._cached_plan = (self.epoch, self._draw_plan())
        return self._cached_plan[1]

    def _draw_plan(self) -> list[list[int]]:
        if not self.shuffle:
            return _halve_largest(self._first_plan, self._num_batches)
        for attempt in range(REDRAWS):
            batches = self._draw(self.epoch, attempt)
            if len(batches) <= self._num_batches:
                return _halve_largest(batches, self._num_batches)
        order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self._first_plan))
        return _halve_largest([self._first_plan[i] for i in order], self._num_batches)

    def _draw(self, epoch: int, attempt: int) -> list[list[int]]:
        """Shuffle, pool, sort, cut, shuffle: one epoch's batches before their number is fixed."""
        if not self.shuffle:
            return list(self._cut(_by_length(self.lengths, np.arange(len(self.lengths)))))[::-1]
        generator = np.random.default_rng([self.seed, epoch, attempt])
        order = generator.permutation(len(self.lengths))
        batches = []
        for start in range(0, len(order), self._pool_size()):
            pool = order[start : start + self._pool_size()]
            batches.extend(self._cut(_by_length(self.lengths, pool)))
        return [batches[i] for i in generator.permutation(len(batches))]

    def _cut(self, order: np.ndarray) -> Iterator[list[int]]:
        """Cut sorted examples into batches, each as large as `_fits` allows."""
        batch: list[int] = []
        longest = np.zeros(self.lengths.shape[1], dtype=np.int64)
        for index in order.tolist():
            grown = np.maximum(longest, self.lengths[index])
            if batch and not self._fits(len(batch) + 1, grown):
                yield batch
                batch, grown = [], self.lengths[index]
            batch.append(index)
            longest = grown
        yield batch

    def _pool_size(self) -> int:
        """Examples in a pool: as many as bucket_batches batches of examples of the mean length hold."""
        mean, fitting, too_many = self.lengths.mean(axis=0), 1, len(self.lengths) + 1
        while too_many - fitting > 1:
            middle = (fitting + too_many) // 2
            fitting, too_many = (middle, too_many) if self._fits(middle, mean) else (fitting, middle)
        return fitting * self.bucket_batches

    def _rounded_count(self, count: int) -> int:
        """A little room for epochs that need a batch more, then the next multiple of `round_to`."""
        if self.shuffle:
            count += count // 200
        rounded = -(-count // self.round_to) * self.round_to
        return min(rounded, len(self.lengths))


class TokenBatchSampler(BucketBatchSampler):
    """Batches of at most `max_tokens` padded positions, and at most `max_sentences` examples.

    The size of a batch is what the model computes: examples times the longest sequence; with
    (source, target) lengths, examples times (longest source + longest target). An example longer
    than the budget gets a batch of its own, with a warning.

    Args:
        max_tokens: padded positions a batch.
        max_sentences: examples a batch; None sets no limit.
        lengths, num_replicas, rank, seed, shuffle, bucket_batches, round_to: as in BucketBatchSampler.

    Raises:
        RnnHubError: a budget below 1.
    """

    def __init__(self, lengths: Lengths, max_tokens: int, max_sentences: int | None = None, **kwargs: Any) -> None:
        if max_tokens < 1 or (max_sentences is not None and max_sentences < 1):
            raise RnnHubError(f"max_tokens={max_tokens} and max_sentences={max_sentences} must be at least 1")
        self.max_tokens, self.max_sentences = max_tokens, max_sentences
        super().__init__(lengths, **kwargs)
        too_long = np.flatnonzero(self.lengths.sum(axis=1) > max_tokens)
        if len(too_long):
            logger.warning(
                "%d examples exceed max_tokens=%d and get batches of their own; the first is number %d",
                len(too_long),
                max_tokens,
                too_long[0],
            )

    def _fits(self, size: int, longest: np.ndarray) -> bool:
        if self.max_sentences is not None and size > self.max_sentences:
            return False
        return size * longest.sum() <= self.max_tokens


class LengthGroupedBatchSampler(BucketBatchSampler):
    """Batches of `sentences` examples of similar length.

    Args:
        sentences: examples a batch (the last batch of a pool may hold fewer).
        bucket_batches: batches a pool; without a token budget it takes twice as many for the same padding.
        lengths, num_replicas, rank, seed, shuffle, round_to: as in BucketBatchSampler.

    Raises:
        RnnHubError: a batch of fewer than one example.
    """

    def __init__(self, lengths: Lengths, sentences: int, bucket_batches: int = 128, **kwargs: Any) -> None:
        if sentences < 1:
            raise RnnHubError(f"a batch needs at least 1 example, not {sentences}")
        self.sentences = sentences
        super().__init__(lengths, bucket_batches=bucket_batches, **kwargs)

    def _fits(self, size: int, longest: np.ndarray) -> bool:
        return size <= self.sentences


def _as_table(lengths: Lengths) -> np.ndarray:
    """Lengths as an integer array (examples, sequences an example)."""
    table = np.asarray(lengths, dtype=np.int64)
    if table.size == 0:
        raise RnnHubError("there is no example to batch: the dataset is empty")
    if table.min() < 0:
        raise RnnHubError(f"a sequence has the negative length {table.min()}")
    return table.reshape(len(table), -1)


def _by_length(lengths: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Sort by the longest sequence of each example, so that neighbours pad each other little.

    Among equals, source minus target length runs up and down in turn: the end of one group then
    resembles the start of the next (on multi30k 4.4 % padding instead of 5.7 % or, sorted by
    source then target, 9.4 %). Remaining ties keep the (shuffled) order given.
    """
    picked = lengths[indices]
    longest, difference = picked.max(axis=1), picked[:, 0] - picked[:, -1]
    return indices[np.lexsort([np.where(longest % 2, difference, -difference), longest])]


def _halve_largest(batches: list[list[int]], count: int) -> list[list[int]]:
    """Split the batches of most examples in two until there are `count`."""
    batches = list(batches)
    while len(batches) < count:
        largest = max(range(len(batches)), key=lambda i: len(batches[i]))
        batch = batches[largest]
        batches[largest : largest + 1] = [batch[: len(batch) // 2], batch[len(batch) // 2 :]]
    return batches
