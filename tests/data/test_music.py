"""Music on the grid, in tokens and in MIDI files: what goes in comes out again."""

import random

import pytest

from rnn_hub.data.music import (
    KEYS,
    STEPS,
    TONICS,
    Note,
    Score,
    complete_grid,
    estimate_key,
    key_ids,
    parse_key,
    transpose_key,
)
from rnn_hub.data.music_tokens import (
    BOS,
    EOS,
    METRE_TOKENS,
    MusicProcessor,
    Position,
    body_words,
    music_tokenizer,
    read_words,
    vocabulary,
)
from rnn_hub.errors import RnnHubError

CHORD = ((67, 62, 59, 43), (67, 64, 60, 48), (67, 62, 59, 43))


def random_score(generator, voices=4):
    """Notes and rests of any length, whole beats in all."""
    beats = generator.randint(1, 24)
    lines = []
    for index in range(voices):
        step, line = generator.choice((0, 0, 3)), []
        while step < beats * STEPS:
            duration = min(generator.randint(1, 9), beats * STEPS - step)
            line.append(Note(step, duration, generator.randint(40, 80)))
            step += duration + generator.choice((0, 0, 0, 2, 5))
        if index == 0 and line[-1].end < beats * STEPS - STEPS:
            line.append(Note(beats * STEPS - 1, 1, 60))
        lines.append(tuple(line))
    key, metre = generator.choice(KEYS), generator.choice(METRE_TOKENS)[2:]
    return Score(tuple(lines), key, metre, generator.randint(10, 400))


@pytest.fixture(scope="module")
def processor():
    return MusicProcessor(music_tokenizer(vocabulary()))


def test_a_score_is_written_beat_by_beat() -> None:
    grid = [CHORD[0]] * 4 + [(69, 62, 59, 43)] * 2 + [(71, 62, -1, 43)] * 2
    words = " ".join(body_words(Score.from_grid(grid)))
    assert words == "|1 S67 A62 T59 B43 |0 S69 :2 S71 T-"
    assert " ".join(body_words(Score.from_grid(grid), None)) == "| S67 A62 T59 B43 | S69 :2 S71 T-"
    assert " ".join(body_words(Score.from_grid(grid), 14)) == "|15 S67 A62 T59 B43 |14 S69 :2 S71 T-"
    assert read_words(words.split()).grid() == [list(step) for step in grid]


def test_the_last_sixteen_beats_count_down() -> None:
    words = [word for word in body_words(Score.from_grid([CHORD[0]] * 4 * 18)) if word.startswith("|")]
    assert words == ["|", "|", *(f"|{left}" for left in range(15, -1, -1))]


@pytest.mark.parametrize("seed", range(50))
def test_any_score_comes_back_from_its_tokens(processor, seed) -> None:
    score = random_score(random.Random(seed))
    ids = processor.encode(score)
    assert processor.decode(ids) == score
    assert processor.encode(processor.decode(ids)) == ids
    assert processor.tokenizer("| S60")["input_ids"][0] == ids[0] == processor.ids[BOS]
    assert ids[-1] == processor.ids[EOS] and processor.tokenizer.unk_token_id not in ids


def test_repeated_notes_stay_apart(processor) -> None:
    twice = ((Note(0, 2, 60), Note(2, 2, 60)), (), (), ())
    assert processor.decode(processor.encode(Score(twice))).voices == twice


@pytest.mark.parametrize(
    "words",
    [
        "S60",
        "| S60 | S62",
        "| S60 A60 T60 S61",
        "|3 S60 A55 T50 B40 |1",
        "| :1 S60",
        "| S60 A- T- B- :1 A-",
        "| S- A- T- B-",
        "|0 K:C-major",
    ],
)
def test_words_out_of_place_are_named(words) -> None:
    with pytest.raises(RnnHubError, match="cannot stand at beat"):
        read_words(words.split())


