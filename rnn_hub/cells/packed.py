"""Ragged batches as one autograd function: the products of the real tokens, and no others.

Rows are sorted by length and their real positions stand one after the other, step by step, as in a `PackedSequence`.
The input product and all weight gradients are each one product over all tokens; a loop computes only what recurs. On
the way back all factors that do not recur are computed for all tokens at once too.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

if TYPE_CHECKING:
    from rnn_hub.cells.base import State

Slices = list[slice]
"""For each step, the places of its rows among all tokens."""


class Layout(NamedTuple):
    """Where the real tokens of a batch stand.

    Args:
        tokens: (N,), the place of each among the flattened positions (B * T), step by step.
        rows: (B,), the batch's rows by falling length.
        slices: the places of each step's tokens among the N.
        before: (N,), the token before each, counted from B on; below B: the initial state of that (sorted) row.
        last: (B,), the same for each sorted row's last token.
    """

    tokens: Tensor
    rows: Tensor
    slices: Slices
    before: Tensor
    last: Tensor


def lay_out(mask: Tensor) -> Layout:
    """The layout of a batch with the real positions of `mask` (B, T), which may stand anywhere in a row."""
    batch, total = mask.shape
    lengths, rows = mask.sum(dim=1).sort(descending=True, stable=True)
    place = torch.argsort(mask[rows].logical_not().byte(), dim=1, stable=True)
    steps = torch.arange(total, device=mask.device)
    real = steps[:, None] < lengths
    counts = real.sum(dim=1)
    ends = counts.cumsum(0)
    starts = ends - counts
    sorted_row = torch.arange(batch, device=mask.device)
    token = batch + starts[:, None] + sorted_row  # (T, B), from B on
    before = torch.cat([sorted_row[None], token[:-1]])
    last = torch.where(lengths > 0, token.gather(0, (lengths - 1).clamp(min=0)[None])[0], sorted_row)
    slices = [slice(start, end) for start, end in zip(starts.tolist(), ends.tolist(), strict=True) if end > start]
    return Layout((rows[:, None] * total + place).T[real], rows, slices, before[real], last)


def scan(kernel: str, weights: Mapping[str, Tensor], x: Tensor, state: "State", mask: Tensor) -> "tuple[Tensor, State]":
    """All steps of one layer in one direction. Arguments and result as in `Cell.scan`, all of one dtype."""
    layout = lay_out(mask)
    inputs = x.flatten(0, 1).index_select(0, layout.tokens)
    before = tuple(part.index_select(0, layout.rows) for part in state)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    packed = _PackedScan.apply(KERNELS[kernel], layout, inputs, *(weights.get(name) for name in names), *before)
    output = packed[0].new_zeros(mask.numel(), packed[0].shape[1]).index_copy(0, layout.tokens, packed[0])
    last = layout.last[layout.rows.argsort()]
    after = (torch.cat(parts).index_select(0, last) for parts in zip(before, packed, strict=True))
    return output.view(*mask.shape, -1), tuple(after)


class _PackedScan(torch.autograd.Function):
    """Inputs (N, I) and the initial states of sorted rows (B, H) -> the states (N, H) after each token."""

    @staticmethod
    def forward(
        ctx: Any,
        kernel: type["_Kernel"],
        layout: Layout,
        inputs: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor | None,
        bias_hh: Tensor | None,
        *before: Tensor,
    ) -> tuple[Tensor, ...]:
        gates = F.linear(inputs, weight_ih, bias_ih)
        after = tuple(gates.new_empty(len(gates), part.shape[1]) for part in before)
        saved = kernel.forward(gates, weight_hh, bias_hh, layout.slices, before, after)
        ctx.kernel, ctx.layout, ctx.states = kernel, layout, len(before)
        ctx.save_for_backward(inputs, weight_ih, weight_hh, *before, *after, *saved)
        return after

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight_ih, weight_hh, *rest = ctx.saved_tensors
        before, after, saved = rest[: ctx.states], rest[ctx.states : 2 * ctx.states], rest[2 * ctx.states :]
        previous = [torch.cat(parts).index_select(0, ctx.layout.before) for parts in zip(before, after, strict=True)]
        carried = [torch.zeros_like(part) for part in before]
        slices = ctx.layout.slices[::-1]
        projected, recurrent = ctx.kernel.backward(gradients, weight_hh, slices, previous, after, carried, *saved)
        bias_ih, bias_hh = (
            side.sum(dim=0) if needed else None
            for side, needed in zip((projected, recurrent), ctx.needs_input_grad[5:7], strict=True)
        )
        return (
            None,
            None,
            projected @ weight_ih if ctx.needs_input_grad[2] else None,
            projected.T @ inputs,
            recurrent.T @ previous[0],
            bias_ih,
            bias_hh,
            *carried,
        )


class _Kernel:
    """The steps of one kind of cell over packed tokens, forward and backward."""

    @staticmethod
    def forward(
        gates: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        slices: Slices,
        before: tuple[Tensor, ...],
        after: tuple[Tensor, ...],
    ) -> tuple[Tensor, ...]:
        """Fills `after`, and may work in `gates`, the projected inputs; returns what the way back needs."""
        raise NotImplementedError

    @staticmethod
    def backward(
        gradients: tuple[Tensor, ...],
        weight: Tensor,
        slices: Slices,
        previous: list[Tensor],
        after: list[Tensor],
        carried: list[Tensor],
        *saved: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The gradients of projected inputs and of recurrent products (N, gates); leaves the states' in `carried`."""
        raise NotImplementedError


