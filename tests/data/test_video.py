"""Reading video: every kind of source gives the same frames, and what is no video is refused in one line."""

import io

import numpy as np
import pytest
from PIL import Image

from rnn_hub.data.frame_sampling import Sampling, shown_at
from rnn_hub.data.video import open_video, pixels
from rnn_hub.errors import RnnHubError
from tests.videos import gray, picture, rotate_metadata, write_sound, write_video

pytest.importorskip("av")
EVERY = Sampling("rate", None)
SIZE = (48, 64)


def read(source, sampling=EVERY, size=SIZE, **options):
    """The chosen frames of a source, and when they are shown."""
    crop, shade = options.pop("crop", False), options.pop("shade", False)
    with open_video(source, **options) as video:
        chosen = [(frame.time, pixels(frame.picture, size, crop, shade)) for frame in sampling.choose(video)]
    return [time for time, _ in chosen], np.stack([array for _, array in chosen])


def shades(source, sampling=EVERY, **options):
    """For videos of one shade a frame: the shades, a number a frame."""
    times, frames = read(source, sampling, **options)
    return times, [round(float(frame.mean())) for frame in frames]


@pytest.fixture
def clip(tmp_path):
    """Fifty frames, 25 a second; the shade of frame n is 4 n."""
    return write_video(tmp_path / "clip.mp4", [gray(4 * number) for number in range(50)])


def test_a_file_whose_header_is_damaged_is_refused_where_its_duration_is_asked_for(clip) -> None:
    damaged = clip.read_bytes().replace(b"mvhd", b"mvh?")
    with open_video(damaged) as video, pytest.raises(RnnHubError, match="^the video is damaged: "):
        video.duration  # noqa: B018


def test_a_path_bytes_and_an_open_file_give_the_same_frames(clip) -> None:
    times, frames = read(clip)
    assert len(frames) == 50 and frames.dtype == np.uint8 and frames.shape[1:] == (48, 64, 3)
    assert times == pytest.approx([number / 25 for number in range(50)])
    assert np.abs(frames.mean(axis=(1, 2, 3)) - 4 * np.arange(50)).max() < 3
    for source in (str(clip), clip.read_bytes(), io.BytesIO(clip.read_bytes()), clip.open("rb")):
        assert np.array_equal(read(source)[1], frames)


def test_a_folder_arrays_and_pictures_give_the_same_frames(tmp_path) -> None:
    arrays = [picture(number) for number in range(12)]
    for number, array in enumerate(arrays):
        Image.fromarray(array).save(tmp_path / f"frame{number}.png")  # frame10 comes after frame9
    (tmp_path / "notes.txt").write_text("not a frame")
    _, frames = read(tmp_path)
    assert np.array_equal(frames, np.stack(arrays))
    sources = (np.stack(arrays), arrays, [Image.fromarray(array) for array in arrays], np.stack(arrays) / 255.0)
    for source in sources:
        assert np.array_equal(read(source)[1], frames)
    assert read(arrays, fps=4)[0] == [number / 4 for number in range(12)]


def test_uniform_takes_the_middles_of_equal_parts(clip) -> None:
    times, found = shades(clip, Sampling("uniform", 5))
    assert [round(25 * time) for time in times] == [5, 15, 25, 35, 45]
    assert found == pytest.approx([20, 60, 100, 140, 180], abs=3)


def test_a_short_video_gives_each_frame_once(tmp_path) -> None:
    arrays = [gray(40 * number) for number in range(5)]
    assert len(read(arrays, Sampling("uniform", 16))[1]) == 5
    assert len(read(arrays, Sampling("clip", 16, 50.0))[1]) == 5
    assert len(read(arrays[:1], Sampling("uniform", 16))[1]) == 1


def test_a_clip_is_dense_and_from_the_middle(clip) -> None:
    times, _ = shades(clip, Sampling("clip", 5, 12.5))
    assert [round(25 * time) for time in times] == [20, 22, 24, 26, 28]


def test_a_rate_covers_the_whole_up_to_a_limit(clip) -> None:
    times, _ = shades(clip, Sampling("rate", None, 5.0))
    assert [round(25 * time) for time in times] == list(range(0, 50, 5))
    assert len(shades(clip, Sampling("rate", 3, 5.0))[0]) == 3
    assert len(shades(clip, Sampling("rate", None, 100.0))[0]) == 50


