"""The music demo's function: files for what can be played, a notice for what cannot."""

import re
import wave
from pathlib import Path

import pytest

from demos import music, space
from demos.shelf import Shelf
from rnn_hub.data.midi import read_midi, write_midi
from rnn_hub.data.music import Score
from tests.demos.music_models import write_model

pytest.importorskip("symusic")
pytest.importorskip("music21")
MODEL = "rnn-music-wild"
CHORALE = Score.from_grid([(67, 62, 59, 43)] * 8 + [(69, 62, 57, 50)] * 8, key="G major", tempo=60)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    return Shelf("music-generation", write_model(tmp_path_factory.mktemp("music")))


def play(shelf, action=music.COMPOSE, key="G minor", file=None, beats=12, temperature=0.9, tempo=90, seed=1, **other):
    return music.compose(
        shelf, MODEL, action, key, None, file, beats, temperature, tempo, other.get("with", "piano"), seed
    )


def test_a_piece_is_heard_seen_and_taken_home(shelf) -> None:
    view = play(shelf)
    assert view.notice == "" and view.summary.startswith("G minor, 12 beats, 8 seconds")
    assert [Path(file).suffix for file in view.files] == [".mid", ".wav", ".musicxml"]
    assert Path(view.roll).read_bytes()[:4] == b"\x89PNG" and view.sound == view.files[1]
    with wave.open(view.sound) as file:
        assert file.getnframes() / file.getframerate() >= 8
    score = read_midi(view.files[0])
    assert (score.key, score.tempo, score.beats) == ("G minor", 90, 12)
    assert read_midi(play(shelf).files[0]) == score != read_midi(play(shelf, seed=2).files[0])


def test_a_file_is_continued_or_harmonized(shelf, tmp_path) -> None:
    write_midi(CHORALE, tmp_path / "mine.mid")
    score = read_midi(play(shelf, music.CONTINUE, music.ANY_KEY, str(tmp_path / "mine.mid")).files[0])
    assert score.grid()[:16] == CHORALE.grid() and score.key == "G major"
    view = play(shelf, music.HARMONIZE, music.ANY_KEY, str(tmp_path / "mine.mid"))
    assert read_midi(view.files[0]).voices[0] == CHORALE.voices[0] and "4 beats" in view.summary


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "Choose a MIDI or MusicXML file first"),
        (b"", "is empty"),
        (b"no music", "is no MIDI file"),
        (write_midi(CHORALE)[:-40], "is truncated"),
        (write_midi(Score(CHORALE.voices[:1])), "give the missing ones"),
        (write_midi(CHORALE.transposed(30)), "outside the range of voice S"),
    ],
)
def test_what_cannot_be_continued_gets_a_notice(shelf, tmp_path, content, message) -> None:
    file = tmp_path / "mine.mid"
    if content is not None:
        file.write_bytes(content)
    view = play(shelf, music.CONTINUE, file=None if content is None else str(file))
    assert message in re.sub("<[^>]*>", "", view.notice) and view.files is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0}, "temperature must be above 0"),
        ({"beats": 0}, "beats must be"),
        ({"beats": None}, "whole number as length"),
        ({"tempo": 0}, "a tempo of 0"),
        ({"seed": None}, "whole number as seed"),
        ({"seed": 1.5}, "whole number as seed"),
        ({"key": "H major"}, "the keys are"),
        ({"with": "kazoo"}, "choose one of piano"),
    ],
)
def test_what_the_interface_may_be_sent_is_checked(shelf, options, message) -> None:
    assert message in play(shelf, **options).notice


def test_the_space_asks_for_the_packages_of_music(shelf, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(space, "requires", lambda name: ["torch>=2.6", 'symusic>=0.5.7,<0.6; extra == "music"'])
    folder = space.write_space("music", tmp_path / "space", shelf.folder)
    assert "symusic==" in (folder / "requirements.txt").read_text()
    assert (folder / "model_cards" / MODEL / "model.safetensors").is_file()
    assert "symusic" not in "".join(space.requirements())
