"""Speech that programs read aloud: its texts, and what it needs."""

import random
import subprocess
from pathlib import Path

import datasets
import pytest

from rnn_hub.data import synthetic_speech
from rnn_hub.data.synthetic_speech import cardinal, main, ordinal, phrase
from rnn_hub.errors import RnnHubError
from tests.recordings import say, write_audio


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (42, "forty two"),
        (100, "one hundred"),
        (70_019, "seventy thousand nineteen"),
        (1_234_567, "one million two hundred thirty four thousand five hundred sixty seven"),
    ],
)
def test_numbers_are_spoken(number: int, words: str) -> None:
    assert cardinal(number) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, "first"),
        (12, "twelfth"),
        (14, "fourteenth"),
        (20, "twentieth"),
        (53, "fifty third"),
        (110, "one hundred tenth"),
    ],
)
def test_ordinals_are_spoken(number: int, words: str) -> None:
    assert ordinal(number) == words


def test_phrases_are_short_and_of_plain_letters() -> None:
    chance = random.Random(0)
    made = [phrase(chance) for _ in range(300)]
    assert len(set(made)) > 200 and all(text.replace(" ", "").isalpha() and text.islower() for text in made)


@pytest.fixture
def readers(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Stands in for flite and espeak-ng, and remembers what was asked."""
    asked: list[list[str]] = []

    def run(command: list[str], **options: object) -> None:
        asked.append(command)
        write_audio(Path(command[command.index("-o" if command[0] == "flite" else "-w") + 1]), say("d"), 8000)

    monkeypatch.setattr(subprocess, "run", run)
    return asked


def test_a_folder_of_speech_leaves_out_what_is_tested(readers, tmp_path) -> None:
    texts = ["Read this please. And that one too!", "Never hear this one", "a b"]
    datasets.Dataset.from_dict({"text": texts}).to_parquet(tmp_path / "texts" / "train.parquet")
    datasets.Dataset.from_dict({"text": ["never hear this one"]}).to_parquet(tmp_path / "kept" / "test.parquet")
    options = ["--texts", f"{tmp_path / 'texts'}:text=10", "--never", f"{tmp_path / 'kept'}:text:test"]
    main([str(tmp_path / "speech"), *options, "--phrases", "5"])
    rows = datasets.load_dataset(str(tmp_path / "speech"), split="train").cast_column(
        "audio", datasets.Audio(decode=False)
    )
    assert {"read this please", "and that one too", "a b"} <= set(rows["text"])
    assert "never hear this one" not in rows["text"] and len(rows) == len(readers) == 8
    assert {command[0] for command in readers} <= {"flite", "espeak-ng"}
    assert all(row["audio"]["bytes"][:4] == b"RIFF" and row["voice"] for row in rows)


def test_a_program_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RnnHubError, match="is not installed: apt-get install flite espeak-ng"):
        synthetic_speech.read_aloud("hello", random.Random(0))
