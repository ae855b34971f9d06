"""Reading video: the frames of a file, bytes, a folder of images or arrays, one after the other and upright.

A file is decoded as a stream by PyAV, so memory does not grow with its length.
"""

from __future__ import annotations

import io
import re
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rnn_hub.errors import RnnHubError

if TYPE_CHECKING:
    import av

IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
#: frames a second of pictures that come without a time
DEFAULT_FPS = 25.0
#: how much wider than high (or higher than wide) a frame may be
MAX_ASPECT = 32
#: seconds before a wanted frame where a search may land: decoders give frames in another order than they are stored
MARGIN = 0.5


class Frame(NamedTuple):
    """A picture and when it is shown, in seconds from the first."""

    time: float
    picture: av.VideoFrame


class Video(ABC):
    """Frames in the order of time.

    Attributes:
        name: what messages call it.
        fps: frames a second, roughly where the rate varies.
    """

    name: str
    fps: float

    @property
    @abstractmethod
    def duration(self) -> float:
        """Seconds from the first frame to the end of the last."""

    @abstractmethod
    def frames(self) -> Iterator[Frame]:
        """All frames, or those from `skip_to` on."""

    @abstractmethod
    def skip_to(self, time: float) -> None:
        """The next frame that is wanted is the one shown at `time`; what comes before it may be left out."""

    @abstractmethod
    def close(self) -> None:
        """Give the file back."""


def open_video(source: Any, fps: float | None = None, allow_urls: bool = False) -> closing[Video]:
    """Open a video, for a `with` statement.

    Args:
        source: the path of a video or image, or of a folder of images (in the order of the numbers in their names);
            bytes or a binary file; a URL, if `allow_urls`; arrays (T, H, W, C), (T, H, W) or (H, W, C) of uint8 or of
            floats from 0 to 1; an image of Pillow; or a list of such images.
        fps: frames a second of images and arrays (default: 25).
        allow_urls: whether the network may be asked.

    Raises:
        RnnHubError: there is no such file, or it holds no video.
    """
    if isinstance(source, str | Path) and re.match(r"https?://", str(source)):
        if not allow_urls:
            raise RnnHubError(f"{source} is an address on the network, and URLs are off: fetch the file first")
        return closing(FileVideo(_fetch(str(source)), str(source)))
    if isinstance(source, str | Path):
        path = Path(source).expanduser()
        if path.is_dir():
            return closing(PictureVideo(_pictures_of(path), str(path), fps or DEFAULT_FPS))
        if not path.is_file():
            raise RnnHubError(f"there is no video file {str(path)!r}")
        return closing(FileVideo(path.open("rb"), path.name))
    if isinstance(source, bytes | bytearray):
        return closing(FileVideo(io.BytesIO(source), "the video"))
    if hasattr(source, "read"):
        return closing(FileVideo(source, str(getattr(source, "name", "the video"))))
    return closing(PictureVideo(_pictures(source), "the video", fps or DEFAULT_FPS))


