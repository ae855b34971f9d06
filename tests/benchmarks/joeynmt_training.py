"""Training against Joey NMT: seconds a real token, of equally large models on batches of 64 sentences.

Joey NMT has no length buckets, so its batches are random. Ours trains the same model on the same batches, then on
batches of like length as it does by default, then what one would choose here: no input feeding, one scan over a target.
With more rounds, the losses on test data say whether as many updates are worth as much.
"""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from corpus import lengths, multi30k
from joeynmt_peers import JOEYNMT, arguments, in_rounds, random_batches, start
from timing import interleave, report

from rnn_hub.data.samplers import LengthGroupedBatchSampler


def main() -> None:
    """Measures all four."""
    parser = arguments(__doc__)
    parser.add_argument("--batches", type=int, default=8, help="batches a round")
    parser.add_argument("--batch-size", type=int, default=64, help="sentences a batch")
    given = parser.parse_args()
    train, test = multi30k(given.vocab_size)
    plans = {
        "random": random_batches(len(train), given.batch_size),
        "like length": list(LengthGroupedBatchSampler(lengths(train), sentences=given.batch_size)),
    }
    sides = {
        "Joey NMT": ("random", {}),
        "same model, same batches": ("random", JOEYNMT),
        "same model, batches by length": ("like length", JOEYNMT),
        "without input feeding": ("like length", {"attention_type": "general", "input_feeding": False}),
    }
    with TemporaryDirectory() as folder:
        held_out = [test[first : first + 64] for first in range(0, 512, 64)]
        launch = partial(start, kind="train", given=given, held_out=held_out)
        workers = {}
        for name, (plan, options) in sides.items():
            rounds = in_rounds(plans[plan], train, given.rounds + 1, given.batches)
            workers[name] = launch(Path(folder) / f"{name}.json", rounds=rounds, **options)
        costs = interleave(workers, given.rounds)
        for worker in workers.values():
            worker.close()
    parameters = {name: worker.answer["parameters"] for name, worker in workers.items()}
    losses = {name: round(worker.answer["loss"], 3) for name, worker in workers.items()}
    updates = (given.rounds + 1) * given.batches
    extra = {"updates": updates, "loss_after_them": losses, "parameters": parameters}
    report(f"training against Joey NMT, {given.cell}", costs, "Joey NMT", **extra)


if __name__ == "__main__":
    main()
