"""Real text for the tests of rnn_hub.data: multi30k where it is at hand, a few sentences otherwise."""

import os
from pathlib import Path

import pytest

from rnn_hub.data.tokenization import train_tokenizer

ENGLISH = [
    "Two young men are outside near many bushes.",
    'A man says "Hello!" to a little girl in a pink dress.',
    "Several men in hard hats operate a giant pulley system; it's heavy.",
    "A child's drawing (in red) hangs on the wall - or does it?",
]
GERMAN = [
    "Zwei junge weiße Männer sind im Freien in der Nähe vieler Büsche.",
    "Ein Mann sagt „Grüß Gott!“ zu einem kleinen Mädchen im rosa Kleid.",
    "Mehrere Männer mit Schutzhelmen bedienen ein Antriebsradsystem; es ist schwer.",
    "Eine Kinderzeichnung (in Rot) hängt an der Wand – oder etwa nicht?",
]


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return (ENGLISH + GERMAN) * 20


@pytest.fixture(scope="session", params=["bpe", "unigram"])
def tokenizer(request, texts):
    return train_tokenizer(texts, vocab_size=450, model_type=request.param)


@pytest.fixture(scope="session")
def rows() -> list[dict[str, str]]:
    return [{"en": en, "de": de} for en, de in zip(ENGLISH, GERMAN, strict=True)]


@pytest.fixture(scope="session")
def multi30k() -> str:
    """The folder of multi30k: in $RNN_HUB_DATA, or beside the repository."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("RNN_HUB_DATA", beside)) / "multi30k"
    if not folder.is_dir():
        pytest.skip(f"multi30k is not at {folder}; set RNN_HUB_DATA to the folder that holds it")
    return str(folder)


@pytest.fixture(scope="session")
def chorales(data_dir) -> list[list[list[int]]]:
    """The grids (T, 4) of all chorales of the three splits."""
    import datasets

    folder = data_dir / "jsb_chorales_satb_16th"
    if not folder.is_dir():
        pytest.skip(f"needs the chorales: no folder {folder}")
    return [row["voices"] for split in datasets.load_dataset(str(folder)).values() for row in split]
