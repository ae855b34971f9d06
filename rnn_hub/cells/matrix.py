"""What stands for a matrix of weights and multiplies in a way of its own."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor


class Matrix:
    """A matrix (D, I) for which `F.linear(x, self, bias)` is `multiply`; everything else sees the tensor `weight`.

    So cells and layers multiply with it without knowing that it is not a tensor.
    """

    weight: Tensor

    def multiply(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """x (..., I) times the transposed matrix, plus a bias (D,): (..., D)."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it multiplies")

    def __getattr__(self, name: str) -> Any:
        if name == "weight":  # not there yet: asked while it is being copied
            raise AttributeError(name)
        return getattr(self.weight, name)

    def __getitem__(self, index: Any) -> Tensor:
        return self.weight[index]

    @classmethod
    def __torch_function__(
        cls, function: Callable, types: Sequence[type], args: tuple = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Called by torch for every function that one of these is an argument of."""
        kwargs = dict(kwargs or {})
        if function is F.linear and isinstance(args[1], cls):
            return args[1].multiply(args[0], args[2] if len(args) > 2 else kwargs.get("bias"))
        args = tuple(arg.weight if isinstance(arg, cls) else arg for arg in args)
        kwargs = {name: value.weight if isinstance(value, cls) else value for name, value in kwargs.items()}
        return function(*args, **kwargs)
