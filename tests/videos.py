"""Small videos for tests, written with PyAV: a bright square that wanders over a gradient."""

import io
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np


def picture(number: int, height: int = 48, width: int = 64) -> np.ndarray:
    """One frame, (H, W, 3) of uint8: red tells where a pixel is, and a square moves right."""
    array = np.zeros((height, width, 3), np.uint8)
    array[..., 0] = np.linspace(0, 255, width, dtype=np.uint8)
    array[..., 1] = np.linspace(0, 255, height, dtype=np.uint8)[:, None]
    left = number % max(width - 8, 1)
    array[:8, left : left + 8, 2] = 255
    return array


def gray(number: int, height: int = 48, width: int = 64) -> np.ndarray:
    """A frame that is one shade, `number`, everywhere."""
    return np.full((height, width, 3), number, np.uint8)


def write_video(
    target: Path | io.BytesIO,
    frames: list[np.ndarray],
    fps: int = 25,
    container: str = "mp4",
    codec: str = "libx264",
    keyframes: int = 12,
    quality: dict[str, str] | None = None,
    **options: str,
) -> Path | io.BytesIO:
    """Write frames as a file; `options` are those of the container, `quality` those of the codec."""
    import av

    with av.open(str(target) if isinstance(target, Path) else target, "w", format=container, options=options) as file:
        stream = file.add_stream(codec, rate=fps, options=quality or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = {"gif": "rgb8", "libvpx": "yuv420p"}.get(codec, "yuv420p")
        stream.codec_context.gop_size = keyframes
        stream.codec_context.time_base = Fraction(1, fps)
        for array in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        file.mux(stream.encode())
    return target


def write_sound(path: Path) -> Path:
    """Half a second of sound as a file of video's kind."""
    import av

    with av.open(str(path), "w", format="mp4") as file:
        stream = file.add_stream("aac", rate=16000, layout="mono")
        for start in range(0, 8192, 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, start
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def rotate_metadata(data: bytes, turn: int = 90) -> bytes:
    """An MP4 that asks players to turn it clockwise, as phones write it: another matrix in its track header."""
    place = data.index(b"tkhd") + 4
    version = data[place]
    matrix = place + (4 + 32 if version == 1 else 4 + 20) + 16
    one = 0x10000
    turned = {90: (0, one, -one, 0), 180: (-one, 0, 0, -one), 270: (0, -one, one, 0)}[turn]
    a, b, c, d = turned
    return data[:matrix] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 0x40000000) + data[matrix + 36 :]
