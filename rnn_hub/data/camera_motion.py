"""Clips made from photographs by moving a virtual camera: what it does, no single frame shows."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn_hub.errors import RnnHubError

if TYPE_CHECKING:
    from PIL import Image

#: what the camera does: pans, zooms, turns (left is counterclockwise, so the picture turns clockwise), or stands
MOTIONS = (
    "pan left",
    "pan right",
    "pan up",
    "pan down",
    "zoom in",
    "zoom out",
    "rotate left",
    "rotate right",
    "still",
)
#: how far it goes in a clip: a pan in parts of the view, a zoom as a factor, a turn in degrees
PAN, ZOOM, TURN = (0.08, 0.35), (1.1, 1.5), (6.0, 30.0)
#: how much of the photograph's shorter side the view has
VIEW = (0.45, 0.65)
#: how far a hand shakes, in parts of the view
SHAKE = 0.004
QUALITY = (40, 95)
NOISE = 6.0
EASINGS = (
    lambda s: s,
    lambda s: s * s,
    lambda s: s * (2 - s),
    lambda s: s * s * (3 - 2 * s),
)


@dataclass
class View:
    """Where the camera looks: centre and height in pixels of the photograph, angle in radians."""

    x: float
    y: float
    height: float
    angle: float = 0.0


def camera_clip(
    photograph: Image.Image,
    motion: str,
    size: tuple[int, int] = (48, 48),
    num_frames: int = 16,
    seed: Any = None,
    rough: bool = True,
    view: tuple[float, float] = VIEW,
) -> np.ndarray:
    """A clip of a camera that moves over a photograph, with a random speed, easing, place and shaking hand.

    Args:
        photograph: an image, at least twice as large as the clip to look well; a gray one (mode L) gives gray frames.
        motion: one of `MOTIONS`.
        size: height and width of the frames.
        num_frames: how many.
        seed: of numpy's generator: the same seed gives the same clip.
        rough: add noise, another brightness, and the traces of compression.
        view: between which parts of the photograph's shorter side the frame has; a wide view pans less.

    Returns:
        (T, H, W, 3), or of a gray photograph (T, H, W, 1), of uint8.

    Raises:
        RnnHubError: an unknown motion.
    """
    from PIL import Image

    if motion not in MOTIONS:
        raise RnnHubError(f"unknown motion {motion!r}; choose one of {', '.join(MOTIONS)}")
    generator = np.random.default_rng(seed)
    photograph = photograph if photograph.mode == "L" else photograph.convert("RGB")
    views = _path(photograph.size, motion, size, num_frames, generator, view)
    scale = min(1.0, size[0] / min(view.height for view in views))
    if scale < 0.8:  # nearly as many pixels as will be seen, or fine patterns flicker
        new = [max(8, round(side * scale)) for side in photograph.size]
        photograph = photograph.resize(new, Image.Resampling.BOX, reducing_gap=2.0)
    else:
        scale = 1.0
    clip = np.stack([np.asarray(_look(photograph, view, size, scale)) for view in views])
    clip = clip.reshape(*clip.shape[:3], -1)
    return _worse(clip, generator) if rough else clip


def _path(
    photograph: tuple[int, int],
    motion: str,
    size: tuple[int, int],
    num_frames: int,
    generator: np.random.Generator,
    view: tuple[float, float],
) -> list[View]:
    """The views of a clip, all inside the photograph (width, height)."""
    width, height = photograph
    wide = size[1] / size[0]
    tall = generator.uniform(*view) * min(height, width / wide)
    kind, _, direction = motion.partition(" ")
    pan = zoom = turn = 0.0
    if kind == "pan":
        pan = generator.uniform(*PAN) * (-1 if direction in ("left", "up") else 1)
    elif kind == "zoom":
        zoom = math.log(generator.uniform(*ZOOM)) * (-1 if direction == "in" else 1)
    elif kind == "rotate":
        turn = math.radians(generator.uniform(*TURN)) * (-1 if direction == "left" else 1)
    progress = EASINGS[generator.integers(len(EASINGS))](np.linspace(0, 1, num_frames))
    heights = np.exp(zoom * progress)
    heights *= tall / heights.max()
    angles = turn * progress + generator.uniform(-0.05, 0.05)
    points = np.cumsum(generator.normal(0, SHAKE * tall / 4, (num_frames, 2)), axis=0)
    points[:, 0 if direction in ("left", "right") else 1] += pan * tall * (progress - 0.5)
    reach = tall / 2 * np.array([wide, 1.0]) * 1.1 if kind != "rotate" else tall / 2 * math.hypot(wide, 1)
    room = np.array([width, height]) / 2 - reach - np.abs(points).max(axis=0)
    points += np.array([width, height]) / 2 + generator.uniform(-1, 1, 2) * room.clip(min=0)
    return [View(x, y, tall, angle) for (x, y), tall, angle in zip(points, heights, angles, strict=True)]


def _look(photograph: Image.Image, view: View, size: tuple[int, int], scale: float) -> Image.Image:
    """What is seen: an affine map from the frame's pixels to the photograph's, which was scaled."""
    from PIL import Image

    step = view.height * scale / size[0]
    cosine, sine = step * math.cos(view.angle), step * math.sin(view.angle)
    middle_x, middle_y = size[1] / 2, size[0] / 2
    matrix = (
        cosine,
        -sine,
        view.x * scale - cosine * middle_x + sine * middle_y,
        sine,
        cosine,
        view.y * scale - sine * middle_x - cosine * middle_y,
    )
    return photograph.transform((size[1], size[0]), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


def _worse(clip: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A clip with another exposure, noise and the traces of compression, of all its frames as one image."""
    from PIL import Image

    noise = generator.standard_normal((*clip.shape[:3], 1), np.float32) * np.float32(generator.uniform(0, NOISE))
    values = clip * np.float32(generator.uniform(0.8, 1.2)) + np.float32(generator.uniform(-20, 20)) + noise
    strip = values.clip(0, 255).astype(np.uint8).reshape(-1, *clip.shape[2:])
    stored, quality = io.BytesIO(), int(generator.integers(*QUALITY))
    Image.fromarray(strip[..., 0] if clip.shape[-1] == 1 else strip).save(stored, "JPEG", quality=quality)
    return np.asarray(Image.open(stored)).reshape(clip.shape)
