"""Reading audio: whatever FFmpeg knows, at any rate and with any channels, as one channel at the rate asked for.

A file is decoded and resampled as a stream by PyAV, so that memory holds little more than what comes out.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rnn_hub.errors import RnnHubError


def read_audio(source: Any, sampling_rate: int, longest: float | None = None) -> np.ndarray:
    """All samples of a recording, (N,) of float32, the mean of its channels.

    Args:
        source: a path; the bytes of a file; ``{"bytes": ..., "path": ...}``, as data sets keep it undecoded;
            ``{"array": ..., "sampling_rate": ...}``; a pair of rate and samples, as Gradio gives it; or samples that
            have the rate already. Samples are (N,), (N, channels) or (channels, N), floats or integers.
        sampling_rate: samples a second that come out.
        longest: seconds after which a file is refused, and not decoded further: silence of days fits into a megabyte.

    Raises:
        RnnHubError: there is no such file, it holds no sound, is damaged, is empty, or lasts too long.
    """
    if isinstance(source, Mapping) and ("bytes" in source or "path" in source) and "array" not in source:
        source = source.get("bytes") or source.get("path")
    if isinstance(source, Mapping):
        samples = source.get("array", source.get("raw"))
        if samples is None or "sampling_rate" not in source:
            raise RnnHubError(f"audio as a dictionary needs array and sampling_rate, and has {', '.join(source)}")
        source = (source["sampling_rate"], samples)
    if isinstance(source, str | Path):
        path = Path(source).expanduser()
        if not path.is_file():
            raise RnnHubError(f"there is no audio file {str(path)!r}")
        with path.open("rb") as file:
            return _decode(file, path.name, sampling_rate, longest)
    if isinstance(source, bytes | bytearray):
        return _decode(io.BytesIO(source), "the recording", sampling_rate, longest)
    rate, samples = source if isinstance(source, tuple) and len(source) == 2 else (sampling_rate, source)
    resampler = Resampler(rate, sampling_rate)
    return _whole([resampler.push(mono(samples)), resampler.flush()], "the recording")


def mono(samples: Any) -> np.ndarray:
    """Samples of any shape that `read_audio` takes as (N,) of float32, integers scaled to -1 to 1."""
    samples = np.asarray(samples)
    if samples.ndim == 2:
        samples = samples.mean(axis=int(samples.shape[0] > samples.shape[1]), dtype=np.float64).astype(samples.dtype)
    if samples.ndim != 1 or samples.dtype.kind not in "fiu":
        raise RnnHubError(
            f"audio samples are numbers of shape (N,), (N, channels) or (channels, N), not {samples.dtype} of shape "
            f"{samples.shape}"
        )
    if samples.dtype.kind == "u":
        samples = samples.astype(np.float64) - (np.iinfo(samples.dtype).max + 1) / 2
        return (samples / np.abs(samples).max(initial=1)).astype(np.float32)
    if samples.dtype.kind == "i":
        return (samples / -float(np.iinfo(samples.dtype).min)).astype(np.float32)
    if not np.isfinite(samples).all():
        raise RnnHubError("the audio holds samples that are no numbers (NaN or infinite)")
    return samples.astype(np.float32)


class Resampler:
    """Another sampling rate for sound that comes in pieces (FFmpeg's polyphase filter, without aliasing)."""

    def __init__(self, source_rate: int, target_rate: int):
        self.rates = (int(source_rate), int(target_rate))
        if min(self.rates) < 1:
            raise RnnHubError(f"a sampling rate must be at least 1, not {min(self.rates)}")
        self._resampler = None
        if self.rates[0] != self.rates[1]:
            self._resampler = _av().AudioResampler(format="fltp", layout="mono", rate=self.rates[1])

    def push(self, samples: np.ndarray) -> np.ndarray:
        """The next samples (N,) of float32 -> what is ready of the result."""
        if self._resampler is None or not len(samples):
            return samples
        frame = _av().AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), format="fltp", layout="mono")
        frame.sample_rate = self.rates[0]
        return _samples(self._resampler.resample(frame))

    def flush(self) -> np.ndarray:
        """The rest, after the last piece."""
        return np.zeros(0, np.float32) if self._resampler is None else _samples(self._resampler.resample(None))


def _decode(file: Any, name: str, rate: int, longest: float | None) -> np.ndarray:
    av, parts, count = _av(), [], 0
    try:
        with av.open(file, options={"protocol_whitelist": "none"}) as container:
            if not container.streams.audio:
                raise RnnHubError(f"{name} holds no sound")
            resampler = None
            for frame in container.decode(container.streams.audio[0]):
                frame.pts = None
                resampler = resampler or av.AudioResampler(format="fltp", layout=frame.layout, rate=rate)
                parts.append(_samples(resampler.resample(frame)))
                count += len(parts[-1])
                if longest is not None and count > longest * rate:
                    raise RnnHubError(f"{name} lasts more than {longest:g} seconds, the longest that is read here")
            if resampler is not None:
                parts.append(_samples(resampler.resample(None)))
    except RnnHubError:
        raise
    except (av.FFmpegError, ValueError) as error:
        raise RnnHubError(f"{name} cannot be read as audio: it is damaged, or no audio file ({error})") from error
    return _whole(parts, name)


def _samples(frames: Any) -> np.ndarray:
    """The mean over the channels of some frames."""
    parts = [frame.to_ndarray().mean(axis=0) for frame in frames if frame.samples]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _whole(parts: list[np.ndarray], name: str) -> np.ndarray:
    samples = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    if not len(samples):
        raise RnnHubError(f"{name} holds no sound: it is empty")
    return samples


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise RnnHubError("reading audio needs PyAV: pip install 'rnn-hub[audio]'") from error
    return av
