"""Recipes: a YAML file that is the experiment, read into strict dataclasses before any work starts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rnn_hub.errors import RnnHubError
from rnn_hub.tasks import load_task
from rnn_hub.tasks.base import DatasetSection, Task
from rnn_hub.tasks.sections import build_section, check_keys, convert
from rnn_hub.training.arguments import RECIPE_TRAINING_KEYS

SECTIONS = (
    "task",
    "name",
    "seed",
    "language",
    "license",
    "dataset",
    "tokenizer",
    "model",
    "training",
    "generation",
)
#: keys that say where and how a run is executed, not what it is: a saved recipe leaves them out
RUN_KEYS = (
    "output_dir",
    "resume",
    "report_to",
    "disable_tqdm",
    "dataloader_num_workers",
    "use_cpu",
    "run_name",
    "push_to_hub",
    "hub_model_id",
    "hub_token",
    "hub_private_repo",
    "hub_revision",
)


class _Loader(yaml.SafeLoader):
    """YAML as people write it (1.2, not PyYAML's 1.1): ``2e-3`` is a number, ``no`` a word and not False."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":float"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_BOOLEAN = re.compile("^(?:true|True|false|False)$")
_FLOAT = re.compile(r"^[-+]?(?:(?:\d+\.\d*|\.\d+)(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+|\.inf|\.nan)$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", _BOOLEAN, list("tTfF"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))


def parse_yaml(text: str) -> Any:
    """Parse YAML, with exponents as numbers; a syntax error becomes an ``RnnHubError`` in one line."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise RnnHubError(f"not valid YAML: {' '.join(str(error).split())}") from error


@dataclass
class Recipe:
    """One experiment: what is trained, on what, how. See ``model_cards/*/recipe.yaml`` for examples.

    Args:
        task: a name in ``rnn_hub.tasks.TASKS``.
        name: name of the run and of the model that comes of it.
        dataset, tokenizer: the sections of the task (its dataclasses).
        model: ``model_type`` and fields of that model's config.
        training: fields of ``rnn_hub.training.arguments.TrainingArguments``.
        generation: fields of transformers' ``GenerationConfig``.
        seed: seed of the initial weights, the order of the data and dropout.
        language, license: for the model card.
        source: the recipe as the file had it, with the overrides that belong to the experiment.
    """

    task: Task
    name: str
    dataset: DatasetSection
    tokenizer: Any
    model: dict[str, Any]
    training: dict[str, Any]
    generation: dict[str, Any]
    seed: int
    language: list[str]
    license: str | None
    source: dict[str, Any]

    @property
    def output_dir(self) -> Path:
        """Folder of the run; ``runs/<name>`` unless the recipe says otherwise."""
        return Path(self.training.get("output_dir") or Path("runs") / self.name)

    def to_yaml(self) -> str:
        """The recipe as a file, without what belongs to one machine (folders, progress bars)."""
        return yaml.safe_dump(self.source, sort_keys=False, allow_unicode=True)


def find_recipe(recipe: str) -> Path:
    """Return the file of a recipe: itself, ``recipe.yaml`` of a folder, or that of a released model."""
    path = Path(recipe)
    for candidate in (path, path / "recipe.yaml", Path("model_cards") / recipe / "recipe.yaml"):
        if candidate.is_file():
            return candidate
    raise RnnHubError(
        f"no recipe {recipe!r}: expected a YAML file, a folder with a recipe.yaml, "
        "or the name of a folder in model_cards"
    )


def apply_overrides(values: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return ``values`` with each ``section.key=value`` of ``overrides`` set; the value is read as YAML."""
    result = {key: dict(value) if isinstance(value, dict) else value for key, value in values.items()}
    for override in overrides:
        dotted, equals, text = override.partition("=")
        if not equals or not dotted:
            raise RnnHubError(f"{override!r} is no override: expected key=value, such as training.learning_rate=1e-3")
        *parents, last = dotted.split(".")
        target = result
        for parent in parents:
            if target.get(parent) is None:
                target[parent] = {}
            target = target[parent]
            if not isinstance(target, dict):
                raise RnnHubError(f"{override!r}: {parent!r} is a value, not a section")
        target[last] = parse_yaml(text) if text else None
    return result


def load_recipe(recipe: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and check every section.

    Raises:
        RnnHubError: no such recipe, an unknown key (the message names the known ones), a wrong type.
    """
    path = find_recipe(str(recipe))
    values = parse_yaml(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise RnnHubError(f"{path} is no recipe: expected a mapping with the keys {', '.join(SECTIONS)}")
    return build_recipe(apply_overrides(values, overrides), original=values, default_name=path.resolve().parent.name)


def build_recipe(values: dict[str, Any], original: dict[str, Any] | None = None, default_name: str = "model") -> Recipe:
    """Check a recipe given as a dictionary; ``original`` is it before the command line's overrides."""
    check_keys(values, SECTIONS, "the recipe")
    for key in ("task", "dataset"):
        if key not in values:
            raise RnnHubError(f"the recipe needs the key {key!r}")
    task = load_task(values["task"])
    model, training, generation = (_section(values, key) for key in ("model", "training", "generation"))
    check_keys(training, RECIPE_TRAINING_KEYS, "training")
    model = {"model_type": task.model_type, **model}
    generation = {**task.generation, **generation}
    task.check_model(model, generation)
    language = values.get("language") or []
    return Recipe(
        task=task,
        name=convert(values.get("name") or default_name, str, "name"),
        dataset=build_section(task.dataset_section, values["dataset"], "dataset"),
        tokenizer=task.fit_tokenizer(
            build_section(task.tokenizer_section, values.get("tokenizer"), "tokenizer"), model
        ),
        model=model,
        training=training,
        generation=generation,
        seed=convert(values.get("seed", 42), int, "seed"),
        language=[language] if isinstance(language, str) else list(language),
        license=values.get("license"),
        source=_without_machine(values, original or values),
    )


def _section(values: dict[str, Any], key: str) -> dict[str, Any]:
    section = values.get(key) or {}
    if not isinstance(section, dict):
        raise RnnHubError(f"{key} must be a mapping of keys to values, not {section!r}")
    return section


def _without_machine(values: dict[str, Any], original: dict[str, Any]) -> dict[str, Any]:
    """Drop the keys of one run, and restore the data set's public name where a local copy overrode it."""
    source = {key: dict(value) if isinstance(value, dict) else value for key, value in values.items()}
    if isinstance(source.get("training"), dict):
        source["training"] = {key: value for key, value in source["training"].items() if key not in RUN_KEYS}
    public = original.get("dataset", {}).get("path") if isinstance(original.get("dataset"), dict) else None
    dataset = source.get("dataset")
    if isinstance(dataset, dict) and public and dataset.get("path") and Path(str(dataset["path"])).exists():
        dataset["path"] = public
    return source
