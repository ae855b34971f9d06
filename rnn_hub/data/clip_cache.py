"""Arrays that are costly to make, kept on disk: decoded frames, features of a frozen network."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

#: names another folder than the one in the user's cache
FOLDER_VARIABLE = "RNN_HUB_CACHE"


def default_folder() -> Path:
    """Where arrays are kept: RNN_HUB_CACHE, or rnn_hub/clips in the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get(FOLDER_VARIABLE) or Path(home) / "rnn_hub" / "clips")


class ClipCache:
    """Arrays by the content they were made of and by what made them, so that neither can change unnoticed.

    Writing is atomic: several processes may share a folder. A file that cannot be read is made anew.

    Args:
        maker: what makes the arrays: a processor's settings, the digest of a network's weights.
        folder: where the files lie.
    """

    def __init__(self, maker: Mapping[str, Any], folder: Path | None = None):
        self.maker = hashlib.sha256(json.dumps(maker, sort_keys=True, default=str).encode()).hexdigest()
        self.folder = (folder or default_folder()) / self.maker[:16]
        self._known: dict[tuple, str] = {}

    def get(self, source: Any, make: Callable[[], np.ndarray]) -> np.ndarray:
        """The array of a source (a path, or bytes), made and kept the first time."""
        path = self.folder / f"{self.key(source)}.npy"
        try:
            return np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            array = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".partial", delete=False) as file:
            np.save(file, array)
        os.replace(file.name, path)
        return array

    def key(self, source: Any) -> str:
        """The digest of a source's content; a file that has not changed since is not read again."""
        if isinstance(source, bytes | bytearray):
            return hashlib.sha256(source).hexdigest()[:32]
        status = os.stat(source)
        known = (str(source), status.st_size, status.st_mtime_ns)
        if known not in self._known:
            with open(source, "rb") as file:
                self._known[known] = hashlib.file_digest(file, "sha256").hexdigest()[:32]
        return self._known[known]