class _Lstm(_Kernel):
    @staticmethod
    def forward(gates, weight, bias, slices, before, after):
        if bias is not None:
            gates += bias
        (hidden, memory), (hiddens, memories) = before, after
        units = hidden.shape[1]
        for step in slices:
            now, rows = gates[step], step.stop - step.start
            now.addmm_(hidden[:rows], weight.T)
            now[:, : 2 * units].sigmoid_()
            now[:, 2 * units : 3 * units].tanh_()
            now[:, 3 * units :].sigmoid_()
            opened, kept, candidate, shown = now.chunk(4, dim=1)
            memory = torch.mul(kept, memory[:rows], out=memories[step]).addcmul_(opened, candidate)
            hidden = torch.tanh(memory, out=hiddens[step]).mul_(shown)
        return (gates,)

    @staticmethod
    def backward(gradients, weight, slices, previous, after, carried, gates):
        opened, kept, candidate, shown = gates.chunk(4, dim=1)
        squashed = after[1].tanh()
        through = shown * (1 - squashed * squashed)
        delta = torch.cat(
            [
                candidate * opened * (1 - opened),
                previous[1] * kept * (1 - kept),
                opened * (1 - candidate * candidate),
                squashed * shown * (1 - shown),
            ],
            dim=1,
        )
        parts = delta.unflatten(1, (4, -1))
        hidden, memory = carried
        for step in slices:
            rows = step.stop - step.start
            to_hidden = hidden[:rows] + gradients[0][step]
            to_memory = memory[:rows].add_(gradients[1][step]).addcmul_(to_hidden, through[step])
            parts[step, :3] *= to_memory[:, None]
            parts[step, 3] *= to_hidden
            to_memory *= kept[step]
            torch.mm(delta[step], weight, out=hidden[:rows])
        return delta, delta


class _Gru(_Kernel):
    @staticmethod
    def forward(gates, weight, bias, slices, before, after):
        (hidden,), (hiddens,) = before, after
        units = hidden.shape[1]
        products = torch.empty_like(hiddens)  # U_n h + c_n, which the reset gate multiplies
        for step in slices:
            now, rows = gates[step], step.stop - step.start
            recurrent = F.linear(hidden[:rows], weight, bias)
            now[:, : 2 * units].add_(recurrent[:, : 2 * units]).sigmoid_()
            reset, update, candidate = now.chunk(3, dim=1)
            products[step] = recurrent[:, 2 * units :]
            candidate.addcmul_(reset, products[step]).tanh_()
            hidden = torch.lerp(candidate, hidden[:rows], update, out=hiddens[step])
        return gates, products

    @staticmethod
    def backward(gradients, weight, slices, previous, after, carried, gates, products):
        reset, update, candidate = gates.chunk(3, dim=1)
        to_candidate = (1 - update) * (1 - candidate * candidate)
        delta = torch.cat(
            [
                products * reset * (1 - reset) * to_candidate,
                (previous[0] - candidate) * update * (1 - update),
                to_candidate * reset,
            ],
            dim=1,
        )
        parts = delta.unflatten(1, (3, -1))
        (hidden,) = carried
        for step in slices:
            rows = step.stop - step.start
            to_hidden = hidden[:rows].add_(gradients[0][step])
            to_candidate[step] *= to_hidden
            parts[step] *= to_hidden[:, None]
            to_hidden.mul_(update[step]).addmm_(delta[step], weight)
        return torch.cat([delta[:, : -to_candidate.shape[1]], to_candidate], dim=1), delta


class _Elman(_Kernel):
    relu = False

    @classmethod
    def forward(cls, gates, weight, bias, slices, before, after):
        if bias is not None:
            gates += bias
        (hidden,), (hiddens,) = before, after
        for step in slices:
            rows = step.stop - step.start
            torch.addmm(gates[step], hidden[:rows], weight.T, out=hiddens[step])
            hidden = hiddens[step].relu_() if cls.relu else hiddens[step].tanh_()
        return ()

    @classmethod
    def backward(cls, gradients, weight, slices, previous, after, carried):
        delta = (after[0] > 0).to(after[0].dtype) if cls.relu else 1 - after[0] * after[0]
        (hidden,) = carried
        for step in slices:
            rows = step.stop - step.start
            delta[step] *= hidden[:rows] + gradients[0][step]
            torch.mm(delta[step], weight, out=hidden[:rows])
        return delta, delta


class _ElmanRelu(_Elman):
    relu = True


KERNELS: dict[str, type[_Kernel]] = {"lstm": _Lstm, "gru": _Gru, "rnn_tanh": _Elman, "rnn_relu": _ElmanRelu}
"""For the name of each of torch's kernels, the same equations over packed tokens."""
