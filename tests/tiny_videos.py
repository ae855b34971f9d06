"""Tiny labelled videos that a tiny model learns in seconds: a square that goes left, goes right or stands."""

from __future__ import annotations

import functools
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.videos import picture, write_video

LABELS = ("left", "right", "still")


def moving(label: str, start: int, length: int = 6) -> list[np.ndarray]:
    """Frames of 16 x 24 of a square that moves 3 pixels a frame."""
    places = {"left": range(length - 1, -1, -1), "right": range(length), "still": [length // 2] * length}[label]
    return [picture(start + 3 * place, 16, 48)[:, :32] for place in places]


def write_corpus(folder: Path) -> Path:
    """Write train, validation and test, `<split>/<label>/*.mp4`, as video datasets are laid out."""
    for split, starts in (("train", range(8)), ("validation", (3, 6)), ("test", (2, 5))):
        for label in LABELS:
            (folder / split / label).mkdir(parents=True, exist_ok=True)
            for start in starts:
                frames = moving(label, start, 5 + start % 3)
                write_video(folder / split / label / f"{start}.mp4", frames, quality={"crf": "10"})
    return folder


def write_photographs(folder: Path) -> Path:
    """Write a few pictures with patterns as a parquet file of images for each split."""
    import datasets

    generator = np.random.default_rng(0)
    for split, count in (("train", 24), ("validation", 9), ("test", 9)):
        pictures = []
        for _ in range(count):
            coarse = generator.integers(0, 255, (12, 12, 3), np.uint8)
            pictures.append({"bytes": _png(np.kron(coarse, np.ones((8, 8, 1), np.uint8))), "path": None})
        features = datasets.Features({"image": datasets.Image()})
        folder.mkdir(parents=True, exist_ok=True)
        rows = datasets.Dataset.from_dict({"image": pictures}, features=features)
        rows.to_parquet(folder / f"{split}.parquet")
    return folder


def _png(array: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def recipe(corpus: Path | str, output_dir: Path | str, **sections: dict[str, Any]) -> dict[str, Any]:
    """A recipe; keyword arguments update its sections."""
    values: dict[str, Any] = {
        "task": "video-classification",
        "name": "tiny-video",
        "seed": 3,
        "license": "cc0-1.0",
        "dataset": {"path": str(corpus)},
        "tokenizer": {"height": 16, "width": 24, "standardize": True, "num_frames": 8, "contrast": 0.1},
        "model": {
            "conv_channels": [8, 8],
            "cell_type": "conv_lstm",
            "hidden_size": 12,
            "pooling": "attention",
            "bidirectional": False,
        },
        "training": {
            "output_dir": str(output_dir),
            "num_train_epochs": 25,
            "learning_rate": 0.02,
            "per_device_train_batch_size": 4,
            "ema_decay": 0.8,
            "load_best_model_at_end": True,
            "logging_steps": 5,
            "use_cpu": True,
        },
    }
    for name, section in sections.items():
        values[name] = {**values[name], **section}
    return values


@functools.cache
def model_folder(base: Path) -> Path:
    """A model folder as `rnn-hub train` leaves it, of a model that has learned the corpus; trained once a session."""
    from rnn_hub.training.recipes import build_recipe
    from rnn_hub.training.run import train

    folder = base / "video_models" / "tiny-video"
    train(build_recipe(recipe(write_corpus(base / "video_corpus"), folder)))
    return folder


def results(folder: Path) -> dict[str, float]:
    """The metrics of a model folder on validation."""
    return json.loads((folder / "results.json").read_text())["evaluations"][0]["metrics"]
