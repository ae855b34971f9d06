"""The plan of the house, enforced over the syntax tree: imports go down the line, never up."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LINE = (
    ("cells",),
    ("layers",),
    ("cache", "modeling_utils"),
    ("generation",),
    ("models",),
    ("onnx",),
    ("pipelines",),
    ("tasks",),
    ("hub",),
    ("training",),
    ("cli",),
    ("demos",),
)
LEVEL = {room: level for level, rooms in enumerate(LINE) for room in rooms}
BESIDE = ("data", "metrics", "errors", "registry")  # these never import a room of the line
FILES = sorted([*(ROOT / "rnn_hub").rglob("*.py"), *(ROOT / "demos").rglob("*.py")])


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that a file imports; names that only type checkers see are left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write imports in full"
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def room(name: str) -> str | None:
    """The room of a module: the first part below `rnn_hub`, or `demos`."""
    parts = name.split(".")
    if parts[0] == "demos":
        return "demos"
    return parts[1] if parts[0] == "rnn_hub" and len(parts) > 1 else None


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_go_down_the_line(path: Path) -> None:
    here = room(name_of(path))
    for line, name in imports(path):
        there = room(name)
        if there not in LEVEL:
            continue
        assert here not in BESIDE, f"{path}:{line}: {here} stands beside the line and must not import {name}"
        if here in LEVEL:
            assert LEVEL[there] <= LEVEL[here], f"{path}:{line}: {here} imports {name}, which is above it"


@pytest.mark.parametrize("path", [p for p in FILES if room(name_of(p)) in ("cells", "layers")], ids=name_of)
def test_cells_and_layers_know_only_torch(path: Path) -> None:
    for line, name in imports(path):
        package = name.split(".")[0]
        ours = package == "rnn_hub" and room(name) in (None, "cells", "layers", "errors")
        known = {"torch", *(["triton"] if path.stem == "triton_scan" else []), *sys.stdlib_module_names}
        assert ours or package in known, f"{path}:{line}: {name}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_weights_load_without_pickle(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            assert "weights_only=True" in ast.unparse(node), f"{path}:{node.lineno}: torch.load without weights_only"
    assert not {"pickle", "joblib", "dill"} & {name.split(".")[0] for _, name in imports(path)}


def test_no_path_of_one_machine() -> None:
    written = (p for p in (ROOT / "model_cards").rglob("*") if p.suffix in (".md", ".yaml", ".json"))
    for path in [*FILES, *written, *ROOT.glob("*.md"), ROOT / "Makefile", ROOT / "pyproject.toml"]:
        found = re.search(r"(?<![\w.~/-])/(work|tmp|root|home|opt|mnt|Users)/\S*", path.read_text(encoding="utf-8"))
        assert found is None, f"{path}: {found[0]} exists on one machine only"


def test_files_fit_a_sitting() -> None:
    for path in [*FILES, *(ROOT / "tests").rglob("*.py")]:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= 400, f"{path} has {lines} lines: two concepts in one file?"
