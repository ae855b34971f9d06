"""A module with other matrices: what a loop multiplies with, laid out, quantized or deferred for it."""

import copy
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from torch import Tensor, nn

from rnn_hub.layers.stack import Noise, RnnStack

Network = TypeVar("Network", bound=nn.Module)


def with_matrices(
    module: Network, change: Callable[[Tensor], Any], noise: Mapping[RnnStack, Noise] | None = None
) -> Network:
    """A copy whose layers and stacks multiply with `change(matrix)`; all else it shares, in memory too.

    Stacks keep the steps over these weights for `RnnStack.advance`; with `noise`, those that it leaves of each.
    """
    shared = {id(part): part for part in (*module.parameters(), *module.buffers())}
    view = copy.deepcopy(module, shared)
    for part, original in zip(view.modules(), module.modules(), strict=True):
        if isinstance(part, RnnStack):
            part.freeze(change, None if noise is None else noise[original])
        elif not isinstance(part, nn.Embedding):
            matrices = {name: p for name, p in part._parameters.items() if p is not None and p.dim() == 2}
            part._parameters.update({name: change(p) for name, p in matrices.items()})
    return view
