"""All forms of the linear recurrence agree with the plain loop, forward and backward, and keep float32's precision."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from rnn_hub.cells import fused
from rnn_hub.cells.linear_scan import FORMS, linear_scan

every_form = pytest.mark.parametrize("form", FORMS)


def draw(batch: int, steps: int, size: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Decays from 0 to 1, some exactly 0 or 1, as of padding; entries; a start."""
    decay = (torch.rand(batch, steps, size, dtype=dtype) * 1.4 - 0.2).clamp(0, 1)
    entry, start = torch.randn(batch, steps, size, dtype=dtype), torch.randn(batch, size, dtype=dtype)
    return [part.requires_grad_() for part in (decay, entry, start)]


def loop(decay: Tensor, entry: Tensor, state: Tensor) -> Tensor:
    states = []
    for decay_t, entry_t in zip(decay.unbind(1), entry.unbind(1), strict=True):
        state = decay_t * state + entry_t
        states.append(state)
    return torch.stack(states, dim=1)


@every_form
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 16, 50, 65])
def test_every_form_equals_the_loop_forward_and_backward(form: str, steps: int) -> None:
    inputs = draw(3, steps, 4)
    result, expected = linear_scan(*inputs, form), loop(*inputs)
    torch.testing.assert_close(result, expected, atol=1e-12, rtol=1e-12)
    weight = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad((result * weight).sum(), inputs),
        torch.autograd.grad((expected * weight).sum(), inputs),
        atol=1e-12,
        rtol=1e-12,
    )


@every_form
def test_gradients_of_every_form_are_derivatives(form: str) -> None:
    assert torch.autograd.gradcheck(lambda *inputs: linear_scan(*inputs, form), draw(2, 6, 3))


@every_form
@pytest.mark.parametrize("slow", [0.0, 0.99])
def test_float32_stays_precise_over_2048_steps(form: str, slow: float) -> None:
    decay, entry, start = (part.detach() for part in draw(2, 2048, 8, torch.float32))
    decay = slow + (1 - slow) * decay
    inputs = [part.requires_grad_() for part in (decay, entry, start)]
    exact = [part.detach().double().requires_grad_() for part in inputs]
    result, expected = linear_scan(*inputs, form), loop(*exact)
    weight = torch.randn_like(result)
    slopes = torch.autograd.grad((result * weight).sum(), inputs)
    exact_slopes = torch.autograd.grad((expected * weight.double()).sum(), exact)
    for one, other in zip((result, *slopes), (expected, *exact_slopes), strict=True):
        assert (one - other).abs().max() < 1e-6 * other.abs().max()


def test_the_rule_takes_chunks_only_where_a_step_is_small_and_there_are_many() -> None:
    assert fused.linear_scan_form(torch.zeros(16, 512, 256)) == "sequential"
    assert fused.linear_scan_form(torch.zeros(1, 512, 256)) == "chunked"
    assert fused.linear_scan_form(torch.zeros(1, 8, 256)) == "sequential"
    assert fused.linear_scan_form(torch.zeros(1, 512, 256, device="meta")) == "parallel"


def test_a_start_of_another_batch_is_refused_even_where_it_would_broadcast() -> None:
    decay, entry, start = draw(3, 5, 4)
    with pytest.raises(ValueError, match=r"\(1, 4\) does not fit a batch of \(3, 4\)"):
        linear_scan(decay, entry, start[:1])


INTERPRETED = """
import torch
from rnn_hub.cells import triton_scan
from rnn_hub.cells.linear_scan import sequential, sequential_backward
for dtype, close in ((torch.float64, 1e-12), (torch.float32, 2e-6)):
    for batch, steps, size in ((2, 70, 40), (1, 1, 5), (3, 32, 32), (2, 33, 3)):
        decay = (torch.rand(batch, steps, size, dtype=dtype) * 1.4 - 0.2).clamp(0, 1)
        entry, gradient = torch.randn(2, batch, steps, size, dtype=dtype)
        start = torch.randn(size, batch, dtype=dtype).T
        states = sequential(decay, entry, start)
        torch.testing.assert_close(triton_scan.forward(decay, entry, start), states, atol=close, rtol=close)
        result = triton_scan.backward(decay, start, states, gradient)
        expected = sequential_backward(decay, start, states, gradient)
        torch.testing.assert_close(result, expected, atol=close, rtol=close)
print("equal")
"""


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="needs the package triton")
def test_the_triton_kernels_equal_the_loop_in_tritons_interpreter() -> None:
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": root}
    done = subprocess.run([sys.executable, "-c", INTERPRETED], env=environment, capture_output=True, text=True)
    assert done.stdout == "equal\n", done.stderr