class FileVideo(Video):
    """A file that FFmpeg knows, through PyAV.

    The file is opened here, and the demuxer may open no other: a playlist reads neither files nor the network.
    """

    def __init__(self, file: Any, name: str):
        av = _av()
        self.name, self._file = name, file
        try:
            self._container = av.open(file, options={"protocol_whitelist": "none"})
        except (av.error.FFmpegError, OSError, ValueError) as error:
            file.close()
            raise RnnHubError(f"{name} cannot be read as a video: {_reason(error)}") from error
        if not self._container.streams.video:
            sound = "only sound" if self._container.streams.audio else "nothing that can be shown"
            self.close()
            raise RnnHubError(f"{name} holds no video, {sound}")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.fps = float(rate) if rate else DEFAULT_FPS
        self._start: float | None = None
        self._wanted = 0.0
        self._duration: float | None = None

    @property
    def duration(self) -> float:
        """What the file says, or what its packets do: the recordings of browsers tell no duration."""
        if self._duration is None:
            stream, container = self._stream, self._container
            if stream.duration and stream.time_base:
                self._duration = float(stream.duration * stream.time_base)
            elif container.duration:
                self._duration = container.duration / 1e6
            else:
                self._duration = self._scan()
        return self._duration

    def _scan(self) -> float:
        try:
            packets = self._container.demux(self._stream)
            times = [float(packet.pts * packet.time_base) for packet in packets if packet.pts]
            self._container.seek(0)
        except (_av().error.FFmpegError, OSError) as error:
            raise RnnHubError(f"{self.name} is damaged: {_reason(error)}") from error
        return max(times, default=0.0) - (self._stream.start_time or 0) * float(self._stream.time_base) + 1 / self.fps

    def skip_to(self, time: float) -> None:
        """Go to the last keyframe before it, if that saves decoding."""
        self._wanted = time

    def frames(self) -> Iterator[Frame]:
        """The decoded frames.

        Raises:
            RnnHubError: the file is damaged or cut off.
        """
        av = _av()
        keys = self._keyframes()
        last, count = 0.0, 0
        decoder = self._container.decode(self._stream)
        while True:
            key = bisect_right(keys, self._wanted - MARGIN) - 1
            try:
                if key >= 0 and keys[key] > last + MARGIN:
                    place = int((keys[key] + (self._start or 0)) / self._stream.time_base)
                    self._container.seek(place, stream=self._stream)
                    decoder, last = self._container.decode(self._stream), keys[key]
                picture = next(decoder)
            except StopIteration:
                break
            except (av.error.FFmpegError, OSError) as error:
                raise RnnHubError(f"{self.name} is damaged after {last:.1f} seconds: {_reason(error)}") from error
            time = picture.time if picture.time is not None else count / self.fps
            if self._start is None:
                self._start = time
            count, last = count + 1, time - self._start
            yield Frame(last, picture)
        if count and last + max(0.5, 0.1 * self.duration, 2 / self.fps) < self.duration:
            raise RnnHubError(f"{self.name} is cut off: it ends after {last:.1f} of {self.duration:.1f} seconds")

    def _keyframes(self) -> list[float]:
        """When the keyframes come, where the file has an index of them."""
        stream = self._stream
        start = (stream.start_time or 0) * stream.time_base
        entries = getattr(stream, "index_entries", ())
        return sorted(float(entry.timestamp * stream.time_base - start) for entry in entries if entry.is_keyframe)

    def close(self) -> None:
        """Close the decoder and the file."""
        self._container.close()
        self._file.close()


class PictureVideo(Video):
    """Images one after the other, each read when it is its turn."""

    def __init__(self, pictures: Sequence[Any], name: str, fps: float):
        if not len(pictures):
            raise RnnHubError(f"{name} has no frame")
        self._pictures, self.name, self.fps, self._next = pictures, name, fps, 0

    @property
    def duration(self) -> float:
        """As many frames as there are."""
        return len(self._pictures) / self.fps

    def skip_to(self, time: float) -> None:
        """Leave out what comes before."""
        self._next = max(self._next, min(int(time * self.fps + 1e-6), len(self._pictures) - 1))

    def frames(self) -> Iterator[Frame]:
        """The images as frames; one that cannot be read is an `RnnHubError`."""
        av = _av()
        while self._next < len(self._pictures):
            number, self._next = self._next, self._next + 1
            array = np.ascontiguousarray(_rgb(self._pictures[number]))
            yield Frame(number / self.fps, av.VideoFrame.from_ndarray(array, format="rgb24"))

    def close(self) -> None:
        """Each image was closed when it had been read."""


