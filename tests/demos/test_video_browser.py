"""The video demo in a headless Chromium: a visitor uploads a file, picks an example, watches."""

import time

import pytest

from demos import app, video
from tests.demos.test_translation_browser import WAIT, Visitor, driver, pytestmark  # noqa: F401
from tests.demos.video_models import write_model
from tests.videos import picture, write_video

pytest.importorskip("av")


class Watcher(Visitor):
    """What a person does with the page of videos."""

    def open(self, address):
        self.driver.get(address)
        next(tab for tab in self.wait("[role=tab]", 2) if tab.text == video.TITLE).click()
        self.wait("#watch")

    def upload(self, path):
        self.driver.find_element("css selector", "#clip input[type=file]").send_keys(str(path))
        self.until(lambda: self.find("#clip video") or path.name in self.find("#clip")[0].text)

    def until(self, found):
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            if result := found():
                return result
            time.sleep(0.1)
        raise AssertionError(f"waited in vain; the page says: {self.find('body')[0].text[:2000]}")

    def watch(self):
        self.find("#watch")[0].click()
        self.until(lambda: self.find("#frames svg") or self.find("#video-notice .notice"))


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    page = app.build(write_model(tmp_path_factory.mktemp("video")))
    yield app.serve(page, host="127.0.0.1", block=False)
    page.close()


@pytest.fixture
def watcher(driver, address):  # noqa: F811
    watcher = Watcher(driver)
    watcher.open(address)
    return watcher


def test_an_uploaded_file_is_watched(watcher, tmp_path) -> None:
    watcher.upload(write_video(tmp_path / "mine.mp4", [picture(number) for number in range(40)]))
    watcher.watch()
    assert len(watcher.find("#frames img")) == 16 and len(watcher.find("#frames polyline")) == 4
    assert "%" in watcher.wait("#video-label")[0].text
    width = "return document.querySelector('#frames img').naturalWidth"
    assert watcher.until(lambda: watcher.driver.execute_script(width)) == 96


def test_an_example_is_watched(watcher) -> None:
    watcher.wait("#clip-examples button, #clip-examples td")[0].click()
    watcher.until(lambda: watcher.find("#clip video"))
    watcher.watch()
    assert len(watcher.find("#frames polyline")) == 4


def test_a_text_file_gets_a_message_and_no_traceback(watcher, tmp_path) -> None:
    (tmp_path / "text.mp4").write_text("This is no video.")
    watcher.upload(tmp_path / "text.mp4")
    watcher.watch()
    assert "cannot be read as a video" in watcher.wait("#video-notice .notice")[0].text
    assert "Traceback" not in watcher.find("body")[0].text  # the player itself says that it cannot play it


def test_without_a_clip_the_page_asks_for_one(watcher) -> None:
    watcher.watch()
    assert "Upload a video" in watcher.wait("#video-notice .notice")[0].text


def test_a_narrow_screen_needs_no_sideways_scrolling(watcher, tmp_path) -> None:
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    watcher.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        watcher.upload(write_video(tmp_path / "mine.mp4", [picture(number) for number in range(10)]))
        watcher.watch()
        assert watcher.driver.execute_script("return document.documentElement.scrollWidth") <= 390
    finally:
        watcher.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
