"""Reading audio: every format, rate and channel count gives the same sound; what is none is refused in one line."""

import numpy as np
import pytest
from scipy.signal import resample_poly

from rnn_hub.data.audio import Resampler, mono, read_audio
from rnn_hub.errors import RnnHubError
from tests.recordings import tone, write_audio
from tests.videos import picture, write_sound, write_video

pytest.importorskip("av")
FORMATS = {
    "wav": ("wav", "pcm_s16le"),
    "flac": ("flac", "flac"),
    "ogg": ("ogg", "libopus"),
    "mp3": ("mp3", "libmp3lame"),
    "m4a": ("ipod", "aac"),
}


def likeness(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest correlation over shifts of up to 0.2 seconds: some formats add a delay."""
    size = min(len(found), len(expected)) - 3200
    return max(float(np.corrcoef(found[shift : shift + size], expected[:size])[0, 1]) for shift in range(0, 3200, 1))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("as_bytes", [False, True])
def test_every_format_by_path_or_bytes_gives_the_sound(name, as_bytes, tmp_path) -> None:
    sound = np.concatenate([tone(200, 0.3), tone(900, 0.4), tone(450, 0.3)])
    path = write_audio(tmp_path / f"sound.{name}", sound, 8000, *FORMATS[name])
    found = read_audio(path.read_bytes() if as_bytes else str(path), 8000)
    assert found.dtype == np.float32 and found.ndim == 1
    assert abs(len(found) - 8000) < 2000 and likeness(found, sound) > 0.99


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000])
def test_any_rate_is_resampled_rightly(rate, tmp_path) -> None:
    path = write_audio(tmp_path / "sound.wav", tone(1000, 0.5, rate), rate)
    found, expected = read_audio(path, 8000), tone(1000, 0.5, 8000)
    assert abs(len(found) - len(expected)) <= 1
    np.testing.assert_allclose(found[200:3700], expected[200:3700], atol=0.01)


def test_resampling_lets_no_high_tone_through_and_equals_scipy() -> None:
    high, low = tone(9000, 1, 44100), tone(500, 1, 44100)
    assert np.abs(read_audio((44100, high), 8000)[100:-100]).max() < 0.005
    np.testing.assert_allclose(
        read_audio((44100, low), 8000)[100:7900], resample_poly(low, 80, 441)[100:7900], atol=0.005
    )


def test_pieces_resampled_one_by_one_are_the_whole() -> None:
    sound, resampler = tone(700, 0.5, 44100), Resampler(44100, 16000)
    parts = [resampler.push(part) for part in np.array_split(sound, 23)]
    np.testing.assert_allclose(
        np.concatenate([*parts, resampler.flush()]), read_audio((44100, sound), 16000), atol=1e-6
    )


def test_channels_are_averaged_whichever_axis_they_have(tmp_path) -> None:
    pair = np.stack([tone(500, 0.2), 0 * tone(500, 0.2)])
    path = write_audio(tmp_path / "sound.wav", pair, 8000)
    for source in (path, (8000, pair), (8000, pair.T), {"array": pair, "sampling_rate": 8000}):
        np.testing.assert_allclose(read_audio(source, 8000), pair.mean(axis=0), atol=1e-3)


def test_integers_are_scaled_and_a_clipped_recording_stays_in_range() -> None:
    loud = np.clip(3 * tone(500, 0.1), -1, 1)
    np.testing.assert_allclose(read_audio((8000, (loud * 32767).astype(np.int16)), 8000), loud, atol=1e-3)
    assert np.abs(mono((loud * 127 + 128).astype(np.uint8))).max() <= 1


def test_a_video_gives_its_sound(tmp_path) -> None:
    assert len(read_audio(write_sound(tmp_path / "film.mp4"), 8000)) > 3000


def test_what_is_no_audio_is_refused_in_one_line(tmp_path) -> None:
    (tmp_path / "text.wav").write_text("This is no sound.")
    (tmp_path / "noise.mp3").write_bytes(np.random.default_rng(0).integers(0, 256, 3000, np.uint8).tobytes())
    whole = write_audio(tmp_path / "whole.flac", tone(500, 1.0), 8000, "flac", "flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(b"\0" * 500 + whole[500:])
    (tmp_path / "empty.wav").write_bytes(b"")
    film = write_video(tmp_path / "film.mp4", [picture(number) for number in range(3)])
    for source, message in (
        (tmp_path / "absent.wav", "there is no audio file"),
        (tmp_path / "text.wav", "text.wav cannot be read as audio"),
        (tmp_path / "noise.mp3", "noise.mp3 cannot be read as audio"),
        (tmp_path / "cut.flac", "cut.flac cannot be read as audio"),
        (tmp_path / "empty.wav", "empty.wav cannot be read as audio"),
        (film, "film.mp4 holds no sound"),
        ((8000, np.zeros(0)), "it is empty"),
        (np.array([0.0, np.nan]), "no numbers"),
        (np.zeros((2, 3, 4)), "not float64 of shape"),
        ({"array": [0.0]}, "needs array and sampling_rate"),
    ):
        with pytest.raises(RnnHubError, match=message) as caught:
            read_audio(source, 8000)
        assert "\n" not in str(caught.value)


def test_a_file_is_decoded_no_further_than_the_longest_that_is_wanted(tmp_path) -> None:
    path = write_audio(tmp_path / "long.flac", tone(440, 3, 8000), 8000)
    assert len(read_audio(path, 8000, longest=3)) == 24000
    with pytest.raises(RnnHubError, match=r"^long.flac lasts more than 2.5 seconds, the longest that is read here$"):
        read_audio(path, 8000, longest=2.5)


def test_a_sampling_rate_of_zero_is_refused() -> None:
    with pytest.raises(RnnHubError, match="sampling rate must be at least 1, not 0"):
        read_audio((0, tone(500, 0.1)), 8000)


def test_one_sample_is_a_recording() -> None:
    assert read_audio((8000, np.array([0.5])), 8000).tolist() == [0.5]
