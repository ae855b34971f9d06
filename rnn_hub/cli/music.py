"""What ``rnn-hub predict`` does with a model of music: it prints pieces in words, or writes them to files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rnn_hub.errors import RnnHubError

MUSIC_OPTIONS = ("style", "beats", "primer", "melody", "voice", "tempo", "instrument")


def write_music(pipe: Any, keys: list[str], options: argparse.Namespace) -> None:
    """Write a piece in each key, or ``--n-best`` of them; without a key the model chooses one.

    Prints the path of each file, or without ``--output`` a line a piece.

    Raises:
        RnnHubError: an ending that is no format of music, before anything is computed.
    """
    from rnn_hub.data.music_files import FORMATS, save_music

    outputs = [Path(path) for path in options.output or ()]
    for path in outputs:
        if path.suffix.lower() not in FORMATS:
            raise RnnHubError(f"music is written as {', '.join(FORMATS)}, not as {path.name!r}")
        if not path.parent.is_dir():
            raise RnnHubError(f"there is no folder {path.parent} to write {path.name} to")
    arguments = {
        name: getattr(options, name)
        for name in (*MUSIC_OPTIONS, "temperature", "seed", "max_new_tokens")
        if getattr(options, name) is not None
    }
    records: list[dict[str, Any]] = []
    for key in keys or [None]:
        found = pipe(key, num_return_sequences=options.n_best, **arguments)
        records += found if isinstance(found, list) else [found]
    for index, record in enumerate(records, 1):
        if not outputs:
            print(record["music_text"], flush=True)
        for path in outputs:
            path = path if len(records) == 1 else path.with_stem(f"{path.stem}-{index}")
            save_music(record["score"], path, options.instrument or "organ")
            print(path, flush=True)
