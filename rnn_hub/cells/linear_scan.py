"""The linear recurrence h_t = a_t * h_{t-1} + b_t, elementwise, in several forms that agree, and the cells made of it.

All forms multiply decays together and never divide or take logarithms, so that float32 keeps its precision over
thousands of steps (a scan in log space loses half of it). `fused.linear_scan_form` holds the rule which one runs.
"""

from collections.abc import Callable
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from rnn_hub.cells import fused
from rnn_hub.cells.base import Cell, State, input_weight_shapes, state_dtype
from rnn_hub.cells.scan import last_real, output_dtype, scan_steps

Form = Callable[[Tensor, Tensor, Tensor, bool], Tensor]
"""(decay (B, T, D), entry (B, T, D), start (B, D), reverse) -> all states (B, T, D); reverse runs from T - 1 to 0."""


def sequential(decay: Tensor, entry: Tensor, start: Tensor, reverse: bool = False) -> Tensor:
    """Step by step: the fewest operations, T of them one after the other."""
    states = torch.empty_like(entry)
    steps = list(zip(decay.unbind(1), entry.unbind(1), states.unbind(1), strict=True))
    for decay_t, entry_t, state_t in reversed(steps) if reverse else steps:
        start = torch.addcmul(entry_t, decay_t, start, out=state_t)
    return states


def chunked(decay: Tensor, entry: Tensor, start: Tensor, reverse: bool = False) -> Tensor:
    """Chunks of about sqrt(T) steps all at once, then their ends in order: 2 sqrt(T) operations one after the other."""
    batch, steps, _ = entry.shape
    size = max(int(steps**0.5), 1)
    missing = -steps % size
    decay = F.pad(decay, (0, 0, 0, missing), value=1.0).unflatten(1, (-1, size)).flatten(0, 1)
    entry = F.pad(entry, (0, 0, 0, missing)).unflatten(1, (-1, size)).flatten(0, 1)
    none = torch.zeros_like(entry[:, 0])
    inside = sequential(decay, entry, none, reverse).unflatten(0, (batch, -1))
    decays = sequential(decay, torch.zeros_like(entry), none + 1, reverse).unflatten(0, (batch, -1))
    last = 0 if reverse else -1
    ends = sequential(decays[:, :, last], inside[:, :, last], start, reverse)
    before = [ends[:, 1:], start[:, None]] if reverse else [start[:, None], ends[:, :-1]]
    return torch.addcmul(inside, decays, torch.cat(before, dim=1)[:, :, None]).flatten(1, 2)[:, :steps]


def parallel(decay: Tensor, entry: Tensor, start: Tensor, reverse: bool = False) -> Tensor:
    """Each step takes in what stands 1, 2, 4, ... steps before it: log2(T) operations in sequence, on all steps each.

    Hillis & Steele 1986, "Data Parallel Algorithms", section "Parallel Prefix".
    """
    if reverse:
        return parallel(decay.flip(1), entry.flip(1), start).flip(1)
    states = torch.cat([torch.addcmul(entry[:, :1], decay[:, :1], start[:, None]), entry[:, 1:]], dim=1)
    shift = 1
    while shift < entry.shape[1]:
        later = torch.addcmul(states[:, shift:], decay[:, shift:], states[:, :-shift])
        states = torch.cat([states[:, :shift], later], dim=1)
        decay = torch.cat([decay[:, :shift], decay[:, shift:] * decay[:, :-shift]], dim=1)
        shift *= 2
    return states


FORMS: dict[str, Form] = {"sequential": sequential, "chunked": chunked, "parallel": parallel}


class _LinearScan(torch.autograd.Function):
    """Any form as one node of the graph: gradients run through the same recurrence from the last step to the first."""

    @staticmethod
    def forward(ctx, decay: Tensor, entry: Tensor, start: Tensor, form: str) -> Tensor:
        states = FORMS[form](decay, entry, start, False)
        ctx.save_for_backward(decay, start, states)
        ctx.form = form
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        decay, start, states = ctx.saved_tensors
        following = torch.cat([decay[:, 1:], torch.zeros_like(decay[:, :1])], dim=1)
        flow = FORMS[ctx.form](following, gradient, torch.zeros_like(start), True)
        before = torch.cat([start[:, None], states[:, :-1]], dim=1)
        return flow * before, flow, flow[:, 0] * decay[:, 0], None


