"""The snippet of each released model's card runs as printed, beside the model and a file of the name that it uses."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.recordings import say, write_audio
from tests.videos import picture, write_video

pytest.importorskip("av")

CARDS = ROOT / "model_cards"
RELEASED = sorted(weights.parent.name for weights in CARDS.glob("*/model.safetensors"))


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the released models and something of a user's, in which we are."""
    for name in RELEASED:
        (tmp_path / name).symlink_to(CARDS / name)
    shutil.copy(ROOT / "demos" / "temperature.csv", tmp_path / "prices.csv")
    shutil.copy(ROOT / "demos" / "pictures" / "cat.jpg", tmp_path / "photo.jpg")
    write_audio(tmp_path / "recording.wav", say("d m s t"), 8000)
    np.save(tmp_path / "features.npy", np.random.default_rng(0).standard_normal((80, 13)).astype(np.float32))
    write_video(tmp_path / "clip.mp4", [picture(number) for number in range(25)])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", RELEASED)
def test_the_snippet_of_a_card_runs_as_printed(name: str, beside: Path) -> None:
    block = re.search(r"```python\n(.*?)```", (CARDS / name / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    if block is None:
        pytest.skip("this model only measures, by the command line")
    assert f'model="{name}"' in block[1]
    exec(compile(block[1], f"{name}/README.md", "exec"), {})
