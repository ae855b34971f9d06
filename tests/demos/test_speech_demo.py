"""The demo of speech recognition in a headless Chromium, and its function."""

import numpy as np
import pytest

from demos import app, space, speech
from demos.shelf import Shelf
from tests.demos.test_label_browser import Reader
from tests.demos.test_translation_browser import driver, pytestmark  # noqa: F401
from tests.recordings import say, write_audio
from tests.speech_models import learned, processor_kind

pytest.importorskip("av")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("listeners")
    learned(folder / "tones")
    return folder


@pytest.fixture(scope="module")
def address(models):
    page = app.build(models)
    yield app.serve(page, host="127.0.0.1", block=False)
    page.close()


@pytest.fixture
def page(driver, address):  # noqa: F811
    reader = Reader(driver)
    reader.open(address, speech.TITLE, ("#speech-model", "#recognize", "#speech-notice"), field="#recognize")
    return reader


def upload(page, path) -> None:
    page.wait("#recording button[aria-label='Upload file']")[0].click()
    page.wait_for(lambda: page.find("#recording input[type=file]"))
    page.find("#recording input[type=file]")[0].send_keys(str(path))
    page.wait("#recording button[aria-label='Play']")


def heard(page, expected: str) -> None:
    page.wait_for(lambda: page.find("#transcript textarea")[0].get_attribute("value") == expected)


def test_an_uploaded_recording_becomes_text_with_its_words_over_the_time(page, tmp_path) -> None:
    upload(page, write_audio(tmp_path / "mine.wav", say("d m s"), 8000))
    page.find("#recognize")[0].click()
    page.shown("#speech-picture", ["d", "m", "s"])
    heard(page, "d m s")
    assert len(page.find("#speech-picture .word-times tr")) == 4


def test_what_is_no_recording_gets_a_clear_message(page) -> None:
    page.find("#recognize")[0].click()
    page.shown("#speech-notice .notice", ["Record something, upload a file"])
    assert not page.find(".toast-body.error")


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(16000), "No words were recognized"),
        (np.zeros(1), "No words were recognized"),
        (np.zeros(8000 * 301), "lasts more than 300 seconds, the longest that is read here"),
    ],
    ids=["silence", "one sample", "too long"],
)
def test_strange_recordings_are_answered(models, tmp_path, samples, message) -> None:
    path = write_audio(tmp_path / "strange.wav", samples, 8000)
    *_, view = speech.listen(Shelf(speech.TASK, models), str(path), "tones")
    assert message in view.notice


def test_a_broken_file_is_told(models, tmp_path) -> None:
    path = tmp_path / "broken.mp3"
    path.write_bytes(b"ID3" + bytes(range(256)))
    (view,) = speech.listen(Shelf(speech.TASK, models), str(path), "tones")
    assert "broken.mp3" in view.notice and not view.text


def test_the_text_grows_while_it_listens(models, tmp_path) -> None:
    path = write_audio(tmp_path / "long.wav", say("d m s t d m s t"), 8000)
    texts = [view.text for view in speech.listen(Shelf(speech.TASK, models), str(path), "tones")]
    assert len(set(texts)) > 2 and texts[-1] == "d m s t d m s t"


def test_models_of_given_features_are_not_offered_and_it_is_a_space(models, tmp_path) -> None:
    folder = space.write_space("speech", tmp_path / "space", models)
    assert list(folder.glob("demos/recordings/*.flac")) and list(folder.glob("model_cards/*/model.safetensors"))
    assert speech.hears_waveforms(models / "tones") and not speech.hears_waveforms(tmp_path)
    copied = folder / "model_cards" / "tones"
    processor_kind(copied, "given")
    assert not speech.hears_waveforms(copied)


def test_examples_are_of_what_the_models_know() -> None:
    names = {
        kind: [path.stem for path in speech.fitting_examples(["an-other", kind])] for kind in ("rnn-digits", "mine")
    }
    assert names["rnn-digits"] == ["digits"] and len(names["mine"]) == 3
