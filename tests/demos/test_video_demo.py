"""What the page of videos shows: labels, frames and curves of a clip, or one line that says what is wrong with it."""

import re

import numpy as np
import pytest

from demos import video
from demos.frame_plot import curves_html, strip_html
from demos.shelf import Shelf
from rnn_hub.data.camera_motion import MOTIONS
from rnn_hub.data.video import open_video
from tests.demos.video_models import write_model
from tests.videos import picture, write_sound, write_video

pytest.importorskip("av")
MODEL = "rnn-video-motion-wild"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    return Shelf(video.TASK, write_model(tmp_path_factory.mktemp("video")))


def test_a_clip_gives_labels_frames_and_curves(shelf, tmp_path) -> None:
    clip = write_video(tmp_path / "clip.mp4", [picture(number) for number in range(40)])
    view = video.watch(shelf, str(clip), MODEL)
    assert not view.notice and set(view.label) == set(MOTIONS) and sum(view.label.values()) == pytest.approx(1)
    assert view.frames.count("<img") == 16 and view.frames.count("--w:1.000") == 1
    assert view.frames.count("<polyline") == 4 and "up to 1.5 s" in view.frames


def test_a_model_without_attention_and_a_single_frame_are_shown_too(tmp_path) -> None:
    shelf = Shelf(video.TASK, write_model(tmp_path, pooling="mean"))
    clip = write_video(tmp_path / "one.mp4", [picture(0)])
    view = video.watch(shelf, str(clip), MODEL)
    assert view.frames.count("<img") == 1 and "--w" not in view.frames and view.frames.count("<circle") == 4


def test_what_is_no_video_gets_one_line(shelf, tmp_path) -> None:
    (tmp_path / "text.mp4").write_text("<b>no video</b>")
    sound = write_sound(tmp_path / "sound.mp4")
    for clip, message in (
        (None, "Upload a video, record one, or pick an example first."),
        (str(tmp_path / "text.mp4"), "text.mp4 cannot be read as a video"),
        (str(sound), "holds no video, only sound"),
    ):
        view = video.watch(shelf, clip, MODEL)
        assert message in view.notice and view.label is None and not view.frames


def test_the_examples_are_made_by_the_project(tmp_path) -> None:
    paths = video.write_examples(tmp_path)
    assert len(paths) >= 3 and len({path.stem for path in paths}) == len(paths)
    for path in paths:
        assert re.search("pan|zoom|rotate|still", path.stem)
        with open_video(path) as opened:
            frames = list(opened.frames())
        assert len(frames) == 48 and frames[0].picture.height == 192


def test_thumbnails_keep_the_proportions(tmp_path) -> None:
    wide = write_video(tmp_path / "wide.mp4", [picture(0, 48, 96)])
    tall = write_video(tmp_path / "tall.mp4", [picture(0, 96, 48)])
    assert video.thumbnails(str(wide), [0.0])[0].shape == (48, 96, 3)
    assert video.thumbnails(str(tall), [0.0])[0].shape == (96, 48, 3)


def test_names_are_escaped_and_curves_stay_inside() -> None:
    html = curves_html(np.array([[1.0, 0.0], [0.0, 1.0]]), [0.0, 0.5], ["<b>", "right"])
    assert "&lt;b&gt;" in html and "<b>" not in html
    levels = [float(y) for y in re.findall(r"[\d.]+,([\d.]+)", html)]
    assert min(levels) >= 0 and max(levels) <= 260
    assert 'title="0.50 s"' in strip_html([np.zeros((8, 8, 3), np.uint8)] * 2, [0.0, 0.5], None)


def test_every_released_model_has_a_hint() -> None:
    assert "surveillance" in video.hint("rnn-video-fights") and "lips" in video.hint("rnn-video-letters")
    assert "camera" in video.hint("rnn-video-motion") and video.hint("mine") == ""
