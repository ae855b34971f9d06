"""The state that training through time carries from one batch to the next, also through a checkpoint."""

from __future__ import annotations

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
        tensors = {f"{i}.{j}": part.detach().contiguous() for i, state in layers for j, part in enumerate(state)}
        if tensors:
            save_file(tensors, folder / self.file)

    def load(self, folder: Path, device: str) -> None:
        """Continue from a checkpoint's state."""
        if not (folder / self.file).is_file():
            return
        layers: dict[int, dict[int, object]] = {}
        for name, tensor in load_file(folder / self.file, device=device).items():
            layer, part = map(int, name.split("."))
            layers.setdefault(layer, {})[part] = tensor
        state = [tuple(part for _, part in sorted(parts.items())) for _, parts in sorted(layers.items())]
        self.cache = RnnCache(state)
