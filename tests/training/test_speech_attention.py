"""A recognizer that attends, jointly with CTC, from a recipe to a model folder, its commands, pipeline and demo."""

import io
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset

import rnn_hub
from demos import speech
from demos.shelf import Shelf
from rnn_hub.cli import main
from rnn_hub.errors import RnnHubError
from rnn_hub.onnx.parts import parts_of
from rnn_hub.pipelines.speech_search import batches
from rnn_hub.training.recipes import build_recipe
from rnn_hub.training.run import train
from tests.recordings import TONES, say, write_audio

pytest.importorskip("av")
MODEL = {
    "model_type": "rnn_hub_speech_seq2seq",
    "ctc_weight": 0.3,
    "conv_size": 16,
    "conv_strides": [4],
    "encoder_hidden_size": 24,
    "encoder_num_layers": 1,
    "decoder_hidden_size": 24,
    "embedding_size": 8,
    "cell_type": "gru",
}
FEATURES = {"feature_size": 12, "window_length": 200, "hop_length": 80}


def write_corpus(folder: Path) -> Path:
    """Strings of one or two tones, as three splits of WAV files."""
    folder.mkdir()
    words = list(TONES)
    texts = [" ".join(words[(number + place) % 4] for place in range(1 + number % 2)) for number in range(24)]
    for split, count in (("train", 24), ("validation", 4), ("test", 4)):
        sounds = [
            write_audio(io.BytesIO(), say(text, seconds=0.1, seed=seed), 8000).getvalue()
            for seed, text in enumerate(texts[:count])
        ]
        rows = {"audio": [{"bytes": sound, "path": None} for sound in sounds], "text": texts[:count]}
        Dataset.from_dict(rows).to_parquet(folder / f"{split}.parquet")
    return folder


def recipe(corpus: Path, folder: Path | None = None, **sections: dict) -> dict:
    training = {"num_train_epochs": 5, "per_device_train_batch_size": 8, "learning_rate": 0.01, "logging_steps": 1}
    return {
        "task": "speech-recognition",
        "name": "tiny-las",
        "dataset": {"path": str(corpus), "sampling_rate": 8000},
        "tokenizer": FEATURES,
        "model": MODEL,
        "training": training | {"use_cpu": True, "output_dir": str(folder), "disable_tqdm": True},
        "generation": {"num_beams": 3, "max_new_tokens": 6},
    } | sections


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("attention")


@pytest.fixture(scope="module")
def folder(base) -> Path:
    made = base / "models" / "tiny-las"
    train(build_recipe(recipe(write_corpus(base / "corpus"), made)))
    return made


@pytest.fixture(scope="module")
def hear(folder):
    return rnn_hub.pipeline("speech-recognition", model=folder)


@pytest.fixture
def sound(base) -> Path:
    return write_audio(base / "mine.wav", say("d m", seconds=0.1), 8000)


def test_a_recipe_trains_and_leaves_a_folder_with_its_search_and_its_card(folder, hear) -> None:
    state = max((folder / "checkpoints").glob("*/trainer_state.json"), key=lambda path: path.stat().st_mtime)
    losses = [entry["loss"] for entry in json.loads(state.read_text())["log_history"] if "loss" in entry]
    assert np.mean(losses[-3:]) < 0.75 * np.mean(losses[:3])
    search = json.loads((folder / "generation_config.json").read_text())
    assert (search["num_beams"], search["max_new_tokens"], search["eos_token_id"]) == (3, 6, 3)
    card = (folder / "README.md").read_text()
    assert "1 GRU layer in both directions, a decoder with general attention, and CTC of weight 0.3" in card
    assert "return_words=True" in card and "| WER" in card
    assert type(hear.model).__name__ == "RnnForSpeechSeq2Seq" and hear.processor.tokenizer.eos_token_id == 3


