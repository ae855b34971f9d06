"""Checkpoints that survive a kill: a manifest of sizes, written last, says which are whole."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Collection
from pathlib import Path

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
_NAME = re.compile(r"^checkpoint-(\d+)$")


def write_atomically(path: Path, text: str) -> None:
    """Write a small file so that a reader sees all of it or the former one."""
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def seal(checkpoint: Path) -> None:
    """Declare a checkpoint whole: flush its files to the disk, then write the manifest of their sizes."""
    sizes = {}
    for file in sorted(checkpoint.rglob("*")):
        if file.is_file() and file.name != MANIFEST:
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
            sizes[file.relative_to(checkpoint).as_posix()] = file.stat().st_size
    write_atomically(checkpoint / MANIFEST, json.dumps(sizes, indent=1))


def is_whole(checkpoint: Path) -> bool:
    """Whether the manifest is there and every file that it names has the size that it names."""
    try:
        sizes = json.loads((checkpoint / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return all(
        (checkpoint / name).is_file() and (checkpoint / name).stat().st_size == size for name, size in sizes.items()
    )


def step_of(checkpoint: Path) -> int:
    """The training step in a checkpoint's name."""
    match = _NAME.match(checkpoint.name)
    return int(match.group(1)) if match else -1


def list_checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints of a folder, oldest step first."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if path.is_dir() and _NAME.match(path.name) and is_whole(path)]
    return sorted(found, key=step_of)


def set_aside_incomplete(folder: Path) -> list[Path]:
    """Rename the half-written checkpoints of a folder so that nothing reads them; return their new names."""
    moved = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.is_dir() and _NAME.match(path.name) and not is_whole(path):
            target = path.with_name(f"incomplete-{path.name}")
            if target.exists():
                shutil.rmtree(target)
            path.rename(target)
            logger.warning("%s was only half written: set aside as %s", path.name, target.name)
            moved.append(target)
    return moved


def remove_old(folder: Path, keep: int | None, protected: Collection[Path] = ()) -> None:
    """Delete all whole checkpoints but the last ``keep`` (None: keep all) and the protected ones."""
    if keep is None:
        return
    for path in list_checkpoints(folder)[:-keep]:
        if path not in protected:
            # The manifest goes first: a kill amid the deletion leaves nothing that looks whole.
            (path / MANIFEST).unlink()
            shutil.rmtree(path)
