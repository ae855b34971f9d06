"""Our function over packed tokens against torch's kernels over padded ones: the figures behind `fused._pays_to_pack`.

One layer in one direction, as wide as its inputs, on sentences of at most 30 steps.
"""

from functools import partial

import torch
from timing import arguments, interleave, report, seconds

from rnn_hub.cells import fused, get_cell, packed

STEPS = 30
SHORTEST = (4, 22, 30)  # sentences of this to 30 steps: shares of real positions of about 0.57, 0.87 and 1


def compare(cell: str, training: bool, size: int, batch: int, shortest: int, rounds: int, clock: str) -> None:
    """Both ways for one batch."""
    kind = get_cell(cell)
    lengths = torch.randint(shortest, STEPS + 1, (batch,))
    mask = torch.arange(STEPS) < lengths[:, None]
    weights = {name: torch.randn(shape) * 0.1 for name, shape in kind.weight_shapes(size, size).items()}
    weights = {name: weight.requires_grad_(training) for name, weight in weights.items()}
    x = torch.randn(batch, STEPS, size, requires_grad=training)
    state = kind(weights, size).init_state(batch, x)
    repeats = max(1, 10**7 // x.numel() // size)

    def work(packs: bool) -> None:
        for _ in range(repeats):
            way = packed.scan if packs else fused._ragged
            output, _ = way(kind.kernel, weights, x, state, mask)
            if training:
                output.sum().backward()

    sides = {name: partial(seconds, partial(work, packs), clock) for name, packs in (("padded", 0), ("packed", 1))}
    title = f"{cell}, {'training' if training else 'inference'}, H = {size}, B = {batch}"
    report(title, interleave(sides, rounds), "padded", real=float(mask.float().mean()))


def main() -> None:
    """Measures cells, widths and batches."""
    parser = arguments(__doc__, rounds=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    for cell in ("lstm", "gru", "elman"):
        for training in (True, False):
            for size in (64, 128, 256):
                for batch in (4, 16, 64):
                    for shortest in SHORTEST:
                        compare(cell, training, size, batch, shortest, options.rounds, options.clock)


if __name__ == "__main__":
    main()
