"""A tiny model of scales in four voices: it is trained from a recipe, measured, and writes files."""

import json
import random

import pytest

from rnn_hub.cli import main
from rnn_hub.data.midi import read_midi, write_midi
from rnn_hub.data.music import Score
from rnn_hub.data.music_tokens import MusicProcessor, music_tokenizer, vocabulary
from rnn_hub.errors import RnnHubError
from rnn_hub.tasks import load_task
from rnn_hub.tasks.music_generation import KEY_LABELS, ScoreCollator, transpositions
from rnn_hub.training.recipes import build_recipe
from rnn_hub.training.run import train

pytest.importorskip("symusic")
pytest.importorskip("music21")
SCALE = (0, 2, 4, 5, 7, 9, 11, 12)


def piece(generator):
    """A scale up or down in a major key, its third, its fifth and the tonic, a beat each; some without the tenor."""
    tonic = generator.randrange(60, 66)
    scale = SCALE if generator.random() < 0.5 else SCALE[::-1]
    grid = [[tonic + 12 + step, tonic + 4, tonic - 5, tonic - 12] for step in scale for _ in range(4)]
    if generator.random() < 0.2:
        grid[8:12] = [[pitch for index, pitch in enumerate(step) if index != 2] for step in grid[8:12]]
    return {"voices": grid}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder, generator = tmp_path_factory.mktemp("scales"), random.Random(0)
    for split, size in (("train", 60), ("validation", 8), ("test", 8)):
        rows = (json.dumps(piece(generator)) + "\n" for _ in range(size))
        (folder / f"{split}.jsonl").write_text("".join(rows))
    return folder


@pytest.fixture(scope="module")
def folder(corpus, tmp_path_factory):
    """A trained model's folder."""
    folder = tmp_path_factory.mktemp("music") / "run"
    steps = {"per_device_train_batch_size": 10, "num_train_epochs": 25, "eval_strategy": "no", "use_cpu": True}
    recipe = {
        "task": "music-generation",
        "name": "tiny-music",
        "dataset": {"path": str(corpus)},
        "model": {"embedding_size": 32, "hidden_size": 64, "tie_word_embeddings": False},
        "training": {"output_dir": str(folder), "learning_rate": 0.01, **steps},
    }
    train(build_recipe(recipe))
    return folder


def test_evaluate_measures_likelihood_and_statistics(folder, corpus, capsys) -> None:
    command = ["evaluate", str(folder), "--dataset", str(corpus), "--split", "test"]
    figures = []
    for size in ("8", "3"):
        assert main([*command, "--batch-size", size]) == 0
        figures.append(json.loads(capsys.readouterr().out.splitlines()[-1]))
    metrics = figures[0]["metrics"]
    assert metrics["nll"] < 1 and metrics["nll_step"] < metrics["nll"] * 2
    assert metrics["nll"] == pytest.approx(figures[1]["metrics"]["nll"], abs=1e-5)
    assert metrics["music_deviation"] >= 0
    assert "sixteenths:256" in figures[0]["signature"] and "pieces:8|corpus:8" in figures[0]["signature"]


def test_predict_writes_files(folder, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = ["a.mid", "a.wav", "a.png", "a.musicxml"]
    options = [part for file in files for part in ("--output", file)]
    assert main(["predict", str(folder), "C major", "--beats", "8", "--seed", "1", "--tempo", "90", *options]) == 0
    assert capsys.readouterr().out.split() == files
    score = read_midi("a.mid")
    assert (score.key, score.tempo, score.beats) == ("C major", 90, 8)
    write_midi(Score(score.voices[:1]), "melody.mid")
    assert (
        main(["predict", str(folder), "C major", "--melody", "melody.mid", "--output", "b.mid", "--n-best", "2"]) == 0
    )
    assert capsys.readouterr().out.split() == ["b-1.mid", "b-2.mid"]
    assert read_midi("b-2.mid").voices[0] == score.voices[0]
    assert main(["predict", str(folder), "C major", "--beats", "4"]) == 0
    assert capsys.readouterr().out.startswith("C major: |3 S")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["H major"], "unknown key 'H major'"),
        (["C major", "--output", "a.mp3"], "not as 'a.mp3'"),
        (["C major", "--output", "absent/a.mid"], "no folder absent"),
        (["C major", "--temperature", "0"], "temperature must be above 0"),
        (["C major", "--primer", "absent.mid"], "no MIDI file"),
    ],
)
def test_predict_names_what_is_wrong(folder, options, message, capsys) -> None:
    assert main(["predict", str(folder), *options]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error and "\n" not in error


def test_pieces_are_transposed_within_the_ranges_with_their_key() -> None:
    ranges = [(60, 80), (52, 74), (46, 69), (36, 66)]
    music = MusicProcessor(music_tokenizer(vocabulary(ranges, header=False)))
    row = {"voices": [[72, 64, 55, 48]] * 4 + [[74, 65, 55, 47]] * 4 + [[72, 64, 55, 48]] * 4}
    score = Score.from_grid(row["voices"], key="C major")
    assert transpositions(score, ranges, 6) == (-6, 6)
    assert transpositions(score, ranges, 12) == (-9, 6)
    plain, moved = (ScoreCollator(music, KEY_LABELS, transpose=most)([row] * 40) for most in (0, 6))
    assert (plain["condition_ids"] == plain["condition_ids"][0]).all()
    assert len(set(moved["condition_ids"][:, 1].tolist())) > 6
    first = int(plain["condition_ids"][0, 1])
    for ids, (mode, tonic) in zip(moved["input_ids"].tolist(), moved["condition_ids"].tolist(), strict=True):
        shift = (tonic - first + 6) % 12 - 6
        assert mode == plain["condition_ids"][0, 0]
        assert music.decode(ids).voices in (score.transposed(shift).voices, score.transposed(shift % 12).voices)


def test_rows_that_are_no_music_are_named(folder) -> None:
    task = load_task("music-generation")
    model, processor = task.load_model(str(folder))
    for grid, message in (([[]], "holds no note"), ([[60, 61, 62, 63, 64]], "a step holds 5 pitches")):
        with pytest.raises(RnnHubError, match=message):
            task.predict(model, processor, [{"voices": grid}])
