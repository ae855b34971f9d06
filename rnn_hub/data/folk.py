"""Folk tunes in four styles from the corpus of scores that music21 brings, as a data set: no download.

``python -m rnn_hub.data.folk FOLDER`` writes it; ``datasets.load_dataset(FOLDER)`` reads it. A row is a tune: `voices`,
for each sixteenth the pitches of the voices, of which only the first sings, and `style`. It takes about three minutes.
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from rnn_hub.data.music import STEPS, VOICES, Note, Score
from rnn_hub.data.music_files import read_part
from rnn_hub.errors import RnnHubError

#: style -> (folder of the corpus, files, what a tune's `R:` and `M:` say there), as regular expressions
SOURCES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "Chinese song": (("essenFolksong", r"han\d", ""),),
    "German song": (("essenFolksong", r"erk\d+|boehme\d+", ""),),
    "jig": (("ryansMammoth", "", r"R: *jig.*M: *6/8"), ("oneills1850", "", r"R: *(double )?jig.*M: *6/8")),
    "reel": (("ryansMammoth", "", r"R: *reel"), ("oneills1850", "", r"R: *reel")),
}
#: a reel in C or C| is the same dance in longer notes than one in 2/4: it is read twice as fast
FAST = re.compile(r"^R: *reel.*?^M: *C|^M: *C.*?^R: *reel", re.MULTILINE | re.DOTALL | re.IGNORECASE)
MOST = 600
BEATS = (12, 96)
HELD_OUT = 60


def folk_tunes(most: int = MOST, seed: int = 0) -> dict[str, list[dict[str, Any]]]:
    """The tunes of each style, at most so many, shuffled: ``{"jig": [{"voices": ..., "style": "jig"}, ...], ...}``.

    Left out are tunes with notes off the grid of sixteenths, very short and very long ones.

    Raises:
        RnnHubError: music21 is not installed.
    """
    try:
        import music21
    except ImportError as error:
        raise RnnHubError("folk tunes need music21: pip install 'rnn-hub[music]'") from error
    corpus, found = Path(music21.__file__).parent / "corpus", {}
    for style, sources in SOURCES.items():
        texts = [text for source in sources for text in _texts(corpus, *source)]
        random.Random(seed).shuffle(texts)
        tunes = (grid for text in texts if (grid := read_abc(text)))
        found[style] = [{"voices": grid, "style": style} for grid, _ in zip(tunes, range(most), strict=False)]
    return found


def read_abc(text: str) -> list[list[int]] | None:
    """The pitches of a tune in ABC notation at each sixteenth, -1 for silent voices; None for what does not fit."""
    from music21 import converter

    try:
        stream = converter.parse(text, format="abc").flatten()
        if FAST.search(text):
            stream = stream.augmentOrDiminish(0.5)
    except Exception:  # music21 raises whatever its parts do; the corpus has some tunes that it cannot read
        return None
    places = [place for note in stream.notes for place in (note.offset, note.quarterLength)]
    if any((Fraction(place) * STEPS).denominator != 1 for place in places):
        return None
    notes = read_part(stream)
    if not notes:
        return None
    start = notes[0].start
    line = tuple(Note(note.start - start, note.duration, note.pitch) for note in notes)
    score = Score((line, *[()] * (len(VOICES) - 1)))
    return score.grid() if BEATS[0] <= score.beats <= BEATS[1] else None


def write_folk(folder: str | Path) -> dict[str, int]:
    """Write train, validation and test as JSON lines; returns the number of tunes of each split."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    splits: dict[str, list[dict[str, Any]]] = {"test": [], "validation": [], "train": []}
    for tunes in folk_tunes().values():
        splits["test"] += tunes[:HELD_OUT]
        splits["validation"] += tunes[HELD_OUT : 2 * HELD_OUT]
        splits["train"] += tunes[2 * HELD_OUT :]
    for split, rows in splits.items():
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return {split: len(rows) for split, rows in splits.items()}


def _texts(corpus: Path, folder: str, files: str, kind: str) -> Iterator[str]:
    """The tunes of a folder's files, each as its own text."""
    for path in sorted((corpus / folder).glob("*.abc")):
        if files and not re.fullmatch(files, path.stem):
            continue
        for text in re.split(r"\n(?=X:)", path.read_text(encoding="utf-8", errors="replace")):
            lines = dict(re.findall(r"^([XRM]): *(.*)$", text, re.M))
            about = f"R: {lines.get('R', '').lower()} M: {lines.get('M', '')}"
            if "X" in lines and re.search(kind, about):
                yield text


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m rnn_hub.data.folk FOLDER")
    sys.stdout.write(f"{write_folk(sys.argv[1])}\n")
