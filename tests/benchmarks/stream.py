"""The memory of a process that reads, and then writes, one endless text with one `RnnCache`.

The resident memory after a million tokens, beside that after the first tenth of them.
"""

import os

import psutil
import torch
from timing import Costs, arguments, report

from rnn_hub.cache import RnnCache
from rnn_hub.models.causal_lm.configuration_causal_lm import RnnCausalLMConfig
from rnn_hub.models.causal_lm.modeling_causal_lm import RnnForCausalLM

PIECE = 500


def resident() -> float:
    """Bytes that this process holds in memory."""
    return float(psutil.Process(os.getpid()).memory_info().rss)


@torch.no_grad()
def read(model: RnnForCausalLM, tokens: int) -> None:
    """Reads random tokens, a piece at a time."""
    cache = RnnCache()
    for _ in range(tokens // PIECE):
        model(torch.randint(4, 65, (1, PIECE)), past_key_values=cache, use_cache=True)


def write(model: RnnForCausalLM, tokens: int) -> None:
    """Samples tokens, a piece at a time, each going on from the cache of the one before."""
    cache, last = RnnCache(), torch.full((1, 1), 5)
    for _ in range(tokens // PIECE):
        text = model.generate(last, past_key_values=cache.restart(), do_sample=True, max_new_tokens=PIECE)
        last = text[:, -1:].clamp(min=4)  # what is random may be padding


def main() -> None:
    """Measures both ways."""
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--tokens", type=int, default=1_000_000)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.set_flush_denormal(True)
    config = RnnCausalLMConfig(vocab_size=65, embedding_size=64, hidden_size=256, num_layers=2)
    model = RnnForCausalLM(config).eval()
    model.generation_config.eos_token_id = None
    for name, work in (("reading", read), ("writing", write)):
        work(model, given.tokens // 10)
        first = resident()
        work(model, given.tokens)
        costs = {"the first tenth": [first], f"{given.tokens:,} tokens": [resident()]}
        report(f"memory of {name}, bytes", Costs(costs), "the first tenth")


if __name__ == "__main__":
    main()
