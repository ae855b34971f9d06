"""A recording as a picture: its waveform, its spectrogram, and the words over the time in which they were said."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

#: width of the picture, the height of its waveform and of its words, and the width of a letter
WIDTH, WAVE, WORDS, LETTER = 1000, 90, 44, 12
#: dark to light, as printers and people with any colour vision see it too (points of matplotlib's viridis)
COLOURS = np.array([(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)])
#: seconds from one line of the time to the next, the first that leaves at most twelve
TICKS = (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 600)

CSS = """
.speech { width: 100%; overflow-x: auto; }
.speech svg, .speech img { display: block; width: 100%; }
.speech img { height: 160px; image-rendering: auto; }
.speech .wave { fill: var(--color-accent); }
.speech text { fill: var(--body-text-color); font-size: 20px; }
.speech .time { fill: var(--body-text-color-subdued); font-size: 16px; }
.speech rect { fill: var(--color-accent-soft); stroke: var(--color-accent); }
.word-times { border-collapse: collapse; margin-top: 8px; }
.word-times td, .word-times th { padding: 2px 12px 2px 0; text-align: left; }
"""


def speech_html(samples: np.ndarray, rate: int, features: np.ndarray, words: Sequence[Mapping[str, Any]]) -> str:
    """Waveform, words and spectrogram below each other, over one time; then a table of the words.

    Args:
        samples: (N,); rate: of them a second.
        features: (T, bands), the logarithms of the mel bands.
        words: each with a ``word``, and the seconds of its ``start`` and ``end``.
    """
    duration = len(samples) / rate
    picture = f'<img alt="spectrogram of {duration:.1f} seconds" src="{_png(_coloured(features))}">'
    return (
        f'<div class="speech">{_wave(samples)}{_words(words, duration)}{picture}{_times(duration)}</div>{_table(words)}'
    )


def _wave(samples: np.ndarray) -> str:
    """The least and the greatest sample of each column, as a filled shape."""
    parts = np.array_split(samples, min(WIDTH, len(samples)))
    places = np.linspace(0, WIDTH, len(parts))
    loudest = max(float(np.abs(samples).max()), 1e-4)
    high = [(1 - max(0.02, part.max() / loudest)) * WAVE / 2 for part in parts]
    low = [(1 + max(0.02, -part.min() / loudest)) * WAVE / 2 for part in parts]
    upper = [f"{x:.0f},{y:.1f}" for x, y in zip(places, high, strict=True)]
    lower = [f"{x:.0f},{y:.1f}" for x, y in zip(places[::-1], low[::-1], strict=True)]
    return (
        f'<svg viewBox="0 0 {WIDTH} {WAVE}" preserveAspectRatio="none" height="{WAVE}" role="img" '
        f'aria-label="waveform">'
        f'<polygon class="wave" points="{" ".join(upper + lower)}"/></svg>'
    )


def _words(words: Sequence[Mapping[str, Any]], duration: float) -> str:
    """A box for each word where it was said."""
    shapes = []
    for word in words:
        left = word["start"] / duration * WIDTH
        width = max((word["end"] - word["start"]) / duration * WIDTH, 4)
        narrow = len(word["word"]) * LETTER > width - 6
        fit = f'textLength="{max(width - 6, 3):.1f}" lengthAdjust="spacingAndGlyphs"' if narrow else ""
        title = f"{escape(word['word'])}: {word['start']:.2f} to {word['end']:.2f} s"
        shapes.append(
            f'<g class="word"><title>{title}</title>'
            f'<rect x="{left:.1f}" y="2" width="{width:.1f}" height="{WORDS - 4}"/>'
            f'<text x="{left + 3:.1f}" y="{WORDS - 15}" {fit}>{escape(word["word"])}</text></g>'
        )
    label = escape(" ".join(word["word"] for word in words)) or "no words"
    return f'<svg viewBox="0 0 {WIDTH} {WORDS}" role="img" aria-label="{label}">{"".join(shapes)}</svg>'


def _times(duration: float) -> str:
    step = next((tick for tick in TICKS if duration / tick <= 12), duration)
    marks = (
        f'<text class="time" x="{min(time / duration * WIDTH, WIDTH - 40):.0f}" y="18">{time:g} s</text>'
        for time in np.arange(0, duration, step).round(2)
    )
    return f'<svg viewBox="0 0 {WIDTH} 24">{"".join(marks)}</svg>'


def _table(words: Sequence[Mapping[str, Any]]) -> str:
    if not words:
        return ""
    rows = (
        f"<tr><td>{escape(w['word'])}</td><td>{w['start']:.2f}</td><td>{w['end']:.2f}</td></tr>" for w in words[:200]
    )
    head = "<tr><th>word</th><th>from, s</th><th>to, s</th></tr>"
    return f'<table class="word-times">{head}{"".join(rows)}</table>'


def _coloured(features: np.ndarray) -> np.ndarray:
    """Low bands at the bottom, loud ones light: (bands, columns, 3) of uint8."""
    parts = np.array_split(features, min(WIDTH, len(features)))
    picture = np.stack([part.mean(axis=0) for part in parts])[:, ::-1].T
    low, high = np.quantile(picture, [0.05, 0.99])
    shares = np.clip((picture - low) / max(high - low, 1e-3), 0, 1) * (len(COLOURS) - 1)
    levels = np.arange(len(COLOURS))
    return np.stack([np.interp(shares, levels, COLOURS[:, band]) for band in range(3)], axis=-1).astype(np.uint8)


def _png(picture: np.ndarray) -> str:
    from PIL import Image

    stored = io.BytesIO()
    Image.fromarray(picture).save(stored, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stored.getvalue()).decode()}"
