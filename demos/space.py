"""Makes a demo a Space: ``python -m demos.space translation FOLDER`` writes the whole repository of one into FOLDER.

It holds README.md with the header that Spaces read, requirements.txt with the versions installed here, app.py, and
copies of the code and of the demo's models, so that nothing has to be published first. ``python app.py`` runs it
anywhere; ``hf upload OWNER/NAME FOLDER . --repo-type=space`` shares it.
"""

from __future__ import annotations

import argparse
import importlib
import shutil
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from types import ModuleType

from packaging.requirements import Requirement

from demos.app import DEMOS
from demos.shelf import Shelf
from rnn_hub.errors import RnnHubError

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "rnn_hub"


def write_space(name: str, folder: str | Path, models: str | Path | None = None) -> Path:
    """Write the Space of a demo.

    Args:
        name: a demo's module, such as "translation".
        folder: where to; it must be new or empty.
        models: a folder of model folders; default: the released ones.

    Raises:
        RnnHubError: no such demo, no model for it, or a folder that holds something already.
    """
    names = [row.rpartition(".")[2] for row in DEMOS]
    if name not in names:
        raise RnnHubError(f"there is no demo {name!r}; the demos are {', '.join(names)}")
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RnnHubError(f"{folder} is not empty: name a new folder")
    demo = importlib.import_module(f"demos.{name}")
    shelf = Shelf(demo.TASK, models, getattr(demo, "ALSO", ()))
    if not shelf.models:
        raise RnnHubError(shelf.absence())
    files = {
        "README.md": readme(demo),
        "requirements.txt": "\n".join(requirements(getattr(demo, "EXTRA", ""))) + "\n",
        "app.py": f'"""{demo.HEADING}."""\n\nfrom demos.{name} import main\n\nmain()\n',
    }
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        (folder / file).write_text(text, encoding="utf-8")
    leave = shutil.ignore_patterns("__pycache__")
    for package in (PACKAGE, "demos"):
        shutil.copytree(ROOT / package, folder / package, ignore=leave)
    for model in shelf.models.values():
        shutil.copytree(model, folder / "model_cards" / Path(model).name, ignore=leave)
    return folder


def readme(demo: ModuleType) -> str:
    """The card of a Space, whose header says how to run it."""
    header = {
        "title": demo.HEADING,
        "emoji": demo.EMOJI,
        "colorFrom": "indigo",
        "colorTo": "blue",
        "sdk": "gradio",
        "sdk_version": version("gradio"),
        "python_version": '"3.11"',
        "app_file": "app.py",
        "license": "apache-2.0",
    }
    lines = "\n".join(f"{key}: {value}" for key, value in header.items())
    return f"---\n{lines}\n---\n\n# {demo.HEADING}\n\n{demo.SUMMARY}\n"


def requirements(extra: str = "") -> list[str]:
    """What the library and one of its extras need, at the versions installed here; the Space itself brings Gradio."""
    try:
        needed = [Requirement(line) for line in requires(PACKAGE) or []]
    except PackageNotFoundError as error:
        raise RnnHubError("install the project first: pip install -e '.[demos]'") from error
    names = sorted(each.name for each in needed if not each.marker or each.marker.evaluate({"extra": extra}))
    return [f"{name}=={version(name).partition('+')[0]}" for name in names]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; an error that the user can mend ends it with status 2."""
    parser = argparse.ArgumentParser(prog="python -m demos.space", description="Write a demo as a Space.")
    parser.add_argument("name", help="a demo, such as translation")
    parser.add_argument("folder", help="a new folder")
    parser.add_argument("--models", help="a folder of model folders (default: model_cards)")
    options = parser.parse_args(arguments)
    try:
        write_space(options.name, options.folder, options.models)
    except RnnHubError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
