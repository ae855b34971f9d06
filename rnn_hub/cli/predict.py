"""``rnn-hub predict MODEL "text"``: the output for a text (its translation, its label, ...), for each line, or file.

Models of music and of time series have commands of their own: ``rnn_hub.cli.music``, ``rnn_hub.cli.forecast``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rnn_hub.cli.console import log_to_stderr, quiet
from rnn_hub.cli.evaluate import check_runtime, decode_in_int8, generation_options, read_recipe
from rnn_hub.cli.music import MUSIC_OPTIONS, write_music
from rnn_hub.errors import RnnHubError

#: tasks whose inputs are files, named one by one
FILE_TASKS = ("image-to-text", "speech-recognition", "video-classification", "video-to-text")

_SAMPLING = ("language-modeling", "conditional-text-generation", "music-generation")
#: tasks whose answer is the most probable of several labels
_RANKED = ("text-classification", "multi-label-classification", "text-regression", "video-classification")
#: options that only some tasks know
TASKS_OF_OPTIONS = {
    **dict.fromkeys(MUSIC_OPTIONS, ("music-generation",)),
    **dict.fromkeys(("table", "horizon", "date", "value", "plot"), ("forecasting",)),
    "output": ("music-generation", "forecasting"),
    "temperature": _SAMPLING,
    "seed": (*_SAMPLING, "forecasting"),
    "condition": ("conditional-text-generation",),
    "max_length": (
        "text-classification",
        "multi-label-classification",
        "text-regression",
        "token-classification",
    ),
    **dict.fromkeys(
        ("language_model", "lm_weight", "token_bonus", "word_list", "ctc_decoding_weight"), ("speech-recognition",)
    ),
}


def predict(options: argparse.Namespace) -> None:
    """Print one output an input: a text, a label after its score, or, of entities and trees, JSON.

    With ``--n-best N`` N samples, or N lines of score, tab and text, of a search or of labels.
    """
    if options.n_best < 1:
        raise RnnHubError(f"--n-best must be at least 1, not {options.n_best}")
    if options.batch_size < 1:
        raise RnnHubError(f"--batch-size must be at least 1, not {options.batch_size}")
    quiet()
    log_to_stderr()
    from rnn_hub.pipelines import pipeline

    check_runtime(options.model, options.runtime)
    task = read_recipe(options.model).get("task", "translation")
    refuse_foreign_options(options, task)
    if task == "forecasting":
        from rnn_hub.cli.forecast import write_forecast

        write_forecast(pipeline(task, model=options.model, device=options.device), _table(options), options)
        return
    if not options.input and (options.melody or options.primer):
        texts = []
    else:
        texts = read_files(options.input) if task in FILE_TASKS else read_inputs(options.input)
    pipe = pipeline(task, model=options.model, device=options.device)
    if options.int8:
        decode_in_int8(pipe.model)
    if task == "music-generation":
        write_music(pipe, texts, options)
        return
    arguments = {"batch_size": options.batch_size, **generation_options(options, pipe.model)}
    if options.temperature is not None:
        arguments |= {"temperature": options.temperature, "do_sample": True}
    if options.max_length is not None:
        arguments["max_length"] = options.max_length
    if options.seed is not None:
        from transformers import set_seed

        set_seed(options.seed)
    if options.condition is not None:
        arguments["condition"] = read_conditions(options.condition)
    if options.n_best > 1 and task in _RANKED:
        arguments["top_k"] = options.n_best
    elif options.n_best > 1 and task == "speech-recognition":
        arguments["num_return_sequences"] = options.n_best
    elif options.n_best > 1 and not pipe.model.can_generate():
        raise RnnHubError(f"--n-best: a model of {task} gives one answer: leave it out")
    elif options.n_best > 1:
        arguments["num_return_sequences"] = options.n_best
        if not pipe.model.generation_config.do_sample:
            arguments["return_scores"] = True
            arguments.setdefault("num_beams", max(options.n_best, pipe.model.generation_config.num_beams or 1))
    for start in range(0, len(texts), 64 * options.batch_size):
        chunk = texts[start : start + 64 * options.batch_size]
        for output in pipe(chunk, progress=len(chunk) > options.batch_size, **arguments):
            if task in ("token-classification", "tree-classification"):
                print(json.dumps(output, ensure_ascii=False), flush=True)
                continue
            output = output.get("others", output) if isinstance(output, dict) else output
            for record in output if isinstance(output, list) else [output]:
                score = f"{record['score']:.4f}\t" if "score" in record else ""
                text = next(
                    value for name, value in record.items() if name.endswith("_text") or name in ("label", "text")
                )
                print(f"{score}{text}", flush=True)


def refuse_foreign_options(options: argparse.Namespace, task: str) -> None:
    """Refuse an option of another task, before the model is loaded: it would have no effect.

    Raises:
        RnnHubError: an option that was given, and the tasks that know it.
    """
    for name, tasks in TASKS_OF_OPTIONS.items():
        if getattr(options, name) is not None and task not in tasks:
            flag = {"table": "input"}.get(name, name).replace("_", "-")
            raise RnnHubError(f"--{flag} is for {' and '.join(tasks)}, and this model does {task}: leave it out")


def read_files(words: list[str]) -> list[str]:
    """The names of files, or of folders of frames: each argument, or each line of standard input."""
    names = words if words and words != ["-"] else sys.stdin.read().splitlines()
    if missing := next((name for name in names if not Path(name).exists()), None):
        raise RnnHubError(f"there is no file {missing!r}")
    return names


def read_conditions(texts: list[str]) -> dict[str, str]:
    """What ``--condition NAME=VALUE`` says."""
    for text in texts:
        if "=" not in text:
            raise RnnHubError(f"--condition {text!r}: write NAME=VALUE, such as sentiment=positive")
    return dict(text.split("=", 1) for text in texts)


def _table(options: argparse.Namespace) -> str | None:
    """The file of a table: --input, or the one argument."""
    files = [*([options.table] if options.table else []), *options.input]
    if len(files) > 1:
        raise RnnHubError(f"give one table, not {len(files)}: {', '.join(files)}")
    return files[0] if files else None


def read_inputs(words: list[str]) -> list[str]:
    """The texts: one text, the lines of a file that it names, or the lines of standard input."""
    if words and words != ["-"]:
        text = " ".join(words)
        try:
            is_file = len(words) == 1 and Path(text).is_file()
        except (OSError, ValueError):
            is_file = False
        if not is_file:
            return [text]
        try:
            return Path(text).read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise RnnHubError(f"{text} is no text in UTF-8: {error.reason} at byte {error.start}") from error
    if sys.stdin.isatty():
        print("one text a line; end with Ctrl-D", file=sys.stderr)
    return sys.stdin.read().splitlines()
