"""The training batches of one process: a batch sampler that knows its rank, behind an ordinary DataLoader."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.utils.data import DataLoader

from rnn_hub.data.samplers import LengthGroupedBatchSampler, TokenBatchSampler
from rnn_hub.data.streams import StreamBatchSampler, TokenStreams
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
    common = {
        "num_replicas": arguments.world_size,
        "rank": arguments.process_index,
        "seed": arguments.seed if arguments.data_seed is None else arguments.data_seed,
    }
    round_to = arguments.world_size * arguments.gradient_accumulation_steps
    size = arguments.per_device_train_batch_size
    if isinstance(rows, TokenStreams):
        sampler = StreamBatchSampler(len(rows), size, arguments.bptt_steps, arguments.bptt_random, **common)
    elif arguments.tokens_per_batch:
        sampler = TokenBatchSampler(lengths, max_tokens=arguments.tokens_per_batch, round_to=round_to, **common)
    else:
        sampler = LengthGroupedBatchSampler(lengths, sentences=size, round_to=round_to, **common)
    return EpochDataLoader(
        rows,
        batch_sampler=sampler,
        collate_fn=collator,
        num_workers=arguments.dataloader_num_workers,
        pin_memory=arguments.dataloader_pin_memory,
        persistent_workers=arguments.dataloader_persistent_workers,
    )
