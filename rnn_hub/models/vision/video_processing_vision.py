"""From videos of any kind to a batch of frames."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import BatchFeature
from transformers.video_processing_utils import BaseVideoProcessor

from rnn_hub.data.frame_sampling import Sampling
from rnn_hub.data.video import Video, open_video, pixels
from rnn_hub.errors import RnnHubError


class RnnVideoProcessor(BaseVideoProcessor):
    """Chooses frames of a video while it is decoded, and makes a batch of them.

    It needs neither torchvision nor torchcodec, and the memory that it takes does not grow with a video's length.

    Args:
        size: {"height": ..., "width": ...} of the frames that come out.
        do_center_crop: keep the proportions of a frame and cut off what stands over; otherwise it is squeezed.
        do_grayscale: one channel instead of three.
        do_standardize: bring each video to mean 0 and standard deviation 1; otherwise `image_mean` and `image_std` are
            subtracted and divided by, of values from 0 to 1.
        sampling, num_frames, fps: which frames, as `Sampling` says.
        allow_urls: whether the network may be asked for a video.
    """

    model_input_names = ["pixel_values", "attention_mask"]
    _fields = ("size", "do_center_crop", "do_grayscale", "do_standardize", "image_mean", "image_std")
    _fields += ("sampling", "num_frames", "fps", "allow_urls")

    def __init__(
        self,
        size: dict[str, int] | None = None,
        do_center_crop: bool = False,
        do_grayscale: bool = False,
        do_standardize: bool = False,
        image_mean: Sequence[float] | None = None,
        image_std: Sequence[float] | None = None,
        sampling: str = "uniform",
        num_frames: int | None = 16,
        fps: float | None = None,
        allow_urls: bool = False,
        **kwargs: Any,
    ):
        super().__init__()
        channels = 1 if do_grayscale else 3
        self.size = dict(size or {"height": 224, "width": 224})
        self.do_center_crop, self.do_grayscale, self.do_standardize = do_center_crop, do_grayscale, do_standardize
        self.image_mean, self.image_std = list(image_mean or [0.5] * channels), list(image_std or [0.5] * channels)
        self.sampling, self.num_frames, self.fps, self.allow_urls = sampling, num_frames, fps, allow_urls
        self._sampling()
        if set(self.size) != {"height", "width"} or min(self.size.values()) < 1:
            raise RnnHubError(f"size must have a height and a width of at least 1, not {self.size}")
        if len(self.image_mean) != channels or len(self.image_std) != channels:
            raise RnnHubError(f"image_mean and image_std must have {channels} numbers, one a channel")

    def to_dict(self) -> dict[str, Any]:
        """What is saved: the arguments."""
        values = {name: getattr(self, name) for name in self._fields}
        return {**values, "video_processor_type": type(self).__name__}

    def preprocess(
        self, videos: Any, return_tensors: str = "pt", num_frames: int | None = None, **kwargs: Any
    ) -> BatchFeature:
        """One video, or a list of videos, as a batch.

        Args:
            videos: as `open_video` takes them; a list of paths or arrays of four axes is several videos, a list of
                images is one.
            num_frames: instead of the processor's own.

        Returns:
            pixel_values (B, T, C, H, W) and attention_mask (B, T), 1 at real frames; shorter videos are padded.

        Raises:
            RnnHubError: what cannot be read as a video; the message says which and why.
        """
        if return_tensors != "pt":
            raise RnnHubError(f"the frames come as tensors of torch: return_tensors='pt', not {return_tensors!r}")
        sampling = self._sampling(num_frames)
        return BatchFeature(self.pad([self.normalize(self._read(video, sampling)) for video in several(videos)]))

    def read(self, video: Any, num_frames: int | None = None) -> np.ndarray:
        """The chosen frames of one video at their size, (T, H, W, C) of uint8."""
        return self._read(video, self._sampling(num_frames))

    def stream(self, video: Video, every: bool = False) -> Iterator[tuple[float, np.ndarray]]:
        """The chosen frames of an open video, or all, one after the other: when each is shown, and (H, W, C)."""
        frames = video.frames() if every else self._sampling().choose(video)
        for frame in frames:
            yield frame.time, self.frame(frame.picture)

    def frame(self, picture: Any) -> np.ndarray:
        """A decoded frame at its size, (H, W, C) of uint8."""
        return pixels(
            picture, (self.size["height"], self.size["width"]), crop=self.do_center_crop, gray=self.do_grayscale
        )

    def normalize(self, frames: np.ndarray | Tensor) -> Tensor:
        """Frames (T, H, W, C) of uint8 -> what a model reads, (T, C, H, W) of float32."""
        x = torch.as_tensor(frames).movedim(-1, 1).float() / 255
        if self.do_standardize:
            return (x - x.mean()) / x.std().clamp(min=1e-3)
        mean, std = (torch.tensor(values)[:, None, None] for values in (self.image_mean, self.image_std))
        return (x - mean) / std

    def pad(self, videos: Sequence[Tensor]) -> dict[str, Tensor]:
        """Videos (T, ...) of different lengths as one batch with its mask."""
        mask = torch.arange(max(map(len, videos))) < torch.tensor([len(video) for video in videos])[:, None]
        padded = torch.nn.utils.rnn.pad_sequence(videos, batch_first=True)
        return {"pixel_values": padded, "attention_mask": mask.long()}

    def _read(self, video: Any, sampling: Sampling) -> np.ndarray:
        with open_video(video, allow_urls=self.allow_urls) as opened:
            return np.stack([self.frame(frame.picture) for frame in sampling.choose(opened)])

    def _sampling(self, num_frames: int | None = None) -> Sampling:
        return Sampling(self.sampling, num_frames or self.num_frames, self.fps)


def several(videos: Any) -> list[Any]:
    """One video or several, as a list of videos."""
    if not isinstance(videos, list | tuple):
        several = getattr(videos, "ndim", 0) == 5
        return list(videos) if several else [videos]
    image = videos and (hasattr(videos[0], "convert") or getattr(videos[0], "ndim", 4) < 4)
    return [videos] if image or not videos else list(videos)
