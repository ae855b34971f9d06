"""torch's fused recurrent kernels (oneDNN, cuDNN) under the meaning of our mask, and other choices between backends.

The only file that asks for a backend.

A kernel knows no mask, and a `PackedSequence` leaves the fast kernels on a CPU. Instead, ragged sequences are moved to
the start of their rows, and one more input feature, 1 on padding, closes the input gate and opens the forget gate there
(for a GRU: the update gate), which freezes the cell state exactly: sigmoid(-1e4) is 0 and sigmoid(1e4) is 1. A relu is
held at 0 there, where it could otherwise grow without bound and turn gradients into NaN.
"""

import importlib.util
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rnn_hub.cells import packed

if TYPE_CHECKING:
    from rnn_hub.cells.base import State

GATE_SIGNS = {"lstm": (-1.0, 1.0, 0.0, 0.0), "gru": (0.0, 1.0, 0.0), "rnn_tanh": (0.0,), "rnn_relu": (-1.0,)}
"""For each kernel and gate, the sign of the weight that the feature 'is padding' has."""

CLOSED = 1e4


def usable(x: Tensor) -> bool:
    """Whether a fused kernel can run: there is something to run on, and nobody traces the graph."""
    return not _is_traced() and x.numel() > 0


def dropout(x: Tensor, p: float) -> Tensor:
    """`F.dropout` in training. On a CPU it draws 16 random bits for a value, at a third of the time."""
    if x.device.type != "cpu" or _is_traced():
        return torch.nn.functional.dropout(x, p)
    words = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    kept = words.view(torch.int16)[: x.numel()].view(x.shape) >= round(p * 2**16) - 2**15
    return x * kept.to(x.dtype).mul_(1 / (1 - p))


def defers(x: Tensor) -> bool:
    """Whether a loop in training may leave the gradients of its weights to one product after it."""
    return usable(x) and torch.is_grad_enabled() and not torch.is_autocast_enabled(x.device.type)


def lay_out_weight(weight: Tensor, rows: int) -> Tensor:
    """The matrix (D, I) as `F.linear` multiplies it fastest with `rows` vectors, many times; its values are the same.

    With the inputs' axis outside a CPU's products are up to twice as fast for 4 to 64 rows, and no slower for more;
    of one row they are slower. Laying it out costs about as much as two products.
    """
    if rows < 4 or weight.dim() != 2 or weight.device.type != "cpu":
        return weight
    return weight.t().contiguous().t()


def exports_to_onnx() -> bool:
    """Whether a graph of ONNX is being traced: a scan is then one of its operators."""
    return torch.onnx.is_in_onnx_export()


def _is_traced() -> bool:
    return torch.compiler.is_compiling() or torch.jit.is_tracing() or exports_to_onnx()


def linear_scan_form(entry: Tensor) -> str:
    """Which form of the linear recurrence runs over (B, T, D), a name that `linear_scan.get_form` knows.

    On NVIDIA and AMD GPUs Triton's kernel, where that package is; on other devices without it the fewest operations in
    sequence. On a CPU a step costs about as much to call as to compute at B * D = 1024: below that chunks are faster,
    unless there are few steps.
    """
    if entry.is_cuda and importlib.util.find_spec("triton") is not None:
        return "triton"
    if entry.device.type != "cpu":
        return "parallel"
    batch, steps, size = entry.shape
    return "chunked" if batch * size < 1024 and steps > 16 else "sequential"