def test_a_thousand_frames_a_second_are_sampled_by_time(tmp_path) -> None:
    path = write_video(tmp_path / "fast.mp4", [gray(number // 4) for number in range(1000)], fps=1000)
    times, found = shades(path, Sampling("rate", None, 10.0))
    assert times == pytest.approx([number / 10 for number in range(10)], abs=2e-3)
    assert found == pytest.approx([25 * number for number in range(10)], abs=3)


def test_far_frames_are_reached_by_keyframes_and_are_the_same(tmp_path, monkeypatch) -> None:
    path = write_video(tmp_path / "long.mp4", [gray(number // 4) for number in range(1000)], keyframes=25)
    decoded = []
    with open_video(path) as video:
        chosen = list(shown_at(video, [0.02, 10.0, 20.02, 39.0]))
        for frame in chosen:
            decoded.append(round(frame.time * 25))
    assert decoded == [0, 250, 500, 975]
    with open_video(path) as video:
        seen = 0
        real = video.frames

        def counted():
            nonlocal seen
            for frame in real():
                seen += 1
                yield frame

        monkeypatch.setattr(video, "frames", counted)
        assert len(list(shown_at(video, [0.02, 10.0, 20.02, 39.0]))) == 4
    assert seen < 200


def test_a_recording_of_a_browser_tells_no_duration_and_is_sampled_all_the_same(tmp_path) -> None:
    path = write_video(
        tmp_path / "webcam.webm", [gray(4 * n) for n in range(50)], container="webm", codec="libvpx", live="1"
    )
    with open_video(path) as video:
        assert video.duration == pytest.approx(2.0, abs=0.1)
    times, found = shades(path, Sampling("uniform", 5))
    assert found == pytest.approx([20, 60, 100, 140, 180], abs=8) and len(times) == 5


def test_an_animated_gif_is_a_video(tmp_path) -> None:
    pictures = [Image.fromarray(gray(50 * number)) for number in range(5)]
    pictures[0].save(tmp_path / "moving.gif", save_all=True, append_images=pictures[1:], duration=100)
    times, found = shades(tmp_path / "moving.gif")
    assert found == pytest.approx([0, 50, 100, 150, 200], abs=2)
    assert times == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_phone_video_stands_upright(tmp_path, turn) -> None:
    plain = write_video(tmp_path / "plain.mp4", [picture(0)] * 5).read_bytes()
    shape = (64, 48) if turn % 180 else (48, 64)
    upright = read(rotate_metadata(plain, turn), size=shape)[1][0]
    expected = np.rot90(read(plain)[1][0], -turn // 90)
    assert np.abs(upright.astype(int) - expected).max() < 4


def test_cropping_keeps_proportions_and_squeezing_keeps_all(tmp_path) -> None:
    (cropped,), (squeezed,) = (read([picture(0)], size=(24, 24), crop=crop)[1] for crop in (True, False))
    assert cropped[0, 0, 0] > 30 and squeezed[0, 0, 0] < 12  # red is the place from left to right
    assert cropped.shape == squeezed.shape == (24, 24, 3)
    turned = rotate_metadata(write_video(tmp_path / "plain.mp4", [picture(0)]).read_bytes())
    (upright,) = read(turned, size=(24, 24), crop=True)[1]
    assert np.abs(np.rot90(upright).astype(int) - cropped).mean() < 6


def test_gray_frames_have_one_channel(clip) -> None:
    _, frames = read(clip, shade=True)
    assert frames.shape == (50, 48, 64, 1)
    assert np.abs(frames[25].mean() - 100) < 3


def test_what_is_transparent_is_white(tmp_path) -> None:
    array = np.zeros((16, 16, 4), np.uint8)
    array[:, 8:, 3] = 255
    Image.fromarray(array, "RGBA").save(tmp_path / "alpha.png")
    for source in (tmp_path / "alpha.png", [Image.open(tmp_path / "alpha.png")], array[None]):
        (frame,) = read(source, size=(16, 16))[1]
        assert frame[0, 0].tolist() == [255, 255, 255] and frame[0, 15].tolist() == [0, 0, 0]


def test_one_pixel_and_8k_are_only_sizes(tmp_path) -> None:
    assert read(np.full((1, 1, 1, 3), 7, np.uint8), size=(32, 32))[1].tolist() == np.full((1, 32, 32, 3), 7).tolist()
    Image.fromarray(np.full((1, 1, 3), 7, np.uint8)).save(tmp_path / "one.png")
    assert read(tmp_path / "one.png", size=(32, 32))[1].mean() == 7
    large = write_video(tmp_path / "8k.mp4", [gray(9, 4320, 7680)] * 2, quality={"preset": "ultrafast"})
    assert read(large, size=(32, 32))[1].shape == (2, 32, 32, 3)


def test_what_is_no_video_is_refused_in_one_line(tmp_path, clip) -> None:
    (tmp_path / "text.mp4").write_text("This is no video.")
    (tmp_path / "playlist.mp4").write_text(f"#EXTM3U\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n")
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "truncated.mp4").write_bytes(clip.read_bytes()[:-600])
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "1.png").write_bytes(b"no image")
    write_sound(tmp_path / "sound.mp4")
    cases = {
        "text.mp4": "text.mp4 cannot be read as a video: Invalid data",
        "playlist.mp4": "playlist.mp4 cannot be read as a video",
        "empty.mp4": "empty.mp4 cannot be read as a video",
        "truncated.mp4": "truncated.mp4 cannot be read as a video",
        "sound.mp4": "sound.mp4 holds no video, only sound",
        "folder": "folder has no frame",
        "broken": r"1.png cannot be read as an image",
        "absent.mp4": "there is no video file",
    }
    for name, message in cases.items():
        with pytest.raises(RnnHubError, match=message) as caught:
            read(tmp_path / name)
        assert "\n" not in str(caught.value), name


def test_a_video_that_is_cut_off_is_refused(tmp_path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (50, 48, 64, 3), np.uint8)
    whole = write_video(tmp_path / "whole.mp4", list(noise), movflags="faststart").read_bytes()
    with pytest.raises(RnnHubError, match=r"the video is (cut off|damaged)"):
        read(whole[: len(whole) * 2 // 3])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([], "has no frame"),
        (np.zeros((0, 8, 8, 3), np.uint8), "has no frame"),
        (np.zeros((8,), np.uint8), "a video is an array of frames"),
        (np.zeros((1, 8, 8, 2), np.uint8), "with 1, 3 or 4 channels"),
        (np.full((1, 8, 8, 3), 300), "uint8, or of floats from 0 to 1"),
        (np.zeros((1, 1, 900, 3), np.uint8), "900 x 1 pixels is too narrow"),
        ("https://example.org/clip.mp4", "URLs are off"),
    ],
)
def test_what_is_no_frame_is_refused(source, message) -> None:
    with pytest.raises(RnnHubError, match=message):
        read(source)


def test_a_wrong_choice_of_frames_is_refused() -> None:
    for options in ({"kind": "random"}, {"num_frames": None}, {"num_frames": 0}, {"fps": 0.0}):
        with pytest.raises(RnnHubError):
            Sampling(**options)
