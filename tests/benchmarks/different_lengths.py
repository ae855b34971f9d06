"""What one can do about texts of different length, and what it is worth: accuracy, training time and peak memory.

The same LSTM in one direction learns the sentiment of rotten_tomatoes (1 to about 70 tokens) from its training split,
each way in a process of its own, and is measured on the test split. The first way pads all texts to the longest and
reads the padding too; each way below adds to the one before, but for the last two, which each change the fourth.
"""

import json
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from statistics import mean

import torch
from corpus import DATA
from datasets import load_dataset
from torch import Tensor
from unrolling import resident

from rnn_hub import RnnClassifierConfig, RnnForSequenceClassification
from rnn_hub.data.collators import pad_sequences
from rnn_hub.data.samplers import LengthGroupedBatchSampler
from rnn_hub.data.word_pieces import train_word_pieces

STATIC, LIKE = {"static": True}, {"masked": True, "like": True}
WAYS = {
    "padding to the longest text": STATIC,
    "and masking": {**STATIC, "masked": True},
    "and dynamic unrolling, padding to the longest of the batch": {"masked": True},
    "and batches of like length": LIKE,
    "there, truncation to 16 tokens": {**LIKE, "cut": 16},
    "there, attention over all states instead of the last": {**LIKE, "pooling": "attention"},
}
BATCH = 32
Rows = list[tuple[list[int], int]]


def read(cut: int | None) -> tuple[Rows, Rows, int, int]:
    """Training and test rows as (ids, label), the size of the vocabulary, and the length of the longest text."""
    splits = load_dataset(str(DATA.parent / "rotten_tomatoes"))
    tokenizer = train_word_pieces(list(splits["train"]["text"]), 8000, lowercase=True, model_max_length=cut)
    train, test = (
        list(zip(tokenizer(list(rows["text"]), truncation=cut is not None).input_ids, rows["label"], strict=True))
        for rows in (splits["train"], splits["test"])
    )
    return train, test, len(tokenizer), max(len(ids) for ids, _ in (*train, *test))


def batches(rows: Rows, like: bool, seed: int) -> Iterator[Rows]:
    """An epoch in random order, of single rows or of batches of like length."""
    if like:
        sampler = LengthGroupedBatchSampler([len(ids) for ids, _ in rows], sentences=BATCH, seed=seed)
        return ([rows[index] for index in batch] for batch in sampler)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed)).tolist()
    return ([rows[index] for index in order[at : at + BATCH]] for at in range(0, len(rows), BATCH))


def inputs(batch: Rows, longest: int | None, masked: bool) -> dict[str, Tensor]:
    """Ids (B, T), T = `longest` or the batch's own, and the mask where there is one."""
    ids = pad_sequences([row for row, _ in batch])
    mask = pad_sequences([[1] * len(row) for row, _ in batch])
    if longest is not None:
        ids, mask = (torch.nn.functional.pad(each, (0, longest - each.shape[1])) for each in (ids, mask))
    return {"input_ids": ids, "attention_mask": mask if masked else torch.ones_like(ids)}


def work(way: str, seeds: int, epochs: int) -> dict[str, float]:
    """Trains and measures one way: accuracy in percent, seconds an epoch, megabytes over what the process held."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    options = {"static": False, "masked": False, "like": False, "cut": None, "pooling": "last", **WAYS[way]}
    train, test, vocab_size, longest = read(options["cut"])
    pad_to = longest if options["static"] else None
    fields = {"vocab_size": vocab_size, "embedding_size": 128, "hidden_size": 128, "pooling": options["pooling"]}
    fields |= {"bidirectional": False, "embedding_dropout": 0.4, "dropout": 0.4}
    fields |= {"unrolling": "static", "static_length": longest} if options["static"] else {}
    before, accuracies, seconds = resident("VmRSS"), [], []
    for seed in range(seeds):
        torch.manual_seed(seed)
        model = RnnForSequenceClassification(RnnClassifierConfig(**fields))
        optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
        for epoch in range(epochs):
            start = time.process_time()
            for batch in batches(train, options["like"], 100 * seed + epoch):
                labels = torch.tensor([label for _, label in batch])
                model(**inputs(batch, pad_to, options["masked"]), labels=labels).loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
            seconds.append(time.process_time() - start)
        right = 0
        model.eval()
        for at in range(0, len(test), BATCH):
            batch = test[at : at + BATCH]
            with torch.inference_mode():
                guess = model(**inputs(batch, pad_to, options["masked"])).logits.argmax(dim=1)
            right += (guess == torch.tensor([label for _, label in batch])).sum().item()
        accuracies.append(100 * right / len(test))
        model.train()
    megabytes = resident("VmHWM") - before
    return {"accuracy": mean(accuracies), "each": accuracies, "seconds": min(seconds), "megabytes": megabytes}


def main() -> None:
    """Measures all ways, one after the other."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2, help="trainings of each way")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--way", choices=WAYS, help="measure this one, in this process")
    given = parser.parse_args()
    if given.way:
        print(json.dumps(work(given.way, given.seeds, given.epochs)))
        return
    print("| what | accuracy, % | training time | peak memory |\n|---|---|---|---|")
    base = None
    for way in WAYS:
        command = [sys.executable, __file__, f"--way={way}", f"--seeds={given.seeds}", f"--epochs={given.epochs}"]
        result = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        base = base or result
        time_ratio, memory_ratio = (result[name] / base[name] for name in ("seconds", "megabytes"))
        print(f"| {way} | {result['accuracy']:.1f} | {time_ratio:.2f} | {memory_ratio:.2f} |", flush=True)
        print(json.dumps({"way": way, **result}), file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
