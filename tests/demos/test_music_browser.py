"""The music demo in a headless Chromium: a visitor chooses, plays, uploads."""

import time

import pytest

from demos import app, music
from rnn_hub.data.midi import read_midi, write_midi
from rnn_hub.data.music import Score
from tests.demos.music_models import write_model
from tests.demos.test_translation_browser import WAIT, Visitor, driver, pytestmark  # noqa: F401

pytest.importorskip("symusic")
pytest.importorskip("music21")
CHORALE = Score.from_grid([(67, 62, 59, 43)] * 8 + [(69, 62, 57, 50)] * 8, key="G major", tempo=60)


class Listener(Visitor):
    """What a person does with the page of music."""

    def open(self, address):
        self.driver.get(address)
        next(tab for tab in self.wait("[role=tab]", 2) if tab.text == music.TITLE).click()
        self.wait("#play")

    def play(self):
        before = self.find("#roll img")[0].get_attribute("src") if self.find("#roll img") else None
        self.find("#play")[0].click()
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            rolls, notices = self.find("#roll img"), self.find("#music-notice .notice")
            if notices or (rolls and rolls[0].get_attribute("src") != before):
                return
            time.sleep(0.05)
        raise AssertionError(f"nothing was played; the page says: {self.find('body')[0].text[:2000]}")

    def choose(self, action):
        next(label for label in self.find("#action label") if label.text == action).click()
        self.wait("#file input[type=file], #file button")

    def upload(self, path):
        field = self.driver.find_element("css selector", "#file input[type=file]")
        field.send_keys(str(path))
        end = time.monotonic() + WAIT
        while time.monotonic() < end and path.stem not in self.find("#file")[0].text:
            time.sleep(0.05)

    def links(self):
        return [link.get_attribute("href") for link in self.wait("#files a", 3)]

    def fetch(self, address):
        """The bytes at an address, fetched by the page."""
        script = "const done = arguments[1]; fetch(arguments[0]).then(r => r.arrayBuffer())"
        script += ".then(b => done(Array.from(new Uint8Array(b))))"
        return bytes(self.driver.execute_async_script(script, address))


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    page = app.build(write_model(tmp_path_factory.mktemp("music")))
    yield app.serve(page, host="127.0.0.1", block=False)
    page.close()


@pytest.fixture
def listener(driver, address):  # noqa: F811
    listener = Listener(driver)
    listener.open(address)
    return listener


def test_a_click_gives_sound_picture_and_files(listener) -> None:
    listener.play()
    width = "return document.querySelector('#roll img').naturalWidth"
    end = time.monotonic() + WAIT
    while time.monotonic() < end and not listener.driver.execute_script(width):
        time.sleep(0.05)
    assert listener.driver.execute_script(width) > 500
    assert "G major, 40 beats, 33 seconds" in listener.find("#summary")[0].text
    links = listener.links()
    assert [link.rpartition(".")[2] for link in links] == ["mid", "wav", "musicxml"]
    assert read_midi(listener.fetch(links[0])).beats == 40
    assert listener.fetch(links[1])[:4] == b"RIFF"
    assert listener.wait("#sound button[aria-label*=Play], #sound .play-pause-button")


def test_an_uploaded_melody_is_harmonized(listener, tmp_path) -> None:
    write_midi(Score(CHORALE.voices[:1], tempo=60), tmp_path / "melody.mid")
    listener.choose(music.HARMONIZE)
    listener.upload(tmp_path / "melody.mid")
    listener.play()
    assert read_midi(listener.fetch(listener.links()[0])).voices[0] == CHORALE.voices[0]


def test_a_bad_file_gets_a_message_and_no_traceback(listener, tmp_path) -> None:
    (tmp_path / "broken.mid").write_bytes(write_midi(CHORALE)[:-30])
    listener.choose(music.CONTINUE)
    listener.upload(tmp_path / "broken.mid")
    listener.play()
    assert "is truncated" in listener.wait("#music-notice .notice")[0].text
    assert "Traceback" not in listener.find("body")[0].text and not listener.find(".toast-body.error")


def test_without_a_file_the_page_asks_for_one(listener) -> None:
    listener.choose(music.HARMONIZE)
    listener.play()
    assert "Choose a MIDI or MusicXML file first" in listener.wait("#music-notice .notice")[0].text


def test_a_narrow_screen_needs_no_sideways_scrolling(listener) -> None:
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    listener.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        listener.play()
        assert listener.driver.execute_script("return document.documentElement.scrollWidth") <= 390
    finally:
        listener.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
