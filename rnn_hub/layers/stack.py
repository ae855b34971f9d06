"""A stack of recurrent layers in one or two directions."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rnn_hub.cells import Cell, State, ZoneoutCell, get_cell
from rnn_hub.cells.int8 import Int8Step
from rnn_hub.cells.scan import spread
from rnn_hub.layers.dropout import SequenceDropout
from rnn_hub.layers.unroll import dynamic_rnn, static_rnn

StackState = tuple[State, ...]
"""One state for each layer and direction: layer 0 forward, layer 0 backward, layer 1 forward, ..."""


class Noise(NamedTuple):
    """What dropout keeps in one pass over a sequence whose steps are taken one at a time.

    A factor for each layer's inputs, and one for the recurrent weights of each layer and direction; None where nothing
    is dropped, or where every step draws anew.
    """

    inputs: tuple[Tensor | None, ...]
    weights: tuple[Tensor | None, ...]


MERGES = ("concat", "sum")
UNROLLINGS = ("dynamic", "static")


class RnnStack(nn.Module):
    """Recurrent layers of any registered cell. Its state dict has the names and shapes of `nn.LSTM` or `nn.GRU`
    (`weight_ih_l0`, `weight_hh_l0_reverse`, ...), so weights move in both directions with `load_state_dict`.

    Args:
        input_size: features of the input.
        hidden_size: units H of each layer and direction.
        num_layers: how many layers.
        cell_type: the name of a registered cell.
        bidirectional: whether a second cell reads each sequence from its last real position to its first.
        merge: "concat" or "sum" of the two directions' outputs.
        bias: whether the cells have biases.
        dropout: on the input of every layer but the first.
        variational_dropout: one dropout mask for all steps (Gal & Ghahramani 2016).
        weight_dropout: on the recurrent weights, once a forward pass (DropConnect; Merity et al. 2017, section 2).
        zoneout: the probability that a unit keeps its last state (Krueger et al. 2017); all cells then run in a loop.
        residual: adds a layer's input to its output where the sizes agree.
        layer_norm: normalizes each layer's output.
        learned_initial_state: makes the state before the first step a parameter.
        unrolling: "dynamic" runs the real steps, on fused kernels where there are any; "static" unrolls a plain loop.
        static_length: with static unrolling, the number of steps to pad to; None for the input's own.

    Raises:
        ValueError: for an unknown cell, merge or unrolling, naming the choices; for weight dropout of a cell without
            recurrent weights.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        cell_type: str = "lstm",
        bidirectional: bool = False,
        merge: str = "concat",
        bias: bool = True,
        dropout: float = 0.0,
        variational_dropout: bool = False,
        weight_dropout: float = 0.0,
        zoneout: float = 0.0,
        residual: bool = False,
        layer_norm: bool = False,
        learned_initial_state: bool = False,
        unrolling: str = "dynamic",
        static_length: int | None = None,
    ):
        super().__init__()
        if merge not in MERGES:
            raise ValueError(f"unknown merge {merge!r}; choose one of {', '.join(MERGES)}")
        if unrolling not in UNROLLINGS:
            raise ValueError(f"unknown unrolling {unrolling!r}; choose one of {', '.join(UNROLLINGS)}")
        check_weight_dropout(cell_type, weight_dropout)
        self.cell_class = get_cell(cell_type)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.directions = ("", "_reverse") if bidirectional else ("",)
        self.merge, self.weight_dropout, self.residual = merge, weight_dropout, residual
        self.zoneout = zoneout
        self.unrolling, self.static_length = unrolling, static_length
        self.output_size = hidden_size * (len(self.directions) if merge == "concat" else 1)
        self.dropout = SequenceDropout(dropout, variational_dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(self.output_size) for _ in range(num_layers if layer_norm else 0))
        self.frozen: tuple[Callable, ...] = ()
        self.gradient_checkpointing = False
        self._gradient_checkpointing_func = torch.utils.checkpoint.checkpoint
        self.weight_names: list[str] = []
        for layer in range(num_layers):
            size = input_size if layer == 0 else self.output_size
            shapes = self.cell_class.weight_shapes(size, hidden_size, bias)
            self.weight_names = list(shapes)
            for suffix in self._suffixes(layer):
                for name, shape in shapes.items():
                    self.register_parameter(name + suffix, nn.Parameter(torch.empty(shape)))
        empty = self.cell_class({}, hidden_size).init_state(1, torch.empty(0))
        self.state_shapes = [tuple(part.shape[1:]) for part in empty]
        self.learned_initial_state = learned_initial_state
        if learned_initial_state:
            for name, shape in self._initial_states():
                self.register_parameter(name, nn.Parameter(torch.empty(shape)))
        self.reset_parameters()

    def _suffixes(self, layer: int) -> list[str]:
        return [f"_l{layer}{direction}" for direction in self.directions]

    def _initial_states(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        for layer in range(self.num_layers):
            for suffix in self._suffixes(layer):
                for index, shape in enumerate(self.state_shapes):
                    yield f"initial_state_{index}{suffix}", shape

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws every weight anew, except those a checkpoint has just filled (transformers marks them)."""
        for layer in range(self.num_layers):
            for suffix in self._suffixes(layer):
                for name in self.weight_names:
                    parameter = self.get_parameter(name + suffix)
                    if _to_draw(parameter):
                        parameter.copy_(self.cell_class.initial_weight(name, parameter.shape, self.hidden_size))
        if self.learned_initial_state:
            for name, _ in self._initial_states():
                if _to_draw(self.get_parameter(name)):
                    self.get_parameter(name).zero_()

    def draw_noise(self, batch_size: int, like: Tensor) -> Noise:
        """The dropout of one pass, for a caller that takes its steps one at a time."""
        sizes = [self.input_size, *[self.output_size] * (self.num_layers - 1)]
        inputs = tuple(self.dropout.draw(batch_size, size, like) for size in sizes)
        weights: list[Tensor | None] = [None] * (self.num_layers * len(self.directions))
        if self.training and self.weight_dropout:
            suffixes = (suffix for layer in range(self.num_layers) for suffix in self._suffixes(layer))
            weights = [self._kept(getattr(self, f"weight_hh{suffix}")) for suffix in suffixes]
        return Noise(inputs, tuple(weights))

    def _kept(self, weight: Tensor) -> Tensor:
        return nn.functional.dropout(torch.ones_like(weight), self.weight_dropout)

    def cell(
        self, layer: int, direction: int = 0, noise: Noise | None = None, change: Callable[[Tensor], Any] | None = None
    ) -> Cell:
        """The cell of one layer and direction, over the current weights, some of them dropped in training.

        `change` makes something else of each matrix that the cell is to multiply with.
        """
        suffix, width = self._suffixes(layer)[direction], len(self.directions)
        weights = {name: getattr(self, name + suffix) for name in self.weight_names}
        if self.training and self.weight_dropout:
            kept = self._kept(weights["weight_hh"]) if noise is None else noise.weights[layer * width + direction]
            weights["weight_hh"] = weights["weight_hh"] * kept
        if change is not None:
            weights = {name: change(part) if part.dim() == 2 else part for name, part in weights.items()}
        cell = self.cell_class(weights, self.hidden_size)
        return ZoneoutCell(cell, self.zoneout, self.training) if self.zoneout else cell

    def init_state(self, batch_size: int, like: Tensor) -> StackState:
        """The state before the first step: zeros, or what was learned."""
        states = []
        for layer in range(self.num_layers):
            for suffix in self._suffixes(layer):
                state = self.cell_class({}, self.hidden_size).init_state(batch_size, like)
                if self.learned_initial_state:
                    learned = (getattr(self, f"initial_state_{i}{suffix}") for i in range(len(state)))
                    state = tuple(
                        part.to(zero.dtype).expand_as(zero) for part, zero in zip(learned, state, strict=True)
                    )
                states.append(state)
        return tuple(states)

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        state: StackState | None = None,
        noise: Noise | None = None,
    ) -> tuple[Tensor, StackState]:
        """Runs all layers.

        Args:
            x: (B, T, input_size), or of a cell over feature maps (B, T, h, w, input_size).
            mask: (B, T), 1 at real positions; padding, left or right, changes no output, state or gradient.
            state: the state before the first step, as returned by an earlier call.
            noise: what `draw_noise` returned, to keep one dropout over several calls.

        Returns:
            outputs (B, T, ..., output_size), 0 at padding, and the state after the last real step.
        """
        state = self.init_state(x.shape[0], x) if state is None else state
        if self.residual and mask is not None:
            x = torch.where(spread(mask, x).bool(), x, 0)
        after: list[State] = []
        width = len(self.directions)
        for layer in range(self.num_layers):
            if layer > 0:
                x = self.dropout(x, None if noise is None else noise.inputs[layer])
            before = state[layer * width : (layer + 1) * width]
            if self.gradient_checkpointing and self.training:
                y, states = self._checkpointed(layer, x, mask, before, noise)
            else:
                y, states = self._layer(layer, x, mask, before, noise)
            after.extend(states)
            x = x + y if self.residual and x.shape == y.shape else y
        return x, tuple(after)

    def freeze(self, change: Callable[[Tensor], Any], noise: Noise | None = None) -> None:
        """Keeps, for `advance`, steps over `change(matrix)` of these very weights; for a copy made for one loop."""
        cells = [self.cell(layer, noise=noise, change=change) for layer in range(self.num_layers)]
        self.frozen = tuple(Int8Step.of(cell.kernel, cell.weights) or cell.advance for cell in cells)

    def advance(self, x: Tensor, state: StackState, noise: Noise | None = None) -> tuple[Tensor, StackState]:
        """One step of layers that read in one direction: (B, input_size) -> (B, H), and the next state."""
        after: list[State] = []
        steps = self.frozen or [self.cell(layer, noise=noise).advance for layer in range(self.num_layers)]
        for layer, (step, before) in enumerate(zip(steps, state, strict=True)):
            if layer > 0:
                x = self.dropout(x[:, None], None if noise is None else noise.inputs[layer])[:, 0]
            y, part = step(x, before)
            if self.norms:
                y = self.norms[layer](y)
            after.append(part)
            x = x + y if self.residual and x.shape == y.shape else y
        return x, tuple(after)

    def _checkpointed(
        self, layer: int, x: Tensor, mask: Tensor | None, before: StackState, noise: Noise | None
    ) -> tuple[Tensor, StackState]:
        """`_layer` computed again on the way back. States travel flat: reentrant checkpoints see only bare tensors."""
        width = len(self.state_shapes)

        def run(x: Tensor, mask: Tensor | None, *parts: Tensor) -> tuple[Tensor, ...]:
            y, states = self._layer(layer, x, mask, _groups(parts, width), noise)
            return y, *(part for state in states for part in state)

        y, *parts = self._gradient_checkpointing_func(run, x, mask, *(part for state in before for part in state))
        return y, _groups(parts, width)

    def _layer(
        self, layer: int, x: Tensor, mask: Tensor | None, before: StackState, noise: Noise | None
    ) -> tuple[Tensor, StackState]:
        """Both directions of one layer. The backward one reads the flipped row under the flipped mask."""
        outputs, states = [], []
        for direction, state in enumerate(before):
            flip = (lambda tensor: tensor.flip(1)) if direction == 1 else (lambda tensor: tensor)
            output, state = self._unroll(
                self.cell(layer, direction, noise), flip(x), None if mask is None else flip(mask), state
            )
            outputs.append(flip(output))
            states.append(state)
        y = torch.cat(outputs, dim=-1) if self.merge == "concat" else sum(outputs)
        if self.norms:
            y = self.norms[layer](y)
            y = y if mask is None else y * spread(mask, y).to(y.dtype)
        return y, tuple(states)

    def _unroll(self, cell: Cell, x: Tensor, mask: Tensor | None, state: State) -> tuple[Tensor, State]:
        if self.unrolling == "dynamic":
            return dynamic_rnn(cell, x, mask, state)
        length = None if x.shape[1] == 1 else self.static_length  # one step, as in generation, is a fixed graph too
        output, state = static_rnn(cell, x, length, mask, state)
        return output[:, : x.shape[1]], state

    def extra_repr(self) -> str:
        """What `print(module)` shows."""
        return (
            f"{self.input_size}, {self.hidden_size}, num_layers={self.num_layers}, cell_type={self.cell_class.name!r}, "
            f"bidirectional={len(self.directions) == 2}"
        )


def check_weight_dropout(cell_type: str, p: float) -> None:
    """A cell that is unknown, or has no recurrent weights to drop: a `ValueError` says so."""
    if "weight_hh" not in get_cell(cell_type).weight_shapes(1, 1) and p:
        raise ValueError(f"cell {cell_type!r} has no recurrent weights to drop: set weight_dropout=0, or use zoneout")


def _groups(parts: Sequence[Tensor], width: int) -> StackState:
    return tuple(tuple(parts[start : start + width]) for start in range(0, len(parts), width))


def _to_draw(parameter: nn.Parameter) -> bool:
    return not getattr(parameter, "_is_hf_initialized", False) and not parameter.is_meta
