"""Unrolling over directed acyclic graphs: sequences, trees, and whatever else has no cycle."""

from collections.abc import Callable, Iterator, Sequence
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
    tree = isinstance(step, TreeLSTMCell)
    bare = tree and state is None  # zeros before the first nodes are no predecessors
    step, state = bind(step, x, state)
    levels = _plan(edges, len(x), step.max_predecessors if tree else None)
    if not levels:
        return state[0].to(output_dtype(x, state[0])), state
    starts, nodes, *links = (_tensors(lists, x.device) for lists in zip(*levels, strict=True))
    parts = [part[:, 0] for part in step.project(x[:, None], state)] if isinstance(step, Cell) else [x]
    advance = step.step if isinstance(step, Cell) else step
    first, others = torch.cat(starts), torch.cat(nodes)
    before = tuple(part[first[:0] if bare else first] for part in state)
    if bare:
        output, after = step.join(_rows(parts, first), Predecessors(before, first[:0], first[:0]))
    else:
        output, after = advance(_rows(parts, first), before)
    outputs, states, pool = [output], [after], ()
    begun, inputs = _split(after, starts), _split(_rows(parts, others), nodes)
    for begins, own, (rows, node, slot, kept) in zip(begun, inputs, zip(*links, strict=True), strict=True):
        pieces = [_rows(pool, kept)] * bool(len(kept)) + [begins] * bool(len(begins[0]))
        if len(own[0]):
            before = _rows(pool, rows)
            if tree:
                output, after = step.join(own, Predecessors(before, node, slot))
            else:
                output, after = advance(own, tuple(merge(part, node, len(own[0])) for part in before))
            outputs.append(output)
            states.append(after)
            pieces.append(after)
        pool = tuple(map(torch.cat, zip(*pieces, strict=True))) if len(pieces) > 1 else pieces[0]
    place = torch.cat([first, others]).argsort()
    output = torch.cat(outputs)[place].to(output_dtype(x, output))
    return output, tuple(torch.cat(parts)[place] for parts in zip(*states, strict=True))


def _rows(parts: Sequence[Tensor], rows: Tensor) -> tuple[Tensor, ...]:
    return tuple(part.index_select(0, rows) for part in parts)


def _split(parts: Sequence[Tensor], like: Sequence[Tensor]) -> Iterator[tuple[Tensor, ...]]:
    """Pieces of the parts, as long as the tensors in `like`."""
    return zip(*(part.split([len(rows) for rows in like]) for part in parts), strict=True)


class _Level(NamedTuple):
    """Nodes whose states are ready together: those without a predecessor (`starts`), and the others (`nodes`).

    `rows` are the others' predecessors in the pool of states that are still needed; `node` and `slot` are those of
    `Predecessors`; `kept` are rows of the pool that stay for later levels, before the states of this one.
    """

    starts: list[int]
    nodes: list[int]
    rows: list[int]
    node: list[int]
    slot: list[int]
    kept: list[int]


def _tensors(lists: Sequence[list[int]], device: torch.device) -> tuple[Tensor, ...]:
    """A tensor of each list; they go to the device at once."""
    flat = torch.tensor([number for numbers in lists for number in numbers], dtype=torch.long, device=device)
    return flat.split([len(numbers) for numbers in lists])


def _plan(edges: Tensor, count: int, limit: int | None) -> list[_Level]:
    """The levels in order. A node is computed as late as it can be, so of a tree no state waits for its parent."""
    before = _predecessors(edges, count, limit)
    needed = torch.bincount(edges[0].cpu(), minlength=count).tolist()
    levels, pool = [], []
    for nodes in _by_depth(before, needed.copy()):
        starts, others = ([node for node in nodes if bool(before[node]) is inner] for inner in (False, True))
        place = {node: row for row, node in enumerate(pool)}
        sources = [source for node in others for source in before[node]]
        for source in sources:
            needed[source] -= 1
        levels.append(
            _Level(
                starts=starts,
                nodes=others,
                rows=[place[source] for source in sources],
                node=[row for row, node in enumerate(others) for _ in before[node]],
                slot=[slot for node in others for slot in range(len(before[node]))],
                kept=[row for row, node in enumerate(pool) if needed[node]],
            )
        )
        pool = [node for node in pool if needed[node]] + starts + others
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
