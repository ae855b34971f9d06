"""MIDI files: written and read again, and what is wrong with a bad one."""

import random
from contextlib import suppress

import pytest

from rnn_hub.data.midi import read_midi, write_midi
from rnn_hub.data.music import KEYS, Note, Score, complete_grid
from rnn_hub.errors import RnnHubError
from tests.data.test_music import CHORD, random_score

symusic = pytest.importorskip("symusic")
CHORALE = Score.from_grid([step for step in CHORD for _ in range(4)], key="G major", metre="4/4", tempo=80)


def midi(tracks, tempo=120.0, drums=False, length=480):
    """A file of so many tracks of one note each."""
    file = symusic.Score(480)
    for index in range(tracks):
        track = symusic.Track("", 0, drums)
        track.notes.append(symusic.Note(0, length, 40 + index, 80))
        file.tracks.append(track)
    file.tempos.append(symusic.Tempo(0, tempo))
    return file.dumps_midi()


@pytest.mark.parametrize("seed", range(20))
def test_any_score_comes_back_from_its_file(seed, tmp_path) -> None:
    score = random_score(random.Random(seed))
    content = write_midi(score, tmp_path / "score.mid")
    assert read_midi(content) == read_midi(tmp_path / "score.mid") == score


def test_every_chorale_comes_back_from_its_file(chorales) -> None:
    for index, grid in enumerate(chorales):
        score = Score.from_grid(complete_grid(grid), key=KEYS[index % 24], metre="3/4", tempo=40 + index % 100)
        assert read_midi(write_midi(score)) == score


def test_notes_off_the_grid_move_to_the_nearest_sixteenth() -> None:
    file = symusic.Score(96)
    track = symusic.Track("", 0, False)
    for start, duration, pitch in ((2, 91, 60), (99, 1, 62), (190, 100, 64)):
        track.notes.append(symusic.Note(start, duration, pitch, 80))
    file.tracks.append(track)
    assert read_midi(file.dumps_midi()).voices == ((Note(0, 4, 60), Note(4, 1, 62), Note(8, 4, 64)),)


def test_chords_of_one_track_become_voices_and_tracks_are_sorted() -> None:
    file = symusic.Score(480)
    for pitches in ((48, 55), (72, 64)):
        track = symusic.Track("", 0, False)
        for pitch in pitches:
            track.notes.append(symusic.Note(0, 480, pitch, 80))
        file.tracks.append(track)
    assert [voice[0].pitch for voice in read_midi(file.dumps_midi()).voices] == [72, 64, 55, 48]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"RIFF" + bytes(40), "is no MIDI file"),
        (write_midi(CHORALE)[:-30], "is truncated"),
        (write_midi(CHORALE)[:90], "is truncated"),
        (midi(0), "holds no notes"),
        (midi(40), "40 tracks with notes; at most 4 voices"),
        (midi(2, drums=True), "only percussion"),
        (midi(1, length=480 * 120 * 120), "lasts 120 minutes; at most 20"),
        (midi(1, tempo=2.0), "a tempo of .* must be from 10 to 400"),
        (midi(1).replace(b"\xff\x51\x03\x07\xa1\x20", b"\xff\x51\x03\x00\x00\x00"), "a tempo of inf quarter notes"),
        (bytes(3_000_000), "is larger than 2 MB"),
    ],
    ids=["empty", "wav", "cut", "cut short", "no notes", "40 tracks", "drums", "two hours", "slow", "tempo 0", "large"],
)
def test_a_bad_file_is_refused_with_its_reason(content, message, tmp_path) -> None:
    with pytest.raises(RnnHubError, match=message):
        read_midi(content)
    path = tmp_path / "music.mid"
    path.write_bytes(content)
    with pytest.raises(RnnHubError, match=f"music.mid.*{message}"):
        read_midi(path)


def test_five_notes_at_once_are_too_many() -> None:
    file = symusic.Score(480)
    track = symusic.Track("", 0, False)
    for pitch in range(60, 65):
        track.notes.append(symusic.Note(0, 480, pitch, 80))
    file.tracks.append(track)
    with pytest.raises(RnnHubError, match="up to 5 notes at once; at most 4"):
        read_midi(file.dumps_midi())


def test_damaged_bytes_give_a_message_or_a_score() -> None:
    generator = random.Random(0)
    whole = write_midi(CHORALE)
    for _ in range(2000):
        content = bytearray(whole)
        for _ in range(generator.randint(1, 6)):
            content[generator.randrange(len(content))] = generator.randrange(256)
        with suppress(RnnHubError):
            assert read_midi(bytes(content)).length


def test_what_does_not_exist_is_named(tmp_path) -> None:
    with pytest.raises(RnnHubError, match="no MIDI file"):
        read_midi(tmp_path / "absent.mid")
    with pytest.raises(RnnHubError, match="unknown instrument 'kazoo'; choose one of piano"):
        write_midi(CHORALE, instrument="kazoo")
    with pytest.raises(RnnHubError, match="a tempo of 0"):
        write_midi(Score(CHORALE.voices, tempo=0))
