"""Attention that knows where it has looked, and the decoder that keeps account of it."""

from typing import Any

import torch
from torch import Tensor, nn

from rnn_hub.layers.attention import AdditiveAttention, Memory
from rnn_hub.layers.decoder import AttentionDecoder, DecoderState
from rnn_hub.layers.stack import Noise


class CoverageAttention(AdditiveAttention):
    """energy = v . tanh(W q + U k + w c), where c is the sum of a position's weights in all steps before.

    See et al. 2017, "Get To The Point: Summarization with Pointer-Generator Networks", equation 11. One step at a time.
    """

    def __init__(self, query_size: int, memory_size: int, attention_size: int | None = None):
        super().__init__(query_size, memory_size, attention_size)
        self.covered = nn.Linear(1, attention_size or query_size, bias=False)

    def forward(self, query: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """As `Attention.forward`, of one step: query (B, 1, Q), and the memory with its coverage (B, S)."""
        sources, positions = memory.values.shape[:2]
        rows = query.shape[0] // sources
        queries = self.query(query.reshape(sources, rows, query.shape[-1]))
        covered = self.covered(memory.coverage.to(query.dtype).view(sources, rows, positions, 1))
        energy = self.score(torch.tanh(queries[:, :, None] + memory.keys[:, None] + covered)).squeeze(-1)
        return self.weigh(energy, memory, query.shape[0], 1)


class CoverageDecoder(AttentionDecoder):
    """An `AttentionDecoder` with `CoverageAttention`; its state's last part is the coverage (B, S) of each row.

    It goes step by step, also in training, since each step's attention feeds the next.
    """

    def __init__(self, *sizes: Any, **options: Any):
        super().__init__(*sizes, **options)
        self.attention = CoverageAttention(self.attention.query_size, self.attention.memory_size)
        self.feeds_back = True

    def begin(self, state: DecoderState, memory: Memory) -> DecoderState:
        """Nothing is covered yet."""
        values, rows = memory.values, state[0][0].shape[0]
        return *state, (values.new_zeros(rows, values.shape[1], dtype=state[0][0].dtype),)

    def advance(
        self, x: Tensor, memory: Memory, state: DecoderState, noise: tuple[Noise, ...] | None = None
    ) -> tuple[Tensor, Tensor, DecoderState]:
        """One step, as in `AttentionDecoder`."""
        *before, (coverage,) = state
        output, weights, after = super().advance(x, memory._replace(coverage=coverage), tuple(before), noise)
        return output, weights, (*after, (coverage + weights[:, 0],))
