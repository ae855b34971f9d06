"""The attention of a translation as a table of shaded cells: source across, target down."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

#: below this a cell stays blank, which keeps the map of a long sentence small
FAINT = 0.005
#: how the tokenizers write the space before a word
WORD_START = "▁"

CSS = """
.attention { overflow: auto; max-height: 75vh; padding-bottom: 4px; }
.attention table { border-collapse: separate; border-spacing: 1px; width: auto; margin: 0; border: 0;
    font-size: 13px; }
.attention tr, .attention th, .attention td { padding: 0; border: 0; color: var(--body-text-color);
    font-weight: normal; }
.attention th span { white-space: nowrap; }
.attention thead th { position: sticky; top: 0; z-index: 1; height: 1px; min-width: 26px; vertical-align: bottom;
    background: var(--block-background-fill); }
.attention thead th span { writing-mode: vertical-rl; transform: rotate(180deg); padding: 4px 0 0; }
.attention tbody th { position: sticky; left: 0; text-align: right; padding: 0 8px 0 0;
    background: var(--block-background-fill); }
.attention thead th:first-child { left: 0; z-index: 2; }
.attention td { min-width: 26px; height: 24px; border-radius: 3px;
    background: color-mix(in srgb,
        var(--color-accent) calc(var(--w, 0) * 100%), var(--background-fill-secondary)); }
.attention td:hover, .attention th:hover { outline: 2px solid var(--body-text-color-subdued); }
.attention-key { color: var(--body-text-color-subdued); font-size: 13px; margin: 0 0 8px; }
.attention-key i { display: inline-block; width: 96px; height: 10px; border-radius: 3px; margin: 0 4px;
    background: linear-gradient(90deg, var(--background-fill-secondary), var(--color-accent)); }
"""


def attention_html(attention: np.ndarray, source: Sequence[str], target: Sequence[str]) -> str:
    """The heat map as HTML; every token is escaped, and a cell tells its weight where the pointer rests.

    Args:
        attention: (target, source), each row sums to 1.
        source: the source's subwords.
        target: the target's subwords.
    """
    columns = [_shown(token) for token in source]
    head = "".join(f'<th scope="col"><span>{token}</span></th>' for token in columns)
    rows = []
    for token, weights in zip(map(_shown, target), attention, strict=True):
        cells = "".join(_cell(float(weight), token, column) for weight, column in zip(weights, columns, strict=True))
        rows.append(f'<tr><th scope="row"><span>{token}</span></th>{cells}</tr>')
    return (
        '<p class="attention-key">Source across, translation down; weight 0<i></i>1. '
        "A hyphen marks the rest of a word, &lt;/s&gt; the end of the sentence.</p>"
        '<div class="attention" tabindex="0" role="region" aria-label="Attention heat map">'
        f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cell(weight: float, row: str, column: str) -> str:
    if weight < FAINT:
        return "<td></td>"
    return f'<td style="--w:{weight:.3f}" title="{row} ← {column}: {weight:.2f}"></td>'


def _shown(token: str) -> str:
    """A subword as HTML text: "▁Fahr", "rad" become "Fahr", "-rad", a lone space "␣"."""
    if token.startswith(WORD_START):
        return escape(token.removeprefix(WORD_START)) or "␣"
    return escape(f"-{token}" if token[:1].isalnum() else token)
