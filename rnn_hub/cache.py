"""RnnCache: a recurrent state as the cache object of transformers, for generation, streaming and truncated training."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

from rnn_hub.cells import State
from rnn_hub.layers.attention import Memory


class RnnCacheLayer(CacheLayerMixin):
    """The state of one layer and direction: a tuple of batch-first tensors, replaced at every update."""

    def __init__(self, state: State | None = None, length: int = 0):
        super().__init__()
        self.state = state
        self.length = length
        self.is_initialized = state is not None

    def lazy_initialization(self, *args: Any) -> None:
        """Nothing to prepare: the first update brings the state."""

    def update(self, state: State, steps: int) -> State:
        """Takes the state after `steps` more steps."""
        self.state, self.length, self.is_initialized = state, self.length + steps, True
        return state

    def map(self, function: Callable[[Tensor], Tensor]) -> None:
        """Applies a function to every tensor of the state."""
        if self.state is not None:
            self.state = tuple(function(part) for part in self.state)

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Takes the rows that a beam search chose."""
        self.map(lambda part: part.index_select(0, beam_idx.to(part.device)))

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keeps some rows."""
        self.map(lambda part: part[indices.to(part.device)])

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeats each row."""
        self.map(lambda part: part.repeat_interleave(repeats, dim=0))

    def offload(self) -> None:
        """Moves the state to the CPU."""
        self.device = None if self.state is None else self.state[0].device
        self.map(lambda part: part.to("cpu", non_blocking=True))

    def prefetch(self) -> None:
        """Moves an offloaded state back."""
        if getattr(self, "device", None) is not None:
            self.map(lambda part: part.to(self.device, non_blocking=True))

    def reset(self) -> None:
        """Forgets the state."""
        self.state, self.length, self.is_initialized = None, 0, False

    def crop(self, *args: Any) -> None:
        """A recurrent state cannot be cropped."""
        raise ValueError("a recurrent state cannot go back to an earlier step; keep a copy of the cache instead")

    def get_seq_length(self) -> int:
        """How many steps the state has seen."""
        return self.length

    def get_max_length(self) -> int:
        """No limit."""
        return -1

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Length and offset of what one more call sees."""
        return self.length + query_length, 0


class RnnCache(Cache):
    """The state of a recurrent network between calls. Its size does not grow with the sequence.

    An instance serves as `past_key_values`: it generates, resumes, streams (keep it between chunks), and trains through
    time in pieces (`detach`). For a decoder it also keeps the source (`memory`): keys are projected once and shared by
    the beams, which permute only inside one source.

    Args:
        state: a state for each layer and direction, to start from.
        memory: the source that a decoder attends to.
    """

    def __init__(self, state: Sequence[State] = (), memory: Memory | None = None):
        super().__init__(layers=[RnnCacheLayer(part) for part in state])
        self.memory = memory

    @property
    def state(self) -> tuple[State, ...] | None:
        """The state of all layers, or None before the first step."""
        if not self.layers or not self.layers[0].is_initialized:
            return None
        return tuple(layer.state for layer in self.layers)

    @property
    def batch_size(self) -> int:
        """Rows of the state; 0 before the first step."""
        return 0 if self.state is None else self.state[0][0].shape[0]

    def update(self, state: Sequence[State], steps: int) -> tuple[State, ...]:
        """Takes the state of all layers after `steps` more steps."""
        while len(self.layers) < len(state):
            self.layers.append(RnnCacheLayer())
        return tuple(layer.update(part, steps) for layer, part in zip(self.layers, state, strict=True))

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """How many steps the state has seen."""
        return self.layers[layer_idx].get_seq_length() if self.layers else 0

    def map(self, function: Callable[[Tensor], Tensor]) -> "RnnCache":
        """Applies a function to every tensor of the state, and returns self."""
        for layer in self.layers:
            layer.map(function)
        return self

    def detach(self) -> "RnnCache":
        """Cuts the graph: what follows does not train what came before (truncated backpropagation through time)."""
        return self.map(torch.Tensor.detach)

    def restart(self) -> "RnnCache":
        """Counts steps anew, and returns self: the state stays, and what `generate()` is given next is all new.

        So an endless text is written in pieces, each from the last token of the one before, and none is kept.
        """
        for layer in self.layers:
            layer.length = 0
        return self

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Takes the rows that a beam search chose. The memory stays: beams permute inside their source."""
        for layer in self.layers:
            layer.reorder_cache(beam_idx)

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keeps some rows, and their sources where each row has its own."""
        rows = self.batch_size
        super().batch_select_indices(indices)
        if self.memory is not None:
            if self.memory.values.shape[0] != rows:
                raise ValueError("rows of beams that share a source cannot be selected apart from it")
            self.memory = self.memory.select(indices.to(self.memory.values.device))

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeats each row. The memory stays: the rows of one source stand together and share it."""
        super().batch_repeat_interleave(repeats)

    def reset(self) -> None:
        """Forgets state and source."""
        super().reset()
        self.memory = None
