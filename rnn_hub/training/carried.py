"""The state that training through time carries from one batch to the next, also through a checkpoint."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from safetensors.torch import load_file, save_file

from rnn_hub.cache import RnnCache


class CarriedState:
    """The state of one process's streams.

    Args:
        rank: the process.
    """

    def __init__(self, rank: int) -> None:
        self.file = f"carried-{rank}.safetensors"
        self.cache = RnnCache()

    def next(self, continues: bool) -> RnnCache:
        """The cache for the next batch: cut off from the gradients before, or empty where new streams begin."""
        self.cache = self.cache.detach() if continues else RnnCache()
        return self.cache

    def save(self, folder: Path) -> None:
        """Write the state, if there is any, into a checkpoint's folder."""
        layers = enumerate(self.cache.state or ())
        tensors = {f"{i:03}.{j}": part.detach().contiguous() for i, state in layers for j, part in enumerate(state)}
        if tensors:
            save_file(tensors, folder / self.file)

    def load(self, folder: Path, device: str) -> None:
        """Continue from a checkpoint's state."""
        if (folder / self.file).is_file():
            tensors = load_file(folder / self.file, device=device)
            layers = groupby(sorted(tensors), key=lambda name: name[:3])
            self.cache = RnnCache([tuple(tensors[name] for name in names) for _, names in layers])
