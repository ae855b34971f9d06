"""Scores as sound, picture and MusicXML."""

import io
import wave

import numpy as np
import pytest

from rnn_hub.data.music import Score
from rnn_hub.data.music_files import FORMATS, read_music, render, save_music
from rnn_hub.errors import RnnHubError

pytest.importorskip("symusic")
SCORE = Score.from_grid(
    [(67, 62, 59, 43)] * 3 + [(69, 62, 60, 48)] * 6 + [(71, -1, 62, 43)] * 7, key="Eb major", metre="3/4", tempo=66
)


def test_each_format_is_written(tmp_path) -> None:
    for suffix in FORMATS:
        save_music(SCORE, tmp_path / f"music{suffix}", "piano")
    assert (tmp_path / "music.mid").read_bytes()[:4] == b"MThd"
    with wave.open(str(tmp_path / "music.wav")) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2, 44100, 2)
        assert file.getnframes() / 44100 >= SCORE.seconds()
    from PIL import Image

    picture = np.asarray(Image.open(io.BytesIO((tmp_path / "music.png").read_bytes())).convert("RGB"))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20
    with pytest.raises(RnnHubError, match="written as .mid, .wav, .png, .musicxml, not as 'music.mp3'"):
        save_music(SCORE, tmp_path / "music.mp3")


def test_sound_changes_with_the_instrument_and_the_notes() -> None:
    organ, piano = render(SCORE), render(SCORE, "piano")
    length = min(organ.shape[1], piano.shape[1])
    assert np.abs(organ[:, :length] - piano[:, :length]).max() > 0.1
    spectrum = np.abs(np.fft.rfft(render(Score.from_grid([(69,)] * 16, tempo=60)).mean(axis=0)))
    loudest = spectrum.argmax() * 44100 / (2 * len(spectrum))
    assert min(loudest % 440, -loudest % 440) < 10 or min(loudest % 220, -loudest % 220) < 10


def test_musicxml_comes_back(tmp_path) -> None:
    pytest.importorskip("music21")
    save_music(SCORE, tmp_path / "music.musicxml")
    assert read_music(tmp_path / "music.musicxml") == SCORE
    assert read_music(tmp_path / "music.musicxml").key == "Eb major"


def test_a_damaged_musicxml_is_refused(tmp_path) -> None:
    pytest.importorskip("music21")
    path = tmp_path / "music.xml"
    path.write_text("<score-partwise><part>")
    with pytest.raises(RnnHubError, match="music.xml is damaged"):
        read_music(path)
    with pytest.raises(RnnHubError, match="no file"):
        read_music(tmp_path / "absent.musicxml")
