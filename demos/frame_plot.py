"""A video as a strip of its frames, with what the model thought after each below it."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np

#: how many labels have a curve; the height of the curves for a width of 1000
CURVES, HEIGHT = 4, 260
#: colours that people with any colour vision tell apart (Wong 2011)
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")

CSS = """
.strip { display: flex; gap: 1px; }
.strip figure { flex: 1 1 0; min-width: 0; margin: 0; }
.strip img { width: 100%; display: block; margin: 0; }
.strip i { display: block; height: 6px; background: color-mix(in srgb,
    var(--color-accent) calc(var(--w, 0) * 100%), var(--background-fill-secondary)); }
.curves { width: 100%; height: auto; display: block; margin-top: 4px; background: var(--background-fill-secondary); }
.curves line { stroke: var(--border-color-primary); }
.curves text, .curve-key { fill: var(--body-text-color-subdued); color: var(--body-text-color-subdued); }
.curve-key span { margin-right: 16px; white-space: nowrap; }
.curve-key i { display: inline-block; width: 18px; height: 4px; margin-right: 6px; vertical-align: middle; }
"""


def strip_html(thumbnails: Sequence[np.ndarray], times: Sequence[float], attention: Sequence[float] | None) -> str:
    """The frames side by side, each with a bar below it, the darker the more it counted.

    Args:
        thumbnails: (H, W, 3) of uint8.
        times: when each is shown, in seconds.
        attention: the weights of the frames, where the model has some.
    """
    largest = max(attention) if attention else 1.0
    figures = []
    for number, (picture, time) in enumerate(zip(thumbnails, times, strict=True)):
        title, bar = f"{time:.2f} s", ""
        if attention:
            title += f", weight {attention[number]:.2f}"
            bar = f'<i style="--w:{attention[number] / largest:.3f}"></i>'
        figures.append(f'<figure title="{title}"><img alt="frame at {title}" src="{_jpeg(picture)}">{bar}</figure>')
    return f'<div class="strip">{"".join(figures)}</div>'


def curves_html(progress: np.ndarray, times: Sequence[float], names: Sequence[str]) -> str:
    """The probabilities (T, labels) after each frame as curves, those of the likeliest labels."""
    chosen = np.argsort(-progress.max(axis=0), kind="stable")[:CURVES]
    places = (np.arange(len(progress)) + 0.5) / len(progress) * 1000
    lines, keys = [], []
    for share in (0.0, 0.5, 1.0):
        level = _level(share)
        lines.append(f'<line x1="0" x2="1000" y1="{level:.0f}" y2="{level:.0f}"/>')
        lines.append(f'<text x="4" y="{level - 4:.0f}" font-size="16">{share:.0%}</text>')
    for colour, label in zip(COLOURS, chosen, strict=False):
        points = " ".join(f"{x:.1f},{_level(y):.1f}" for x, y in zip(places, progress[:, label], strict=True))
        name = escape(names[label])
        style = f'fill="none" stroke="{colour}" stroke-width="4"'
        lines.append(f'<polyline points="{points}" {style}><title>{name}</title></polyline>')
        if len(progress) == 1:
            lines.append(f'<circle cx="500" cy="{_level(progress[0, label]):.1f}" r="6" fill="{colour}"/>')
        keys.append(f'<span><i style="background:{colour}"></i>{name}</span>')
    last = f"{times[-1]:.1f} s"
    return (
        f'<svg class="curves" viewBox="0 0 1000 {HEIGHT}" role="img" aria-label="Probability of each label after each '
        f'frame, up to {last}">{"".join(lines)}</svg><p class="curve-key">{"".join(keys)}</p>'
    )


def _level(share: float) -> float:
    return (1 - share) * (HEIGHT - 40) + 24


def _jpeg(picture: np.ndarray) -> str:
    from PIL import Image

    stored = io.BytesIO()
    Image.fromarray(picture).save(stored, "JPEG", quality=75)
    return f"data:image/jpeg;base64,{base64.b64encode(stored.getvalue()).decode()}"