def linear_scan(decay: Tensor, entry: Tensor, start: Tensor, form: str | None = None) -> Tensor:
    """h_t = decay_t * h_{t-1} + entry_t for all t.

    Args:
        decay, entry: (B, T, D) with T > 0.
        start: the state before the first step, (B, D).
        form: one of `FORMS`; None for what `fused.linear_scan_form` chooses.

    Returns:
        all states (B, T, D). They can be differentiated once.

    Raises:
        ValueError: the start does not fit the batch.
    """
    if start.shape != entry[:, 0].shape:
        raise ValueError(f"a state of shape {tuple(start.shape)} does not fit a batch of {tuple(entry[:, 0].shape)}")
    return _LinearScan.apply(decay, entry, start, form or fused.linear_scan_form(entry))


class LinearCell(Cell):
    """A cell whose memory follows m' = decay * m + entry, with decay and entry made from its inputs alone.

    A cell of this kind says how many `products` of H features it makes of an input, and defines `coefficients`, and
    `read` where the output is not the memory itself; its state is then the output and the memory. The memory is the
    last tensor of the state.
    """

    products: ClassVar[int]

    @classmethod
    def weight_shapes(cls, input_size: int, hidden_size: int, bias: bool = True) -> dict[str, tuple[int, ...]]:
        """Input weights only: `weight_ih`, the products one below the other, and `bias_ih`."""
        return input_weight_shapes(cls.products, input_size, hidden_size, bias)

    def project(self, x: Tensor, state: State) -> tuple[Tensor, ...]:
        """W x + b for all products."""
        products = F.linear(x, self.weights["weight_ih"], self.weights.get("bias_ih"))
        return (products.to(state_dtype(products)),)

    def coefficients(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Decay and entry, in the memory's shape, from the projected inputs of one step (B, ...) or all (B, T, ...)."""
        raise NotImplementedError(f"cell {self.name!r} does not say what enters its memory and what leaves")

    def read(self, inputs: tuple[Tensor, ...], memory: Tensor) -> Tensor:
        """The output, from projected inputs and memory of one step or all."""
        return memory

    def look_back(
        self, inputs: tuple[Tensor, ...], state: State, mask: Tensor | None
    ) -> tuple[tuple[Tensor, ...], State]:
        """Adds to all steps' projected inputs what the real step before left for each; also what the last one left."""
        return inputs, ()

    def step(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """The equation above."""
        decay, entry = self.coefficients(inputs)
        memory = torch.addcmul(entry, decay, state[-1])
        output = self.read(inputs, memory)
        return output, (memory,) if len(state) == 1 else (output, memory)

    def scan(self, x: Tensor, state: State | None = None, mask: Tensor | None = None) -> tuple[Tensor, State]:
        """As in `Cell`, by `linear_scan`: padding has decay 1 and entry 0."""
        state = self.init_state(x.shape[0], x) if state is None else state
        if x.shape[1] < 2 or not fused.usable(x):
            return scan_steps(self, x, state, mask)
        mask = None if mask is None or bool(mask.all()) else mask.bool()
        if mask is not None:
            x = torch.where(mask[..., None], x, 0)
        inputs, left = self.look_back(self.project(x, state), state, mask)
        decay, entry = self.coefficients(inputs)
        if mask is not None:
            decay, entry = torch.where(mask[..., None], decay, 1), torch.where(mask[..., None], entry, 0)
        memory = linear_scan(decay, entry, state[-1])
        output = self.read(inputs, memory)
        after: State = (memory[:, -1],)
        if len(state) > 1:
            after = (last_real(output, state[0], mask), *left, *after)
        if mask is not None:
            output = torch.where(mask[..., None], output, 0)
        return output.to(output_dtype(x, output)), after
