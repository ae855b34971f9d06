"""Tiny labelled texts that a tiny model learns in seconds: opinions, and people who visit places."""

from __future__ import annotations

import functools
import json
import random
from pathlib import Path
from typing import Any

GOOD, BAD = ("charming", "brilliant", "moving"), ("dull", "awful", "tedious")
NOUNS = ("film", "story", "cast")
PEOPLE = ("Jane Austen", "Ada Lovelace", "Alan Turing", "Grace Brewster Hopper")
PLACES = ("London", "New York", "Bath", "Rio de Janeiro")
LABELS = ("negative", "positive")


def opinion(generator: random.Random) -> dict[str, Any]:
    """A row: a sentence and whether it is positive, 1 or 0."""
    label = generator.randrange(2)
    word = generator.choice((BAD, GOOD)[label])
    return {"text": f"the {generator.choice(NOUNS)} is {generator.choice(('', 'very '))}{word} .", "label": label}


def visit(generator: random.Random) -> dict[str, list[str]]:
    """A row: words and their tags."""
    tokens, tags = [], []
    for kind, phrase in (
        ("PER", generator.choice(PEOPLE)),
        ("", generator.choice(("lived in", "saw", "left"))),
        ("LOC", generator.choice(PLACES)),
        ("", "."),
    ):
        words = phrase.split()
        tokens += words
        tags += [f"{'I' if number else 'B'}-{kind}" if kind else "O" for number in range(len(words))]
    return {"tokens": tokens, "ner_tags": tags}


def write_corpus(folder: Path, kind: str) -> Path:
    """Write train, validation and test of "opinion" or "visit" as JSON lines."""
    generator, row = random.Random(0), {"opinion": opinion, "visit": visit}[kind]
    folder.mkdir(parents=True, exist_ok=True)
    for split, size in (("train", 240), ("validation", 24), ("test", 24)):
        text = "".join(json.dumps(row(generator)) + "\n" for _ in range(size))
        (folder / f"{split}.jsonl").write_text(text, encoding="utf-8")
    return folder


def recipe(kind: str, corpus: Path | str, output_dir: Path | str, **sections: dict[str, Any]) -> dict[str, Any]:
    """A recipe for either corpus; keyword arguments update its sections."""
    columns = {"opinion": {"labels": list(LABELS)}, "visit": {}}[kind]
    head = {"opinion": {"attention_hops": 2, "attention_penalty": 0.1}, "visit": {"crf": True, "char_features": "cnn"}}
    values: dict[str, Any] = {
        "task": {"opinion": "text-classification", "visit": "token-classification"}[kind],
        "name": f"tiny-{kind}",
        "seed": 3,
        "language": "en",
        "license": "cc0-1.0",
        "dataset": {"path": str(corpus), **columns},
        "tokenizer": {"vocab_size": 120, "max_length": 64, "dropout": 0.1},
        "model": {
            "embedding_size": 24,
            "hidden_size": 16,
            "whole_words": True,
            "char_hidden_size": 8,
            "word_dropout": 0.1,
            **head[kind],
        },
        "training": {
            "output_dir": str(output_dir),
            "num_train_epochs": 6,
            "learning_rate": 0.02,
            "per_device_train_batch_size": 16,
            "ema_decay": 0.9,
            "logging_steps": 5,
            "use_cpu": True,
        },
    }
    for name, section in sections.items():
        values[name] = {**values[name], **section}
    return values


@functools.cache
def model_folder(base: Path, kind: str) -> Path:
    """A model folder as `rnn-hub train` leaves it, of a model that has learned the corpus; trained once a session."""
    from rnn_hub.training.recipes import build_recipe
    from rnn_hub.training.run import train

    folder = base / "label_models" / f"tiny-{kind}"
    train(build_recipe(recipe(kind, write_corpus(base / f"{kind}_corpus", kind), folder)))
    return folder
