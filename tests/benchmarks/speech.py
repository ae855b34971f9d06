"""Recognizers: training against the matrix products of the real frames alone, and how late a stream's text is.

Training: the network of rnn-speech-an4 on that data's real lengths, in batches of like length. Stream: the network of
rnn-speech-prompts-en in one direction, untrained, which hears 20 seconds in chunks of 100 ms.
"""

import time
from collections.abc import Iterator
from functools import partial
from statistics import median, quantiles

import numpy as np
import torch
import yaml
from corpus import DATA, ROOT, Trainer
from products import Product, Products, dense, stack_products
from timing import arguments, interleave, report, seconds

from rnn_hub import RnnForCTC, RnnSpeechConfig
from rnn_hub.data.loading import load_split
from rnn_hub.layers.stack import RnnStack
from rnn_hub.layers.time_windows import TimeConvolution
from rnn_hub.models.speech.feature_extraction_speech import RnnSpeechFeatureExtractor
from rnn_hub.models.speech.processing_speech import RnnSpeechProcessor, character_tokenizer
from rnn_hub.models.speech.streaming import SpeechStream

CHUNK = 0.1
"""Seconds."""


def network(name: str, **other: object) -> tuple[RnnForCTC, dict]:
    """The network of a recipe, untrained, but for some values, and what the recipe says of the features."""
    recipe = yaml.safe_load((ROOT / "model_cards" / name / "recipe.yaml").read_text(encoding="utf-8"))
    given = {"sampling_rate": recipe["dataset"].get("sampling_rate", 16000), **recipe["tokenizer"]}
    torch.manual_seed(0)
    return RnnForCTC(RnnSpeechConfig(**recipe["model"] | other, input_size=given["feature_size"], vocab_size=32)), given


def recognizer_products(model: RnnForCTC, lengths: torch.Tensor) -> Iterator[Product]:
    """Convolutions, recurrent layers and the output layer over recordings of so many frames."""
    for stage in model.encoder.stages:
        if isinstance(stage, RnnStack):
            yield from stack_products(stage, lengths)
        else:
            lengths = -(-lengths // stage.stride)
            if isinstance(stage, TimeConvolution):
                kernel = next(stage.parameters())
                yield from dense(int(lengths.sum()), kernel[0].numel(), kernel.shape[0])
    yield from dense(int(lengths.sum()), model.lm_head.in_features, model.lm_head.out_features)


def training(rounds: int, clock: str, count: int) -> None:
    """A sample of an epoch's batches, 24 recordings each."""
    model, given = network("rnn-speech-an4")
    rows = load_split(DATA.parent / "an4_mfcc", "train", columns=("mfcc", "text"))
    lengths = sorted((len(row), place) for place, row in enumerate(rows["mfcc"]))
    starts = [round((number + 0.5) * (len(lengths) - 24) / count) for number in range(count)]
    batches, work = [], []
    for start in starts:
        sizes = torch.tensor([size for size, _ in lengths[start : start + 24]])
        texts = [len(rows[place]["text"]) for _, place in lengths[start : start + 24]]
        labels = torch.randint(1, 32, (24, max(texts)))
        labels[torch.arange(max(texts)) >= torch.tensor(texts)[:, None]] = -100
        mask = (torch.arange(int(sizes.max())) < sizes[:, None]).long()
        features = torch.randn(*mask.shape, given["feature_size"])
        batches.append({"input_features": features, "attention_mask": mask, "labels": labels})
        work.append(Products(list(recognizer_products(model, sizes))))
    trainer = Trainer(model)

    def train() -> None:
        for batch in batches:
            trainer.step(batch)

    def multiply() -> None:
        for products in work:
            products()

    sides = {"products": partial(seconds, multiply, clock), "training": partial(seconds, train, clock)}
    report("training a recognizer", interleave(sides, rounds), "products")


def stream(clock: str) -> None:
    """Milliseconds from the end of a chunk to the text it completes, and those that sound waits for more."""
    model, given = network("rnn-speech-prompts-en", bidirectional=False)
    size, now = given["feature_size"], getattr(time, clock)
    known = {name: given[name] for name in ("window_length", "hop_length", "sampling_rate") if name in given}
    extractor = RnnSpeechFeatureExtractor(
        feature_size=size, normalization="global", mean=[0.0] * size, std=[1.0] * size, **known
    )
    listener = SpeechStream(model, RnnSpeechProcessor(extractor, character_tokenizer(["a"])))
    rate, costs = extractor.sampling_rate, []
    for chunk in np.array_split(
        np.random.default_rng(0).normal(0, 0.1, 20 * rate).astype(np.float32), round(20 / CHUNK)
    ):
        start = now()
        listener.push(chunk)
        costs.append(1000 * (now() - start))
    waits = 1000 * (extractor.window_length + (model.config.subsampling - 1) * extractor.hop_length) / rate
    slowest = quantiles(costs, n=20)[-1]
    print(f"a chunk of {1000 * CHUNK:.0f} ms is heard in {median(costs):.1f} ms, 95 % of them in {slowest:.1f};")
    print(f"sound waits for at most {waits:.0f} ms more to fill a step of the network")


def main() -> None:
    """Measures both."""
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--batches", type=int, default=6, help="batches a round")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    training(options.rounds, options.clock, options.batches)
    stream(options.clock)


if __name__ == "__main__":
    main()
