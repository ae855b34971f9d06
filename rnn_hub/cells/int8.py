"""Matrices in 8-bit integers for the products of decoding, where a step reads every weight to use it once."""

import warnings
from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor

from rnn_hub.cells.matrix import Matrix

SMALLEST = 2**18
"""Elements of a matrix below which its product is no faster in integers."""


class Int8Weight(Matrix):
    """A matrix (D, I) that `F.linear` multiplies in 8-bit integers.

    A scale for each row of the weights, fixed here, and one for the inputs, taken anew in every product ("dynamic
    quantization"; Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-
    Only Inference", section 2). Runs on a CPU and has no gradient.
    """

    def __init__(self, weight: Tensor):
        self.weight = weight.detach().float()
        scales = (self.weight.abs().amax(dim=1) / 127).clamp(min=torch.finfo(torch.float32).tiny)
        zeros = torch.zeros(len(scales), dtype=torch.long)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # "deprecated", with nothing yet to take its place
            self.quantized = torch.quantize_per_channel(self.weight, scales, zeros, axis=0, dtype=torch.qint8)
        self.packed = self.pack(None)

    def pack(self, bias: Tensor | None) -> Any:
        """What torch's quantized kernels take: the matrix and a bias."""
        return torch.ops.quantized.linear_prepack(self.quantized, bias)

    def multiply(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """The product in integers."""
        product = torch.ops.quantized.linear_dynamic(x.float(), self.packed, True)
        return product if bias is None else product.add_(bias)


def quantize(weight: Tensor) -> Tensor | Int8Weight:
    """The matrix in integers, if it is large enough to be faster for it."""
    return Int8Weight(weight) if weight.numel() >= SMALLEST else weight


class Int8Step:
    """One step of an LSTM or a GRU by torch's quantized cell kernels.

    Args:
        kernel: "lstm" or "gru".
        weights: those of a cell; both matrices `Int8Weight`.
    """

    def __init__(self, kernel: str, weights: Mapping[str, Tensor | Int8Weight]):
        self.run = getattr(torch.ops.quantized, f"quantized_{kernel}_cell_dynamic")
        zero = torch.zeros(weights["weight_ih"].shape[0])
        self.biases = [weights.get(name, zero).detach().float() for name in ("bias_ih", "bias_hh")]
        matrices = [weights[name] for name in ("weight_ih", "weight_hh")]
        self.packed = [matrix.pack(bias) for matrix, bias in zip(matrices, self.biases, strict=True)]
        self.pair = kernel == "lstm"

    @classmethod
    def of(cls, kernel: str | None, weights: Mapping[str, Tensor | Int8Weight]) -> Self | None:
        """The step of a cell with such a kernel and weights; None where it is not to run in integers."""
        if kernel not in ("lstm", "gru") or not all(
            isinstance(weights[name], Int8Weight) for name in ("weight_ih", "weight_hh")
        ):
            return None
        return cls(kernel, weights)

    def __call__(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Input (B, I) and state -> output (B, H) and the next state."""
        after = self.run(x.float(), list(state) if self.pair else state[0], *self.packed, *self.biases)
        return (after[0], after) if self.pair else (after, (after,))