def test_its_commands_work(folder, base, sound, capsys) -> None:
    options = ["--dataset", str(base / "corpus"), "--ctc-decoding-weight", "0.5", "--num-beams", "2"]
    assert main(["evaluate", str(folder), *options]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["metrics"].keys() == {"wer", "cer", "real_time_factor"} and result["examples"] == 4
    assert result["search"] == "num beams 2, ctc decoding weight 0.5"
    assert main(["predict", str(folder), str(sound), "--n-best", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and all("\t" in line for line in lines)
    assert main(["predict", str(folder), str(sound), "--lm-weight", "1"]) == 2
    assert "--lm-weight: the search of this model knows --num-beams, --length-penalty" in capsys.readouterr().err


def test_texts_have_words_with_times_and_falling_scores(hear) -> None:
    given = say("d m", seconds=0.1)
    found = hear(given, return_words=True, num_return_sequences=3)
    assert [word["word"] for word in found["words"]] == found["text"].split()
    times = [time for word in found["words"] for time in (word["start"], word["end"])]
    assert times == sorted(times) and all(0 <= time <= len(given) / 8000 + 0.1 for time in times)
    scores = [one["score"] for one in found["others"]]
    assert scores == sorted(scores, reverse=True) and found["others"][0]["text"] == found["text"]


def test_a_batch_of_recordings_is_heard_as_each_alone(hear) -> None:
    sounds = [say("d", seconds=0.1), say("m s t", seconds=0.1), np.zeros(1, np.float32), say("t", seed=3)]
    for search in ({"num_beams": 1}, {"ctc_decoding_weight": 0.8}, {"ctc_decoding_weight": 0.0}):
        assert hear(sounds, **search) == [hear(sound, **search) for sound in sounds]


def test_the_demo_opens_its_folder(folder, sound) -> None:
    *_, view = speech.listen(Shelf(speech.TASK, folder.parent), str(sound), "tiny-las")
    assert view.picture and (view.text or "No words" in view.notice)


def test_without_a_ctc_head_texts_have_no_times(base, sound) -> None:
    model = {name: value for name, value in MODEL.items() if name != "ctc_weight"}
    given = recipe(base / "corpus", base / "models" / "plain", model=model)
    given["training"] |= {"num_train_epochs": 1, "eval_strategy": "no", "save_strategy": "epoch"}
    train(build_recipe(given))
    plain = rnn_hub.pipeline("speech-recognition", model=base / "models" / "plain")
    assert isinstance(plain(say("d"))["text"], str)
    assert "return_words" not in (base / "models" / "plain" / "README.md").read_text()
    *_, view = speech.listen(
        Shelf(speech.TASK, base / "models"), str(write_audio(base / "d.wav", say("d"), 8000)), "plain"
    )
    assert view.picture
    for options, message in (
        ({"return_words": True}, "no CTC head, so it knows no times"),
        ({"ctc_decoding_weight": 0.3}, "no CTC head: leave it out"),
    ):
        with pytest.raises(RnnHubError, match=message):
            plain(say("d"), **options)


def test_what_cannot_be_done_is_said_in_one_line(hear) -> None:
    for options, message in (
        ({"word_list": ["d"]}, "word_list: the search of this model knows num_beams, length_penalty"),
        ({"language_model": "any"}, "language_model: the search of this model knows"),
        ({"ctc_decoding_weight": 2.0}, r"to 1 \(CTC alone\), got 2.0"),
        ({"num_beams": 2, "num_return_sequences": 3}, "num_return_sequences=3 is more than num_beams=2"),
    ):
        with pytest.raises(RnnHubError, match=message) as caught:
            hear(say("d"), **options)
        assert "\n" not in str(caught.value)
    with pytest.raises(RnnHubError, match="decoder looks at the whole recording"):
        next(hear.stream([say("d")]))
    with pytest.raises(RnnHubError, match="no form in ONNX"):
        parts_of(hear.model)
    with pytest.raises(RnnHubError, match="holds no sound|not an array of shape"):
        hear(np.zeros(0, np.float32))


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"model": MODEL | {"ctc_weight": 1.5}}, "ctc_weight must be from 0 .* got 1.5"),
        ({"tokenizer": FEATURES | {"ends": False}}, "ends is false, and a model of type rnn_hub_speech_seq2seq needs"),
        ({"tokenizer": FEATURES | {"ends": True}, "model": {}, "generation": {}}, "has no use for symbols"),
        ({"model": MODEL | {"ctc_weight": 0}, "generation": {"ctc_decoding_weight": 0.3}}, "no CTC head"),
        ({"generation": {"ctc_decoding_weight": "much"}}, "got 'much'"),
        ({"generation": {"ctc_decoding_wieght": 0.3}}, "did you mean 'ctc_decoding_weight'"),
        ({"model": {}}, "generation \\(how a text is searched for"),
        ({"model": MODEL | {"hidden_size": 3}}, "unknown key 'hidden_size' in model"),
    ],
)
def test_wrong_recipes_fail_before_any_work(sections: dict, message: str) -> None:
    with pytest.raises(RnnHubError, match=message) as caught:
        build_recipe(recipe(Path("absent"), Path("absent"), **sections))
    assert "\n" not in str(caught.value)


def test_batches_are_no_longer_than_what_is_heard_at_once() -> None:
    seconds = [3.0] * 5 + [500.0, 80.0, 20.0, 900.0, 1.0, 1.0]
    found = [list(places) for places in batches(seconds, 4)]
    assert found == [[0, 1, 2, 3], [4], [5], [6, 7], [8], [9, 10]]
    assert [one for places in found for one in places] == list(range(len(seconds)))
    assert all(after[0] == before[-1] + 1 for before, after in pairwise(found))