def pixels(picture: av.VideoFrame, size: tuple[int, int], crop: bool = False, gray: bool = False) -> np.ndarray:
    """A frame upright and at a size, (height, width, 3) or (height, width, 1) of uint8; what is transparent is white.

    Args:
        size: height and width.
        crop: keep the proportions and cut off what stands over at two sides, instead of squeezing the whole picture.
        gray: one channel of luminance.

    Raises:
        RnnHubError: a frame far longer than wide.
    """
    height, width = size
    turns = round(getattr(picture, "rotation", 0) / 90) % 4  # counterclockwise
    shown = (picture.width, picture.height) if turns % 2 else (picture.height, picture.width)
    if max(shown) > MAX_ASPECT * min(shown):
        raise RnnHubError(f"a frame of {shown[1]} x {shown[0]} pixels is too narrow to be looked at")
    if crop:
        scale = max(height / shown[0], width / shown[1])
        height, width = max(height, round(shown[0] * scale)), max(width, round(shown[1] * scale))
    target = (height, width) if turns % 2 else (width, height)  # of the frame as it is stored
    if any(part.is_alpha for part in picture.format.components) or picture.format.has_palette:
        rgba = picture.reformat(format="rgba").to_ndarray().astype(np.float32)
        opacity = rgba[..., 3:] / 255
        flat = (rgba[..., :3] * opacity + 255 * (1 - opacity)).round().astype(np.uint8)
        picture = _av().VideoFrame.from_ndarray(flat, format="rgb24")
    small = picture.reformat(*target, format="gray" if gray else "rgb24", interpolation="BILINEAR")
    array = np.rot90(small.to_ndarray().reshape(target[1], target[0], 1 if gray else 3), turns)
    top, left = (array.shape[0] - size[0]) // 2, (array.shape[1] - size[1]) // 2
    return np.ascontiguousarray(array[top : top + size[0], left : left + size[1]])


def _pictures_of(folder: Path) -> list[Path]:
    """The images of a folder, frame2 before frame10."""

    def numbers(path: Path) -> list:
        return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]

    return sorted((path for path in folder.iterdir() if path.suffix.lower() in IMAGES), key=numbers)


def _pictures(source: Any) -> Sequence[Any]:
    """A list of images of what may be one image, a list or an array."""
    if hasattr(source, "convert"):
        return [source]
    if isinstance(source, list | tuple):
        return source
    array = np.asarray(source)
    if array.ndim == 3 and array.shape[-1] in (1, 3, 4):
        return array[None]
    if array.ndim not in (3, 4):
        raise RnnHubError(f"a video is an array of frames (T, H, W, C), not of shape {array.shape}")
    return array


def _rgb(picture: Any) -> np.ndarray:
    """An image of any kind as (H, W, 3) of uint8."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    if isinstance(picture, str | Path):
        try:
            with Image.open(picture) as opened:
                return _rgb(ImageOps.exif_transpose(opened))
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            raise RnnHubError(f"{picture} cannot be read as an image: {_reason(error)}") from error
    if hasattr(picture, "convert"):
        if "A" in picture.mode or "transparency" in picture.info:
            white = Image.new("RGBA", picture.size, "white")
            picture = Image.alpha_composite(white, picture.convert("RGBA"))
        return np.asarray(picture.convert("RGB"))
    array = np.asarray(picture)
    if array.dtype.kind == "f" and array.size and array.min() >= 0 and array.max() <= 1:
        array = (array * 255).round().astype(np.uint8)
    if array.dtype != np.uint8:
        raise RnnHubError(f"frames are of uint8, or of floats from 0 to 1, not of {array.dtype}")
    array = array[..., None] if array.ndim == 2 else array
    if array.ndim != 3 or array.shape[-1] not in (1, 3, 4) or not array.size:
        raise RnnHubError(f"a frame is an array (H, W, C) with 1, 3 or 4 channels, not of shape {array.shape}")
    if array.shape[-1] == 4:
        return _rgb(Image.fromarray(array, "RGBA"))
    return np.broadcast_to(array, (*array.shape[:2], 3))


def _fetch(url: str) -> io.BytesIO:
    import httpx

    try:
        return io.BytesIO(httpx.get(url, follow_redirects=True, timeout=60).raise_for_status().content)
    except httpx.HTTPError as error:
        raise RnnHubError(f"cannot fetch {url}: {_reason(error)}") from error


def _av() -> Any:
    try:
        import av
    except ModuleNotFoundError as error:
        raise RnnHubError("reading video needs PyAV: pip install 'rnn-hub[video]'") from error
    return av


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split()) or type(error).__name__
