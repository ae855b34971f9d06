"""A tiny language pair that a tiny model learns in seconds, for the tests of training, pipelines and commands."""

from __future__ import annotations

import functools
import itertools
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ADJECTIVES = {"": "", "red": "rote", "big": "große"}
NOUNS = {"dog": "Hund", "cat": "Katze", "bird": "Vogel"}
VERBS = {"runs": "rennt", "sees": "sieht", "sleeps": "schläft"}


def sentence_pair(generator: random.Random) -> dict[str, str]:
    """A row: perhaps an adjective, a noun and a verb, and each of them translated."""
    pairs = [generator.choice(list(words.items())) for words in (ADJECTIVES, NOUNS, VERBS)]
    english, german = (" ".join(word for word in words if word) for words in zip(*pairs, strict=True))
    return {"en": f"{english}.", "de": f"{german}.", "id": "x"}


def write_corpus(folder: Path, train: int = 240, other: int = 24) -> Path:
    """Write train, validation and test as JSON lines, which ``load_dataset`` reads from the folder."""
    generator = random.Random(0)
    folder.mkdir(parents=True, exist_ok=True)
    for split, size in (("train", train), ("validation", other), ("test", other)):
        rows = [sentence_pair(generator) for _ in range(size)]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{split}.jsonl").write_text(text, encoding="utf-8")
    return folder


def write_shards(folder: Path, sizes: Sequence[int] = (50, 7, 31, 1, 12)) -> Path:
    """Write the training split as several files, whose rows are numbered, and a validation split."""
    write_corpus(folder)
    (folder / "train.jsonl").unlink()
    generator, number = random.Random(0), itertools.count()
    for shard, size in enumerate(sizes):
        rows = [{**sentence_pair(generator), "id": str(next(number))} for _ in range(size)]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"train-{shard:05}-of-{len(sizes):05}.jsonl").write_text(text, encoding="utf-8")
    return folder


def recipe(corpus: Path | str, output_dir: Path | str, **sections: dict[str, Any]) -> dict[str, Any]:
    """A recipe for the tiny pair; keyword arguments update its sections."""
    values: dict[str, Any] = {
        "task": "translation",
        "name": "tiny-en-de",
        "seed": 3,
        "language": ["en", "de"],
        "license": "cc0-1.0",
        "dataset": {"path": str(corpus), "source": "en", "target": "de", "license": "CC0"},
        "tokenizer": {"type": "bpe", "vocab_size": 450, "max_length": 32},
        "model": {
            "embedding_size": 64,
            "encoder_hidden_size": 32,
            "decoder_hidden_size": 64,
            "attention_type": "dot",
            "dropout": 0.0,
        },
        "training": {
            "output_dir": str(output_dir),
            "num_train_epochs": 2,
            "learning_rate": 0.03,
            "tokens_per_batch": 200,
            "logging_steps": 1,
            "use_cpu": True,
        },
        "generation": {"num_beams": 2, "max_new_tokens": 24},
    }
    for name, section in sections.items():
        values[name] = {**values[name], **section} if isinstance(section, dict) else section
    return values


def text_recipe(corpus: Path | str, output_dir: Path | str, **training: Any) -> dict[str, Any]:
    """A recipe for a language model of the tiny pair's English, whose tokens have 3 ln 3 / (8 / 3 + 1) = 0.90 nats."""
    steps = {"per_device_train_batch_size": 4, "bptt_steps": 20, "logging_steps": 1, "use_cpu": True}
    return {
        "task": "language-modeling",
        "name": "tiny-lm",
        "seed": 3,
        "dataset": {"path": str(corpus), "text": "en"},
        "tokenizer": {"type": "word", "vocab_size": 40},
        "model": {"embedding_size": 24, "hidden_size": 32, "num_layers": 2, "weight_dropout": 0.1},
        "training": {"output_dir": str(output_dir), "num_train_epochs": 8, "learning_rate": 0.02, **steps, **training},
        "generation": {"max_new_tokens": 12},
    }


@functools.cache
def model_folder(base: Path) -> Path:
    """A model folder as `rnn-hub train` leaves it, of a model that has learned the pair; trained once a session."""
    from rnn_hub.training.recipes import build_recipe
    from rnn_hub.training.run import train

    folder = base / "models" / "tiny-en-de"
    training = {"num_train_epochs": 6, "eval_strategy": "no"}
    train(build_recipe(recipe(write_corpus(base / "model_corpus"), folder, training=training)))
    return folder
