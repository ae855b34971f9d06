"""The models that a demo offers: found in a folder, loaded at first use, kept from then on."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnn_hub.cli.released import default_folder, find_models
from rnn_hub.errors import RnnHubError
from rnn_hub.pipelines import pipeline

if TYPE_CHECKING:
    from transformers import Pipeline

LANGUAGES = {"cs": "Czech", "de": "German", "en": "English", "es": "Spanish", "fr": "French", "it": "Italian"}
_PAIR = re.compile(r"(?:^|-)([a-z]{2})-([a-z]{2})(?:-(.+))?$")


class Shelf:
    """The models of a demo.

    Args:
        task: a task's name, such as "translation".
        folder: a folder of model folders (each with a recipe.yaml); default: the released ones in ``model_cards``.
        also: further tasks whose models the demo can show.
    """

    def __init__(self, task: str, folder: str | Path | None = None, also: Sequence[str] = ()):
        self.task = task
        self.folder = Path(folder) if folder else default_folder()
        found = find_models(self.folder) if self.folder.is_dir() else []
        mine = [
            model
            for model in found
            if model["task"] in (task, *also) and (Path(model["folder"]) / "model.safetensors").is_file()
        ]
        mine.sort(key=lambda model: (model["task"] != task, label(model["name"])))
        self.models = {label(model["name"]): model["folder"] for model in mine}
        self._tasks = {label(model["name"]): model["task"] for model in mine}
        self._loaded: dict[str, Pipeline] = {}
        self._lock = threading.Lock()

    def __getitem__(self, name: str) -> Pipeline:
        """The pipeline of the model with this label.

        Raises:
            RnnHubError: no such label, or a model that does not load.
        """
        if name not in self.models:
            raise RnnHubError(f"there is no model {name!r}; there are: {', '.join(self.models) or 'none'}")
        with self._lock:  # two visitors at once load a model once
            if name not in self._loaded:
                self._loaded[name] = pipeline(self._tasks[name], model=self.models[name])
            return self._loaded[name]

    def config(self, name: str) -> dict[str, Any]:
        """What the configuration of the model with this label says, without loading the model."""
        return json.loads((Path(self.models[name]) / "config.json").read_text(encoding="utf-8"))

    def absence(self) -> str:
        """What to tell where there is no model."""
        return (
            f"There is no {self.task} model in {self.folder}. Train one with rnn-hub train, or start the demo with "
            "--models and a folder that holds model folders."
        )


def label(name: str) -> str:
    """What people read for a model's name: "rnn-translation-en-de" becomes "English → German"."""
    pair = _PAIR.search(name)
    if not pair:
        return name
    source, target = (LANGUAGES.get(code, code) for code in pair.groups()[:2])
    return f"{source} → {target}{f' ({pair[3]})' if pair[3] else ''}"
