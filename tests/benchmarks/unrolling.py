"""What dynamic and static unrolling cost in training time and peak memory, beside torch's own layer, packed and padded.

One LSTM or GRU layer, 256 features to 256 units, in one direction or two, forward and backward over batches of
sentences in random order: multi30k's lengths, and a long-tailed set from 10 to 500. Each way runs in a process of its
own, whose peak is its resident memory over what it held before the first batch. "token budget" is dynamic unrolling
with our batch sampler in place of random batches of the same mean size.
"""

import json
import random
import time
from argparse import SUPPRESS
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from corpus import multi30k
from timing import Worker, arguments, interleave, report, serve
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from rnn_hub.data.samplers import TokenBatchSampler
from rnn_hub.layers.stack import RnnStack

SIZE = 256
SETS = ("multi30k", "long tail")
WAYS = ("torch, packed", "torch, padded", "static_rnn", "dynamic_rnn", "dynamic_rnn, token budget")


def draw_lengths(name: str) -> list[int]:
    """Lengths of a corpus in random order; the long tail is log-normal, cut to 10 .. 500, a mean of about 50."""
    chance = random.Random(1)
    if name == "long tail":
        return [min(max(int(chance.lognormvariate(3.5, 0.9)), 10), 500) for _ in range(4000)]
    values = [len(source) for source, _ in multi30k()[0]]
    return chance.sample(values, len(values))


def batches_of(lengths: list[int], way: str, size: int, count: int) -> list[list[int]]:
    """Some batches, each the lengths of its sentences."""
    if not way.endswith("token budget"):
        return [lengths[first : first + size] for first in range(0, size * count, size)]
    plan = list(TokenBatchSampler(lengths, size * sum(lengths) // len(lengths)))
    return [[lengths[i] for i in plan[round((k + 0.5) * len(plan) / count)]] for k in range(count)]


def build(
    way: str, longest: int, cell: str, bidirectional: bool
) -> tuple[nn.Module, Callable[[Tensor, Tensor, Tensor], Tensor]]:
    """The layer, and what runs it on (B, T, 256) with a mask."""
    torch.manual_seed(1)
    if way.startswith("torch"):
        layer = getattr(nn, cell.upper())(SIZE, SIZE, batch_first=True, bidirectional=bidirectional)
        if way.endswith("padded"):
            return layer, lambda x, lengths, mask: layer(x)[0]
        return (
            layer,
            lambda x, lengths, mask: (
                layer(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))[0].data
            ),
        )
    static = way.startswith("static")
    options = {"unrolling": "static", "static_length": longest} if static else {}
    layer = RnnStack(SIZE, SIZE, cell_type=cell, bidirectional=bidirectional, **options)
    return layer, lambda x, lengths, mask: layer(x, mask)[0]


def resident(field: str) -> float:
    """Megabytes that the process holds now ("VmRSS") or held at most since the last reset ("VmHWM"); Linux's count."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) / 1024


def work(task: dict[str, Any]) -> None:
    """A worker: rounds of training over the same batches."""
    torch.set_num_threads(task["threads"])
    torch.set_flush_denormal(True)
    batches = [torch.tensor(lengths) for lengths in task["batches"]]
    now = getattr(time, task["clock"])
    layer, run = build(task["way"], task["longest"], task["cell"], task["bidirectional"])
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far, that of the imports, is forgotten
    start_memory = resident("VmRSS")

    def round_() -> dict[str, float]:
        start = now()
        for lengths in batches:
            x = torch.randn(len(lengths), int(lengths.max()), SIZE, requires_grad=True)
            mask = torch.arange(x.shape[1]) < lengths[:, None]
            run(x, lengths, mask).sum().backward()
            layer.zero_grad()
        tokens = int(sum(lengths.sum() for lengths in batches))
        return {"seconds": now() - start, "units": tokens, "megabytes": resident("VmHWM") - start_memory}

    serve(round_)


def main() -> None:
    """Measures both sets."""
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--batches", type=int, default=4, help="batches a round")
    parser.add_argument("--size", type=int, default=32, help="sentences a batch")
    parser.add_argument("--cell", choices=("lstm", "gru"), default="lstm")
    parser.add_argument("--bidirectional", action="store_true")
    parser.add_argument("--task", type=json.loads, help=SUPPRESS)
    given = parser.parse_args()
    if given.task:
        work(given.task)
        return
    for name in SETS:
        lengths = draw_lengths(name)
        workers = {}
        for way in WAYS:
            batches = batches_of(lengths, way, given.size, given.batches)
            task = {
                "way": way,
                "batches": batches,
                "longest": max(lengths),
                **{name: getattr(given, name) for name in ("threads", "clock", "cell", "bidirectional")},
            }
            workers[way] = Worker(__file__, ["--task", json.dumps(task)])
        costs = interleave(workers, given.rounds)
        base = workers[WAYS[0]].answer["megabytes"]
        memory = {way: round(worker.answer["megabytes"] / base, 2) for way, worker in workers.items()}
        report(f"unrolling, {given.cell}, {name}", costs, WAYS[0], peak_memory=memory)
        for worker in workers.values():
            worker.close()


if __name__ == "__main__":
    main()
