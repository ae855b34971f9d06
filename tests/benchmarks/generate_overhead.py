"""What `generate()` adds to a bare loop over the same encoder and decoder steps, greedy, same tokens.

On our loop, also in 8-bit integers (whose tokens may differ), and for comparison on that of transformers.
"""

from argparse import Namespace
from copy import copy
from functools import partial

import torch
from corpus import build_model, collate, multi30k
from timing import arguments, interleave, report, seconds
from torch import Tensor
from transformers import GenerationMixin

from rnn_hub.models.seq2seq.modeling_seq2seq import RnnForConditionalGeneration


class OnTheirLoop(RnnForConditionalGeneration):
    """The same model on transformers' loop."""

    _sample = GenerationMixin._sample


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


def measure(model: RnnForConditionalGeneration, batch: dict[str, Tensor], options: Namespace) -> None:
    """All ways for one batch."""
    theirs = OnTheirLoop(model.config).eval()
    theirs.load_state_dict(model.state_dict())
    inputs, mask, steps = batch["input_ids"], batch["attention_mask"], options.steps
    greedy = {"attention_mask": mask, "num_beams": 1, "do_sample": False, "max_new_tokens": steps}
    ways = {
        "bare loop": partial(bare_loop, model, inputs, mask, steps),
        "generate()": partial(model.generate, inputs, **greedy),
        "generate() on transformers' loop": partial(theirs.generate, inputs, **greedy),
    }
    expected, *others = (way() for way in ways.values())
    assert all(torch.equal(other, expected) for other in others), "they do not give the same tokens"
    in_int8 = copy(model).decode_in_int8()
    ways["generate() in int8"] = partial(in_int8.generate, inputs, **greedy)
    sides = {name: partial(seconds, way, options.clock) for name, way in ways.items()}
    costs = interleave(sides, options.rounds, warmup=2)
    extra = 1000 * (costs["generate()"] - costs["bare loop"]) / steps
    report(f"greedy decoding, B = {len(inputs)}", costs, "bare loop", extra_milliseconds_a_step=extra)


def main() -> None:
    """Measures B = 1, 8 and 64."""
    parser = arguments(__doc__, rounds=15)
    parser.add_argument("--steps", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    model = build_model().eval()
    with torch.no_grad():
        model.lm_head.bias[model.config.eos_token_id] = -1e9  # all sentences run to the last step
    _, test = multi30k()
    for size in (1, 8, 64):
        measure(model, collate(test[:size]), options)


if __name__ == "__main__":
    main()
