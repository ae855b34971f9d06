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

logger = logging.getLogger(__name__)

BEGIN = "<!-- rnn_hub: generated from recipe.yaml and results.json; edits between the markers are lost -->"
END = "<!-- rnn_hub: end of the generated part -->"
CARD = "README.md"
REPOSITORY = "rnn-hub"

#: how the names of metrics are written on a card
METRIC_TITLES = {
    "bleu": "BLEU",
    "bleu_lower": "BLEU, lowercased and tokenized",
    "chrf": "chrF",
    "accuracy": "accuracy, %",
    "macro_f1": "macro F1, %",
    "entity_f1": "entity F1, %",
    "root_accuracy": "accuracy of the root, %",
    "binary_accuracy": "the same, positive or negative, %",
    "node_accuracy": "accuracy of all nodes, %",
    "music_deviation": "largest deviation of a statistic of samples, in standard deviations of the corpus",
    "nll": "nats a token",
    "nll_frame": "nats a frame",
    "nll_step": "nats a sixteenth",
    "perplexity": "perplexity",
}

USE = {
    "language-modeling": """```python
import rnn_hub
from transformers import pipeline

write = pipeline("text-generation", model="{name}")
write("The", max_new_tokens=100)
```

or from the command line: `rnn-hub predict {name} "The"`.""",
    "music-frames": """```bash
rnn-hub evaluate {name}
```

measures the nats of each frame; the tokens are pitches from low to high and `|` after each frame.""",
    "text-classification": """```python
import rnn_hub

classify = rnn_hub.pipeline("text-classification", model="{name}")
classify("A charming and often moving film.", return_attention=True)
```

or, after `import rnn_hub`, with transformers' own `pipeline("text-classification", model="{name}")`, or from the
command line: `rnn-hub predict {name} "A charming and often moving film."`.""",
    "token-classification": """```python
import rnn_hub

find = rnn_hub.pipeline("token-classification", model="{name}")
find("Ada Lovelace was born in London.")
```

or, after `import rnn_hub`, with transformers' own `pipeline("token-classification", model="{name}",
aggregation_strategy="simple")`, or from the command line:
`rnn-hub predict {name} "Ada Lovelace was born in London."`.""",
    "tree-classification": """```python
import rnn_hub

label = rnn_hub.pipeline("tree-classification", model="{name}")
label("(0 (0 It) (0 (0 (0 really) (0 works)) (0 .)))")["phrases"]
```

The numbers in a tree are the labels to learn and are not looked at here. From the command line, with a tree a line:
`rnn-hub predict {name} "(0 (0 It) (0 works))"`.""",
    "music-generation": """```python
import rnn_hub

compose = rnn_hub.pipeline("music-generation", model="{name}")
piece = compose("G minor", seed=1)  # or primer="beginning.mid", or melody="melody.mid"
open("piece.mid", "wb").write(piece["midi"])
```

or from the command line: `rnn-hub predict {name} "G minor" --output piece.mid --output piece.wav`.""",
    "translation": """```python
import rnn_hub

translate = rnn_hub.pipeline("translation", model="{name}")
translate("{example}")
```

or from the command line: `rnn-hub predict {name} "{example}"`.""",
}
EXAMPLES = {"en": "A dog runs through the snow.", "de": "Ein Hund rennt durch den Schnee."}
PIPELINE_TAGS = {
    "language-modeling": "text-generation",
    "tree-classification": "text-classification",
}  # else the task's own name
GENERATED = "its output is fluent more often than right"
ERRORS = {
    "text-classification": "its labels are guesses",
    "tree-classification": "its labels are guesses",
    "token-classification": "it misses and invents entities",
}


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
            metric_type=name,
            metric_name=METRIC_TITLES.get(name, name),
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
        pipeline_tag=PIPELINE_TAGS.get(task, task),
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
        f"## Limits\n\n{_limits(recipe)}",
    ]
    return "\n\n".join(sections)


