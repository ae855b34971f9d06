"""What a captioner looked at: the picture once for each word, bright where the decoder looked."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
from PIL import Image

#: pixels of the longer side of a picture in the strip, and how much light the least attended part keeps
SIDE, DIM = 168, 0.25

CSS = """
.looks { display: flex; flex-wrap: wrap; gap: 10px; }
.looks figure { margin: 0; width: min-content; }
.looks img { display: block; border-radius: 6px; max-width: none; }
.looks figcaption { text-align: center; color: var(--body-text-color); font-size: 15px; overflow-wrap: anywhere; }
"""


def looks_html(image: Image.Image, words: Sequence[str], attention: np.ndarray) -> str:
    """A strip of pictures as HTML, one a word; every word is escaped.

    Args:
        image: the picture, in RGB.
        words: of the caption.
        attention: (words, rows, columns), each word's sum to 1, or to less where it looked elsewhere too.
    """
    small = image.copy()
    small.thumbnail((SIDE, SIDE))
    small = small if max(small.size) > 8 else small.resize((SIDE, SIDE))
    figures = "".join(
        f'<figure><img alt="" width="{small.width}" height="{small.height}" src="{_light(small, weights)}">'
        f"<figcaption>{escape(word)}</figcaption></figure>"
        for word, weights in zip(words, attention, strict=True)
    )
    return f'<div class="looks" role="region" aria-label="Where the model looked for each word">{figures}</div>'


def _light(image: Image.Image, weights: np.ndarray) -> str:
    """The picture (W, H) under the light of weights (rows, columns), as a data URL."""
    light = Image.fromarray((255 * weights / (weights.max() or 1)).astype(np.uint8)).resize(
        image.size, Image.Resampling.BICUBIC
    )
    shaded = np.asarray(image) * (DIM + (1 - DIM) * np.asarray(light)[..., None] / 255)
    stored = io.BytesIO()
    Image.fromarray(shaded.astype(np.uint8)).save(stored, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(stored.getvalue()).decode()}"
