"""A training step whose products may be in bfloat16 (`matmul_precision: medium`) against one in float32.

The released translation model on multi30k, and the language model of the Penn Treebank's recipe on random words. Only a
CPU with units for such products (AMX), or a GPU, is any faster.
"""

from collections.abc import Callable
from functools import partial

import torch
import yaml
from corpus import ROOT, Trainer, build_model, collate, multi30k
from timing import arguments, interleave, report, seconds

from rnn_hub import RnnCausalLMConfig, RnnForCausalLM
from rnn_hub.training.arguments import MATMUL_PRECISIONS
from rnn_hub.training.run import float32_matmul_precision


def language_model_step() -> Callable[[], object]:
    """A step of the Penn Treebank's language model: streams of so many words."""
    recipe = yaml.safe_load((ROOT / "model_cards" / "rnn-lm-ptb" / "recipe.yaml").read_text())
    model = RnnForCausalLM(RnnCausalLMConfig(vocab_size=recipe["tokenizer"]["vocab_size"], **recipe["model"]))
    shape = recipe["training"]["per_device_train_batch_size"], recipe["training"]["bptt_steps"]
    words = torch.randint(4, model.config.vocab_size, shape)
    return partial(Trainer(model).step, {"input_ids": words, "labels": words})


def translation_step() -> Callable[[], object]:
    """A step of the translation model, 64 sentences of like length."""
    train, _ = multi30k()
    batch = collate(sorted(train[:2048], key=lambda pair: len(pair[1]))[1024:1088])
    return partial(Trainer(build_model()).step, batch)


def main() -> None:
    """Measures both models."""
    options = arguments(__doc__, rounds=9).parse_args()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    for name, step in (("translation", translation_step()), ("words of the Penn Treebank", language_model_step())):

        def work(precision: str, step: Callable[[], object] = step) -> None:
            with float32_matmul_precision(precision):
                step()

        sides = {
            precision: partial(seconds, partial(work, precision), options.clock) for precision in MATMUL_PRECISIONS
        }
        report(f"training step, {name}", interleave(sides, options.rounds), "highest")


if __name__ == "__main__":
    main()
