"""Unrolling over directed acyclic graphs: sequences, trees, and whatever else has no cycle."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from rnn_hub.cells import Cell, Predecessors, TreeLSTMCell
from rnn_hub.cells.scan import output_dtype
from rnn_hub.layers.unroll import Step, bind

if TYPE_CHECKING:
    from rnn_hub.cells import State

Merge = Callable[[Tensor, Tensor, int], Tensor]
"""(P, ...) a part of the predecessors' states, (P,) the row of each one's node, the number of nodes n -> (n, ...)."""


def sum_states(part: Tensor, node: Tensor, count: int) -> Tensor:
    """The sum of each node's predecessors: of one exactly its state."""
    return part.new_zeros(count, *part.shape[1:]).index_add(0, node, part)


def graph_rnn(
    step: Cell | Step, x: Tensor, edges: Tensor, state: "State | None" = None, merge: Merge = sum_states
) -> "tuple[Tensor, State]":
    """Computes every node of any number of directed acyclic graphs from its input and its predecessors' states.

    Nodes that are as far from the end of their graph (by the longest way) are one batch, so a batch of chains takes as
    many steps as `dynamic_rnn`, with the same outputs, and a batch of trees as many as its deepest tree has levels.

    Args:
        step: a cell, or a function of the inputs of some nodes and their states before. A `TreeLSTMCell` sees each
            predecessor apart, in the order of `edges`; for all others `merge` makes one state of them.
        x: (N, ...), the inputs of all nodes of all graphs.
        edges: (2, E), a column a pair of node numbers from 0: the state of the first flows into the second. In a tree
            that is read from its leaves the first is the child.
        state: what nodes without a predecessor start from, tensors of (N, ...) of which only those rows are read; a
            cell's own zeros by default, required for a function.
        merge: how one state is made of several, part by part.

    Returns:
        outputs (N, H) and states (N, ...) of all nodes.

    Raises:
        ValueError: a cycle, naming its nodes in order; an edge that is none, or names no node; more predecessors than
            the cell takes.
    """
    step, state = bind(step, x, state)
    limit = step.max_predecessors if isinstance(step, TreeLSTMCell) else None
    levels = _plan(edges, len(x), limit)
    parts = [part[:, 0] for part in step.project(x[:, None], state)] if isinstance(step, Cell) else [x]
    order = torch.tensor([node for level in levels for node in level.nodes], dtype=torch.long, device=x.device)
    sizes = [len(level.nodes) for level in levels]
    inputs = zip(*(part[order].split(sizes) for part in parts), strict=True)
    pool, outputs, states = tuple(part[:0] for part in state), [], []
    for level, level_inputs in zip(levels, inputs, strict=True):
        starts, rows, node, slot, kept = (torch.tensor(i, dtype=torch.long, device=x.device) for i in level[1:])
        before = tuple(torch.cat([first[starts], old[rows]]) for first, old in zip(state, pool, strict=True))
        if isinstance(step, TreeLSTMCell):
            output, after = step.join(level_inputs, Predecessors(before, node, slot))
        else:
            before = tuple(merge(part, node, len(level.nodes)) for part in before)
            output, after = (step.step if isinstance(step, Cell) else step)(level_inputs, before)
        pool = tuple(torch.cat([old[kept], new]) for old, new in zip(pool, after, strict=True)) if len(kept) else after
        outputs.append(output)
        states.append(after)
    if not levels:
        return state[0].to(output_dtype(x, state[0])), state
    place = order.argsort()
    output = torch.cat(outputs)[place].to(output_dtype(x, outputs[0]))
    return output, tuple(torch.cat(parts)[place] for parts in zip(*states, strict=True))


class _Level(NamedTuple):
    """Nodes that are computed together: first those without a predecessor (`starts`), then the others.

    `rows` are the others' predecessors in the pool of states that are still needed; `node` and `slot` are those of
    `Predecessors`, with a start state as the only predecessor of a node that has none; `kept` are rows of the pool that
    stay for later levels.
    """

    nodes: list[int]
    starts: list[int]
    rows: list[int]
    node: list[int]
    slot: list[int]
    kept: list[int]


def _plan(edges: Tensor, count: int, limit: int | None) -> list[_Level]:
    """The levels in order. A node is computed as late as it can be, so of a tree no state waits for its parent."""
    before = _predecessors(edges, count, limit)
    needed = torch.bincount(edges[0].cpu(), minlength=count).tolist()
    levels, pool = [], []
    for nodes in _by_depth(before, needed.copy()):
        starts = [node for node in nodes if not before[node]]
        others = [node for node in nodes if before[node]]
        place = {node: row for row, node in enumerate(pool)}
        sources = [source for node in others for source in before[node]]
        for source in sources:
            needed[source] -= 1
        counts = [1] * len(starts) + [len(before[node]) for node in others]
        levels.append(
            _Level(
                nodes=starts + others,
                starts=starts,
                rows=[place[source] for source in sources],
                node=[row for row, number in enumerate(counts) for _ in range(number)],
                slot=[slot for number in counts for slot in range(number)],
                kept=[row for row, node in enumerate(pool) if needed[node]],
            )
        )
        pool = [node for node in pool if needed[node]] + levels[-1].nodes
    return levels


def _predecessors(edges: Tensor, count: int, limit: int | None) -> list[list[int]]:
    """The predecessors of each node, in the order of the edges."""
    if edges.dim() != 2 or edges.shape[0] != 2 or edges.is_floating_point():
        raise ValueError(f"edges must be whole numbers of shape (2, E), got {edges.dtype} {tuple(edges.shape)}")
    before: list[list[int]] = [[] for _ in range(count)]
    for source, target in edges.T.tolist():
        if not (0 <= source < count and 0 <= target < count):
            raise ValueError(f"the edge {source} -> {target} names no node: there are {count}, from 0")
        before[target].append(source)
        if limit is not None and len(before[target]) > limit:
            raise ValueError(f"node {target} has more than {limit} predecessors, all that this cell takes")
    return before


def _by_depth(before: Sequence[Sequence[int]], waiting: list[int]) -> list[list[int]]:
    """Nodes by their longest way to a node without successors, the farthest first. `waiting`: each one's successors."""
    levels = [[node for node, successors in enumerate(waiting) if not successors]]
    while levels[-1]:
        levels.append([])
        for node in levels[-2]:
            for source in before[node]:
                waiting[source] -= 1
                if not waiting[source]:
                    levels[-1].append(source)
    if any(waiting):
        raise ValueError(f"the graph has a cycle: {' -> '.join(map(str, _cycle(before, waiting)))}")
    return levels[-2::-1]


def _cycle(before: Sequence[Sequence[int]], waiting: Sequence[int]) -> list[int]:
    """Some cycle, its first node again at its end: every node that still waits has a successor that does."""
    after = {source: node for node, sources in enumerate(before) if waiting[node] for source in sources}
    path = [next(iter(after))]
    while path.count(path[-1]) < 2:
        path.append(after[path[-1]])
    return path[path.index(path[-1]) :]
