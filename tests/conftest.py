"""What all tests share: no network, the folder of real data if there is one, seeds."""

import os
import random
import sys
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("OMP_NUM_THREADS", "2")  # of torch, here and in the processes that tests start

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets: RNN_HUB_DATA, or shared/data beside the project."""
    folder = Path(os.environ.get("RNN_HUB_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"needs real data: no folder {folder} (set RNN_HUB_DATA)")
    return folder


@pytest.fixture(autouse=True)
def _seed() -> None:
    random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
