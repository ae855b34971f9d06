"""Translating sentence by sentence with the released models: torch on transformers' loop, on ours, and onnxruntime.

Graphs are written by `rnn-hub export` before. Also BLEU on all of test_2016_flickr, with `--bleu`.
"""

from argparse import Namespace
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from corpus import DATA
from timing import arguments, interleave, report, seconds
from transformers import GenerationMixin, PreTrainedModel

from rnn_hub.cli.evaluate import read_recipe
from rnn_hub.models.seq2seq.modeling_seq2seq import RnnForConditionalGeneration
from rnn_hub.onnx.export import export
from rnn_hub.onnx.loading import load_onnx
from rnn_hub.tasks import load_task
from rnn_hub.tasks.sections import build_section

CARDS = Path(__file__).resolve().parents[2] / "model_cards"


class OnTheirLoop(RnnForConditionalGeneration):
    """The same model on transformers' loops."""

    _sample = GenerationMixin._sample
    _beam_search = GenerationMixin._beam_search


def translate(model: PreTrainedModel, batches: list[Mapping[str, torch.Tensor]], beams: int) -> list[list[int]]:
    """The tokens of each sentence."""
    return [model.generate(**batch, num_beams=beams)[0].tolist() for batch in batches]


def measure(name: str, options: Namespace) -> None:
    """All ways for one released model."""
    recipe = read_recipe(str(CARDS / name))
    task = load_task(recipe["task"])
    section = build_section(task.dataset_section, dict(recipe["dataset"]) | options.dataset, "dataset")
    rows = task.load(section, "test")
    model, tokenizer = task.load_model(str(CARDS / name))
    ways = {"torch, transformers' loop": OnTheirLoop(model.config).eval(), "torch": model}
    ways["torch, transformers' loop"].load_state_dict(model.state_dict())
    ways["torch, transformers' loop"].generation_config = model.generation_config
    ways["torch in int8"] = task.load_model(str(CARDS / name))[0].decode_in_int8()
    with TemporaryDirectory() as folder:
        for kind in ("onnx", "onnx in int8"):
            export(model, CARDS / name, Path(folder) / kind, "int8" if "int8" in kind else None)
            ways[kind] = load_onnx(Path(folder) / kind)
        sentences = task.inputs(rows, section)
        batches = [tokenizer(text, return_tensors="pt") for text in sentences[: options.sentences]]
        for beams in (1, 5):
            texts = [translate(way, batches, beams) for key, way in ways.items() if "int8" not in key]
            assert all(text == texts[0] for text in texts), "they do not write the same"
            runs = {key: partial(translate, way, batches, beams) for key, way in ways.items()}
            costs = interleave({key: partial(seconds, run, options.clock) for key, run in runs.items()}, options.rounds)
            milliseconds = 1000 * costs["onnx in int8"] / len(batches)
            title = f"{name}, one sentence at a time, {beams} beams"
            report(title, costs, "onnx in int8", milliseconds_a_sentence=milliseconds)
        for key in ways if options.bleu else ():
            predictions = task.predict(ways[key], tokenizer, sentences)
            print(key, task.score(predictions, task.references(rows, section), section).values, flush=True)


@torch.no_grad()
def main() -> None:
    """Measures one model or both."""
    parser = arguments(__doc__, rounds=7)
    parser.add_argument("--models", nargs="+", default=["rnn-translation-en-de"])
    parser.add_argument("--sentences", type=int, default=30)
    parser.add_argument("--bleu", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.dataset = {"path": str(DATA)}
    for name in options.models:
        measure(name, options)


if __name__ == "__main__":
    main()
