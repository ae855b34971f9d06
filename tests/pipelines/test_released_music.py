"""The released chorale model: what it writes is like the corpus, and quick."""

import random
import time

import pytest

from rnn_hub.data.music import Score, complete_grid, conditions, estimate_key
from rnn_hub.metrics.music import compare
from rnn_hub.pipelines import pipeline
from rnn_hub.tasks import load_task
from rnn_hub.tasks.music_generation import sample
from tests.conftest import ROOT

pytest.importorskip("symusic")
pytest.importorskip("music21")
FOLDER = ROOT / "model_cards" / "rnn-music-chorales"
pytestmark = pytest.mark.skipif(not (FOLDER / "model.safetensors").is_file(), reason="the chorale model is not here")


def test_half_a_minute_of_music_takes_less_than_three_seconds() -> None:
    pipe = pipeline("music-generation", model=FOLDER)
    pipe("G major", beats=4, audio=True, seed=1)
    start = time.process_time()
    record = pipe("G major", beats=40, tempo=72, audio=True, seed=1)
    assert record["seconds"] > 30 and (time.process_time() - start) / 2 < 3  # of two cores


@pytest.mark.slow
def test_a_hundred_chorales_are_within_the_spread_of_the_corpus(data_dir) -> None:
    import datasets

    folder = data_dir / "jsb_chorales_satb_16th"
    if not folder.is_dir():
        pytest.skip(f"needs the chorales: no folder {folder}")
    rows = [row["voices"] for split in datasets.load_dataset(str(folder)).values() for row in split]
    corpus = [Score.from_grid(complete_grid(grid)) for grid in rows]
    chosen = random.Random(0).sample(corpus, 100)
    model, processor = load_task("music-generation").load_model(str(FOLDER))
    told = [conditions(estimate_key(score)) for score in chosen]
    pieces = sample(model, processor, told, [score.beats for score in chosen])
    table = compare(pieces, corpus)
    for name, row in table.items():
        figures = [row[part] for part in ("mean", "corpus_mean", "corpus_sd", "deviation")]
        print("| {} | {:.3f} | {:.3f} ± {:.3f} | {:.2f} |".format(name, *figures))
    assert max(row["deviation"] for row in table.values()) < 1
