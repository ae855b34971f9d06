"""The page of all demos, and a demo as a Space."""

import importlib
import importlib.metadata
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
import yaml

from demos import app, space
from rnn_hub.errors import RnnHubError


def fetch(address, process=None, seconds=120):
    """A page, as soon as it answers; an error if its process ends."""
    end = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(address, timeout=10) as response:
                return response.read().decode()
        except OSError:
            if time.monotonic() > end or (process and process.poll() is not None):
                raise
            time.sleep(0.3)


@pytest.mark.parametrize("name", app.DEMOS)
def test_every_demo_says_what_the_pages_and_spaces_need(name):
    demo = importlib.import_module(name)
    assert all(isinstance(getattr(demo, key), str) for key in ("TASK", "TITLE", "HEADING", "EMOJI", "SUMMARY"))
    assert callable(demo.build) and callable(demo.main)


def test_every_demo_is_a_tab(models):
    titles = {block.label for block in app.build(models).blocks.values() if block.get_block_name() == "tabitem"}
    assert titles == {importlib.import_module(name).TITLE for name in app.DEMOS}


def test_without_a_model_the_page_says_what_to_do(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        values = [str(getattr(block, "value", "")) for block in app.build(folder).blocks.values()]
        assert any("There is no translation model in" in value and "--models" in value for value in values)


def test_only_this_machine_is_served_unless_told(models, monkeypatch):
    monkeypatch.delenv("GRADIO_SERVER_NAME", raising=False)
    page = app.build(models)
    try:
        address = app.serve(page, block=False)
        assert page.server_name == "127.0.0.1" and "rnn_hub" in fetch(address)
        assert page.max_file_size and page._queue.max_size == app.WAITING
    finally:
        page.close()


def test_the_command_line_of_the_page():
    options = app.parse(["--port", "8000", "--models", "runs"])
    assert vars(options) == {"host": None, "port": 8000, "share": False, "models": "runs"}


@pytest.fixture(scope="module")
def space_folder(models, tmp_path_factory):
    return space.write_space("translation", tmp_path_factory.mktemp("space") / "translation", models)


def test_a_space_has_the_header_and_the_requirements(space_folder):
    _, header, text = (space_folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    header = yaml.safe_load(header)
    assert header["sdk"] == "gradio" and header["sdk_version"] == importlib.metadata.version("gradio")
    assert (space_folder / header["app_file"]).is_file() and header["title"] in text
    assert header["python_version"] == "3.11"
    lines = (space_folder / "requirements.txt").read_text().split()
    assert "torch==2.13.0" in lines and all(re.fullmatch(r"[\w-]+==[\w.]+", line) for line in lines)


def test_a_space_runs_by_itself(space_folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    process = subprocess.Popen([sys.executable, "app.py"], cwd=space_folder, env=environment)
    try:
        page = fetch(f"http://127.0.0.1:{port}/config", process)
        assert "English \\u2192 German" in page or "English → German" in page
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_a_space_needs_a_known_demo_a_model_and_a_new_folder(models, tmp_path):
    with pytest.raises(RnnHubError, match="no demo 'weather'; the demos are translation"):
        space.write_space("weather", tmp_path / "new", models)
    with pytest.raises(RnnHubError, match="no translation model"):
        space.write_space("translation", tmp_path / "new", tmp_path)
    assert not (tmp_path / "new").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(RnnHubError, match="is not empty"):
        space.write_space("translation", tmp_path / "full", models)
    with pytest.raises(SystemExit, match="2"):
        space.main(["weather", str(tmp_path / "new")])
