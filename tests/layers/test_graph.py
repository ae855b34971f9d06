"""Unrolling over graphs: chains are sequences, trees are Tree-LSTMs, and what is no graph is named."""

import pytest
import torch
from torch import Tensor

from rnn_hub import dynamic_rnn, graph_rnn
from rnn_hub.cells import CELLS, get_cell

SIZE = 6
TREE = [(0, 4), (1, 4), (4, 6), (2, 5), (3, 5), (5, 6)]
"""Two leaves below 4, two below 5, and these below the root 6; the other nodes of the batch are trees of their own."""
NODES = 9


def build(name: str) -> tuple:
    """A cell in double precision with random weights, and those."""
    torch.manual_seed(3)
    kind = get_cell(name)
    shapes = kind.weight_shapes(SIZE, SIZE)
    weights = {key: torch.randn(shape, dtype=torch.double, requires_grad=True) for key, shape in shapes.items()}
    return kind(weights, SIZE), weights


def inputs(count: int = NODES) -> Tensor:
    return torch.randn(count, SIZE, dtype=torch.double, requires_grad=True)


def gradients(outputs: Tensor, wanted: list[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(outputs.square().sum(), wanted, allow_unused=True, materialize_grads=True)


def child_sum(weights: dict[str, Tensor], x: Tensor, children: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Tai et al. 2015, equations 2 to 8, of one node."""
    w, u = (weights[name].chunk(4) for name in ("weight_ih", "weight_hh"))
    b = (weights["bias_ih"] + weights["bias_hh"]).chunk(4)
    hidden = sum((h for h, _ in children), torch.zeros(SIZE, dtype=torch.double))
    i, g, o = (w[k] @ x + u[k] @ hidden + b[k] for k in (0, 2, 3))
    memory = torch.sigmoid(i) * torch.tanh(g)
    for h, c in children:
        memory = memory + torch.sigmoid(w[1] @ x + u[1] @ h + b[1]) * c
    return torch.sigmoid(o) * torch.tanh(memory), memory


def binary(weights: dict[str, Tensor], x: Tensor, children: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Tai et al. 2015, equations 9 to 14 with N = 2, of one node."""
    zero = torch.zeros(SIZE, dtype=torch.double)
    children = [*children, (zero, zero), (zero, zero)][:2]
    both = torch.cat([h for h, _ in children])
    wi, wf, wg, wo = weights["weight_ih"].chunk(4)
    bi, bf, bg, bo = weights["bias_ih"].chunk(4)
    ui, uf1, uf2, ug, uo = weights["weight_hh"].chunk(5)
    memory = torch.sigmoid(wi @ x + ui @ both + bi) * torch.tanh(wg @ x + ug @ both + bg)
    for u, (_, c) in zip((uf1, uf2), children, strict=True):
        memory = memory + torch.sigmoid(wf @ x + u @ both + bf) * c
    return torch.sigmoid(wo @ x + uo @ both + bo) * torch.tanh(memory), memory


@pytest.mark.parametrize(("name", "equations"), [("child_sum_lstm", child_sum), ("binary_lstm", binary)])
def test_trees_equal_a_recursion_node_by_node(name: str, equations) -> None:
    cell, weights = build(name)
    x = inputs()

    def compute(node: int) -> tuple[Tensor, Tensor]:
        return equations(weights, x[node], [compute(child) for child, parent in TREE if parent == node])

    expected = [compute(node) for node in range(NODES)]
    output, state = graph_rnn(cell, x, torch.tensor(TREE).T)
    torch.testing.assert_close(output, torch.stack([h for h, _ in expected]))
    torch.testing.assert_close(state, tuple(torch.stack(parts) for parts in zip(*expected, strict=True)))
    wanted = [x, *weights.values()]
    slow = torch.stack([h for h, _ in expected])
    torch.testing.assert_close(gradients(output, wanted), gradients(slow, wanted))


@pytest.mark.parametrize("name", CELLS)
def test_a_batch_of_chains_equals_dynamic_rnn(name: str) -> None:
    cell, _ = build(name)
    x, lengths = torch.randn(3, 5, SIZE, dtype=torch.double), torch.tensor([5, 2, 4])
    expected, state = dynamic_rnn(cell, x, lengths=lengths)
    real = torch.arange(5) < lengths[:, None]
    numbers = torch.full((3, 5), -1)
    order = torch.randperm(int(real.sum()))
    numbers[real] = order
    edges = torch.stack([numbers[:, :-1][real[:, 1:]], numbers[:, 1:][real[:, 1:]]])
    nodes = torch.empty(len(order), SIZE, dtype=torch.double)
    nodes[order] = x[real]
    output, after = graph_rnn(cell, nodes, edges)
    torch.testing.assert_close(output[order], expected[real])
    last = numbers.gather(1, lengths[:, None] - 1)[:, 0]
    torch.testing.assert_close(tuple(part[last] for part in after), state)


def test_a_function_sums_the_states_of_several_predecessors() -> None:
    edges, x = torch.tensor([[0, 0, 1, 2, 0], [1, 2, 3, 3, 3]]), torch.randn(4, SIZE)
    start = (torch.randn(4, SIZE),)

    def step(parts: tuple[Tensor, ...], state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        hidden = torch.tanh(parts[0] + 0.5 * state[0])
        return 2 * hidden, (hidden,)

    output, (state,) = graph_rnn(step, x, edges, start)
    h0 = torch.tanh(x[0] + 0.5 * start[0][0])
    h1, h2 = torch.tanh(x[1] + 0.5 * h0), torch.tanh(x[2] + 0.5 * h0)
    h3 = torch.tanh(x[3] + 0.5 * (h1 + h2 + h0))
    torch.testing.assert_close(state, torch.stack([h0, h1, h2, h3]))
    torch.testing.assert_close(output, 2 * state)

    def largest(part: Tensor, node: Tensor, count: int) -> Tensor:
        return torch.stack([part[node == row].amax(dim=0) for row in range(count)])

    _, (state,) = graph_rnn(step, x, edges, start, merge=largest)
    torch.testing.assert_close(state[3], torch.tanh(x[3] + 0.5 * torch.stack([h0, h1, h2]).amax(0)))


def test_nodes_in_any_order_give_the_same() -> None:
    cell, _ = build("child_sum_lstm")
    x, edges, order = inputs(), torch.tensor(TREE).T, torch.randperm(NODES)
    expected, _ = graph_rnn(cell, x, edges)
    place = order.argsort()
    output, _ = graph_rnn(cell, x[order], place[edges])
    torch.testing.assert_close(output[place], expected)


@pytest.mark.parametrize("name", ["child_sum_lstm", "binary_lstm", "gru", "qrnn"])
def test_a_state_may_be_needed_at_several_levels_and_gradients_are_those_of_differences(name: str) -> None:
    cell, weights = build(name)
    x, start = inputs(6), tuple(torch.randn_like(part) for part in cell.init_state(6, inputs(6)))
    edges = torch.tensor([[0, 0, 0, 1, 2, 3, 4], [1, 2, 5, 3, 4, 5, 3]])
    edges = edges[:, edges[1] != 5] if name == "binary_lstm" else edges
    wanted = [x, *weights.values(), *(part.requires_grad_() for part in start)]

    def run(*_: Tensor) -> tuple[Tensor, ...]:
        output, state = graph_rnn(cell, x, edges, start)
        return output, *state

    assert torch.autograd.gradcheck(run, wanted)


@pytest.mark.parametrize("edges", [torch.zeros(2, 0, dtype=torch.long), torch.tensor(TREE).T])
def test_no_nodes_and_no_edges(edges: Tensor) -> None:
    cell, _ = build("gru")
    if not edges.numel():
        assert graph_rnn(cell, inputs(0), edges)[0].shape == (0, SIZE)
    output, (state,) = graph_rnn(cell, inputs(), edges)
    assert output.shape == state.shape == (NODES, SIZE)


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([[0, 1, 2, 3], [1, 2, 0, 1]], r"the graph has a cycle: (0 -> 1 -> 2 -> 0|1 -> 2 -> 0 -> 1|2 -> 0 -> 1 -> 2)"),
        ([[4], [4]], "cycle: 4 -> 4"),
        ([[0, 1], [1, 9]], r"the edge 1 -> 9 names no node: there are 9, from 0"),
        ([[-1], [1]], "the edge -1 -> 1 names no node"),
        ([[0], [1], [2]], r"edges must be whole numbers of shape \(2, E\), got torch.int64 \(3, 1\)"),
        ([[0.0], [1.0]], r"edges must be whole numbers of shape \(2, E\), got torch.float32"),
        ([[0, 1, 2], [3, 3, 3]], "node 3 has more than 2 predecessors"),
    ],
)
def test_what_is_no_graph_for_the_cell_is_named(edges: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        graph_rnn(build("binary_lstm")[0], inputs(), torch.tensor(edges))
