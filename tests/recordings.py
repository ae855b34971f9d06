"""Small recordings for tests: a tone for each word, written with PyAV in any format."""

import io
from pathlib import Path

import numpy as np

#: the frequency of each word, in Hz
TONES = {"d": 300, "m": 700, "s": 1500, "t": 2800}


def tone(frequency: float, seconds: float, rate: int = 8000, level: float = 0.5) -> np.ndarray:
    """A sine, (N,) of float32."""
    return (level * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def say(
    text: str, rate: int = 8000, seconds: float = 0.2, pause: float = 0.1, seed: int = 0, noise: float = 0.002
) -> np.ndarray:
    """A tone for each word of `TONES`, with pauses, under a little noise."""
    silence = np.zeros(round(pause * rate), np.float32)
    parts = [part for word in text.split() for part in (silence, tone(TONES[word], seconds, rate))]
    samples = np.concatenate([*parts, silence])
    return samples + noise * np.random.default_rng(seed).standard_normal(len(samples)).astype(np.float32)


def write_audio(
    target: Path | io.BytesIO, channels: np.ndarray, rate: int, container: str = "wav", codec: str = "pcm_s16le"
) -> Path | io.BytesIO:
    """Write samples (channels, N) as a file."""
    import av

    channels = np.atleast_2d(channels).astype(np.float32)
    layout = {1: "mono", 2: "stereo"}[len(channels)]
    with av.open(str(target) if isinstance(target, Path) else target, "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate, layout=layout)
        size = stream.codec_context.frame_size or 1024
        resampler = av.AudioResampler(format=stream.codec_context.format, layout=layout, rate=rate, frame_size=size)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(channels), format="fltp", layout=layout)
        frame.sample_rate = rate
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    return target
