"""How far data parallelism goes: measured with one and two processes, computed for more.

Two processes (gloo, one thread each) train the released translation model on 64 sentences of random tokens: one of them
alone, both without and both with the exchange of gradients. An all-reduce of n processes over a ring takes

    2 (n - 1) latency + 2 (n - 1) / n bytes / bandwidth

(Patarasuk and Yuan 2009); latency and bandwidth are fitted to all-reduces of several sizes, and the share of the
exchange in a step is predicted from them. The same equation then gives, for `--flops`, `--bandwidth` and `--latency` of
some GPU, the tokens and the parameters above which n of them work at 90 % efficiency, no part of the exchange being
hidden behind the backward pass. Wall-clock time, since waiting is what costs.
"""

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from functools import partial
from statistics import median

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing
from corpus import Trainer, build_model, recipe
from timing import arguments, interleave, report
from torch.nn.parallel import DistributedDataParallel

SIZES = (1_000, 100_000, 1_000_000, 4_000_000)
"""Numbers in the all-reduces of the fit."""
LENGTH = 16
"""Tokens of a sentence, about those of multi30k."""
EFFICIENCY = 0.9


def ring_seconds(processes: int, size: float, bandwidth: float, latency: float) -> float:
    """The all-reduce of so many bytes."""
    return 2 * (processes - 1) * (latency + size / processes / bandwidth)


def fit(processes: int, sizes: list[float], times: list[float]) -> tuple[float, float]:
    """Bandwidth (bytes a second) and latency (seconds) of the ring, from measured all-reduces."""
    slope, start = np.polyfit(sizes, times, 1)
    return 2 * (processes - 1) / processes / slope, max(start, 0.0) / 2 / (processes - 1)


def least_tokens(processes: int, width: int, flops: float, bandwidth: float) -> float:
    """Tokens of a process's batch at which `EFFICIENCY` is reached as far as the bandwidth goes: 6 P flops a token
    against `width` P bytes of gradients, so that the parameters P cancel."""
    exchange = 2 * (processes - 1) / processes * width / bandwidth
    return exchange * EFFICIENCY / (1 - EFFICIENCY) * flops / 6


def least_parameters(
    processes: int, tokens: float, width: int, flops: float, bandwidth: float, latency: float
) -> float:
    """Parameters from which on the latencies, too, leave that efficiency; infinite where the bandwidth does not."""
    spare = 6 * tokens / flops * (1 - EFFICIENCY) / EFFICIENCY - 2 * (processes - 1) / processes * width / bandwidth
    return 2 * (processes - 1) * latency / spare if spare > 0 else float("inf")


def timed(work: Callable[[], object]) -> float:
    """Seconds that something takes when both begin together."""
    dist.barrier()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(rank: int, options: Namespace) -> None:
    """What one of two processes does."""
    store = f"tcp://127.0.0.1:{options.port}"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(rank)
    ids = torch.randint(4, recipe()["tokenizer"]["vocab_size"], (64, LENGTH))
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids}
    tokens = 2 * 2 * ids.numel()
    bare, model = Trainer(build_model()), build_model()
    parallel = Trainer(DistributedDataParallel(model, forward_sync_buffers=False))

    def alone() -> None:
        if rank == 0:
            bare.step(batch)
        dist.barrier()

    sides = {
        "one process": lambda: timed(alone) / tokens * 2,
        "two processes": lambda: timed(partial(parallel.step, batch)) / tokens,
        "two that exchange nothing": lambda: timed(partial(bare.step, batch)) / tokens,
    }
    costs = interleave(sides, options.rounds, warmup=2)
    reduced = []
    for size in SIZES:
        numbers = torch.ones(size)
        reduced.append(median(timed(partial(dist.all_reduce, numbers)) for _ in range(2 * options.rounds)))
    if rank == 0:
        bandwidth, latency = fit(2, [4.0 * size for size in SIZES], reduced)
        exchange = ring_seconds(2, 4.0 * model.num_parameters(), bandwidth, latency)
        apart_seconds = costs["two that exchange nothing"] * tokens
        report(
            "training with two processes, seconds a token",
            costs,
            "one process",
            efficiency=median(costs.ratios("one process", "two processes")) / 2,
            communication_share=1 - median(costs.ratios("two that exchange nothing", "two processes")),
            predicted_share=exchange / (exchange + apart_seconds),
        )
    dist.destroy_process_group()


def tell_limits(options: Namespace) -> None:
    """The table of what is computed."""
    machine = options.flops, options.bandwidth
    gpu = f"{options.flops:.2g} flop/s, {options.bandwidth:.2g} B/s, {options.latency:.2g} s"
    print(f"{EFFICIENCY:.0%} efficiency at {gpu}")
    for processes in (8, 64, 512):
        tokens = least_tokens(processes, options.width, *machine)
        sizes = (
            f"{batch:,} tokens: {least_parameters(processes, batch, options.width, *machine, options.latency):.2g}"
            for batch in options.tokens
        )
        print(f"  {processes} GPUs: at least {tokens:,.0f} tokens each; parameters with {', '.join(sizes)}")


def parse() -> ArgumentParser:
    """The benchmarks' arguments, and the GPU that is computed."""
    parser = arguments(__doc__, rounds=9)
    parser.set_defaults(threads=1)
    parser.add_argument("--port", type=int, default=29511)
    parser.add_argument("--flops", type=float, default=1e14, help="that a GPU does, of the products of a step")
    parser.add_argument("--bandwidth", type=float, default=5e10, help="bytes a second between GPUs of two machines")
    parser.add_argument("--latency", type=float, default=5e-6, help="seconds of one hop of the ring")
    parser.add_argument("--width", type=int, default=4, help="bytes of a gradient")
    parser.add_argument("--tokens", type=int, nargs="+", default=[20_000, 50_000, 200_000], help="of a GPU's batch")
    return parser


if __name__ == "__main__":
    chosen = parse().parse_args()
    torch.multiprocessing.start_processes(measure, (chosen,), nprocs=2, start_method="spawn")
    tell_limits(chosen)
