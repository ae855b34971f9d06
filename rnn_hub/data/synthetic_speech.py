"""Speech that programs read aloud, as more training data: ``python -m rnn_hub.data.synthetic_speech FOLDER ...``.

Sentences of other data sets, and phrases of numbers and spelled letters, are read by the voices of flite and espeak-ng
(Debian has both). The folder can then be named in a recipe's ``dataset.extra``.
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm.auto import tqdm

from rnn_hub.data.loading import load_split
from rnn_hub.data.transcripts import DIGITS, spoken
from rnn_hub.errors import RnnHubError

FLITE = ("slt", "slt", "slt", "rms", "awb", "kal16")
"""Voices of flite, the most natural ones more often."""
ESPEAK = ("en-us", "en-us+f1", "en-us+f2", "en-us+f3", "en-us+f4", "en-us+m3", "en-gb", "en-gb+f2")
TEENS = ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
ORDINALS = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
]
LETTERS = [
    "alpha",
    "bravo",
    "charlie",
    "delta",
    "echo",
    "foxtrot",
    "golf",
    "hotel",
    "india",
    "juliet",
    "kilo",
    "lima",
    "mike",
    "november",
    "oscar",
    "papa",
    "quebec",
    "romeo",
    "sierra",
    "tango",
    "uniform",
    "victor",
    "whiskey",
    "xray",
    "yankee",
    "zulu",
]
LONGEST = 14
"""Words of a sentence."""


def cardinal(number: int) -> str:
    """A whole number below a billion in words."""
    for size, name in ((10**6, "million"), (1000, "thousand"), (100, "hundred")):
        if number >= size:
            rest = number % size
            return f"{cardinal(number // size)} {name}{f' {cardinal(rest)}' if rest else ''}"
    if number >= 20:
        return f"{TENS[number // 10 - 2]}{f' {DIGITS[number % 10]}' if number % 10 else ''}"
    return TEENS[number - 10] if number >= 10 else DIGITS[number]


def ordinal(number: int) -> str:
    """Its ordinal, of a number from 1 to 999."""
    words = cardinal(number).split()
    last = words[-1]
    if last in DIGITS or last in TEENS:
        small = [*DIGITS, *TEENS].index(last)
        words[-1] = ORDINALS[small - 1] if 1 <= small <= len(ORDINALS) else f"{last}th"
    else:
        words[-1] = f"{last.removesuffix('y')}ieth" if last.endswith("y") else f"{last}th"
    return " ".join(words)


def phrase(chance: random.Random) -> str:
    """Some numbers, digits, letters or the words that spell them."""
    kind = chance.randrange(4)
    if kind == 0:
        return cardinal(chance.randrange(10 ** chance.randrange(2, 8)))
    if kind == 1:
        return ordinal(chance.randrange(1, 100)) + " " + chance.choice(("message", "caller", "time", "of may", "one"))
    if kind == 2:
        return " ".join(chance.choice(LETTERS) for _ in range(chance.randrange(2, 5)))
    return " ".join(chance.choice((*DIGITS, *"abcdefghijklmnopqrstuvwxyz")) for _ in range(chance.randrange(3, 8)))


def sentences(path: str, column: str, split: str = "train") -> list[str]:
    """The short sentences of a column of texts, as they are spoken."""
    found = set()
    for text in load_split(path, split, columns=(column,))[column]:
        for sentence in re.split(r"[.!?;:\n]+", text):
            words = spoken(sentence).split()
            if 2 <= len(words) <= LONGEST and sentence.isascii() and not re.search("[@_/\\\\|<>=]", sentence):
                found.add(" ".join(words))
    return sorted(found)


def read_aloud(text: str, chance: random.Random) -> tuple[bytes, str]:
    """A WAV file of a text, by a voice and at a tempo by chance, and the voice's name.

    Raises:
        RnnHubError: the program is not installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        if chance.random() < 0.7:
            voice = chance.choice(FLITE)
            stretch = f"duration_stretch={chance.uniform(0.85, 1.2):.2f}"
            command = ["flite", "-voice", voice, "--setf", stretch, "-t", text, "-o", str(path)]
        else:
            voice = chance.choice(ESPEAK)
            pace = ["-s", str(chance.randrange(120, 180)), "-p", str(chance.randrange(35, 70))]
            command = ["espeak-ng", "-v", voice, *pace, "-w", str(path), text]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except FileNotFoundError as error:
            raise RnnHubError(f"{command[0]} is not installed: apt-get install flite espeak-ng") from error
        return path.read_bytes(), voice


def write_speech(folder: Path, texts: Sequence[str], seed: int = 0) -> None:
    """Read texts aloud into ``folder/train.parquet`` with the columns id, audio, text and voice."""
    from datasets import Audio, Dataset

    with ThreadPoolExecutor(2) as pool:
        jobs = pool.map(lambda job: read_aloud(job[1], random.Random(f"{seed}:{job[0]}")), enumerate(texts))
        bar = tqdm(jobs, total=len(texts), desc="reading aloud", unit="text")
        rows = [
            {"id": str(number), "audio": {"bytes": sound, "path": None}, "text": text, "voice": voice}
            for number, (text, (sound, voice)) in enumerate(zip(texts, bar, strict=True))
        ]
    folder.mkdir(parents=True, exist_ok=True)
    Dataset.from_list(rows).cast_column("audio", Audio(decode=False)).to_parquet(folder / "train.parquet")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument("--texts", action="append", default=[], metavar="PATH:COLUMN=COUNT", help="texts of a data set")
    parser.add_argument("--phrases", type=int, default=0, help="phrases of numbers and letters")
    parser.add_argument("--never", action="append", default=[], metavar="PATH:COLUMN:SPLIT", help="texts to leave out")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    chance, texts = random.Random(options.seed), []
    never = {spoken(text) for one in options.never for text in _column(one)}
    for one in options.texts:
        source, _, count = one.rpartition("=")
        path, _, column = source.rpartition(":")
        found = [text for text in sentences(path, column) if text not in never]
        texts += chance.sample(found, min(int(count), len(found)))
    made = (phrase(chance) for _ in range(options.phrases))
    texts += [text for text in made if text not in never]
    write_speech(options.folder, texts, options.seed)


def _column(name: str) -> list[str]:
    path, column, split = name.rsplit(":", 2)
    return load_split(path, split, columns=(column,))[column]


if __name__ == "__main__":
    main()
