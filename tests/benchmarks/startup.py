"""How much longer `rnn-hub --help` takes than a Python that does nothing."""

import subprocess
import sys
from functools import partial

from timing import arguments, interleave, report, seconds

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import rnn_hub": [sys.executable, "-c", "import rnn_hub"],
    "rnn-hub --help": [sys.executable, "-m", "rnn_hub", "--help"],
}


def run(command: list[str]) -> float:
    """Seconds from start to end of a process."""
    return seconds(partial(subprocess.run, command, check=True, stdout=subprocess.DEVNULL), "perf_counter")


if __name__ == "__main__":
    rounds = arguments(__doc__, rounds=20).parse_args().rounds
    costs = interleave({name: partial(run, c) for name, c in COMMANDS.items()}, rounds, warmup=2)
    difference = costs["rnn-hub --help"] - costs["python -c pass"]
    report("start-up", costs, "python -c pass", help_costs_seconds=difference)
