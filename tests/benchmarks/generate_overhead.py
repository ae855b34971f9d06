"""What transformers' `generate()` adds to a bare loop over the same encoder and decoder steps, greedy, same tokens."""

import argparse
import time

import torch
from corpus import build_model, collate, multi30k
from timing import interleave, report
from torch import Tensor

from rnn_hub.models.seq2seq.modeling_seq2seq import RnnForConditionalGeneration


@torch.no_grad()
def bare_loop(model: RnnForConditionalGeneration, input_ids: Tensor, mask: Tensor, steps: int) -> Tensor:
    """Greedy decoding for a fixed number of steps: (B, 1 + steps) tokens, the start token first."""
    encoded = model.encoder(input_ids=input_ids, attention_mask=mask)
    memory = model.decoder.remember(encoded.last_hidden_state, mask)
    tokens = [input_ids.new_full((input_ids.shape[0], 1), model.config.decoder_start_token_id)]
    state = model.bridge(encoded.pooler_output, encoded.state, model.embeddings(tokens[0]))
    for _ in range(steps):
        hidden, _, state = model.decoder(model.embeddings(tokens[-1]), memory, state)
        tokens.append(model.lm_head(hidden[:, -1:]).argmax(dim=-1))
    return torch.cat(tokens, dim=1)


def timed(function, *arguments: object, **options: object) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    function(*arguments, **options)
    return time.perf_counter() - start


def measure(model: RnnForConditionalGeneration, batch: dict[str, Tensor], steps: int, rounds: int) -> None:
    """Both ways for one batch."""
    inputs, mask = batch["input_ids"], batch["attention_mask"]
    greedy = {"attention_mask": mask, "num_beams": 1, "do_sample": False, "max_new_tokens": steps}
    same = torch.equal(model.generate(inputs, **greedy), bare_loop(model, inputs, mask, steps))
    assert same, "the two do not give the same tokens"
    sides = {
        "bare loop": lambda: timed(bare_loop, model, inputs, mask, steps),
        "generate()": lambda: timed(model.generate, inputs, **greedy),
    }
    costs = interleave(sides, rounds, warmup=2)
    extra = 1000 * (costs["generate()"] - costs["bare loop"]) / steps
    report(f"greedy decoding, B = {len(inputs)}", costs, "bare loop", extra_milliseconds_a_step=extra)


def main() -> None:
    """Measures B = 1, 8 and 64."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    model = build_model().eval()
    with torch.no_grad():
        model.lm_head.bias[model.config.eos_token_id] = -1e9  # all sentences run to the last step
    _, test = multi30k()
    for size in (1, 8, 64):
        measure(model, collate(test[:size]), options.steps, options.rounds)


if __name__ == "__main__":
    main()
