"""The model folder that a run leaves: exactly what its repository on the Hub holds."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tokenizers import Tokenizer
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rnn_hub.errors import RnnHubError
from rnn_hub.hub.model_card import write_card
from rnn_hub.training.checkpoints import write_atomically

if TYPE_CHECKING:
    from rnn_hub.training.recipes import Recipe

RESULTS = "results.json"


def load_weights(model: PreTrainedModel, weights: Mapping[str, torch.Tensor]) -> None:
    """Copy named weights into a model; tied ones may be named once only, and those that nobody trains not at all.

    Raises:
        RnnHubError: a weight is missing or unknown.
    """
    result = model.load_state_dict(dict(weights), strict=False)
    if result.unexpected_keys:
        raise RnnHubError(f"the model has no weight {result.unexpected_keys[0]!r}")
    state = model.state_dict()
    loaded = {state[name].data_ptr() for name in weights}
    frozen = (name for name, parameter in model.named_parameters() if not parameter.requires_grad)
    untrained = {*frozen, *(name for name, _ in model.named_buffers())}
    for name in result.missing_keys:
        if name not in untrained and state[name].data_ptr() not in loaded:
            raise RnnHubError(f"the weights lack {name!r}")


def save_half_precision(model: PreTrainedModel, folder: Path) -> None:
    """Save a float32 model with its weights as float16 on the disk; ``from_pretrained`` gives float32 again.

    The config's ``dtype`` says float32, and that is the type that transformers loads into. Tied weights stay one
    tensor, so that they are stored once.

    Raises:
        RnnHubError: a weight is too large for float16.
    """
    state, halves = {}, {}
    for name, value in model.state_dict().items():
        state[name] = value
        if value.is_floating_point():
            state[name] = halves.setdefault((value.data_ptr(), value.shape), value.half())
            if not torch.isfinite(state[name]).all():
                raise RnnHubError(f"the weight {name!r} is not finite in half precision: the training diverged")
    model.save_pretrained(folder, state_dict=state)


def compact_tokenizer(folder: Path) -> None:
    """Write the tokenizer that a folder holds, if any, without indentation, which is a third of its size."""
    path = folder / "tokenizer.json"
    if path.is_file():
        Tokenizer.from_file(str(path)).save(str(path), pretty=False)


def save_folder(
    folder: Path,
    model: PreTrainedModel,
    processor: PreTrainedTokenizerBase,
    recipe: Recipe,
    results: dict[str, Any],
) -> None:
    """Write config, generation config, weights, processor, recipe, card and, last of all, the results."""
    partial = folder / ".partial"
    if partial.exists():
        shutil.rmtree(partial)
    save_half_precision(model, partial)
    processor.save_pretrained(partial)
    compact_tokenizer(partial)
    for file in partial.iterdir():
        os.replace(file, folder / file.name)
    partial.rmdir()
    write_atomically(folder / "recipe.yaml", recipe.to_yaml())
    write_card(folder, recipe.source, results)
    write_atomically(folder / RESULTS, json.dumps(results, indent=2, ensure_ascii=False) + "\n")
