"""Attention of decoder states over the states of an encoder."""

from collections.abc import Callable
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from rnn_hub.cells import fused


class Memory(NamedTuple):
    """What a decoder attends to: computed once for a source and shared by all its beams.

    Shapes: keys (M, S, K), values (M, S, C), mask (M, S) or None, for M sources of S positions; tokens (M, S), what
    stands at the positions, for a model that copies; coverage (B, S), for one step, how much a row has attended to each
    position before.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor | None
    tokens: Tensor | None = None
    coverage: Tensor | None = None

    def select(self, rows: Tensor) -> "Memory":
        """Some of the sources."""
        return Memory(*(None if part is None else part.index_select(0, rows) for part in self))


ATTENTIONS: dict[str, type["Attention"]] = {}


class Attention(nn.Module):
    """Weights over the source's positions for each query, and the weighted mean of its values.

    Args:
        query_size: features Q of a query (a decoder state).
        memory_size: features C of a value (an encoder state).
        attention_size: width of the energy's hidden layer, where there is one; the query's size by default.
    """

    name: ClassVar[str]

    def __init__(self, query_size: int, memory_size: int, attention_size: int | None = None):
        super().__init__()
        self.query_size, self.memory_size = query_size, memory_size

    def project(self, values: Tensor) -> Tensor:
        """The keys of the source's positions: (M, S, C) -> (M, S, K). Needs no query, so it is done once."""
        return values

    def energy(self, query: Tensor, keys: Tensor) -> Tensor:
        """(M, N, Q) and (M, S, K) -> unnormalized weights (M, N, S)."""
        raise NotImplementedError(f"attention {self.name!r} does not say what its energy is")

    def remember(self, values: Tensor, mask: Tensor | None) -> Memory:
        """Prepares a source: values (M, S, C), mask (M, S)."""
        if mask is not None and fused.usable(values) and bool(mask.all()):
            mask = None
        return Memory(self.project(values), values, None if mask is None else mask.bool())

    def forward(self, query: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Attends.

        Args:
            query: (B, T, Q), where B is a multiple of the M sources and the rows of one source stand together.
            memory: the sources.

        Returns:
            contexts (B, T, C) and weights (B, T, S), which are 0 at padding and else sum to 1.

        Raises:
            ValueError: where B is no multiple of M.
        """
        sources = memory.values.shape[0]  # a graph may not be asked for `len`
        batch, steps = query.shape[:2]
        if batch % sources:
            raise ValueError(f"{batch} rows of queries cannot share {sources} sources: pass a multiple of them")
        energy = self.energy(query.reshape(sources, batch // sources * steps, query.shape[-1]), memory.keys)
        return self.weigh(energy, memory, batch, steps)

    @staticmethod
    def weigh(energy: Tensor, memory: Memory, batch: int, steps: int) -> tuple[Tensor, Tensor]:
        """From energies (M, N, S) to contexts (B, T, C) and weights (B, T, S), where M N = B T."""
        if memory.mask is not None:
            energy = energy.masked_fill(~memory.mask[:, None], torch.finfo(energy.dtype).min)
        weights = torch.softmax(energy, dim=-1, dtype=torch.promote_types(energy.dtype, torch.float32))
        if memory.mask is not None:
            weights = weights * memory.mask[:, None]
        context = torch.bmm(weights.to(memory.values.dtype), memory.values)
        return context.view(batch, steps, context.shape[-1]), weights.view(batch, steps, weights.shape[-1])


def register_attention(name: str) -> Callable[[type[Attention]], type[Attention]]:
    """Class decorator: makes an attention usable by name in every config."""

    def register(attention_class: type[Attention]) -> type[Attention]:
        attention_class.name = name
        ATTENTIONS[name] = attention_class
        return attention_class

    return register


def get_attention(name: str) -> type[Attention]:
    """The attention class of that name; a `ValueError` lists the choices."""
    if name not in ATTENTIONS:
        raise ValueError(f"unknown attention_type {name!r}; choose one of {', '.join(sorted(ATTENTIONS))} or None")
    return ATTENTIONS[name]


@register_attention("dot")
class DotAttention(Attention):
    """energy = q . k. Luong et al. 2015, "Effective Approaches to Attention-based NMT", equation 8."""

    def __init__(self, query_size: int, memory_size: int, attention_size: int | None = None):
        super().__init__(query_size, memory_size)
        if query_size != memory_size:
            raise ValueError(
                f"attention_type 'dot' needs decoder states ({query_size}) and encoder states ({memory_size}) "
                "of one size; choose 'general', or change a hidden size"
            )

    def energy(self, query: Tensor, keys: Tensor) -> Tensor:
        """The product of queries and keys."""
        return torch.bmm(query, keys.transpose(1, 2))


@register_attention("general")
class GeneralAttention(Attention):
    """energy = q . (W k). Luong et al. 2015, equation 8."""

    def __init__(self, query_size: int, memory_size: int, attention_size: int | None = None):
        super().__init__(query_size, memory_size)
        self.key = nn.Linear(memory_size, query_size, bias=False)

    def project(self, values: Tensor) -> Tensor:
        """W k."""
        return self.key(values)

    def energy(self, query: Tensor, keys: Tensor) -> Tensor:
        """The product of queries and projected keys."""
        return torch.bmm(query, keys.transpose(1, 2))


@register_attention("additive")
class AdditiveAttention(Attention):
    """energy = v . tanh(W q + U k). Bahdanau et al. 2015, "NMT by Jointly Learning to Align and Translate", A.1.2."""

    def __init__(self, query_size: int, memory_size: int, attention_size: int | None = None):
        super().__init__(query_size, memory_size)
        attention_size = attention_size or query_size
        self.query = nn.Linear(query_size, attention_size, bias=False)
        self.key = nn.Linear(memory_size, attention_size)
        self.score = nn.Linear(attention_size, 1, bias=False)

    def project(self, values: Tensor) -> Tensor:
        """U k."""
        return self.key(values)

    def energy(self, query: Tensor, keys: Tensor) -> Tensor:
        """The small network's output for each pair of query and key."""
        return self.score(torch.tanh(self.query(query)[:, :, None] + keys[:, None])).squeeze(-1)


@register_attention("concat")
class ConcatAttention(Attention):
    """energy = v . tanh(W [q; k]). Luong et al. 2015, equation 8. One matrix, applied to its two halves apart."""

    def __init__(self, query_size: int, memory_size: int, attention_size: int | None = None):
        super().__init__(query_size, memory_size)
        attention_size = attention_size or query_size
        self.pair = nn.Linear(query_size + memory_size, attention_size, bias=False)
        self.score = nn.Linear(attention_size, 1, bias=False)

    def project(self, values: Tensor) -> Tensor:
        """The half of W that meets the key."""
        return nn.functional.linear(values, self.pair.weight[:, self.query_size :])

    def energy(self, query: Tensor, keys: Tensor) -> Tensor:
        """The small network's output for each pair of query and key."""
        query = nn.functional.linear(query, self.pair.weight[:, : self.query_size])
        return self.score(torch.tanh(query[:, :, None] + keys[:, None])).squeeze(-1)
