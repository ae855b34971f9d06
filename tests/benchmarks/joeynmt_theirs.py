"""Joey NMT's side of the comparisons: a `Worker` run by the interpreter of an environment that has `joeynmt`.

Everything timed is Joey NMT 2.3's own: model, loss, batch, training step, gradient clipping, optimizer, beam search.
These parts run unchanged on torch 2.13. Its command line needs one patch there, for a schedule of type "plateau": torch
dropped the argument `verbose` of `ReduceLROnPlateau`. A constant learning rate needs no schedule.
"""

import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from joeynmt.batch import Batch
from joeynmt.builders import build_gradient_clipper, build_optimizer
from joeynmt.model import Model, build_model
from joeynmt.search import search
from joeynmt.training import TrainManager
from joeynmt.vocabulary import Vocabulary
from timing import serve
from torch.nn.utils.rnn import pad_sequence

UNK, PAD, BOS, EOS = range(4)
"""Joey NMT's order; ours has PAD before UNK, but no sentence holds either."""

Pair = tuple[list[int], list[int]]
Clock = Callable[[], float]


def build(options: dict[str, Any]) -> Model:
    """The model that the options describe; its decoder feeds its input and attends as Bahdanau et al. 2015."""
    names = {"unk_token": "<unk>", "pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "sep_token": None}
    ids = {"unk_id": UNK, "pad_id": PAD, "bos_id": BOS, "eos_id": EOS, "sep_id": None, "lang_tags": []}
    pieces = [f"piece{i}" for i in range(options["vocab_size"] - 4)]
    vocabulary = Vocabulary(pieces, SimpleNamespace(**names, **ids))
    common = {
        "type": "recurrent",
        "rnn_type": options["cell_type"],
        "embeddings": {"embedding_dim": options["embedding_size"], "scale": False},
        "num_layers": 1,
        "dropout": options["dropout"],
    }
    encoder = {**common, "hidden_size": options["encoder_hidden_size"], "bidirectional": True}
    decoder = {
        **common,
        "hidden_size": options["decoder_hidden_size"],
        "hidden_dropout": options["dropout"],
        "input_feeding": True,
        "init_hidden": "bridge",
        "attention": "bahdanau",
    }
    start = {"initializer": "xavier_uniform", "embed_initializer": "normal", "embed_init_weight": 0.1}
    model = build_model({**start, "encoder": encoder, "decoder": decoder}, vocabulary, vocabulary)
    model.loss_function = ("crossentropy", options["label_smoothing"])
    return model


def collate(pairs: list[Pair], training: bool) -> Batch:
    """As Joey NMT's own `collate_fn` does it."""
    sources = pad_sequence([torch.tensor(source) for source, _ in pairs], True, PAD)
    targets = pad_sequence([torch.tensor([BOS, *target]) for _, target in pairs], True, PAD)
    return Batch(
        src=sources,
        src_length=torch.tensor([len(source) for source, _ in pairs]),
        src_prompt_mask=None,
        trg=targets if training else None,
        trg_prompt_mask=None,
        indices=torch.arange(len(pairs)),
        device=torch.device("cpu"),
        pad_index=PAD,
        eos_index=EOS,
        is_train=training,
    )


class Training:
    """Updates as `TrainManager.train_and_validate` makes them.

    Args:
        model: the model.
        rounds: the batches of each round.
        clock: gives the time in seconds.
        held_out: batches that are never trained on, whose loss is measured after each round.
    """

    def __init__(self, model: Model, rounds: list[list[list[Pair]]], clock: Clock, held_out: list[list[Pair]]):
        self.model, self.rounds, self.clock, self.held_out = model, rounds, clock, held_out
        self.optimizer = build_optimizer({"optimizer": "adam", "learning_rate": 1e-3}, model.parameters())
        self.clip = build_gradient_clipper({"clip_grad_norm": 1.0, "clip_grad_val": None})
        self.manager = SimpleNamespace(
            model=model,
            autocast={"device_type": "cpu", "enabled": False},
            args=SimpleNamespace(normalization="tokens", batch_multiplier=1),
            n_gpu=0,
            scaler=None,
        )

    def __call__(self) -> dict[str, Any]:
        """Trains on one round's batches; its unit is a real token of either side."""
        batches = self.rounds.pop(0)
        start = self.clock()
        for pairs in batches:
            TrainManager._train_step(self.manager, collate(pairs, training=True))
            self.clip(parameters=self.model.parameters())
            self.optimizer.step()
            self.model.zero_grad()
        used = self.clock() - start
        return {
            "seconds": used,
            "units": sum(len(source) + len(target) for pairs in batches for source, target in pairs),
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            "loss": self.loss(),
        }

    @torch.no_grad()
    def loss(self) -> float:
        """Nats a target token of what is held out; not a number where nothing is."""
        self.model.eval()
        total = tokens = 0
        for pairs in self.held_out:
            batch = collate(pairs, training=True)
            batch.sort_by_src_length()
            total += self.model(return_type="loss", **vars(batch))[0].item()
            tokens += sum(len(target) for _, target in pairs)
        self.model.train()
        return total / tokens if tokens else math.nan


class Decoding:
    """Beam search over a round's batches, with its outputs in the order of the sentences."""

    def __init__(self, model: Model, rounds: list[list[list[Pair]]], clock: Clock, options: dict[str, Any]):
        self.model, self.rounds, self.clock, self.options = model.eval(), rounds, clock, options

    def __call__(self) -> dict[str, Any]:
        """Translates one round's batches; its unit is a sentence."""
        batches, outputs = self.rounds.pop(0), []
        limits = (self.options["max_new_tokens"], self.options["num_beams"], self.options["length_penalty"])
        start = self.clock()
        for pairs in batches:
            batch = collate(pairs, training=False)
            back = batch.sort_by_src_length()
            outputs.extend(search(self.model, batch, *limits)[0][back].tolist())
        used = self.clock() - start
        return {"seconds": used, "units": len(outputs), "outputs": [until_end(ids) for ids in outputs]}


def until_end(ids: list[int]) -> list[int]:
    """The tokens before `</s>`, or before the padding where a sentence was cut off."""
    return ids[: ids.index(EOS)] if EOS in ids else [token for token in ids if token != PAD]


def main() -> None:
    task = json.loads(Path(sys.argv[1]).read_text())
    torch.manual_seed(1)
    torch.set_num_threads(task["options"]["threads"])
    torch.set_flush_denormal(True)
    clock = getattr(time, task["options"]["clock"])
    model = build(task["options"])
    if task["kind"] == "train":
        serve(Training(model, task["rounds"], clock, task["held_out"]))
    elif task["kind"] == "prepare":
        Training(model, task["rounds"], clock, [])()
        torch.save(model.state_dict(), task["options"]["weights"])
    else:
        model.load_state_dict(torch.load(task["options"]["weights"]))
        serve(Decoding(model, task["rounds"], clock, task["options"]))


if __name__ == "__main__":
    main()
