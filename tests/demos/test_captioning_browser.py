"""The captioning demo in a headless Chromium: a visitor uploads a picture and reads its caption."""

import time

import pytest

from demos import app, captioning
from tests.demos.test_translation_browser import WAIT, Visitor, driver, pytestmark  # noqa: F401
from tests.tiny_captions import colour_image, write_captioner, write_clip_captioner
from tests.videos import picture, write_video


class Viewer(Visitor):
    """What a person does with the page of captions."""

    def open(self, address):
        self.driver.get(address)
        next(tab for tab in self.wait("[role=tab]", 2) if tab.text == captioning.TITLE).click()
        self.wait("#describe")

    def upload(self, path):
        self.find("#picture input[type=file]")[0].send_keys(str(path))
        self.wait("#picture img")

    def describe(self, button="#describe"):
        """The caption, once it stays; or the notice."""
        self.find(button)[0].click()
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            if notice := self.find("#caption-notice .notice"):
                return notice[0].text
            if self.find("#caption-best [data-testid=cell-1-2]"):
                return self.find("#caption textarea")[0].get_property("value")
            time.sleep(0.05)
        raise AssertionError(f"no caption came; the page says: {self.find('body')[0].text[:2000]}")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    page = app.build(write_clip_captioner(write_captioner(tmp_path_factory.mktemp("captioners"))))
    yield app.serve(page, host="127.0.0.1", block=False)
    page.close()


@pytest.fixture
def viewer(driver, address):  # noqa: F811
    viewer = Viewer(driver)
    viewer.open(address)
    return viewer


def test_an_uploaded_picture_is_described_word_by_word(viewer, tmp_path):
    colour_image("blue", (300, 200)).save(tmp_path / "picture.jpg")
    viewer.upload(tmp_path / "picture.jpg")
    assert viewer.describe() == "a blue picture"
    assert [caption.text for caption in viewer.wait("#looks figcaption", 3)] == ["a", "blue", "picture"]
    width = "return document.querySelector('#looks img').naturalWidth"
    assert viewer.driver.execute_script(width) == 168


def test_a_text_that_calls_itself_a_picture_gets_one_line(viewer, tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    viewer.find("#picture input[type=file]")[0].send_keys(str(tmp_path / "text.jpg"))
    time.sleep(2)
    assert "is no image that can be read" in viewer.describe()
    assert not viewer.find(".toast-body.error")


def test_an_uploaded_clip_is_described(viewer, tmp_path):
    path = write_video(tmp_path / "clip.mp4", [picture(number) for number in range(20)])
    next(tab for tab in viewer.find("[role=tab]") if tab.text == "Clip").click()
    viewer.wait("#describe-clip")
    viewer.find("#caption-clip input[type=file]")[0].send_keys(str(path))
    viewer.wait("#caption-clip video")
    caption = viewer.describe("#describe-clip")
    assert len(caption.split()) >= 3
    assert " ".join(word.text for word in viewer.find("#looks figcaption")) == caption


def test_without_a_picture_the_page_asks_for_one(viewer):
    assert "Choose a picture or a clip first" in viewer.describe()


def test_a_narrow_screen_needs_no_sideways_scrolling(viewer, tmp_path):
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    viewer.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        colour_image("red", (300, 200)).save(tmp_path / "picture.jpg")
        viewer.upload(tmp_path / "picture.jpg")
        viewer.describe()
        assert viewer.driver.execute_script("return document.documentElement.scrollWidth") <= 390
    finally:
        viewer.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
