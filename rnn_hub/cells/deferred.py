"""Weights whose gradient over many products is one product, for loops that use them at every step."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from rnn_hub.cells.matrix import Matrix

Pairs = list[tuple[Tensor, Tensor]]
"""For each product its input (N, I) and the gradient of its output (N, D)."""


class DeferredWeight(Matrix):
    """A matrix (D, I) for many calls of `F.linear`; its gradient is computed once, after all of them.

    Autograd would make a matrix of its size at every step, and add it to the others.
    """

    def __init__(self, weight: Tensor):
        self.pairs: Pairs = []
        self.weight = _Gather.apply(weight, self.pairs)

    def multiply(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """The product, which leaves its input and its gradient behind."""
        return _Product.apply(x, self.weight, bias, self.pairs)


def defer(weight: Tensor) -> Tensor | DeferredWeight:
    """The matrix, deferred unless it is a single row, of which there is little to add and whose inputs are large."""
    return DeferredWeight(weight) if weight.shape[0] > 1 else weight


class _Gather(torch.autograd.Function):
    """The matrix as it is; on the way back, when all products have been there, the gradient of all of them."""

    @staticmethod
    def forward(ctx, weight: Tensor, pairs: Pairs) -> Tensor:
        ctx.pairs = pairs
        ctx.set_materialize_grads(False)
        return weight.view_as(weight)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor | None) -> tuple[Tensor | None, None]:
        if ctx.pairs:
            inputs, outputs = (torch.cat(parts) for parts in zip(*ctx.pairs, strict=True))
            ctx.pairs.clear()
            products = outputs.T @ inputs
            gradient = products if gradient is None else gradient + products
        return gradient, None


class _Product(torch.autograd.Function):
    """`F.linear`, which on the way back leaves the matrix's gradient to `_Gather`."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None, pairs: Pairs) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.pairs = pairs
        return F.linear(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        flat = gradient.flatten(0, -2)
        ctx.pairs.append((x.flatten(0, -2), flat))
        needs_x, _, needs_bias, _ = ctx.needs_input_grad
        return gradient @ weight if needs_x else None, None, flat.sum(0) if needs_bias else None, None
