"""The interface of a recurrent cell, and the registry of cells by name."""

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor

from rnn_hub.cells import fused
from rnn_hub.cells.scan import scan_steps

State = tuple[Tensor, ...]
"""A recurrent state: any number of tensors of any shape, batch first. The first is the hidden output."""

Choose = Callable[[Tensor], Tensor | float]
"""For a part of a state, how much of the old value each element keeps: 0 or 1, or a share of it."""

CELLS: dict[str, type["Cell"]] = {}


class Cell:
    """A cell is a value, not a module: weights in, equations out.

    The layer that uses a cell owns its parameters (`weight_shapes` tells which) and makes the cell from them for one
    forward pass, possibly after dropping some of them (weight dropout). A new cell defines `weight_shapes`, `project`
    and `step`, and for a state other than one hidden vector `init_state`; a cell with a faster way through a whole
    sequence overrides `scan`, which must agree with the steps.

    Args:
        weights: the tensors that `weight_shapes` names; a bias may be missing.
        hidden_size: the number of units H.
    """

    name: ClassVar[str]
    kernel: ClassVar[str | None] = None
    """The fused kernel of torch that computes the same equations, if there is one."""

    def __init__(self, weights: Mapping[str, Tensor], hidden_size: int):
        self.weights = weights
        self.hidden_size = hidden_size

    @classmethod
    def weight_shapes(cls, input_size: int, hidden_size: int, bias: bool = True) -> dict[str, tuple[int, ...]]:
        """The parameters of one layer and direction: name -> shape."""
        raise NotImplementedError(f"cell {cls.__name__} does not say which weights it has")

    @classmethod
    def initial_weight(cls, name: str, shape: tuple[int, ...], hidden_size: int) -> Tensor:
        """A starting value: recurrent weights orthogonal gate by gate, input weights uniform (Glorot), biases 0."""
        weight = torch.zeros(shape)
        if len(shape) == 2:
            fill = torch.nn.init.orthogonal_ if name == "weight_hh" else torch.nn.init.xavier_uniform_
            for gate in weight.split(hidden_size):
                fill(gate)
        return weight

    def project(self, x: Tensor, state: State) -> tuple[Tensor, ...]:
        """Everything that needs no recurrence, for all steps at once: (B, T, I) -> tensors of (B, T, ...)."""
        raise NotImplementedError(f"cell {self.name!r} does not say how it projects its inputs")

    def init_state(self, batch_size: int, like: Tensor) -> State:
        """The state before the first step, zeros of (B, H) on the device of `like`, in at least float32."""
        return (like.new_zeros(batch_size, self.hidden_size, dtype=state_dtype(like)),)

    def step(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """One step: projected inputs of (B, ...) and a state -> the output (B, H) and the next state."""
        raise NotImplementedError(f"cell {self.name!r} does not say what one step computes")

    def advance(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One step from an input (B, I) that is not projected yet: the output (B, H) and the next state."""
        if self.kernel is not None and fused.usable(x) and isinstance(self.weights["weight_ih"], Tensor):
            return fused.step(self.kernel, self.weights, x, state)
        output, state = self.step(tuple(part[:, 0] for part in self.project(x[:, None], state)), state)
        return output if output.dtype == x.dtype else output.to(x.dtype), state

    def blend(self, after: State, before: State, choose: Choose) -> State:
        """Two states of consecutive steps in one: for zoneout. Parts that only mean something together override it."""
        return tuple(torch.lerp(new, old, choose(new)) for new, old in zip(after, before, strict=True))

    def scan(self, x: Tensor, state: State | None = None, mask: Tensor | None = None) -> tuple[Tensor, State]:
        """All steps of a batch of sequences.

        Args:
            x: inputs, (B, T, I).
            state: the state before the first step; None for zeros.
            mask: (B, T), 1 or True at real positions. Where it is 0 the state is frozen and the output is 0.

        Returns:
            outputs (B, T, H) in the dtype of `x`, and the state after the last real step.
        """
        state = self.init_state(x.shape[0], x) if state is None else state
        if self.kernel is not None and fused.usable(x):
            return fused.scan(self.kernel, self.weights, x, state, mask)
        return scan_steps(self, x, state, mask)


def register_cell(name: str) -> Callable[[type[Cell]], type[Cell]]:
    """Class decorator: makes a cell usable by name in every config. A name is given once."""

    def register(cell_class: type[Cell]) -> type[Cell]:
        if name in CELLS and CELLS[name] is not cell_class:
            raise ValueError(f"cell name {name!r} is taken by {CELLS[name].__qualname__}; choose another")
        cell_class.name = name
        CELLS[name] = cell_class
        return cell_class

    return register


def get_cell(name: str) -> type[Cell]:
    """The cell class of that name; a `ValueError` lists the choices."""
    if name not in CELLS:
        raise ValueError(f"unknown cell_type {name!r}; choose one of {', '.join(sorted(CELLS))}")
    return CELLS[name]


def state_dtype(like: Tensor) -> torch.dtype:
    """States are kept in at least float32, whatever the model computes in."""
    return torch.promote_types(like.dtype, torch.float32)


def gated_weight_shapes(gates: int, input_size: int, hidden_size: int, bias: bool) -> dict[str, tuple[int, ...]]:
    """The weights of a cell with `gates` gates, with the names, shapes and order that torch gives them."""
    shapes: dict[str, tuple[int, ...]] = {
        "weight_ih": (gates * hidden_size, input_size),
        "weight_hh": (gates * hidden_size, hidden_size),
    }
    if bias:
        shapes |= {"bias_ih": (gates * hidden_size,), "bias_hh": (gates * hidden_size,)}
    return shapes


def input_weight_shapes(products: int, input_size: int, hidden_size: int, bias: bool) -> dict[str, tuple[int, ...]]:
    """The weights of a cell whose only matrix products are those with its input, `products` of them."""
    shapes: dict[str, tuple[int, ...]] = {"weight_ih": (products * hidden_size, input_size)}
    if bias:
        shapes["bias_ih"] = (products * hidden_size,)
    return shapes
