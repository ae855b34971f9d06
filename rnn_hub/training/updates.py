"""Of which batches an update is made: a run that continues must make the same, or rows would be skipped."""

from __future__ import annotations

import json
from pathlib import Path

from rnn_hub.errors import RnnHubError
from rnn_hub.training.arguments import TrainingArguments

UPDATES_FILE = "updates.json"
_PROCESSES, _ACCUMULATED = "processes", "gradient_accumulation_steps"


def batches_of_updates(arguments: TrainingArguments) -> dict[str, int]:
    """The number of processes, the batches that each accumulates, and the size of a batch."""
    size = "tokens_per_batch" if arguments.tokens_per_batch else "per_device_train_batch_size"
    accumulated = arguments.gradient_accumulation_steps
    return {_PROCESSES: arguments.world_size, _ACCUMULATED: accumulated, size: getattr(arguments, size)}


def save_updates(checkpoint: Path, arguments: TrainingArguments) -> None:
    """Write into a checkpoint of which batches its updates were made."""
    (checkpoint / UPDATES_FILE).write_text(json.dumps(batches_of_updates(arguments)), encoding="utf-8")


def check_updates(checkpoint: Path, arguments: TrainingArguments, ordered: bool) -> None:
    """Raise an error if a run that continues a checkpoint would make its updates of other batches.

    Rows come in one global order, whoever reads them: only the product of processes and accumulated batches counts. A
    checkpoint of a former version, which does not tell, is taken.

    Args:
        ordered: whether each process reads streams of its own; then both numbers must be the same.

    Raises:
        RnnHubError: with the numbers of both, and the remedy.
    """
    if not (checkpoint / UPDATES_FILE).is_file():
        return
    before, now = json.loads((checkpoint / UPDATES_FILE).read_text(encoding="utf-8")), batches_of_updates(arguments)
    if before == now:
        return
    either = "or choose another training.output_dir"
    product = before[_PROCESSES] * before[_ACCUMULATED]
    if ordered or product != now[_PROCESSES] * now[_ACCUMULATED]:
        remedy = "the same, as each reads streams of its own" if ordered else f"two numbers whose product is {product}"
        written, have = (
            f"{made[_PROCESSES]} processes and {_ACCUMULATED}={made[_ACCUMULATED]}" for made in (before, now)
        )
        raise RnnHubError(
            f"{checkpoint.name} was written with {written}, this run has {have}: resume with {remedy}, {either}"
        )
    size = next(name for name in before if name not in (_PROCESSES, _ACCUMULATED))
    if before[size] != now.get(size):
        other = f"{now[size]}" if size in now else "other batches"
        raise RnnHubError(
            f"{checkpoint.name} was written with training.{size}={before[size]}, this run has {other}: "
            f"resume with the same, {either}"
        )
