"""Whether the styles of generated tunes can be told apart: a classifier trained on the corpus reads them.

``python tests/benchmarks/folk_styles.py FOLK_TUNES [--model MODEL]``; FOLK_TUNES is what
`python -m rnn_hub.data.folk` wrote. Prints the classifier's accuracy on the corpus's test tunes and on generated ones.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
from pathlib import Path
from tempfile import TemporaryDirectory

from rnn_hub.data.music import KEYS
from rnn_hub.data.music_tokens import body_words
from rnn_hub.pipelines import pipeline
from rnn_hub.tasks.music_generation import read_score
from rnn_hub.training.recipes import build_recipe
from rnn_hub.training.run import train

PIECES, BEATS = 60, 32


def text(score) -> str:
    """The melody in C as words; how long a tune is says nothing."""
    return " ".join(body_words(score.in_c().head(BEATS), None))


def main() -> None:
    """Train the classifier on the corpus, generate tunes, print both accuracies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="model_cards/rnn-music-folk")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    with TemporaryDirectory() as folder:
        for split in ("train", "validation", "test"):
            rows = map(json.loads, (options.data / f"{split}.jsonl").read_text(encoding="utf-8").splitlines())
            lines = (json.dumps({"text": text(read_score(row["voices"])), "label": row["style"]}) for row in rows)
            Path(folder, f"{split}.jsonl").write_text("\n".join(lines), encoding="utf-8")
        train(build_recipe(recipe(folder)))
        logging.disable(logging.NOTSET)
        classify = pipeline("text-classification", model=f"{folder}/classifier")
        test = list(map(json.loads, Path(folder, "test.jsonl").read_text(encoding="utf-8").splitlines()))
        found = classify([row["text"] for row in test])
        agreed = sum(one["label"] == row["label"] for one, row in zip(found, test, strict=True))
        print(f"corpus, {len(test)} test tunes: {agreed / len(test):.1%}", flush=True)
        compose, draw = pipeline("music-generation", model=options.model), random.Random(0)
        right = 0
        for style in compose.model.config.condition_labels["style"]:
            tunes = [compose(draw.choice(KEYS), style=style, beats=BEATS, seed=seed)["score"] for seed in range(PIECES)]
            labels = [one["label"] for one in classify([text(tune) for tune in tunes])]
            right += labels.count(style)
            print(f"{style}, {PIECES} generated: {labels.count(style) / PIECES:.1%}", flush=True)
        print(f"all generated: {right / PIECES / len(compose.model.config.condition_labels['style']):.1%}")


def recipe(folder: str) -> dict:
    """A small classifier of melodies."""
    training = {"output_dir": f"{folder}/classifier", "num_train_epochs": 8, "per_device_train_batch_size": 32}
    training |= {"learning_rate": 0.003, "eval_strategy": "no"}
    return {
        "task": "text-classification",
        "dataset": {"path": folder},
        "tokenizer": {"vocab_size": 2000},
        "model": {"embedding_size": 64, "hidden_size": 96, "dropout": 0.4, "pooling": "mean"},
        "training": training,
    }


if __name__ == "__main__":
    main()
