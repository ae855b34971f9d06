"""Tiny e-mails whose subject is what they name, for the tests of summarization."""

from __future__ import annotations

import functools
import json
import random
from pathlib import Path
from typing import Any

TOPICS = ("gas", "lease", "budget", "storage", "travel", "price")
KINDS = ("meeting", "report", "contract", "request")
OPENINGS = ("hi all ,", "dear team ,", "hello ,")
CLOSINGS = ("thanks , maria", "regards , tom", "best , ann")


def mail(generator: random.Random) -> dict[str, Any]:
    """A row: an e-mail, its subject, and two subjects that others gave it."""
    topic, kind = generator.choice(TOPICS), generator.choice(KINDS)
    body = f"{generator.choice(OPENINGS)} please look at the {topic} {kind} today . {generator.choice(CLOSINGS)}"
    return {"body": body, "subject": f"{topic} {kind}", "others": [f"the {topic} {kind}", kind]}


def write_corpus(folder: Path) -> Path:
    """Write train, validation and test as JSON lines."""
    generator = random.Random(0)
    folder.mkdir(parents=True, exist_ok=True)
    for split, size in (("train", 200), ("validation", 16), ("test", 16)):
        text = "".join(json.dumps(mail(generator)) + "\n" for _ in range(size))
        (folder / f"{split}.jsonl").write_text(text, encoding="utf-8")
    return folder


def recipe(corpus: Path | str, output_dir: Path | str) -> dict[str, Any]:
    """A recipe that learns these subjects."""
    return {
        "task": "summarization",
        "name": "tiny-mail",
        "seed": 3,
        "language": "en",
        "license": "cc0-1.0",
        "dataset": {"path": str(corpus), "source": "body", "target": "subject", "license": "CC0"},
        "tokenizer": {"type": "bpe", "vocab_size": 420, "lowercase": True, "max_length": 48},
        "model": {"embedding_size": 48, "encoder_hidden_size": 32, "decoder_hidden_size": 64, "dropout": 0.0},
        "training": {
            "output_dir": str(output_dir),
            "num_train_epochs": 8,
            "learning_rate": 0.01,
            "tokens_per_batch": 700,
            "logging_steps": 5,
            "eval_strategy": "steps",
            "eval_steps": 48,
            "use_cpu": True,
        },
        "generation": {"num_beams": 3, "max_new_tokens": 12, "no_repeat_ngram_size": 3},
    }


@functools.cache
def model_folder(base: Path) -> Path:
    """The folder of a model that knows these subjects, trained once for all tests of a session."""
    from rnn_hub.training.recipes import build_recipe
    from rnn_hub.training.run import train

    folder = base / "mail-models" / "tiny-mail"
    train(build_recipe(recipe(write_corpus(base / "mail"), folder)))
    return folder
