"""Statistics of music on cases that can be counted by hand."""

import numpy as np
import pytest

from rnn_hub.data.music import Score
from rnn_hub.data.music_tokens import body_words
from rnn_hub.metrics import load_metric
from rnn_hub.metrics.music import compare, describe, parallels

pytest.importorskip("music21")
C, D, G = (72, 67, 64, 48), (74, 69, 65, 50), (71, 67, 62, 55)
CADENCE = [step for chord in (C, G, C) for step in [chord] * 4]


def words(grid):
    return " ".join(body_words(Score.from_grid(grid)))


def test_parallels_are_counted_between_moving_voices_only() -> None:
    assert parallels(np.array([C, C, C])) == (0, 0)
    assert parallels(np.array([(72, 67, 64, 48), (74, 67, 65, 50)])) == (0, 1)  # soprano and bass, an octave
    assert parallels(np.array([(79, 72, 65, 50), (81, 74, 65, 50)])) == (1, 0)  # soprano and alto, a fifth
    assert parallels(np.array([(79, 72, 65, 50), (77, 74, 65, 50)])) == (0, 0)
    assert parallels(np.array([(74, 67, -1, 50), (76, 69, -1, 50)])) == (1, 0)
    assert parallels(np.array([(79, 67, 60, 48), (67, 55, 60, 48)])) == (0, 1)


def test_a_cadence_is_described() -> None:
    found = describe(Score.from_grid(CADENCE))
    assert found["final_tonic"] == found["final_triad"] == 1 and found["in_key"] == pytest.approx(1)
    assert found["beats"] == 3 and found["notes_per_beat"] == 10 / 3
    assert found["range_s"] == 1 and found["range_b"] == 7 and found["pitch_a"] == 67
    assert found["crossings"] == found["repetition"] == found["parallel_fifths"] == 0
    crossed = Score.from_grid([(60, 67, 64, 48)] * 4 + CADENCE)
    assert describe(crossed)["crossings"] == 4 / 16


def test_repetition_is_the_share_of_pairs_of_beats_heard_before() -> None:
    assert describe(Score.from_grid(CADENCE + CADENCE))["repetition"] == pytest.approx(2 / 5)


def test_a_corpus_does_not_deviate_from_itself_and_nonsense_does() -> None:
    corpus = [CADENCE, [step for chord in (C, D, G, C) for step in [chord] * 4], [C] * 12]
    scores = [Score.from_grid(grid) for grid in corpus]
    table = compare(scores, scores)
    assert all(row["deviation"] == 0 for row in table.values())
    metric = load_metric("music_deviation")
    pieces = [words(grid) for grid in corpus]
    same = metric.compute(predictions=[pieces], references=[pieces])
    assert same["music_deviation"] == 0 and "pieces:3|corpus:3" in same["signature"]
    noise = np.random.default_rng(0).integers(50, 80, (32, 4)).tolist()
    other = metric.compute(predictions=[[words(noise)]], references=[pieces])
    assert other["music_deviation"] > 3 and other["statistics"]["notes_per_beat"]["deviation"] > 3


def test_nats_a_step_do_not_depend_on_the_number_of_tokens() -> None:
    metric = load_metric("nll_step")
    result = metric.compute(predictions=[[1.0, 2.0], [3.0, 6.0]], references=["|0 S60 A- T- B-", words([C] * 8)])
    assert result["nll_step"] == 12 / 12 and result["signature"].endswith("sixteenths:12")
