"""What the parallel cells cost in training: beside `nn.GRU`, and over twice as many steps.

One layer, 256 features to 256 units, forward and backward over a batch of random sequences. minGRU at 512 and 2048
steps beside `nn.GRU` of the same size, with its largest error against float64 as a part of the largest output, and
beside its matrix products alone; then every registered cell at 800 steps beside 400, where linear time is 2.
"""

from collections.abc import Callable

import torch
from timing import arguments, interleave, report, seconds
from torch import Tensor, nn

from rnn_hub.cells import CELLS
from rnn_hub.layers.stack import RnnStack

SIZE = 256


def training(layer: nn.Module, batch: int, steps: int, clock: str) -> Callable[[], float]:
    """What trains a layer once and returns the seconds that it took."""
    x = torch.randn(batch, steps, SIZE, requires_grad=True)

    def train() -> None:
        layer(x)[0].sum().backward()
        layer.zero_grad()

    return lambda: seconds(train, clock)


class Products(nn.Linear):
    """The matrix products of a minGRU, and nothing else."""

    def __init__(self) -> None:
        super().__init__(SIZE, 2 * SIZE)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (super().forward(x),)


def error(layer: RnnStack, x: Tensor) -> float:
    """The largest difference of outputs in float32 from those in float64, over the largest output."""
    exact = RnnStack(SIZE, SIZE, cell_type=layer.cell_class.name).double()
    exact.load_state_dict(layer.state_dict())
    with torch.no_grad():
        expected = exact(x.double())[0]
        return ((layer(x)[0] - expected).abs().max() / expected.abs().max()).item()


def main() -> None:
    """Measures, against `nn.GRU` and against half the steps."""
    parser = arguments(__doc__, rounds=7)
    parser.add_argument("--size", type=int, default=16, help="sequences a batch")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(1)
    for steps in (512, 2048):
        layer = RnnStack(SIZE, SIZE, cell_type="min_gru")
        contestants = {"min_gru": layer, "nn.GRU": nn.GRU(SIZE, SIZE, batch_first=True), "products": Products()}
        work = {name: training(one, given.size, steps, given.clock) for name, one in contestants.items()}
        difference = error(layer, torch.randn(given.size, steps, SIZE))
        report(f"training, T = {steps}", interleave(work, given.rounds), "min_gru", largest_error=difference)
    for name in sorted(CELLS):
        layer = RnnStack(SIZE, SIZE, cell_type=name)
        work = {f"T = {steps}": training(layer, given.size, steps, given.clock) for steps in (400, 800)}
        report(f"training, {name}", interleave(work, given.rounds), "T = 400")


if __name__ == "__main__":
    main()
