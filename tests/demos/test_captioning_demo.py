"""The captioning demo's functions: the stream of views, the strip of looks, the notices."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from demos import captioning
from demos.region_plot import looks_html
from demos.shelf import Shelf
from tests.conftest import ROOT
from tests.tiny_captions import COLOURS, colour_image, write_captioner, write_clip_captioner
from tests.videos import write_video

MODEL = "tiny-captioning"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    return Shelf(captioning.TASK, write_captioner(tmp_path_factory.mktemp("captioners")))


@pytest.fixture(autouse=True)
def unpaced(monkeypatch):
    monkeypatch.setattr(captioning, "PACE", 0)


def views(shelf, path, beams=3, alternatives=2):
    return list(captioning.describe(shelf, str(path) if path else None, MODEL, beams, alternatives))


def words(html):
    return re.sub("<[^>]*>", "", html)


@pytest.mark.parametrize("colour", COLOURS)
def test_the_caption_grows_by_a_word_and_a_picture(shelf, tmp_path, colour):
    colour_image(colour).save(tmp_path / "picture.png")
    *growing, last = views(shelf, tmp_path / "picture.png")
    assert [view.caption for view in growing] == ["a", f"a {colour}", f"a {colour} picture"]
    assert [view.looks.count("<figure>") for view in growing] == [1, 2, 3]
    assert last.caption == f"a {colour} picture" and last.looks == growing[-1].looks
    assert [row[0] for row in last.best] == ["1", "2"] and last.best[0][1] == last.caption
    assert last.notice == ""


def test_the_strip_is_bright_where_the_model_looked():
    weights = np.zeros((1, 4, 4))
    weights[0, 0, 3] = 1  # the upper right corner
    html = looks_html(Image.new("RGB", (200, 100), "white"), ["<b>"], weights)
    assert "<b>" not in html and "&lt;b&gt;" in html
    data = base64.b64decode(re.search('base64,([^"]*)', html)[1])
    shown = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
    assert shown.shape == (84, 168)
    assert shown[5, -5] > 230 and shown[-5, 5] < 80


def test_bad_files_give_a_notice(shelf, tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    for path, message in [
        (None, "Choose a picture or a clip first"),
        (tmp_path / "text.jpg", "is no image that can be read"),
    ]:
        (view,) = views(shelf, path)
        assert message in words(view.notice) and not view.caption


def test_the_examples_are_pictures(shelf):
    examples = list(captioning.PICTURES.glob("*.jpg"))
    assert len(examples) >= 3
    for path in examples:
        assert views(shelf, path)[-1].looks


def test_a_clip_is_described_over_its_middle_frame(tmp_path):
    shelf = Shelf(captioning.CLIP_TASK, write_clip_captioner(tmp_path))
    frames = [np.asarray(colour_image(colour)) for colour in ("red", "green", "blue") for _ in range(5)]
    path = str(write_video(tmp_path / "clip.mp4", frames))
    *_, last = captioning.describe(shelf, path, "tiny-clip-captioning", 2, 2)
    assert last.looks.count("<figure>") == len(last.caption.split()) and len(last.best) == 2
    assert np.argmax(np.asarray(captioning.middle_frame(path)).mean((0, 1))) == 1
    (tmp_path / "text.mp4").write_text("no video")
    (view,) = captioning.describe(shelf, str(tmp_path / "text.mp4"), "tiny-clip-captioning", 2, 2)
    assert "cannot be read as a video" in words(view.notice)


def test_the_released_model_sees_who_and_what_is_in_the_examples():
    shelf = Shelf(captioning.TASK, ROOT / "model_cards")
    if not shelf.models:
        pytest.skip("no released captioner in model_cards")
    pipe = shelf[next(iter(shelf.models))]
    (record,) = pipe(str(captioning.PICTURES / "astronaut.jpg"))
    assert {"woman", "man", "girl", "boy", "person", "people", "child"} & set(record["generated_text"].split())


@pytest.mark.filterwarnings("error")
def test_a_word_that_looks_at_no_region_leaves_the_picture_dark() -> None:
    assert "data:image/jpeg" in looks_html(Image.new("RGB", (40, 30), "white"), ["left"], np.zeros((1, 7, 7)))
