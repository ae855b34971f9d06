"""The matrix products that a training step of a recurrent model cannot do without, on its real tokens alone.

A product of (m, k) by (k, n) stands for three: itself, and on the way back the gradients of both factors. A layer's
input product runs once over all real tokens, its recurrent product once a step over the sentences that still have one;
the recurrent weights' gradient, like all weights' gradients, is one product over all real tokens. No memory is
allocated, no element-wise function computed, nothing but products executed: less than any real step can take.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from rnn_hub.layers.stack import RnnStack
from rnn_hub.models.seq2seq.modeling_seq2seq import RnnForConditionalGeneration

LINEAR, INPUT_GRADIENT, WEIGHT_GRADIENT = range(3)
Product = tuple[int, int, int, int]
"""Which of the three, and m (rows: tokens or sentences), k (features in), n (features out)."""


def dense(rows: int, features: int, outputs: int) -> Iterator[Product]:
    """A linear layer over some tokens, forward and backward."""
    for kind in (LINEAR, INPUT_GRADIENT, WEIGHT_GRADIENT):
        yield kind, rows, features, outputs


def stack_products(stack: RnnStack, lengths: Tensor) -> Iterator[Product]:
    """All layers and directions of a stack over sequences of these lengths."""
    tokens = int(lengths.sum())
    active = [int((lengths > t).sum()) for t in range(int(lengths.max()))]
    for layer in range(stack.num_layers):
        for direction in range(len(stack.directions)):
            weights = stack.cell(layer, direction).weights
            gates, features = weights["weight_ih"].shape
            yield from dense(tokens, features, gates)
            hidden = weights["weight_hh"].shape[1]
            yield WEIGHT_GRADIENT, tokens, hidden, gates
            for rows in active:
                yield LINEAR, rows, hidden, gates
                yield INPUT_GRADIENT, rows, hidden, gates


def model_products(model: RnnForConditionalGeneration, batch: dict[str, Tensor]) -> Iterator[Product]:
    """Encoder, bridge, decoder with the keys of its `dot` or `general` attention, and output layer."""
    sources, targets = batch["attention_mask"].sum(dim=1), (batch["labels"] >= 0).sum(dim=1)
    yield from stack_products(model.encoder.stack, sources)
    yield from dense(len(sources), model.bridge.linear.in_features, model.bridge.linear.out_features)
    for key in model.decoder.attention.children():
        yield from dense(int(sources.sum()), key.in_features, key.out_features)
    for stack in model.decoder.stacks:
        yield from stack_products(stack, targets)
    for layer in (model.decoder.combine, model.lm_head):
        yield from dense(int(targets.sum()), layer.in_features, layer.out_features)


def attention_shapes(model: RnnForConditionalGeneration, batch: dict[str, Tensor]) -> list[tuple[int, ...]]:
    """(sentences, target steps, source steps, features) of the energies' and of the contexts' product."""
    (size, source), target = batch["input_ids"].shape, batch["labels"].shape[1]
    attention = model.decoder.attention
    return [(size, target, source, attention.query_size), (size, target, source, attention.memory_size)]


class Products:
    """Executes products on memory that was allocated before.

    Args:
        products: matrix products; attention: batched products, each also with its two gradients.
    """

    def __init__(self, products: list[Product], attention: list[tuple[int, ...]] = ()):
        self.products, self.attention = products, attention
        sizes = [m * k + k * n + m * n for _, m, k, n in products]
        sizes += [b * (t * s + t * d + s * d) for b, t, s, d in attention]
        self.pool = torch.empty(max(sizes)).zero_()  # zeros stay finite, and no product takes longer for other values

    def _matrices(self, *shapes: tuple[int, ...]) -> list[Tensor]:
        starts = [0]
        for shape in shapes:
            starts.append(starts[-1] + torch.Size(shape).numel())
        return [self.pool[start:end].view(shape) for start, end, shape in zip(starts, starts[1:], shapes, strict=False)]

    def __call__(self) -> None:
        """Executes all of them."""
        for kind, m, k, n in self.products:
            inputs, weight, outputs = self._matrices((m, k), (n, k), (m, n))
            if kind == LINEAR:
                torch.mm(inputs, weight.T, out=outputs)
            elif kind == INPUT_GRADIENT:
                torch.mm(outputs, weight, out=inputs)
            else:
                torch.mm(outputs.T, inputs, out=weight)
        for b, t, s, d in self.attention:
            queries, keys, weights = self._matrices((b, t, d), (b, s, d), (b, t, s))
            torch.bmm(queries, keys.transpose(1, 2), out=weights)
            torch.bmm(weights, keys, out=queries)
            torch.bmm(weights.transpose(1, 2), queries, out=keys)
