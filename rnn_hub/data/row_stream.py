"""Rows that do not fit into memory: read as a stream from the shards of a data set, each process its own."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rnn_hub.errors import RnnHubError

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset


class RowStream:
    """A stream of rows, in pools of a size that memory holds, and where its reading stands.

    Args:
        rows: as `datasets` streams them; each epoch has another order of the shards.
        sample: how many of the first rows tell the vocabulary, the labels and the columns' types.
        pool: rows of a pool.
        seed: of the order.

    Raises:
        RnnHubError: a number below 1, or no row at all.
    """

    def __init__(self, rows: "IterableDataset", sample: int, pool: int, seed: int = 0) -> None:
        if sample < 1 or pool < 1:
            raise RnnHubError(f"dataset.stream_sample={sample} and dataset.stream_pool={pool} must be at least 1")
        self.rows, self.pool, self.seed = rows, pool, seed
        self.sample = _table(list(rows.take(sample)), rows)
        """The first rows."""
        self.epoch = self.batches = 0
        """The epoch being read, and how many of its batches a process has had."""

    def pools(self, num_replicas: int = 1, rank: int = 0) -> Iterator["Dataset"]:
        """A process's rows of the present epoch; each row has one process.

        Where the shards can be shared out evenly a process opens only its own; else it reads all and keeps its rows.
        """
        from datasets.distributed import split_dataset_by_node

        share = split_dataset_by_node(self.rows.shuffle(self.seed, buffer_size=1), rank, num_replicas)
        share.set_epoch(self.epoch)
        pool = []
        for row in share:
            pool.append(row)
            if len(pool) == self.pool:
                yield _table(pool, self.sample)
                pool = []
        if pool:
            yield _table(pool, self.sample)


def _table(rows: list[dict], like: "Dataset | IterableDataset") -> "Dataset":
    """Rows as a data set in memory, its columns of the types of another."""
    from datasets import Dataset

    if not rows:
        raise RnnHubError("the stream has no row")
    return Dataset.from_list(rows, features=like.features)
