"""The README's Python runs as printed, and its recipes and commands name what there is."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
COMMANDS = [line.split("#")[0].split() for language, code in BLOCKS if language == "bash" for line in code.splitlines()]


@pytest.mark.parametrize("code", [code for code in PYTHON if "push_to_hub" not in code])
def test_python_blocks_run_as_printed(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    exec(compile(code, "README.md", "exec"), {})


@pytest.mark.parametrize(
    "words", [words for words in COMMANDS if "rnn-hub" in words[:1] or "rnn_hub" in words], ids=" ".join
)
def test_commands_parse_and_their_recipes_load(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from rnn_hub.cli import build_parser
    from rnn_hub.training.recipes import load_recipe

    monkeypatch.chdir(ROOT)
    arguments = words[words.index("rnn-hub" if words[0] == "rnn-hub" else "rnn_hub") + 1 :]
    options = build_parser().parse_args([word.strip('"') for word in arguments])
    if options.command == "train":
        load_recipe(options.recipe, options.overrides)