def linear_scan_block(width: int, x: Tensor) -> int:
    """How many of the steps of (B, T, ...) a cell with B * H = `width` runs at once: on a CPU, what its cache holds."""
    return max(2**19 // width, 16) if x.device.type == "cpu" else x.shape[1]


def scan(
    kernel: str, weights: Mapping[str, Tensor], x: Tensor, state: "State", mask: Tensor | None
) -> "tuple[Tensor, State]":
    """All steps of one layer in one direction. Arguments and result as in `Cell.scan`."""
    _check(weights, x, state)
    if mask is not None:
        mask = mask.bool()
        if bool(mask.all()):
            mask = None
    if x.shape[1] == 1 and mask is None:
        output, state = step(kernel, weights, x[:, 0], state)
        return output[:, None], state
    if _pays_to_pack(kernel, weights, x, state, mask):
        return packed.scan(
            kernel, weights, x, state, x.new_ones(x.shape[:2], dtype=torch.bool) if mask is None else mask
        )
    if mask is None:
        return _run(kernel, weights, x, state)
    return _ragged(kernel, weights, x, state, mask)


def step(kernel: str, weights: Mapping[str, Tensor], x: Tensor, state: "State") -> "tuple[Tensor, State]":
    """One step, (B, I) -> (B, H), by torch's cell kernels, which, unlike the sequence kernels, reorder no weights."""
    run = getattr(torch, f"{kernel}_cell")
    flat = [weights[name] for name in _names(weights)]
    dtype = _compute_dtype(x, weights)
    if dtype == x.dtype == state[0].dtype == flat[0].dtype:
        after = run(x, state if kernel == "lstm" else state[0], *flat)
        return (after[0], after) if kernel == "lstm" else (after, (after,))
    initial = tuple(part.to(dtype) for part in state)
    after = run(x.to(dtype), initial if kernel == "lstm" else initial[0], *(part.to(dtype) for part in flat))
    after = after if isinstance(after, tuple) else (after,)
    return after[0].to(x.dtype), tuple(part.to(old.dtype) for part, old in zip(after, state, strict=True))


def _pays_to_pack(kernel: str, weights: Mapping[str, Tensor], x: Tensor, state: "State", mask: Tensor | None) -> bool:
    """Whether our function over packed tokens beats torch's kernel; `tests/benchmarks/packing.py` measures it.

    On a CPU it does in the training of all but LSTMs, which have no kernel of oneDNN, of wide LSTMs whose products
    may be in bfloat16, which oneDNN's kernel does not use, and else where real positions are few: the wider the layer,
    the less its loop over the steps shows.
    """
    if x.device.type != "cpu" or len({part.dtype for part in (x, *state, *weights.values())}) > 1:
        return False
    if torch.is_autocast_enabled("cpu") or x.dtype not in (torch.float32, torch.float64):
        return False
    batch, units = state[0].shape
    if torch.is_grad_enabled() and any(part.requires_grad for part in (x, *weights.values())):
        wide = units >= 256 and batch * units >= 8192
        if kernel != "lstm" or (wide and _multiplies_in_bfloat16()):
            return True
    return mask is not None and bool(mask.sum() < (0.85 - 25 / units) * mask.numel())


def _multiplies_in_bfloat16() -> bool:
    """Whether `torch.set_float32_matmul_precision` allows it and the CPU has the units for it (AMX)."""
    return torch.backends.mkldnn.matmul.fp32_precision == "bf16" and torch.cpu.get_capabilities().get("amx_bf16", False)


def _check(weights: Mapping[str, Tensor], x: Tensor, state: "State") -> None:
    """The kernels of oneDNN check no shape: a wrong one would write beyond their memory."""
    if x.shape[-1] != weights["weight_ih"].shape[1]:
        raise ValueError(f"the cell takes inputs of {weights['weight_ih'].shape[1]} features, got {x.shape[-1]}")
    expected = (x.shape[0], weights["weight_hh"].shape[1])
    for part in state:
        if part.shape != expected:
            raise ValueError(f"a state of shape {tuple(part.shape)} does not fit a batch that needs {expected}")


def _ragged(
    kernel: str, weights: Mapping[str, Tensor], x: Tensor, state: "State", mask: Tensor
) -> "tuple[Tensor, State]":
    """The masked scan: real positions first in each row, frozen after them, outputs put back where they belong."""
    order = None
    if not bool((mask[:, :-1] >= mask[:, 1:]).all()):
        order = torch.argsort(mask.logical_not().byte(), dim=1, stable=True)
        x = _reorder(x, order)
    lengths = mask.sum(dim=1)
    longest = int(lengths.max())
    if longest == 0:
        return x.new_zeros(*x.shape[:2], state[0].shape[-1]), state
    real = torch.arange(longest, device=x.device) < lengths[:, None]
    inputs = torch.where(real[..., None], x[:, :longest], 0)
    if not bool(real.all()) and any(GATE_SIGNS[kernel]):
        inputs = torch.cat([inputs, (~real)[..., None].to(x.dtype)], dim=-1)
        weights = _with_padding_feature(kernel, weights)
    output, after = _run(kernel, weights, inputs, state)
    hidden = output.take_along_dim((lengths - 1).clamp(min=0)[:, None, None], dim=1)[:, 0].to(state[0].dtype)
    hidden = torch.where(lengths[:, None] > 0, hidden, state[0])
    output = torch.where(real[..., None], output, 0)
    if longest < x.shape[1]:
        output = torch.nn.functional.pad(output, (0, 0, 0, x.shape[1] - longest))
    if order is not None:
        output = _reorder(output, order.argsort(dim=1))
    return output, (hidden, *after[1:])


def in_order(x: Tensor, mask: Tensor | None, order: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The positions of each row of x (B, T, D) in an order (B, T), by default the real first; and the order."""
    if order is None:
        places = torch.arange(mask.shape[1], device=x.device)  # no two keys are alike: nothing here need be stable
        order = torch.argsort(torch.where(mask.bool(), places - 2**31, places), dim=1)
    return _reorder(x, order), order


def _reorder(x: Tensor, order: Tensor) -> Tensor:
    """The positions of each row of x (B, T, D) in its order (B, T); whole rows move, not single elements."""
    batch, steps = order.shape
    rows = order + torch.arange(0, batch * steps, steps, device=order.device)[:, None]
    return x.flatten(0, 1).index_select(0, rows.flatten()).unflatten(0, (batch, steps))


def _with_padding_feature(kernel: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The input weights with one more column, constant: the gates that padding closes and opens."""
    weight = weights["weight_ih"]
    signs = torch.tensor(GATE_SIGNS[kernel], dtype=weight.dtype, device=weight.device) * CLOSED
    column = signs.repeat_interleave(weight.shape[0] // len(signs))[:, None]
    return {**weights, "weight_ih": torch.cat([weight, column], dim=1)}


def _run(kernel: str, weights: Mapping[str, Tensor], x: Tensor, state: "State") -> "tuple[Tensor, State]":
    """The kernel itself, without a mask."""
    dtype = _compute_dtype(x, weights)
    flat = [weights[name].to(dtype) for name in _names(weights)]
    initial = tuple(part.to(dtype)[None].contiguous() for part in state)
    run = getattr(torch, kernel)
    output, *after = run(
        x.to(dtype),
        initial if kernel == "lstm" else initial[0],
        flat,
        len(flat) > 2,
        1,
        0.0,
        True,
        False,
        True,
    )
    return output.to(x.dtype), tuple(part[0].to(old.dtype) for part, old in zip(after, state, strict=True))


def _names(weights: Mapping[str, Tensor]) -> list[str]:
    return [name for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh") if name in weights]


def _compute_dtype(x: Tensor, weights: Mapping[str, Tensor]) -> torch.dtype:
    """The weights' dtype, or what autocast asks for."""
    if torch.is_autocast_enabled(x.device.type):
        return torch.get_autocast_dtype(x.device.type)
    return weights["weight_hh"].dtype
