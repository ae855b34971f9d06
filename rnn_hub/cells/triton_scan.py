"""The linear recurrence as one Triton kernel each way: tiles of steps by an associative scan, tile after tile.

Decay, entry and states are read and written once. Runs on a GPU, or without one under Triton's interpreter
(TRITON_INTERPRET=1).
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

STEPS, WIDTH = 32, 32
"""A tile: so many steps of so many features."""


@triton.jit
def _join(decay, entry, later_decay, later_entry):
    return decay * later_decay, later_decay * entry + later_entry


@triton.jit
def _forward(decay, entry, start, states, steps, size, tall: tl.constexpr, wide: tl.constexpr):
    row, columns = tl.program_id(0).to(tl.int64), tl.program_id(1) * wide + tl.arange(0, wide)
    times = tl.arange(0, tall)
    state = tl.load(start + row * size + columns, columns < size, 0.0)
    for first in range(0, steps, tall):
        place = (row * steps + first + times[:, None]) * size + columns[None, :]
        real = (first + times[:, None] < steps) & (columns[None, :] < size)
        decays, inside = tl.associative_scan(
            (tl.load(decay + place, real, 0.0), tl.load(entry + place, real, 0.0)), 0, _join
        )
        values = decays * state[None, :] + inside
        tl.store(states + place, values, real)
        state = tl.sum(tl.where(times[:, None] == tall - 1, values, 0.0), 0)


@triton.jit
def _backward(
    decay, start, states, gradient, slopes, flows, start_slope, steps, size, tall: tl.constexpr, wide: tl.constexpr
):
    row, columns = tl.program_id(0).to(tl.int64), tl.program_id(1) * wide + tl.arange(0, wide)
    times = tl.arange(0, tall)
    initial = tl.load(start + row * size + columns, columns < size, 0.0)
    flow = tl.zeros_like(initial)
    for tile in range(tl.cdiv(steps, tall)):
        time = steps - 1 - tile * tall - times[:, None]
        place = (row * steps + time) * size + columns[None, :]
        real = (time >= 0) & (columns[None, :] < size)
        following = tl.load(decay + place + size, real & (time < steps - 1), 0.0)
        following = tl.where(time < 0, 1.0, following).to(initial.dtype)  # carries the first step's flow to the end
        decays, inside = tl.associative_scan((following, tl.load(gradient + place, real, 0.0)), 0, _join)
        values = decays * flow[None, :] + inside
        before = tl.where(time == 0, initial[None, :], tl.load(states + place - size, real & (time > 0), 0.0))
        tl.store(flows + place, values, real)
        tl.store(slopes + place, values * before, real)
        flow = tl.sum(tl.where(times[:, None] == tall - 1, values, 0.0), 0)
    opening = tl.load(decay + row * steps * size + columns, columns < size, 0.0)
    tl.store(start_slope + row * size + columns, flow * opening, columns < size)


def forward(decay: Tensor, entry: Tensor, start: Tensor) -> Tensor:
    """As `linear_scan.sequential`."""
    batch, steps, size = entry.shape
    states = torch.empty_like(entry, memory_format=torch.contiguous_format)
    inputs = (part.contiguous() for part in (decay, entry, start))
    with torch.cuda.device_of(entry):
        _forward[(batch, triton.cdiv(size, WIDTH))](*inputs, states, steps, size, STEPS, WIDTH)
    return states


def backward(decay: Tensor, start: Tensor, states: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """As `linear_scan.sequential_backward`."""
    batch, steps, size = states.shape
    results = torch.empty_like(states), torch.empty_like(states), torch.empty_like(states[:, 0])
    inputs = (part.contiguous() for part in (decay, start, states, gradient))
    with torch.cuda.device_of(states):
        _backward[(batch, triton.cdiv(size, WIDTH))](*inputs, *results, steps, size, STEPS, WIDTH)
    return results
