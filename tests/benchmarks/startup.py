"""How much longer `rnn-hub --help` takes than a Python that does nothing."""

import subprocess
import sys
import time

from timing import interleave, report

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import rnn_hub": [sys.executable, "-c", "import rnn_hub"],
    "rnn-hub --help": [sys.executable, "-m", "rnn_hub", "--help"],
}


def run(command: list[str]) -> float:
    """Seconds from start to end of a process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    costs = interleave({name: lambda c=c: run(c) for name, c in COMMANDS.items()}, rounds=20, warmup=2)
    difference = costs["rnn-hub --help"] - costs["python -c pass"]
    report("start-up", costs, "python -c pass", help_costs_seconds=difference)
