"""Our side of the comparisons with Joey NMT, a `Worker` too: equally large models on the same sentences."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from corpus import Pair, Trainer, collate
from timing import serve
from torch import Tensor

from rnn_hub.models.seq2seq.configuration_seq2seq import RnnSeq2SeqConfig
from rnn_hub.models.seq2seq.modeling_seq2seq import RnnForConditionalGeneration

Clock = Callable[[], float]


def build(options: dict[str, Any]) -> RnnForConditionalGeneration:
    """The model that the options describe; Joey NMT's, or with other attention and no input feeding our own choice."""
    fields = ("vocab_size", "cell_type", "embedding_size", "encoder_hidden_size", "decoder_hidden_size", "dropout")
    fields += ("label_smoothing", "attention_type", "input_feeding")
    config = RnnSeq2SeqConfig(
        **{name: options[name] for name in fields},
        embedding_dropout=options["dropout"],
        share_embeddings=False,
        tie_word_embeddings=False,
    )
    return RnnForConditionalGeneration(config)


class Training:
    """Updates on the batches of each round.

    Args:
        model: the model.
        rounds: the batches of each round.
        clock: gives the time in seconds.
        held_out: batches that are never trained on, whose loss is measured after each round.
    """

    def __init__(
        self,
        model: RnnForConditionalGeneration,
        rounds: list[list[list[Pair]]],
        clock: Clock,
        held_out: list[list[Pair]],
    ):
        self.trainer, self.rounds, self.clock, self.held_out = Trainer(model), rounds, clock, held_out
        self.parameters = sum(parameter.numel() for parameter in model.parameters())

    def __call__(self) -> dict[str, Any]:
        """Trains on one round's batches; its unit is a real token of either side."""
        batches = self.rounds.pop(0)
        start = self.clock()
        for pairs in batches:
            self.trainer.step(collate(pairs))
        used = self.clock() - start
        tokens = sum(len(source) + len(target) for pairs in batches for source, target in pairs)
        return {"seconds": used, "units": tokens, "parameters": self.parameters, "loss": self.loss()}

    @torch.no_grad()
    def loss(self) -> float:
        """Nats a target token of what is held out."""
        model, total, tokens = self.trainer.model.eval(), 0.0, 0
        for pairs in self.held_out:
            count = sum(len(target) for _, target in pairs)
            total, tokens = total + model(**collate(pairs)).loss.item() * count, tokens + count
        model.train()
        return total / tokens


class Decoding:
    """`generate()` over a round's batches, with its outputs in the order of the sentences."""

    def __init__(
        self, model: RnnForConditionalGeneration, rounds: list[list[list[Pair]]], clock: Clock, options: dict[str, Any]
    ):
        names = ("num_beams", "length_penalty", "max_new_tokens")
        self.model, self.rounds, self.clock = model.eval(), rounds, clock
        self.options = {name: options[name] for name in names}

    @torch.inference_mode()
    def __call__(self) -> dict[str, Any]:
        """Translates one round's batches; its unit is a sentence."""
        batches, outputs = self.rounds.pop(0), []
        start = self.clock()
        for pairs in batches:
            batch = collate(pairs)
            found = self.model.generate(batch["input_ids"], attention_mask=batch["attention_mask"], **self.options)
            outputs.extend(found[:, 1:].tolist())
        used = self.clock() - start
        end = self.model.config.eos_token_id
        outputs = [ids[: ids.index(end)] if end in ids else ids for ids in outputs]
        return {"seconds": used, "units": len(outputs), "outputs": outputs}


def from_joeynmt(weights: dict[str, Tensor], model: RnnForConditionalGeneration) -> dict[str, Tensor]:
    """Joey NMT's weights under our names: the two models then compute the same.

    Our embeddings are scaled by sqrt(D); our bridge has rows for every state vector, and Joey NMT's starts both vectors
    of an LSTM alike; two of our layers have biases where it has none.
    """
    vectors = len(model.bridge.shapes)
    mapped = {
        "embeddings.weight": weights["trg_embed.lut.weight"] / model.config.embedding_size**0.5,
        "encoder.embeddings.weight": weights["src_embed.lut.weight"] / model.config.embedding_size**0.5,
        "bridge.linear.weight": weights["decoder.bridge_layer.weight"].repeat(vectors, 1),
        "bridge.linear.bias": weights["decoder.bridge_layer.bias"].repeat(vectors),
        "decoder.combine.weight": weights["decoder.att_vector_layer.weight"],
        "decoder.combine.bias": weights["decoder.att_vector_layer.bias"],
        "decoder.attention.query.weight": weights["decoder.attention.query_layer.weight"],
        "decoder.attention.key.weight": weights["decoder.attention.key_layer.weight"],
        "decoder.attention.key.bias": torch.zeros_like(model.decoder.attention.key.bias),
        "decoder.attention.score.weight": weights["decoder.attention.energy_layer.weight"],
        "lm_head.weight": weights["decoder.output_layer.weight"],
        "lm_head.bias": torch.zeros_like(model.lm_head.bias),
    }
    for ours, theirs in (("encoder.stack.", "encoder.rnn."), ("decoder.lower.", "decoder.rnn.")):
        mapped |= {name.replace(theirs, ours): value for name, value in weights.items() if name.startswith(theirs)}
    return mapped


def main() -> None:
    task = json.loads(Path(sys.argv[1]).read_text())
    torch.manual_seed(1)
    torch.set_num_threads(task["options"]["threads"])
    torch.set_flush_denormal(True)
    clock = getattr(time, task["options"]["clock"])
    model = build(task["options"])
    if task["kind"] == "train":
        serve(Training(model, task["rounds"], clock, task["held_out"]))
    else:
        model.load_state_dict(from_joeynmt(torch.load(task["options"]["weights"]), model))
        serve(Decoding(model, task["rounds"], clock, task["options"]))


if __name__ == "__main__":
    main()