def _name(recipe: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    return str(recipe.get("name") or results.get("name") or "model")


def _languages(recipe: Mapping[str, Any]) -> list[str]:
    language = recipe.get("language") or []
    return [language] if isinstance(language, str) else list(language)


def _use(recipe: Mapping[str, Any], name: str) -> str:
    source = next(iter(_languages(recipe)), "en")
    return USE[recipe["task"]].format(name=name, example=EXAMPLES.get(source, EXAMPLES["en"]))


def _summary(recipe: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    model, columns = recipe.get("model") or {}, recipe["dataset"]
    direction = f", {columns['source']} to {columns['target']}" if {"source", "target"} <= columns.keys() else ""
    cell = str(model.get("cell_type", "lstm")).upper()
    count = model.get("num_layers", 1)
    layers = f"{count} {cell} layer{'s' if count > 1 else ''}"
    if recipe["task"] == "translation":
        attention = model.get("attention_type", "general")
        layers = f"{cell} encoder and decoder {f'with {attention}' if attention else 'without'} attention"
    if recipe["task"] == "tree-classification":
        layers = f"cell `{model.get('cell_type', 'binary_lstm')}` over the nodes of a tree"
    elif recipe["task"] in ERRORS:
        head = f"{model.get('pooling', 'attention')} pooling" if recipe["task"] == "text-classification" else "tags"
        head = "a conditional random field" if model.get("crf") else head
        layers = f"{layers}, in both directions, with {head}"
    size = f", {results['parameters'] / 1e6:.1f} million parameters" if results.get("parameters") else ""
    return f"A recurrent model for {recipe['task']}{direction}: {layers}{size}."


def _data(recipe: Mapping[str, Any]) -> str:
    dataset = recipe["dataset"]
    vectors = (recipe.get("model") or {}).get("word_vectors")
    rest = f"with the pretrained word vectors `{vectors}`" if vectors else "and on nothing else"
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
    unit = "tokens" if recipe["task"] == "language-modeling" else "examples"
    amount = f"{training['epochs']:g} epochs of {training['examples']:,} {unit} ({training['steps']:,} steps)"
    plural = "es" if training["processes"] > 1 else ""
    processes = f"{training['processes']} {training['device'].upper()} process{plural}"
    minutes = f"{training['seconds'] / 60:.0f} minutes"
    return f"{amount} in {minutes} on {processes}, with the recipe in this repository:\n\n{command}"


def _evaluations(results: Mapping[str, Any]) -> str:
    evaluations = results.get("evaluations") or []
    if not evaluations:
        return "Not measured yet."
    names = list(dict.fromkeys(name for evaluation in evaluations for name in evaluation["metrics"]))
    titles = [METRIC_TITLES.get(name, name) for name in names]
    lines = ["| data | split | examples | " + " | ".join(titles) + " |", "|" + "---|" * (3 + len(names))]
    for evaluation in evaluations:
        figures = [f"{evaluation['metrics'][name]:.2f}" if name in evaluation["metrics"] else "" for name in names]
        cells = [f"`{evaluation['dataset']}`", evaluation["split"], str(evaluation["examples"]), *figures]
        lines.append("| " + " | ".join(cells) + " |")
    signatures = dict.fromkeys(evaluation["signature"] for evaluation in evaluations if evaluation.get("signature"))
    lines += [""] + [f"Signature: `{signature}`" for signature in signatures]
    lines += ["", "Checkpoints were selected on validation data; test data were used for measuring only."]
    return "\n".join(lines)


def _limits(recipe: Mapping[str, Any]) -> str:
    task = recipe["task"]
    limit = (recipe.get("tokenizer") or {}).get("max_length", 512 if task in ERRORS else 256)
    cuts = task == "translation" or (task in ERRORS and task != "tree-classification")
    cut = f"Inputs beyond {limit} subwords are cut. " if cuts else ""
    data = recipe["dataset"]["path"]
    if recipe["task"] == "music-frames":
        return f"A model for measuring: it knows frames like those of `{data}`, without the lengths of notes or voices."
    if recipe["task"] == "music-generation":
        return (
            f"The model knows the style of `{data}` and no other. It keeps a key, leads voices and ends in cadences; "
            "beyond a phrase it has no plan, and a rule that it breaks it does not mend: parallels and crossings occur."
        )
    return (
        f"The model knows the vocabulary and the kind of text of `{data}` and little else; on other text "
        f"{ERRORS.get(task, GENERATED)}. {cut}Its outputs repeat "
        "whatever prejudice the data hold. Do not use it where an error matters."
    )
