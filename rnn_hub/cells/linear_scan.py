"""The linear recurrence h_t = a_t * h_{t-1} + b_t, elementwise, in several forms that agree, and the cells made of it.

All forms multiply decays together and never divide or take logarithms, so that float32 keeps its precision over
thousands of steps (a scan in log space loses half of it). `fused.linear_scan_form` holds the rule which one runs.
"""

from collections.abc import Callable
from itertools import repeat
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from rnn_hub.cells import fused
from rnn_hub.cells.base import Cell, State, input_weight_shapes, state_dtype
from rnn_hub.cells.scan import freeze, last_real, output_dtype, scan_steps

Scan = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(decay (B, T, D), entry (B, T, D), start (B, D)) -> all states (B, T, D)."""

Gradients = tuple[Tensor, Tensor, Tensor]
"""Those of decay, entry and start."""


class Form(NamedTuple):
    """A way through the recurrence, and `backward(decay, start, states, gradient)`, the way back."""

    forward: Scan
    backward: Callable[[Tensor, Tensor, Tensor, Tensor], Gradients]


def sequential(decay: Tensor, entry: Tensor, start: Tensor) -> Tensor:
    """Step by step: the fewest operations, T of them one after the other."""
    states = torch.empty_like(entry)
    for decay_t, entry_t, state_t in zip(decay.unbind(1), entry.unbind(1), states.unbind(1), strict=True):
        start = torch.addcmul(entry_t, decay_t, start, out=state_t)
    return states


def sequential_backward(decay: Tensor, start: Tensor, states: Tensor, gradient: Tensor) -> Gradients:
    """The same recurrence from the last step to the first: flow_t = gradient_t + decay_{t+1} * flow_{t+1}."""
    flows, slopes = torch.empty_like(states), torch.empty_like(decay)
    before = (start, *states.unbind(1)[:-1])
    decayed = torch.zeros_like(start)
    steps = zip(decay.unbind(1), before, gradient.unbind(1), flows.unbind(1), slopes.unbind(1), strict=True)
    for decay_t, before_t, gradient_t, flow_t, slope_t in reversed(list(steps)):
        torch.add(gradient_t, decayed, out=flow_t)
        torch.mul(flow_t, before_t, out=slope_t)
        torch.mul(flow_t, decay_t, out=decayed)
    return slopes, flows, decayed


def chunked(decay: Tensor, entry: Tensor, start: Tensor) -> Tensor:
    """Chunks of about sqrt(T) steps all at once, then their ends in order: 2 sqrt(T) operations one after the other."""
    batch, steps, _ = entry.shape
    size = int(steps**0.5)
    missing = -steps % size
    decay = F.pad(decay, (0, 0, 0, missing)).unflatten(1, (-1, size)).flatten(0, 1)
    entry = F.pad(entry, (0, 0, 0, missing)).unflatten(1, (-1, size)).flatten(0, 1)
    inside = sequential(decay, entry, torch.zeros_like(entry[:, 0])).unflatten(0, (batch, -1))
    decays = decay.cumprod(dim=1).unflatten(0, (batch, -1))
    ends = sequential(decays[:, :, -1], inside[:, :, -1], start)
    before = torch.cat([start[:, None], ends[:, :-1]], dim=1)
    return torch.addcmul(inside, decays, before[:, :, None]).flatten(1, 2)[:, :steps]


def parallel(decay: Tensor, entry: Tensor, start: Tensor) -> Tensor:
    """Each step takes in what stands 1, 2, 4, ... steps before it: log2(T) operations in sequence, on all steps each.

    Hillis & Steele 1986, "Data Parallel Algorithms", section "Parallel Prefix".
    """
    states = torch.cat([torch.addcmul(entry[:, :1], decay[:, :1], start[:, None]), entry[:, 1:]], dim=1)
    shift = 1
    while shift < entry.shape[1]:
        later = torch.addcmul(states[:, shift:], decay[:, shift:], states[:, :-shift])
        states = torch.cat([states[:, :shift], later], dim=1)
        decay = torch.cat([decay[:, :shift], decay[:, shift:] * decay[:, :-shift]], dim=1)
        shift *= 2
    return states


def reversed_backward(scan: Scan) -> Callable[[Tensor, Tensor, Tensor, Tensor], Gradients]:
    """The way back of any form: the form itself, over the steps in reverse."""

    def backward(decay: Tensor, start: Tensor, states: Tensor, gradient: Tensor) -> Gradients:
        following = torch.cat([decay[:, 1:], torch.zeros_like(decay[:, :1])], dim=1)
        flows = scan(following.flip(1), gradient.flip(1), torch.zeros_like(start)).flip(1)
        before = torch.cat([start[:, None], states[:, :-1]], dim=1)
        return flows * before, flows, flows[:, 0] * decay[:, 0]

    return backward


FORMS = {
    "sequential": Form(sequential, sequential_backward),
    "chunked": Form(chunked, reversed_backward(chunked)),
    "parallel": Form(parallel, reversed_backward(parallel)),
}


def get_form(name: str) -> Form:
    """One of `FORMS`, or "triton", which needs that package."""
    if name == "triton":
        from rnn_hub.cells import triton_scan

        return Form(triton_scan.forward, triton_scan.backward)
    return FORMS[name]


class _LinearScan(torch.autograd.Function):
    """Any form as one node of the graph."""

    @staticmethod
    def forward(ctx, decay: Tensor, entry: Tensor, start: Tensor, form: Form) -> Tensor:
        states = form.forward(decay, entry, start)
        ctx.save_for_backward(decay, start, states)
        ctx.form = form
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        return *ctx.form.backward(*ctx.saved_tensors, gradient), None


def linear_scan(decay: Tensor, entry: Tensor, start: Tensor, form: str | None = None) -> Tensor:
    """h_t = decay_t * h_{t-1} + entry_t for all t.

    Args:
        decay, entry: (B, T, D) with T > 0.
        start: the state before the first step, (B, D).
        form: what `get_form` knows; None for what `fused.linear_scan_form` chooses.

    Returns:
        all states (B, T, D). They can be differentiated once.

    Raises:
        ValueError: the start does not fit the batch.
    """
    if start.shape != entry[:, 0].shape:
        raise ValueError(f"a state of shape {tuple(start.shape)} does not fit a batch of {tuple(entry[:, 0].shape)}")
    return _LinearScan.apply(decay, entry, start, get_form(form or fused.linear_scan_form(entry)))


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
        """As in `Cell`, by `linear_scan`, block by block: padding has decay 1 and entry 0."""
        state = self.init_state(x.shape[0], x) if state is None else state
        if x.shape[1] < 2 or not fused.usable(x):
            return scan_steps(self, x, state, mask)
        size = fused.linear_scan_block(x.shape[0] * self.hidden_size, x)
        masks = repeat(None) if mask is None else mask.bool().split(size, dim=1)
        outputs = []
        for block, real in zip(x.split(size, dim=1), masks, strict=False):
            output, state = self._scan_block(block, state, None if real is None or bool(real.all()) else real)
            outputs.append(output)
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1), state

    def _scan_block(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
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
            after = (last_real(output, mask), *left, *after)
        if mask is not None:
            after = freeze(mask.any(dim=1), after, state)
            output = torch.where(mask[..., None], output, 0)
        return output.to(output_dtype(x, output)), after
