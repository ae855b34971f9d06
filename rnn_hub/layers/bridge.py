"""From the end of an encoder to the start of a decoder."""

import torch
from torch import Tensor, nn

from rnn_hub.layers.decoder import DecoderState
from rnn_hub.layers.stack import StackState


class Bridge(nn.Module):
    """The decoder's first state, made from the source.

    Args:
        kind: "linear": tanh(W s + b) of the source's summary s, for every state vector of every layer (Bahdanau et al.
            2015, A.2.2, do so for their one layer); "copy": the encoder's final state, layer by layer, its directions
            side by side; "zero": the decoder's own initial state.
        summary_size: features of the summary.
        decoder: what to start, a module with `stacks` and `init_state`.
    """

    def __init__(self, kind: str, summary_size: int, decoder: nn.Module):
        super().__init__()
        self.kind = kind
        self.decoder = [decoder]
        stacks = decoder.stacks
        self.shapes = [shape for stack in stacks for _ in range(stack.num_layers) for shape in stack.state_shapes]
        if kind == "linear":
            sizes = sum(shape[0] for shape in self.shapes if len(shape) == 1)
            self.linear = nn.Linear(summary_size, sizes)

    def forward(self, summary: Tensor, state: StackState | None, target: Tensor) -> DecoderState:
        """Starts the decoder.

        Args:
            summary: (M, summary_size).
            state: the encoder's final state, where it is known.
            target: embedded targets (B, T, E), with B a multiple of M: rows of one source stand together.
        """
        initial = self.decoder[0].init_state(target.shape[0], target)
        if self.kind == "zero":
            return initial
        parts = self._copy(summary, state) if self.kind == "copy" else self._project(summary)
        repeats = target.shape[0] // summary.shape[0]
        return tuple(tuple(self._start(next(parts, None), zero, repeats) for zero in layer) for layer in initial)

    @staticmethod
    def _start(part: Tensor | None, zero: Tensor, repeats: int) -> Tensor:
        if part is None or part.shape[1:] != zero.shape[1:]:
            return zero
        return part.to(zero.dtype).repeat_interleave(repeats, dim=0) if repeats > 1 else part.to(zero.dtype)

    def _project(self, summary: Tensor):
        vectors = torch.tanh(self.linear(summary))
        sizes = [shape[0] if len(shape) == 1 else 0 for shape in self.shapes]
        return iter(vectors.split(sizes, dim=-1))

    def _copy(self, summary: Tensor, state: StackState | None):
        layers = len(self.shapes) // max(len(self.decoder[0].lower.state_shapes), 1)
        directions = 0 if state is None else len(state) // layers
        if state is None or directions * layers != len(state):
            raise ValueError("bridge 'copy' needs our encoder with as many layers as the decoder; choose 'linear'")
        for layer in range(layers):
            for parts in zip(*state[layer * directions : (layer + 1) * directions], strict=True):
                if parts[0].dim() > 2:
                    yield None
                    continue
                merged = torch.cat(parts, dim=-1)
                size = self.decoder[0].lower.hidden_size
                if merged.shape[-1] != size:
                    raise ValueError(
                        f"bridge 'copy' needs encoder states ({merged.shape[-1]} with their directions) of the "
                        f"decoder's size ({size}); choose 'linear', or change a hidden size"
                    )
                yield merged
