"""A training epoch's steps against the matrix products of their real tokens alone, and the share of padding.

A sample of an epoch's batches on multi30k's real lengths, as the released model's recipe forms them. The whole model's
step is forward, backward, clipping and the optimizer's update; a bare bidirectional LSTM's is forward and backward.
"""

import argparse
import time

import torch
from corpus import Trainer, build_model, collate, lengths, multi30k, recipe
from products import Products, attention_shapes, model_products, stack_products
from timing import interleave, report
from torch import Tensor

from rnn_hub.data.samplers import TokenBatchSampler
from rnn_hub.layers.stack import RnnStack

Batch = dict[str, Tensor]


def sample_batches(sampler: TokenBatchSampler, count: int) -> list[Batch]:
    """Every n-th batch of an epoch."""
    train, _ = multi30k()
    plan = list(sampler)
    return [collate([train[i] for i in plan[round((k + 0.5) * len(plan) / count)]]) for k in range(count)]


def whole_model(batches: list[Batch], rounds: int, **extra: object) -> None:
    """The released model's training step."""
    trainer = Trainer(build_model())
    products = [
        Products(list(model_products(trainer.model, batch)), attention_shapes(trainer.model, batch))
        for batch in batches
    ]

    def train() -> float:
        start = time.perf_counter()
        for batch in batches:
            trainer.step(batch)
        return time.perf_counter() - start

    sides = {"products": lambda: sum(product() for product in products), "training": train}
    report("training epoch, released model", interleave(sides, rounds), "products", **extra)


def bare_lstm(batches: list[Batch], rounds: int) -> None:
    """A bidirectional LSTM over the source side: 256 features to 256 units a direction."""
    stack = RnnStack(256, 256, bidirectional=True)
    inputs = [torch.randn(*batch["input_ids"].shape, 256, requires_grad=True) for batch in batches]
    masks = [batch["attention_mask"] for batch in batches]
    products = [Products(list(stack_products(stack, mask.sum(dim=1)))) for mask in masks]

    def train() -> float:
        start = time.perf_counter()
        for x, mask in zip(inputs, masks, strict=True):
            stack(x, mask)[0].sum().backward()
        return time.perf_counter() - start

    sides = {"products": lambda: sum(product() for product in products), "training": train}
    report("bidirectional LSTM layer", interleave(sides, rounds), "products")


def main() -> None:
    """Measures both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=8, help="batches a round")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    train, _ = multi30k()
    sampler = TokenBatchSampler(lengths(train), recipe()["training"]["tokens_per_batch"])
    batches = sample_batches(sampler, options.batches)
    whole_model(batches, options.rounds, padded_positions=sampler.padding_ratio())
    bare_lstm(batches, options.rounds)


if __name__ == "__main__":
    main()
