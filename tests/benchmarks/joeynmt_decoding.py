"""Beam search against Joey NMT: seconds a sentence, of models with the same weights.

Joey NMT first trains for some updates, so that sentences end where they should; our model gets its weights. The
searches differ where their authors chose differently: with the length penalty a, Joey NMT divides a score by
((5 + n) / 6) ** a at every step and transformers by n ** a at the end (with 0 they agree), and each has its own rule
for when to stop.
"""

import subprocess
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

from corpus import Pair, multi30k
from joeynmt_peers import JOEYNMT, arguments, in_rounds, random_batches, start, write_task
from timing import interleave, report

SENTENCES, UPDATES, UPDATE_SIZE = 64, 150, 64
"""Sentences a round; updates of Joey NMT before, and their sentences."""


def shares(test: list[Pair], rounds: int, size: int, by_length: bool) -> list[list[list[Pair]]]:
    """Some sentences for each round, in batches; perhaps with the like-sized in one batch, as our pipeline does it."""
    result = []
    for number in range(rounds):
        share = [test[(number * SENTENCES + i) % len(test)] for i in range(SENTENCES)]
        if by_length:
            share.sort(key=lambda pair: -len(pair[0]))
        result.append([share[first : first + size] for first in range(0, SENTENCES, size)])
    return result


def main() -> None:
    """Measures Joey NMT, our model on the same batches, and on batches of like length."""
    parser = arguments(__doc__)
    parser.add_argument("--weights", type=Path, help="file that keeps Joey NMT's weights between runs")
    parser.add_argument("--batch-size", type=int, default=32, help="sentences a batch")
    parser.add_argument("--beams", type=int, default=5)
    parser.add_argument("--length-penalty", type=float, default=1.0)
    given = parser.parse_args()
    train, test = multi30k(given.vocab_size)
    with TemporaryDirectory() as folder:
        options = {"weights": str((given.weights or Path(folder) / "weights.pt").resolve()), "max_new_tokens": 60}
        options |= {"num_beams": given.beams, "length_penalty": given.length_penalty}
        if not Path(options["weights"]).exists():
            batches = in_rounds(random_batches(len(train), UPDATE_SIZE), train, 1, UPDATES)
            task = write_task(Path(folder) / "prepare.json", "prepare", given, batches, **options)
            script = Path(__file__).with_name("joeynmt_theirs.py")
            subprocess.run([given.joeynmt_python, str(script), task], check=True)
        workers, outputs = {}, {}
        for name, by_length, model in (
            ("Joey NMT", False, {}),
            ("same model, same batches", False, JOEYNMT),
            ("same model, batches by length", True, JOEYNMT),
        ):
            rounds = shares(test, given.rounds + 1, given.batch_size, by_length)
            workers[name] = start(Path(folder) / f"{name}.json", "decode", given, rounds, **options, **model)
            outputs[name] = []

        def work(name: str) -> float:
            cost = workers[name]()
            outputs[name].extend(workers[name].answer["outputs"])
            return cost

        costs = interleave({name: lambda name=name: work(name) for name in workers}, given.rounds)
        for worker in workers.values():
            worker.close()
    tokens = {name: mean(map(len, found)) for name, found in outputs.items()}
    pairs = zip(outputs["Joey NMT"], outputs["same model, same batches"], strict=True)
    same = mean(theirs == ours for theirs, ours in pairs)
    title = f"beam {given.beams} against Joey NMT, {given.cell}"
    report(title, costs, "Joey NMT", tokens_a_sentence=tokens, same_translations=same)


if __name__ == "__main__":
    main()
