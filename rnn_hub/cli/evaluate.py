"""``rnn-hub evaluate MODEL --dataset D --split S``: the last line of standard output is one JSON object."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnn_hub.cli.console import quiet
from rnn_hub.errors import RnnHubError

GENERATION = ("num_beams", "length_penalty", "max_new_tokens")
SEARCH = ("num_beams", "language_model", "lm_weight", "token_bonus", "word_list", "ctc_decoding_weight")
CACHE = ("cache_size", "cache_theta", "cache_weight")
"""Options of models that generate text, of those that recognize speech, and of language models that are measured."""


def evaluate(options: argparse.Namespace) -> None:
    """Predict a split, score it, print the figures."""
    quiet()
    from rnn_hub.tasks import load_task

    check_runtime(options.model, options.runtime)
    recipe = read_recipe(options.model)
    task = load_task(options.task or recipe.get("task") or _no_task(options.model))
    dataset = _dataset(task, recipe, options)
    split = options.split or dataset.test
    if not split:
        raise RnnHubError("which split? The recipe names no test split: give --split")
    rows = task.load(dataset, split)
    if options.limit is not None:
        if options.limit < 1:
            raise RnnHubError(f"--limit must be at least 1, not {options.limit}")
        rows = rows.select(range(min(options.limit, len(rows))))
    model, processor = task.load_model(options.model)
    if options.device:
        model.to(options.device)
    if options.int8:
        decode_in_int8(model)
    search = generation_options(options, model, task.evaluation_options)
    started = time.perf_counter()
    predictions = task.predict(
        model,
        processor,
        task.inputs(rows, dataset),
        batch_size=options.batch_size,
        progress=True,
        **search,
    )
    seconds = time.perf_counter() - started
    scores = task.score(predictions, task.references(rows, dataset), dataset)
    if options.output:
        Path(options.output).write_text("".join(f"{' '.join(str(p).split())}\n" for p in predictions), encoding="utf-8")
    result = {
        "model": options.model,
        "dataset": options.dataset or dataset.path,
        "split": split,
        "examples": len(rows),
        "seconds": round(seconds, 3),
        "metrics": scores.values,
        "signature": scores.signature,
    }
    if (task.evaluation_options or hasattr(model, "search_options")) and (name := search_name(search)):
        result["search"] = name
    if options.record:
        record(Path(options.model), recipe, result)
    print(json.dumps(result, ensure_ascii=False))


def read_recipe(model: str) -> dict[str, Any]:
    """The recipe beside a model, from its folder or its Hub repository; an empty one if there is none."""
    from rnn_hub.training.recipes import parse_yaml

    file = Path(model) / "recipe.yaml"
    if not Path(model).exists():
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

        try:
            file = Path(hf_hub_download(model, "recipe.yaml"))
        except HFValidationError as error:
            raise RnnHubError(f"there is no model folder {model!r}, and it is no name on the Hub") from error
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
            raise RnnHubError(f"there is no model folder {model!r}, and the Hub does not give it: {error}") from error
    return parse_yaml(file.read_text(encoding="utf-8")) if file.is_file() else {}


def check_runtime(model: str, runtime: str | None) -> None:
    """Refuse a runtime that does not exist, or that a model's folder is not for."""
    from rnn_hub.pipelines.loading import is_exported

    if runtime not in (None, "torch", "onnx"):
        raise RnnHubError(f"unknown --runtime {runtime!r}: say torch or onnx")
    if runtime == "onnx" and not is_exported(Path(model)):
        raise RnnHubError(f"--runtime onnx: {model} holds no graphs: say rnn-hub export {model}, and give its folder")
    if runtime == "torch" and is_exported(Path(model)):
        raise RnnHubError(f"--runtime torch: {model} holds graphs and no weights: give the folder they come from")


def decode_in_int8(model: Any) -> None:
    """Let a model that generates on a CPU decode in 8-bit integers; refuse it of any other."""
    if not hasattr(model, "decode_in_int8") or model.device.type != "cpu":
        raise RnnHubError("--int8 is for models that generate text, on a CPU: leave it out")
    model.decode_in_int8()


def generation_options(options: argparse.Namespace, model: Any, known: Sequence[str] = ()) -> dict[str, Any]:
    """The options of generation that were given, which a model that does not generate refuses.

    The rest comes from the model's generation config. Where options are `known`, there are no others.
    """
    names = dict.fromkeys((*GENERATION, *SEARCH, *CACHE))
    given = {name: getattr(options, name) for name in names if getattr(options, name, None) is not None}
    known = known or getattr(model, "search_options", GENERATION if model.can_generate() else ())
    for name in given:
        if name not in known and hasattr(model, "search_options"):
            flags = ", ".join(f"--{option.replace('_', '-')}" for option in known)
            raise RnnHubError(f"--{name.replace('_', '-')}: the search of this model knows {flags}: leave it out")
        if name not in known:
            kinds = ((GENERATION, "generate text"), (SEARCH, "recognize speech"), (CACHE, "are language models"))
            kind = next(kind for names, kind in kinds if name in names)
            raise RnnHubError(f"--{name.replace('_', '-')} is for models that {kind}: leave it out")
    return given


def search_name(given: dict[str, Any]) -> str | None:
    """The options of a search for speech or of a neural cache, as a card tells them; None where there are none."""
    if not given.keys() & {*SEARCH, *CACHE}:
        return None
    values = {name: Path(value).name if isinstance(value, str) else value for name, value in given.items()}
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items())


def record(folder: Path, recipe: dict[str, Any], result: dict[str, Any]) -> None:
    """Add figures to the results and the card of a model folder, under the data set's public name."""
    from rnn_hub.hub.model_card import write_card
    from rnn_hub.training.checkpoints import write_atomically

    path = folder / "results.json"
    results = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    public = recipe.get("dataset", {}).get("path")
    entry = {key: value for key, value in result.items() if key != "model"}
    if public and Path(str(entry["dataset"])).exists():
        entry["dataset"] = public
    same = [other for other in results.get("evaluations", []) if _key(other) == _key(entry)]
    results["evaluations"] = [other for other in results.get("evaluations", []) if other not in same] + [entry]
    write_card(folder, recipe, results)
    write_atomically(path, json.dumps(results, indent=2, ensure_ascii=False) + "\n")


def _key(evaluation: dict[str, Any]) -> tuple:
    return evaluation["dataset"], evaluation["split"], evaluation.get("search")


def _dataset(task: Any, recipe: dict[str, Any], options: argparse.Namespace) -> Any:
    from rnn_hub.tasks.sections import build_section

    section = dict(recipe.get("dataset") or {})
    if options.dataset:
        section = task.other_data(section, options.dataset)
    if options.name:
        section["name"] = options.name
    for pair in options.columns:
        role, equals, column = pair.partition("=")
        if not equals or role not in task.columns:
            raise RnnHubError(f"--columns takes role=column with the roles {', '.join(task.columns)}, not {pair!r}")
        section[role] = column
    if not section.get("path"):
        raise RnnHubError(f"which data? {options.model} has no recipe that names any: give --dataset")
    return build_section(task.dataset_section, section, "dataset")


def _no_task(model: str) -> str:
    raise RnnHubError(f"{model} has no recipe.yaml that names its task: give --task and --columns")
