"""``rnn-hub list``: the released models, their tasks and their measured figures."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import yaml

from rnn_hub.errors import RnnHubError


def list_models(options: argparse.Namespace) -> None:
    """Print one line a model, or a JSON list with ``--json``."""
    models = find_models(Path(options.folder) if options.folder else default_folder())
    if options.json:
        print(json.dumps(models, ensure_ascii=False))
        return
    if options.markdown:
        print(index(models))
        return
    width = max((len(model["name"]) for model in models), default=0)
    for model in models:
        print(f"{model['name']:{width}}  {model['task']}  {_figures(model)}".rstrip())


def index(models: list[dict[str, Any]]) -> str:
    """The page that lists models with their tasks, data and figures, in Markdown."""
    lines = [
        "# Released models",
        "",
        "One folder a model, exactly its repository on the Hub. Recipes and measured results make this page:",
        "`rnn-hub list --markdown > model_cards/README.md`.",
        "",
        "| model | task | parameters | measured |",
        "|---|---|---|---|",
    ]
    for model in models:
        parameters = f"{model['parameters']:,}" if model["parameters"] else ""
        name = model["name"]
        lines.append(f"| [{name}]({name}) | {model['task']} | {parameters} | {_figures(model)} |")
    return "\n".join(lines)


def default_folder() -> Path:
    """``model_cards`` of the present folder, else of the checkout that this package is part of."""
    here = Path("model_cards")
    return here if here.is_dir() else Path(__file__).resolve().parents[2] / "model_cards"


def find_models(folder: Path) -> list[dict[str, Any]]:
    """What the recipe and the results of each model folder say: name, task, evaluations."""
    if not folder.is_dir():
        raise RnnHubError(f"there is no folder {folder} of released models: run this in a checkout, or give --folder")
    models = []
    for recipe_file in sorted(folder.glob("*/recipe.yaml")):
        if not any(recipe_file.with_name(name).is_file() for name in ("model.safetensors", "results.json")):
            continue  # a recipe that nobody has trained yet
        recipe = yaml.safe_load(recipe_file.read_text(encoding="utf-8"))
        results_file = recipe_file.with_name("results.json")
        results = json.loads(results_file.read_text(encoding="utf-8")) if results_file.is_file() else {}
        models.append(
            {
                "name": recipe_file.parent.name,
                "folder": str(recipe_file.parent),
                "task": recipe.get("task", ""),
                "parameters": results.get("parameters"),
                "evaluations": results.get("evaluations", []),
            }
        )
    return models


def _figures(model: dict[str, Any]) -> str:
    """The metrics of the test split, or of whatever was measured last."""
    evaluations = model["evaluations"]
    if not evaluations:
        return ""
    evaluation = next((entry for entry in evaluations if str(entry["split"]).startswith("test")), evaluations[-1])
    figures = ", ".join(f"{name} {value:.2f}" for name, value in evaluation["metrics"].items())
    return f"{figures} ({evaluation['dataset']} {evaluation['split']})"
