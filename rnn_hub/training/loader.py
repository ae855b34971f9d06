"""The training batches of one process: a batch sampler that knows its rank, behind an ordinary DataLoader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count, islice
from typing import Any

import torch
import torch.distributed as dist
from datasets import Dataset
from torch.utils.data import DataLoader

from rnn_hub.data.row_stream import RowStream
from rnn_hub.data.samplers import BucketBatchSampler, LengthGroupedBatchSampler, TokenBatchSampler
from rnn_hub.data.streams import StreamBatchSampler, TokenStreams
from rnn_hub.layers.loss import IGNORED
from rnn_hub.training.arguments import TrainingArguments


class EpochDataLoader(DataLoader):
    """A DataLoader that hands the epoch on to its batch sampler."""

    def set_epoch(self, epoch: int) -> None:
        """Called by the Trainer at the start of each epoch."""
        self.batch_sampler.set_epoch(epoch)


def build_train_loader(
    rows: Any, lengths: list, collator: Callable[[list[dict]], dict], arguments: TrainingArguments
) -> EpochDataLoader:
    """Return this process's share of the batches; it must not be passed through ``accelerator.prepare``.

    A text in streams gives its windows in order. Of rows the number of batches is a multiple of processes times
    accumulated batches, so that every update sees the same examples however they are spread.

    Args:
        rows: a sequence of rows, or a text in streams.
        lengths: a length, or a pair of source and target length, of each row.
    """
    common = {"num_replicas": arguments.world_size, "rank": arguments.process_index}
    round_to = arguments.world_size * arguments.gradient_accumulation_steps
    if isinstance(rows, TokenStreams):
        streams = arguments.per_device_train_batch_size
        common["seed"] = arguments.order_seed
        sampler = StreamBatchSampler(len(rows), streams, arguments.bptt_steps, arguments.bptt_random, **common)
    else:
        sampler = _by_length(lengths, arguments, round_to=round_to, **common)
    return EpochDataLoader(
        rows,
        batch_sampler=sampler,
        collate_fn=collator,
        num_workers=arguments.dataloader_num_workers,
        pin_memory=arguments.dataloader_pin_memory,
        persistent_workers=arguments.dataloader_persistent_workers,
    )


def _by_length(lengths: list, arguments: TrainingArguments, **options: int) -> BucketBatchSampler:
    """Batches of like length, of as many tokens or as many examples as the arguments say."""
    options = {"seed": arguments.order_seed, **options}
    if arguments.tokens_per_batch:
        return TokenBatchSampler(lengths, max_tokens=arguments.tokens_per_batch, **options)
    return LengthGroupedBatchSampler(lengths, sentences=arguments.per_device_train_batch_size, **options)


class StreamLoader:
    """This process's batches of a stream of rows, formed by length within each pool, an epoch an iteration.

    Processes may have different numbers of rows: one that has no more goes on with batches whose labels are all
    ignored, of which `RnnTrainer` adds nothing to loss and gradient, until all are at the end of the epoch. The stream
    itself knows its epoch and how many batches are read, so that a checkpoint continues there.

    Args:
        rows: the stream.
        lengths: lengths of the rows of a pool, for the batches.
        collator: from rows to a batch, which has `labels`.
    """

    def __init__(
        self,
        rows: RowStream,
        lengths: Callable[[Dataset], list],
        collator: Callable[[list[dict]], dict],
        arguments: TrainingArguments,
    ) -> None:
        self.dataset, self.lengths, self.collator, self.arguments = rows, lengths, collator, arguments

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The rest of an epoch, or where nothing is left of it the next one."""
        begun = False
        while not begun:
            for rows, real in islice(self._lockstep(), self.dataset.batches, None):
                begun = True
                batch = self.collator(rows)
                if not real:
                    batch["labels"] = torch.full_like(batch["labels"], IGNORED)
                self.dataset.batches += 1
                yield batch
            self.dataset.epoch, self.dataset.batches = self.dataset.epoch + 1, 0

    def _lockstep(self) -> Iterator[tuple[list[dict], bool]]:
        """Rows of a batch and whether they count, as many times in all processes, in whole updates."""
        batches, rows = self._batches(), [self.dataset.sample[0]]
        for number in count():
            new = next(batches, None)
            if number % self.arguments.gradient_accumulation_steps == 0 and not self._any(new is not None):
                return
            rows = rows if new is None else new
            yield rows, new is not None

    def _batches(self) -> Iterator[list[dict]]:
        shares = self.arguments.world_size, self.arguments.process_index
        for number, pool in enumerate(self.dataset.pools(*shares)):
            sampler = _by_length(self.lengths(pool), self.arguments)
            sampler.set_epoch(self.dataset.epoch * 1_000_003 + number)
            for indices in sampler:
                yield [pool[index] for index in indices]

    def _any(self, more: bool) -> bool:
        """Whether any process has more."""
        if self.arguments.world_size == 1:
            return more
        flag = torch.tensor(int(more), device=self.arguments.device)
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        return bool(flag)