def test_every_chorale_comes_back(chorales, processor) -> None:
    assert len(chorales) == 382
    for grid in chorales:
        whole = complete_grid(grid)
        assert [[pitch for pitch in step if pitch >= 0] for step in whole] == grid
        score = Score.from_grid(whole)
        assert score.grid() == whole[: score.length]
        ids = processor.encode(score)
        assert processor.decode(ids) == score
        transposed = processor.decode(processor.encode(score.transposed(-7)))
        assert transposed.transposed(7) == score


def test_a_silent_voice_is_the_one_that_fits_least() -> None:
    grid = [(), (67, 62, 59, 43), (62, 59, 43), (67, 59), (67, 62, 59, 43)]
    assert complete_grid(grid)[:4] == [[-1] * 4, [67, 62, 59, 43], [-1, 62, 59, 43], [67, -1, 59, -1]]
    with pytest.raises(RnnHubError, match="a step holds 5 pitches"):
        complete_grid([(1, 2, 3, 4, 5)])


def test_transposing_moves_notes_and_key() -> None:
    score = Score.from_grid(CHORD, key="G major")
    higher = score.transposed(3)
    assert higher.grid() == [[pitch + 3 for pitch in step] for step in CHORD]
    assert higher.key == "Bb major" and higher.transposed(-3) == score
    assert Score.from_grid(CHORD).transposed(1).key is None
    assert [transpose_key("C minor", steps).split()[0] for steps in range(12)] == list(TONICS)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("g minor", "G minor"),
        ("Gm", "G minor"),
        ("Db major", "C# major"),
        ("F♯", "F# major"),
        ("b-flat moll", "Bb minor"),
    ],
)
def test_keys_are_read_as_people_write_them(written, name) -> None:
    assert parse_key(written) == name
    assert KEYS[key_ids(name)[0] * 12 + key_ids(name)[1]] == name


@pytest.mark.parametrize("key", ["", "H minor", "blue", "C lydian", None, 3])
def test_an_unknown_key_lists_the_known_ones(key) -> None:
    with pytest.raises(RnnHubError, match="the keys are C major, C# major"):
        parse_key(key)


def test_the_key_is_estimated() -> None:
    pytest.importorskip("music21")
    scale = [Note(step * 2, 2, 60 + pitch) for step, pitch in enumerate((0, 2, 4, 5, 7, 9, 11, 12, 7, 4, 0))]
    score = Score((tuple(scale),))
    assert estimate_key(score) == "C major"
    assert estimate_key(score.transposed(6)) == "F# major"


def test_a_processor_without_rests_holds_the_notes() -> None:
    narrow = MusicProcessor(
        music_tokenizer(vocabulary([(60, 80), (50, 70), (45, 65), (36, 60)], rests=False, header=False))
    )
    score = Score.from_grid([(67, 62, 59, 43), (-1, 62, 59, 43), (65, 62, 59, 43), (65, 62, 59, -1)])
    assert narrow.decode(narrow.encode(score)).grid() == [[67, 62, 59, 43]] * 2 + [[65, 62, 59, 43]] * 2
    with pytest.raises(RnnHubError, match="pitch 84 at beat 1 is outside the range of voice S, 60 to 80"):
        narrow.encode(Score.from_grid([(84, 62, 59, 43)]))
    with pytest.raises(RnnHubError, match="voice A is missing"):
        narrow.encode(Score(score.voices[:1]))


def test_random_walks_through_the_grammar_are_scores(processor) -> None:
    generator = random.Random(1)
    tokens = [token for token in processor.ids if token != EOS]
    for _ in range(20):
        position, words = Position(), []
        while len(words) < 400 and not position.allows(EOS):
            words.append(generator.choice([token for token in tokens if position.allows(token)]))
            position = position.after(words[-1])
        score = read_words(words)
        assert any(score.voices) and score.beats <= position.beat + 1
        body = [word for word in words if word[1:2] != ":"]
        if position.left == 0 and score.beats == position.beat + 1:  # else the last beats are silent
            assert list(body_words(score)) == body
