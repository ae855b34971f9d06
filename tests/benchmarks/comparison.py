"""The same character model and the same translation model with one cell after another.

Trains each by its released recipe, smaller and for fewer epochs, only `cell_type` differing; what is trained already is
kept, so an interrupted comparison goes on. Then the speed of one training step and of decoding, the cells taking turns.
"""

import subprocess
import sys
from functools import partial
from json import loads
from pathlib import Path
from typing import Any

import timing
import torch
from corpus import DATA, ROOT, Trainer, collate
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer, PreTrainedModel

from rnn_hub.data.loading import load_split

CELLS = ("lstm", "gru", "min_gru", "rg_lru", "mlstm")
COMMON = ("training.logging_steps=200", "training.matmul_precision=medium")
TEXT = ("model_cards/rnn-text-shakespeare", f"dataset.path={DATA.parent / 'tiny_shakespeare'}")
TRANSLATION = (
    "model_cards/rnn-translation-en-de",
    f"dataset.path={DATA}",
    "model.embedding_size=192",
    "model.encoder_hidden_size=128",
    "model.decoder_hidden_size=256",
    "model.dropout=0.1",
    "model.embedding_dropout=0.1",
    "training.num_train_epochs=3",
    "training.lr_scheduler_type=cosine",
    "training.lr_scheduler_kwargs=null",
    "training.eval_strategy=no",
)


def train(recipe: tuple[str, ...], cell: str, folder: Path) -> dict[str, Any]:
    """Trains a recipe with a cell, unless its folder holds the results already; returns the last evaluation."""
    if not (folder / "results.json").exists():
        options = (*recipe, *COMMON, f"model.cell_type={cell}", f"training.output_dir={folder}", "training.resume=true")
        subprocess.run([sys.executable, "-m", "rnn_hub", "train", *options], cwd=ROOT, check=True)
    results = loads((folder / "results.json").read_text())
    if not results["evaluations"]:
        options = ("--dataset", str(DATA), "--split", "test", "--record")
        subprocess.run([sys.executable, "-m", "rnn_hub", "evaluate", str(folder), *options], cwd=ROOT, check=True)
        results = loads((folder / "results.json").read_text())
    return {"parameters": results["parameters"], **results["evaluations"][-1]["metrics"]}


def speed_of_text(models: dict[str, PreTrainedModel], rounds: int, clock: str) -> None:
    """Training on 32 streams of 128 characters; writing 200 characters, one at a time."""
    tokens = torch.randint(4, 60, (32, 128))
    work = {
        name: partial(Trainer(model).step, {"input_ids": tokens, "labels": tokens}) for name, model in models.items()
    }
    timing.report("characters, training", timing.interleave(_timed(work, clock), rounds), "lstm")
    options = {"do_sample": False, "max_new_tokens": 200, "min_new_tokens": 200, "eos_token_id": None}
    work = {name: partial(model.eval().generate, tokens[:1, :1], **options) for name, model in models.items()}
    timing.report("characters, writing", timing.interleave(_timed(work, clock), rounds), "lstm")


def speed_of_translation(models: dict[str, PreTrainedModel], tokenizer: Any, rounds: int, clock: str) -> None:
    """Training on a batch of 64 pairs of like length; translating 64 sentences with 5 beams to the same length."""
    rows = load_split(DATA, "train", columns=("en", "de")).select(range(2048))
    pairs = list(zip(*(tokenizer(list(rows[side])).input_ids for side in ("en", "de")), strict=True))
    batch = collate(sorted(pairs, key=lambda pair: len(pair[1]))[1024:1088])
    work = {name: partial(Trainer(model).step, batch) for name, model in models.items()}
    timing.report("translation, training", timing.interleave(_timed(work, clock), rounds), "lstm")
    sources = {name: batch[name] for name in ("input_ids", "attention_mask")}
    options = {"num_beams": 5, "min_new_tokens": 15, "max_new_tokens": 15}
    work = {name: partial(model.eval().generate, **sources, **options) for name, model in models.items()}
    timing.report("translation, beam 5", timing.interleave(_timed(work, clock), rounds), "lstm")


def _timed(work: dict[str, Any], clock: str) -> dict[str, Any]:
    return {name: partial(timing.seconds, one, clock) for name, one in work.items()}


def main() -> None:
    """Trains what is not trained yet, prints the figures, and measures speed."""
    parser = timing.arguments(__doc__, rounds=7)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "comparison", help="where the models are kept")
    parser.add_argument("--cells", nargs="+", default=CELLS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.set_flush_denormal(True)
    models = {}
    for kind, recipe, auto in (
        ("text", TEXT, AutoModelForCausalLM),
        ("translation", TRANSLATION, AutoModelForSeq2SeqLM),
    ):
        for cell in given.cells:
            folder = given.runs / f"{kind}-{cell}"
            figures = train(recipe, cell, folder)
            print(kind, cell, {name: round(value, 3) for name, value in figures.items()}, flush=True)
            models.setdefault(kind, {})[cell] = auto.from_pretrained(folder)
    speed_of_text(models["text"], given.rounds, given.clock)
    tokenizer = AutoTokenizer.from_pretrained(given.runs / f"translation-{given.cells[0]}")
    speed_of_translation(models["translation"], tokenizer, given.rounds, given.clock)


if __name__ == "__main__":
    main()
