"""What the benchmarks share: rounds in alternation, processes that take turns, a table and JSON.

A machine's speed drifts, and others use it too. So the contestants of a benchmark work one after the other in each
round, and what counts is the median over rounds of the ratio inside a round. Needs only the standard library.
"""

import json
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any


class Costs(dict[str, float]):
    """For each contestant, the median over rounds of what a unit of work cost; `rounds` holds the cost in each."""

    def __init__(self, rounds: Mapping[str, Sequence[float]]):
        super().__init__({name: median(costs) for name, costs in rounds.items()})
        self.rounds = rounds

    def ratios(self, name: str, base: str) -> list[float]:
        """One contestant's cost over another's, round by round."""
        return [cost / other for cost, other in zip(self.rounds[name], self.rounds[base], strict=True)]


def interleave(contestants: Mapping[str, Callable[[], float]], rounds: int, warmup: int = 1) -> Costs:
    """Lets every contestant work once a round, in alternating order.

    Args:
        contestants: name -> function that works and returns its cost, for example seconds a token.
        rounds: rounds that count; warmup: rounds before them that do not.
    """
    costs: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(warmup + rounds):
        for name in list(contestants)[:: 1 if number % 2 else -1]:
            cost = contestants[name]()
            if number >= warmup:
                costs[name].append(cost)
    return Costs(costs)


def report(title: str, costs: Costs, base: str, **extra: Any) -> None:
    """Prints a table against `base`, and on the line after it the same, with what is extra, as one JSON object."""
    rows = {name: (costs[name], median(costs.ratios(name, base)), costs.ratios(name, base)) for name in costs}
    width = max(map(len, rows))
    print(title)
    for name, (cost, ratio, ratios) in rows.items():
        print(f"  {name:{width}}  {cost:.3e}  {ratio:6.2f} times {base} ({min(ratios):.2f} to {max(ratios):.2f})")
    for name, value in extra.items():
        print(f"  {name.replace('_', ' ')}: {value:.4g}" if isinstance(value, float) else f"  {name}: {value}")
    ratios = {name: {"cost": cost, "ratio": ratio} for name, (cost, ratio, _) in rows.items()}
    print(json.dumps({"benchmark": title, "base": base, "costs": ratios, **extra}), flush=True)


def arguments(description: str, rounds: int) -> ArgumentParser:
    """What every benchmark of ours takes: how many rounds and threads, and which of `time`'s clocks counts."""
    parser = ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--cpu-time",
        dest="clock",
        action="store_const",
        const="process_time",
        default="perf_counter",
        help="measure processor time (on a busy machine, with --threads 1)",
    )
    return parser


def seconds(work: Callable[[], Any], clock: str) -> float:
    """How long something takes by one of `time`'s clocks."""
    now = getattr(time, clock)
    start = now()
    work()
    return now() - start


class Worker:
    """A process, perhaps of another environment, that works a round each time it is called.

    Args:
        script: a script of ours to run there, which ends in `serve`.
        arguments: its command line.
        python: the interpreter of its environment.
    """

    def __init__(self, script: str, arguments: Sequence[str], python: str = sys.executable):
        self.name = f"{script} under {python}"
        self.answer: dict[str, Any] = {}
        command = [python, script, *map(str, arguments)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._read()

    def __call__(self) -> float:
        """Works a round; returns seconds a unit, and keeps all that the process measured as `answer`."""
        self.process.stdin.write("round\n")
        self.process.stdin.flush()
        self.answer = self._read()
        return self.answer["seconds"] / self.answer["units"]

    def close(self) -> None:
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait()

    def _read(self) -> dict[str, Any]:
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError(f"{self.name} ended with status {self.process.wait()}; its errors stand above")


def serve(work: Callable[[], Mapping[str, Any]]) -> None:
    """A `Worker`'s other end: says it is ready, then works a round for each line of standard input.

    Args:
        work: returns a round's "seconds" and "units", and whatever else was measured.
    """
    print("{}", flush=True)
    for _ in sys.stdin:
        print(json.dumps(work()), flush=True)
