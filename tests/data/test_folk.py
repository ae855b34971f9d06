"""Tunes in ABC notation as rows of a data set."""

import pytest

from rnn_hub.data.conditions import condition_ids
from rnn_hub.errors import RnnHubError

pytest.importorskip("music21")
JIG = "X:1\nM:6/8\nL:1/8\nR:jig\nK:G\nG2A B2c | d3 d3 | " + "G3 B3 | " * 5 + "G6 |\n"


def test_a_tune_becomes_its_only_voice_on_the_grid() -> None:
    from rnn_hub.data.folk import read_abc

    grid = read_abc(JIG)
    assert [step[0] for step in grid[:12]] == [67] * 4 + [69] * 2 + [71] * 4 + [72] * 2
    assert all(step[1:] == [-1, -1, -1] for step in grid) and len(grid) == 8 * 12


@pytest.mark.parametrize(
    "tune", [JIG[:30], JIG.replace("d3 d3", "(3ded d4"), "no tune", JIG.replace("G3 B3 | " * 5, "G3 B3 | " * 99)]
)
def test_what_does_not_fit_is_left_out(tune) -> None:
    from rnn_hub.data.folk import read_abc

    assert read_abc(tune) is None


def test_conditions_are_numbers_and_what_is_unknown_is_named() -> None:
    labels = {"mode": ["major", "minor"], "style": ["jig", "reel"]}
    assert condition_ids(labels, {"style": "reel", "mode": "major"}) == [0, 1]
    assert condition_ids(labels, {"style": None}) == [-1, -1]
    with pytest.raises(RnnHubError, match="unknown style 'real'; did you mean 'reel'. the model knows jig, reel"):
        condition_ids(labels, {"style": "real"})
    with pytest.raises(RnnHubError, match="knows no topic, so it cannot take 'x': its conditions are mode, style"):
        condition_ids(labels, {"topic": "x"})
    with pytest.raises(RnnHubError, match="it has none"):
        condition_ids({}, {"topic": "x"})
