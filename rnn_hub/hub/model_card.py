"""Model cards: what a recipe says and what was measured, as the README of a model's repository.

The generated part stands between two markers and is written anew each time; what a person writes below or
above it stays. The metadata at the top of the file (licence, data set, model-index) is generated too.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from rnn_hub.errors import RnnHubError
from rnn_hub.metrics import title
from rnn_hub.tasks import load_task

logger = logging.getLogger(__name__)

BEGIN = "<!-- rnn_hub: generated from recipe.yaml and results.json; edits between the markers are lost -->"
END = "<!-- rnn_hub: end of the generated part -->"
CARD = "README.md"
REPOSITORY = "rnn-hub"

EXAMPLES = {"en": "A dog runs through the snow.", "de": "Ein Hund rennt durch den Schnee."}


def write_card(folder: Path, recipe: Mapping[str, Any], results: Mapping[str, Any]) -> Path:
    """Write or renew ``README.md`` in a model folder, keeping what stands outside of the markers.

    Args:
        folder: a model folder.
        recipe: the recipe as a dictionary.
        results: what ``results.json`` holds.

    Raises:
        RnnHubError: a card is there that has only one of the two markers.
    """
    path = folder / CARD
    before, after = "", "\n"
    if path.is_file():
        text = ModelCard.load(path, ignore_metadata_errors=True).text
        if (BEGIN in text) != (END in text):
            raise RnnHubError(f"{path} has only one of the two markers of the generated part: restore or remove both")
        if BEGIN in text:
            before, _, rest = text.partition(BEGIN)
            after = rest.partition(END)[2]
        else:
            before = text.rstrip() + "\n\n"
    body = f"{before.lstrip()}{BEGIN}\n{render_body(recipe, results)}\n{END}{after}"
    path.write_text(f"---\n{card_data(recipe, results).to_yaml()}\n---\n\n{body}", encoding="utf-8")
    return path


def card_data(recipe: Mapping[str, Any], results: Mapping[str, Any]) -> ModelCardData:
    """The metadata of a card: language, licence, data set, and the measured figures as a model-index."""
    task = recipe["task"]
    evaluations = [
        EvalResult(
            task_type=task,
            dataset_type=evaluation["dataset"],
            dataset_name=evaluation["dataset"],
            dataset_split=evaluation["split"],
            dataset_config=evaluation.get("search"),
            metric_type=name,
            metric_name=title(name),
            metric_value=round(value, 4),
        )
        for evaluation in results.get("evaluations", [])
        for name, value in evaluation["metrics"].items()
    ]
    return ModelCardData(
        language=recipe.get("language"),
        license=recipe.get("license"),
        library_name="transformers",
        tags=["rnn_hub", "recurrent"],
        datasets=[recipe["dataset"]["path"]],
        metrics=sorted({name for evaluation in results.get("evaluations", []) for name in evaluation["metrics"]})
        or None,
        pipeline_tag=load_task(task).pipeline_tag or task,
        model_name=_name(recipe, results),
        eval_results=evaluations or None,
    )


def render_body(recipe: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    """The generated sections in Markdown: use, data, training, measured results, limits."""
    name = _name(recipe, results)
    sections = [
        f"# {name}\n\n{_summary(recipe, results)}",
        f"## Use\n\n`pip install {REPOSITORY}`, then\n\n{_use(recipe, name)}",
        f"## Data and licence\n\n{_data(recipe)}",
        f"## Training\n\n{_training(recipe, results, name)}",
        f"## Measured results\n\n{_evaluations(results)}",
        f"## Limits\n\n{load_task(recipe['task']).limits(recipe)}",
    ]
    return "\n\n".join(sections)


def _name(recipe: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    return str(recipe.get("name") or results.get("name") or "model")


def _languages(recipe: Mapping[str, Any]) -> list[str]:
    language = recipe.get("language") or []
    return [language] if isinstance(language, str) else list(language)


def _use(recipe: Mapping[str, Any], name: str) -> str:
    source = next(iter(_languages(recipe)), "en")
    return load_task(recipe["task"]).use(recipe).format(name=name, example=EXAMPLES.get(source, EXAMPLES["en"]))


def _summary(recipe: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    columns = recipe["dataset"]
    direction = f", {columns['source']} to {columns['target']}" if {"source", "target"} <= columns.keys() else ""
    network = load_task(recipe["task"]).network(recipe.get("model") or {})
    count = results.get("parameters") or 0
    size = f", {count / 1e6:.1f} million parameters" if count >= 1e5 else f", {count:,} parameters" if count else ""
    return f"A recurrent model for {recipe['task']}{direction}: {network}{size}."


def _data(recipe: Mapping[str, Any]) -> str:
    dataset = recipe["dataset"]
    rest = load_task(recipe["task"]).pretrained(recipe)
    lines = [f"Trained on the split `{dataset.get('train', 'train')}` of `{dataset['path']}`, {rest}."]
    if dataset.get("license"):
        lines.append(f"Licence of the data: {dataset['license']}.")
    if recipe.get("license"):
        lines.append(f"Licence of these weights: {recipe['license']}.")
    return " ".join(lines)


def _training(recipe: Mapping[str, Any], results: Mapping[str, Any], name: str) -> str:
    command = f"```bash\nrnn-hub train recipe.yaml training.output_dir=runs/{name}\n```"
    training = results.get("training")
    if not training:
        return f"With the recipe in this repository:\n\n{command}"
    unit = load_task(recipe["task"]).unit
    count = f"{training['examples']:,}" if training["examples"] else "a stream of"  # whose length is not known
    amount = f"{training['epochs']:g} epochs of {count} {unit} ({training['steps']:,} steps)"
    plural = "es" if training["processes"] > 1 else ""
    processes = f"{training['processes']} {training['device'].upper()} process{plural}"
    minutes = round(training["seconds"] / 60)
    time = "less than a minute" if minutes < 1 else f"{minutes} minute{'s' * (minutes > 1)}"
    return f"{amount} in {time} on {processes}, with the recipe in this repository:\n\n{command}"


def _evaluations(results: Mapping[str, Any]) -> str:
    evaluations = results.get("evaluations") or []
    if not evaluations:
        return "Not measured yet."
    names = list(dict.fromkeys(name for evaluation in evaluations for name in evaluation["metrics"]))
    titles = [title(name) for name in names]
    lines = ["| data | split | examples | " + " | ".join(titles) + " |", "|" + "---|" * (3 + len(names))]
    for evaluation in evaluations:
        metrics = evaluation["metrics"]
        figures = [_figure(metrics[name]) if name in metrics else "" for name in names]
        split = ", ".join(filter(None, (evaluation["split"], evaluation.get("search"))))
        cells = [f"`{evaluation['dataset']}`", split, str(evaluation["examples"]), *figures]
        lines.append("| " + " | ".join(cells) + " |")
    signatures = dict.fromkeys(evaluation["signature"] for evaluation in evaluations if evaluation.get("signature"))
    lines += [""] + [f"Signature: `{signature}`" for signature in signatures]
    lines += ["", "Checkpoints were selected on validation data; test data were used for measuring only."]
    return "\n".join(lines)


def _figure(value: float) -> str:
    """Two decimals, or where these say little three significant digits."""
    return f"{value:.2f}" if abs(value) >= 1 or value == 0 else f"{value:.3g}"
