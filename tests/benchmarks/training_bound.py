"""A training epoch's steps against the matrix products of their real tokens alone, and the share of padding.

A sample of an epoch's batches on multi30k's real lengths, as the released model's recipe forms them. The whole model's
step is forward, backward, clipping and the optimizer's update; a bare bidirectional LSTM's is forward and backward.
"""

from collections.abc import Callable
from functools import partial

import torch
from corpus import Trainer, build_model, collate, lengths, multi30k, recipe
from products import Products, attention_shapes, model_products, stack_products
from timing import Costs, arguments, interleave, report, seconds
from torch import Tensor

from rnn_hub.data.samplers import TokenBatchSampler
from rnn_hub.layers.stack import RnnStack

Batch = dict[str, Tensor]


def sample_batches(sampler: TokenBatchSampler, count: int) -> list[Batch]:
    """Every n-th batch of an epoch."""
    train, _ = multi30k()
    plan = list(sampler)
    return [collate([train[i] for i in plan[round((k + 0.5) * len(plan) / count)]]) for k in range(count)]


def compare(products: list[Products], train: Callable[[], None], rounds: int, clock: str) -> Costs:
    """Seconds of the products alone and of training."""

    def multiply() -> None:
        for product in products:
            product()

    sides = {"products": partial(seconds, multiply, clock), "training": partial(seconds, train, clock)}
    return interleave(sides, rounds)


def whole_model(batches: list[Batch], rounds: int, clock: str, **extra: object) -> None:
    """The released model's training step."""
    trainer = Trainer(build_model())
    products = [
        Products(list(model_products(trainer.model, batch)), attention_shapes(trainer.model, batch))
        for batch in batches
    ]

    def train() -> None:
        for batch in batches:
            trainer.step(batch)

    costs = compare(products, train, rounds, clock)
    report("training epoch, released model", costs, "products", **extra)


def bare_lstm(batches: list[Batch], rounds: int, clock: str) -> None:
    """A bidirectional LSTM over the source side: 256 features to 256 units a direction."""
    stack = RnnStack(256, 256, bidirectional=True)
    inputs = [torch.randn(*batch["input_ids"].shape, 256, requires_grad=True) for batch in batches]
    masks = [batch["attention_mask"] for batch in batches]
    products = [Products(list(stack_products(stack, mask.sum(dim=1)))) for mask in masks]

    def train() -> None:
        for x, mask in zip(inputs, masks, strict=True):
            stack(x, mask)[0].sum().backward()

    report("bidirectional LSTM layer", compare(products, train, rounds, clock), "products")


def main() -> None:
    """Measures both."""
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--batches", type=int, default=8, help="batches a round")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    train, _ = multi30k()
    sampler = TokenBatchSampler(lengths(train), recipe()["training"]["tokens_per_batch"])
    batches = sample_batches(sampler, options.batches)
    whole_model(batches, options.rounds, options.clock, padded_positions=sampler.padding_ratio())
    bare_lstm(batches, options.rounds, options.clock)


if __name__ == "__main__":
    main()
