"""``rnn-hub bench``: runs the benchmarks of a checkout and prints what they measured as one table."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from rnn_hub.errors import RnnHubError

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "benchmarks"


def bench(options: argparse.Namespace) -> None:
    """Run the benchmarks named, or all; their own tables go to standard error as they come.

    Raises:
        RnnHubError: no checkout, an unknown name, or a benchmark that failed.
    """
    known = find_benchmarks(FOLDER)
    names = options.names or [name for name in known if options.joeynmt_python or not name.startswith("joeynmt")]
    for name in names:
        if name not in known:
            raise RnnHubError(f"unknown benchmark {name!r} (there are: {', '.join(known)})")
    shared = [f"--rounds={options.rounds}"] if options.rounds else []
    shared += [f"--threads={options.threads}"] * (options.threads is not None) + ["--cpu-time"] * options.cpu_time
    rows = []
    for name in names:
        own = [f"--joeynmt-python={options.joeynmt_python}"] if name.startswith("joeynmt") else []
        rows += [row for result in run(known[name], [*shared, *own]) for row in ratios(result)]
    print("| benchmark | what | against | times its cost |\n|---|---|---|---|")
    for row in rows:
        print("| {} | {} | {} | {:.2f} |".format(*row))


def find_benchmarks(folder: Path) -> dict[str, Path]:
    """The scripts of a folder that take the benchmarks' arguments, by name."""
    found = {
        path.stem: path for path in sorted(folder.glob("*.py")) if re.search("import .*arguments", path.read_text())
    }
    if not found:
        raise RnnHubError("the benchmarks are part of a checkout of the project: run this command there")
    return found


def run(script: Path, arguments: list[str]) -> list[dict[str, Any]]:
    """Run one benchmark; return the objects it prints, pass on the rest of its lines."""
    results = []
    with subprocess.Popen([sys.executable, str(script), *arguments], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.startswith("{"):
                results.append(json.loads(line))
            else:
                print(line, end="", file=sys.stderr, flush=True)
    if process.returncode:
        raise RnnHubError(f"the benchmark {script.stem} failed with status {process.returncode}")
    return results


def ratios(result: dict[str, Any]) -> list[tuple[str, str, str, float]]:
    """The rows of one result: benchmark, contestant, base, and how many times the base's cost."""
    base = result["base"]
    costs = result["costs"].items()
    return [(result["benchmark"], name, base, cost["ratio"]) for name, cost in costs if name != base]
