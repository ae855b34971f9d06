"""Reading an image, whatever it is given as: upright, in RGB, or refused in one line."""

import warnings
from collections.abc import Mapping
from io import BytesIO
from os import PathLike, fspath
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from rnn_hub.errors import RnnHubError

MOST_PIXELS = 178_956_970
"""Pixels of the largest image that is read, Pillow's own limit against decompression bombs."""


def read_image(source: Any, size: int | None = None) -> Image.Image:
    """An image in RGB, turned upright as its camera says.

    What is transparent becomes white; of an animation the first frame is taken, of 16 bits the upper 8.

    Args:
        source: a path, bytes, a row of `datasets` ({"bytes", "path"}), a `PIL.Image`, or an array (H, W), (H, W, 3) or
            (H, W, 4) of bytes.
        size: the side in pixels that is needed: a JPEG of several times that is decoded at a fraction of its size.

    Raises:
        RnnHubError: no such file, no image, a damaged or an enormous one.
    """
    name = "the image"
    if isinstance(source, Mapping):
        source = source["bytes"] if source.get("bytes") is not None else source["path"]
    if isinstance(source, Image.Image):
        return _upright_rgb(source, name)
    if isinstance(source, np.ndarray):
        return _upright_rgb(_from_array(source), name)
    if isinstance(source, bytes | bytearray):
        source = BytesIO(source)
    elif isinstance(source, str | PathLike):
        name = repr(fspath(source))
    else:
        raise RnnHubError(f"an image is a path, bytes, a PIL image or an array, not {type(source).__name__}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(source)
    except UnidentifiedImageError as error:
        raise RnnHubError(f"{name} is no image that can be read") from error
    except Image.DecompressionBombError as error:
        raise RnnHubError(f"{name} has more than {MOST_PIXELS} pixels: scale it down first") from error
    except OSError as error:
        raise RnnHubError(f"cannot read {name}: {error.strerror or error}") from error
    with image:
        if image.width * image.height > MOST_PIXELS:
            raise RnnHubError(
                f"{name} is {image.width} x {image.height}, more than {MOST_PIXELS} pixels: scale it down first"
            )
        if size is not None:
            image.draft("RGB", (size, size))
        return _upright_rgb(image, name)


def _upright_rgb(image: Image.Image, name: str) -> Image.Image:
    try:
        image = ImageOps.exif_transpose(image)
    except (OSError, ValueError, SyntaxError) as error:
        raise RnnHubError(f"{name} is damaged: {' '.join(str(error).split())}") from error
    if not image.width * image.height:
        raise RnnHubError(f"{name} is {image.width} x {image.height}: it holds nothing")
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image) / 256).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _from_array(array: np.ndarray) -> Image.Image:
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise RnnHubError(
            f"an image as an array is of bytes and (H, W), (H, W, 3) or (H, W, 4), not {array.dtype} {array.shape}"
        )
    if not array.size:
        raise RnnHubError(f"an image of shape {array.shape} holds nothing")
    return Image.fromarray(array)
