"""What a network makes of the frames of one video, a few at a time: memory does not grow with its length."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rnn_hub.data.features import FeatureCache, content_key, fingerprint
from rnn_hub.data.video import open_video
from rnn_hub.models.vision.frame_encoder import CHUNK, FrameEncoder
from rnn_hub.models.vision.video_processing_vision import RnnVideoProcessor


class EncodedVideo(NamedTuple):
    """When each frame is shown, in seconds, and its features (T, D) or (T, h, w, D)."""

    times: list[float]
    features: Tensor


def encode_video(encoder: FrameEncoder, processor: RnnVideoProcessor, video: Any) -> EncodedVideo:
    """The features of the frames that the processor chooses of a video, decoded and encoded in turn.

    Raises:
        RnnHubError: what cannot be read as a video.
    """
    with open_video(video, allow_urls=processor.allow_urls) as opened:
        times, features = [], []
        for chunk_times, chunk in encode_stream(encoder, processor, processor.stream(opened)):
            times += chunk_times
            features.append(chunk)
    return EncodedVideo(times, torch.cat(features))


@torch.inference_mode()
def encode_stream(
    encoder: FrameEncoder, processor: RnnVideoProcessor, frames: Iterator[tuple[float, np.ndarray]], size: int = CHUNK
) -> Iterator[tuple[list[float], Tensor]]:
    """Features of frames as they come, `size` at a time; where differences of pixels count, across chunks too."""
    device = encoder.device
    before: Tensor | None = None
    chunk: list[tuple[float, np.ndarray]] = []

    def encode() -> tuple[list[float], Tensor]:
        nonlocal before
        pixel_values = processor.normalize(np.stack([frame for _, frame in chunk])).to(device)
        known = pixel_values if before is None else torch.cat([before, pixel_values])
        before = pixel_values[-1:] if encoder.differences else None
        return [time for time, _ in chunk], encoder(known[None])[0, -len(chunk) :]

    for item in frames:
        chunk.append(item)
        if len(chunk) == size:
            yield encode()
            chunk = []
    if chunk:
        yield encode()


class ClipReader:
    """Videos as arrays on the disk: what is costly is done once for a content, a processor and a network.

    Args:
        processor: chooses frames.
        encoder: a frozen network whose features are kept; None: the chosen frames are, as (T, H, W, C) of uint8.
        keep: whether what is new is kept.
    """

    def __init__(self, processor: RnnVideoProcessor, encoder: FrameEncoder | None = None, keep: bool = True):
        self.processor, self.encoder, self.keep = processor, encoder, keep
        settings = [(name, value) for name, value in sorted(processor.to_dict().items()) if name != "allow_urls"]
        if encoder is None:  # which come before normalization
            settings = [item for item in settings if item[0] not in ("do_standardize", "image_mean", "image_std")]
        self.cache = FeatureCache(fingerprint(torch.nn.Module() if encoder is None else encoder, settings))
        self._keys: dict[tuple, str] = {}

    def __call__(self, video: Any) -> Tensor:
        """A video's features in single precision, or its frames; arrays are read without being kept."""
        if not isinstance(video, str | Path | bytes):
            return self._make(video)
        key = self._key(video)
        found = self.cache.get(key)
        if found is None:
            found = self._make(video)
            if self.keep:
                self.cache.put(key, found)
            found = found.half() if found.is_floating_point() else found
        return found.float() if found.is_floating_point() else found

    def _make(self, video: Any) -> Tensor:
        if self.encoder is None:
            return torch.from_numpy(self.processor.read(video))
        return encode_video(self.encoder, self.processor, video).features

    def _key(self, video: Any) -> str:
        """By content; a file that has not changed since is not read again."""
        if isinstance(video, bytes):
            return content_key(video)
        path = Path(video)
        if not path.is_file():
            return content_key(str(path).encode(), "absent")  # reading it says what is wrong
        status = path.stat()
        known = (str(path), status.st_size, status.st_mtime_ns)
        if known not in self._keys:
            self._keys[known] = content_key(path.read_bytes())
        return self._keys[known]
