"""Decoding and training of our conditional random field against the package pytorch-crf, on the same scores."""

from collections.abc import Callable
from functools import partial

import torch
from timing import arguments, interleave, report, seconds
from torchcrf import CRF

from rnn_hub.layers.crf import LinearChainCrf

SIZES = ((1, 30, 7), (32, 10, 7), (32, 30, 9), (128, 50, 17))  # batch, longest text, tags


def main() -> None:
    """Measures a few sizes."""
    options = arguments(__doc__, rounds=7).parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    for batch, steps, tags in SIZES:
        ours, theirs = LinearChainCrf(tags), CRF(tags, batch_first=True)
        with torch.no_grad():
            ours.transitions.copy_(theirs.transitions)
            ours.start.copy_(theirs.start_transitions)
            ours.end.copy_(theirs.end_transitions)
        lengths = torch.randint(steps // 2, steps + 1, (batch,)).sort(descending=True).values
        lengths[0] = steps
        mask = torch.arange(steps) < lengths[:, None]
        emissions = torch.randn(batch, steps, tags, requires_grad=True)
        gold = torch.randint(0, tags, (batch, steps))
        scores = emissions.detach()
        best = ours.decode(scores, mask)[0]
        assert [row[real].tolist() for row, real in zip(best, mask, strict=True)] == theirs.decode(scores, mask)
        torch.testing.assert_close(ours.log_likelihood(emissions, gold, mask).sum(), theirs(emissions, gold, mask))
        work = {
            "decoding": (partial(decode, ours, scores, mask), partial(decode, theirs, scores, mask)),
            "training": (
                partial(train, ours.log_likelihood, emissions, gold, mask),
                partial(train, theirs, emissions, gold, mask),
            ),
        }
        for name, pair in work.items():
            contestants = {
                side: partial(seconds, partial(repeat, run), options.clock)
                for side, run in zip(("ours", "pytorch-crf"), pair, strict=True)
            }
            report(f"{name}, B = {batch}, T = {steps}, N = {tags}", interleave(contestants, options.rounds), "ours")


@torch.inference_mode()
def decode(crf: torch.nn.Module, *batch: torch.Tensor) -> object:
    """The best paths."""
    return crf.decode(*batch)


def train(likelihood: Callable[..., torch.Tensor], *batch: torch.Tensor) -> None:
    """A pass forward and backward."""
    likelihood(*batch).sum().backward()


def repeat(run: Callable[[], object], times: int = 20) -> None:
    """Works long enough to be measured."""
    for _ in range(times):
        run()


if __name__ == "__main__":
    main()
