"""The command line, ``rnn-hub list | train | evaluate | predict | push | ...``; a command imports what it needs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from rnn_hub.errors import RnnHubError

PROGRAM = "rnn-hub"
USAGE_ERROR = 2
INTERRUPTED = 130


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; each sets ``run`` to "module:function" below ``rnn_hub.cli``."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Recurrent networks in the Hugging Face ecosystem: train, evaluate, predict, share.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    command = commands.add_parser("list", help="name the released models")
    command.add_argument("--folder", default=None, help="where the model folders are (default: model_cards)")
    command.add_argument("--json", action="store_true", help="print one JSON list")
    command.add_argument("--markdown", action="store_true", help="print the page model_cards/README.md")
    command.set_defaults(run="released:list_models")

    command = commands.add_parser("train", help="train a model from a recipe")
    command.add_argument("recipe", help="a YAML file, a model folder, or a released model's name")
    command.add_argument("overrides", nargs="*", metavar="key=value", help="such as training.learning_rate=1e-3")
    command.set_defaults(run="train:train")

    command = commands.add_parser("evaluate", help="measure a model on a split of a data set")
    command.add_argument("model", help="a model folder or a name on the Hub")
    command.add_argument("--dataset", help="what load_dataset takes (default: the recipe's)")
    command.add_argument("--name", help="configuration of the data set")
    command.add_argument("--split", default=None, help="such as validation or test (default: the recipe's test split)")
    command.add_argument("--columns", nargs="+", metavar="role=column", default=[], help="such as source=en target=de")
    command.add_argument("--task", help="the task, where the model has no recipe")
    command.add_argument("--batch-size", type=int, default=64, help="examples a batch (default: 64)")
    command.add_argument("--limit", type=int, help="only the first N examples")
    command.add_argument("--num-beams", type=int, help="beams (default: the model's generation config)")
    command.add_argument("--length-penalty", type=float, help="exponent of the length in a beam's score")
    command.add_argument("--max-new-tokens", type=int, help="longest output")
    command.add_argument("--device", help="such as cpu or cuda")
    command.add_argument("--int8", action="store_true", help="decode in 8-bit integers (on a CPU)")
    command.add_argument("--runtime", help="torch, or onnx for a folder of rnn-hub export (default: what it holds)")
    command.add_argument("--output", help="write the predictions to this file, one a line")
    add_search_options(command)
    cache = command.add_argument_group("language models", "a neural cache, where one of these is given")
    cache.add_argument("--cache-size", type=int, help="how many of the last words it holds (default: 2000)")
    cache.add_argument("--cache-theta", type=float, help="how sharply it looks for like places (default: 0.3)")
    cache.add_argument("--cache-weight", type=float, help="its part of the distribution (default: 0.1)")
    command.add_argument("--record", action="store_true", help="add the figures to the model folder's results and card")
    command.set_defaults(run="evaluate:evaluate")

    command = commands.add_parser("predict", help="run a model on text, files or a table, or let it write music")
    command.add_argument("model", help="a model folder or a name on the Hub")
    command.add_argument(
        "input", nargs="*", help="text, one file with a text a line, or images; standard input if absent"
    )
    command.add_argument("--num-beams", type=int, help="beams (default: the model's generation config)")
    command.add_argument("--n-best", type=int, default=1, help="print the N best with their scores")
    command.add_argument("--batch-size", type=int, default=32, help="texts a batch (default: 32)")
    command.add_argument("--max-new-tokens", type=int, help="longest output")
    command.add_argument("--max-length", type=int, help="of labels: tokens read of a text (default: the model's limit)")
    command.add_argument("--device", help="such as cpu or cuda")
    command.add_argument("--int8", action="store_true", help="decode in 8-bit integers (on a CPU)")
    command.add_argument("--runtime", help="torch, or onnx for a folder of rnn-hub export (default: what it holds)")
    command.add_argument("--temperature", type=float, help="of samples: above 0; lower is more predictable")
    command.add_argument("--seed", type=int, help="the same seed gives the same samples: text, music, forecasts")
    command.add_argument(
        "--condition", action="append", metavar="NAME=VALUE", help="of a model that writes text under a condition"
    )
    music = command.add_argument_group("music", "the input is a key, such as 'G minor'")
    music.add_argument("--style", help="of a model that knows several")
    music.add_argument("--output", action="append", help="write .mid, .wav, .png or .musicxml, or a forecast as .csv")
    music.add_argument("--beats", type=int, help="length in quarter notes (default: 64)")
    music.add_argument("--primer", help="a MIDI or MusicXML file to continue")
    music.add_argument("--melody", help="a MIDI or MusicXML file to harmonize")
    music.add_argument("--voice", help="which voice the melody is: S, A, T or B (default: S)")
    music.add_argument("--tempo", type=int, help="quarter notes a minute")
    music.add_argument("--instrument", help="organ, piano, strings or choir (default: organ)")
    series = command.add_argument_group("forecasting", "the input is a table: CSV or JSON")
    series.add_argument(
        "--input", dest="table", metavar="FILE", help="a table with a column of dates and one of values"
    )
    series.add_argument("--horizon", type=int, help="steps to forecast (default: the model's)")
    series.add_argument("--date", help="name of the column of dates (default: found)")
    series.add_argument("--value", help="name of the column of values (default: found)")
    series.add_argument("--plot", help="draw history and forecast to this .png, .svg or .pdf")
    add_search_options(command)
    command.set_defaults(run="predict:predict")

    command = commands.add_parser("export", help="write a model as graphs that run without torch")
    command.add_argument("model", help="a model folder or a name on the Hub")
    command.add_argument("--format", default="onnx", help="onnx, the only one so far")
    command.add_argument("--quantize", help="int8: matrices in 8-bit integers")
    command.add_argument("--output", help="where the graphs go (default: runs/NAME-onnx, or runs/NAME-onnx-int8)")
    command.set_defaults(run="export:export")

    command = commands.add_parser("backbone", help="write EfficientNet-Lite0 with its ImageNet weights")
    command.add_argument("folder", help="where the checkpoint goes")
    command.set_defaults(run="backbone:backbone")

    command = commands.add_parser("push", help="share a model on the Hub")
    command.add_argument("folder", help="a model folder")
    command.add_argument("name", metavar="NAMESPACE/NAME", help="such as ada/my-translator")
    command.add_argument("--private", action="store_true", help="only for those who may see it")
    command.add_argument("--space", action="store_true", help="share its demo too, as a Space of that name")
    command.set_defaults(run="push:push")

    command = commands.add_parser("card", help="write a model's card anew from its recipe and results")
    command.add_argument("folder", help="a model folder")
    command.set_defaults(run="push:card")

    command = commands.add_parser("bench", help="run the benchmarks of a checkout and print one table")
    command.add_argument("names", nargs="*", metavar="NAME", help="some of tests/benchmarks (default: all)")
    command.add_argument("--rounds", type=int, help="rounds that count (default: each benchmark's own)")
    command.add_argument("--threads", type=int, help="threads (default: 2)")
    command.add_argument("--cpu-time", action="store_true", help="measure processor time, on a machine with other work")
    command.add_argument("--joeynmt-python", help="an interpreter that has Joey NMT, for the comparisons with it")
    command.set_defaults(run="bench:bench")

    command = commands.add_parser("demo", help="start the Gradio demo")
    command.add_argument("--host", default="127.0.0.1", help="address to serve on (default: 127.0.0.1)")
    command.add_argument("--port", type=int, help="port (default: the first free one from 7860)")
    command.add_argument("--share", action="store_true", help="make a public link")
    command.add_argument("--models", help="a folder of model folders (default: model_cards)")
    command.set_defaults(run="demo:demo")
    return parser


def add_search_options(command: argparse.ArgumentParser) -> None:
    """What has a say in the search for what was said."""
    speech = command.add_argument_group("speech", "the inputs are recordings; --num-beams searches for the best text")
    speech.add_argument(
        "--language-model", metavar="MODEL", help="a language model of characters: a folder or Hub name"
    )
    speech.add_argument("--lm-weight", type=float, help="its weight (default: 0.5)")
    speech.add_argument("--token-bonus", type=float, help="added to a text's score for each character (default: 0)")
    speech.add_argument("--word-list", metavar="FILE", help="the only words that may be recognized, one a line")
    speech.add_argument(
        "--ctc-decoding-weight",
        type=float,
        help="of a model that attends: the share of its CTC head (default: its own)",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0, or 2 for an error that the user can mend, or 130 when interrupted."""
    options = build_parser().parse_args(arguments)
    try:
        import importlib

        module, _, function = options.run.partition(":")
        getattr(importlib.import_module(f"rnn_hub.cli.{module}"), function)(options)
    except RnnHubError as error:
        return _fail(str(error))
    except BrokenPipeError:
        # The reader of standard output has gone (``| head``): nothing to tell, and nothing left to flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        return _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
    except KeyboardInterrupt as interrupt:
        print(f"{PROGRAM}: interrupted{f'; {interrupt}' if str(interrupt) else ''}", file=sys.stderr)
        return INTERRUPTED
    return 0


def _fail(message: str) -> int:
    print(f"{PROGRAM}: error: {' '.join(message.split())}", file=sys.stderr)
    return USAGE_ERROR
