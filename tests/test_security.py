"""What a stranger's file or text cannot do."""

import ast
import json
import os
import pickle
import random
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from gradio.utils import get_upload_folder
from PIL import Image

from demos import app, forecasting, summarization
from demos.captioning import middle_frame
from demos.shelf import Shelf
from rnn_hub import pipeline
from rnn_hub.data.audio import read_audio
from rnn_hub.data.images import read_image
from rnn_hub.data.music import Score
from rnn_hub.data.music_files import read_music, save_music
from rnn_hub.data.series_tables import read_series
from rnn_hub.data.video_files import write_mp4
from rnn_hub.errors import RnnHubError
from rnn_hub.training.checkpoints import seal
from rnn_hub.training.recipes import build_recipe
from rnn_hub.training.run import train
from tests import tiny_mail
from tests.conftest import ROOT
from tests.demos.forecast_models import write_model as write_forecaster
from tests.recordings import write_audio

MAIL = "hello , please look at the gas report today ."
#: functions that run a file's or a text's content
DANGEROUS = {"torch.load", "pickle.load", "pickle.loads", "os.system", "os.popen", "eval", "exec", "joblib.load"}
DANGEROUS |= {
    "marshal.loads",
    "shelve.open",
    "yaml.unsafe_load",
    "yaml.full_load",
    "pandas.read_pickle",
    "pd.read_pickle",
}
#: options that make a harmless function dangerous
UNSAFE_OPTIONS = ("shell", "allow_pickle", "trust_remote_code")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tiny_mail.model_folder(tmp_path_factory.getbasetemp())


@pytest.mark.parametrize("package", ["rnn_hub", "demos"])
def test_no_code_unpickles_or_runs_what_it_reads(package: str) -> None:
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                options = {each.arg: ast.unparse(each.value) for each in node.keywords}
                restricted = options.get("weights_only") == "True"  # torch's unpickler of tensors alone
                assert restricted or ast.unparse(node.func) not in DANGEROUS, f"{path.name}, line {node.lineno}"
                for name in UNSAFE_OPTIONS:
                    assert options.get(name, "False") == "False", f"{path.name}, line {node.lineno}"
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                assert not names & {"pickle", "dill", "cloudpickle"}, f"{path.name}, line {node.lineno}"


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple:
        return (os.mkdir, (str(self.path),))


def test_a_pickled_model_is_refused_and_never_opened(folder: Path, tmp_path: Path) -> None:
    copy, sprung = tmp_path / "copy", tmp_path / "sprung"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("checkpoints"))
    (copy / "model.safetensors").unlink()
    (copy / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(RnnHubError, match="lacks model.safetensors"):
        pipeline("summarization", model=copy)
    (copy / "model.safetensors").write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(RnnHubError, match="cannot load the model"):
        pipeline("summarization", model=copy)
    assert not sprung.exists()


def test_a_pickled_checkpoint_is_refused_and_never_opened(folder: Path, tmp_path: Path) -> None:
    values = tiny_mail.recipe(folder.parents[1] / "mail", tmp_path / "run")
    values["training"] |= {"max_steps": 1, "eval_strategy": "no"}
    train(build_recipe(values))
    (tmp_path / "run" / "results.json").unlink()
    values["training"] |= {"max_steps": 2, "resume": True}
    (checkpoint,) = (tmp_path / "run" / "checkpoints").iterdir()
    for name in ("optimizer.pt", "rng_state.pth"):
        whole = (checkpoint / name).read_bytes()
        (checkpoint / name).write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
        seal(checkpoint)
        with pytest.raises(Exception, match="(?i)weights.only"):
            train(build_recipe(values))
        (checkpoint / name).write_bytes(whole)
    assert not (tmp_path / "sprung").exists()


def test_a_config_cannot_name_code_of_its_own(folder: Path, tmp_path: Path) -> None:
    copy, sprung = tmp_path / "copy", tmp_path / "sprung"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("checkpoints"))
    config = json.loads((copy / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "evil.Config", "AutoModelForSeq2SeqLM": "evil.Model"}
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "evil.py").write_text(f"import os\nos.mkdir({str(sprung)!r})\nclass Config: pass\nclass Model: pass\n")
    assert pipeline("summarization", model=copy)(MAIL) == pipeline("summarization", model=folder)(MAIL)
    assert not sprung.exists()


def test_a_thousand_hostile_texts_get_an_answer_or_a_clear_notice(folder: Path) -> None:
    generator = random.Random(0)
    shelf = Shelf(summarization.TASK, folder.parent)
    pieces = [
        "\x00",
        "\ud800",
        "<script>",
        "</s>",
        "<0x41>",
        "\u202e",
        "%s",
        "{}",
        "../../etc",
        "🐕",
        "▁",
        "'; --",
        "\n",
        "gas",
    ]
    pieces += [chr(generator.randrange(0x20, 0x3000)) for _ in range(40)]
    for _ in range(1000):
        text = "".join(generator.choices(pieces, k=generator.choice((0, 1, 5, 30))))
        view = summarization.summarize(shelf, text, "tiny-mail")
        assert view.subjects or view.notice
        assert "<script" not in view.subjects + view.notice and "Traceback" not in view.notice


#: a kind of file -> what reads it in the demos, and how many damaged ones it is given
READERS = {
    ".png": (read_image, 150),
    ".jpg": (read_image, 150),
    ".mp4": (middle_frame, 200),
    ".mid": (read_music, 320),
    ".musicxml": (read_music, 20),
    ".flac": (lambda path: read_audio(path, 16000, longest=60), 100),
    ".csv": (read_series, 40),
    ".json": (read_series, 20),
}


def write_files(folder: Path) -> None:
    """A small file of each kind."""
    noise = np.random.default_rng(0).integers(0, 255, (10, 32, 48, 3), np.uint8)
    for suffix in (".png", ".jpg"):
        Image.fromarray(noise[0]).save(folder / f"whole{suffix}")
    write_mp4(folder / "whole.mp4", noise)
    score = Score.from_grid([(67, 62, 59, 43)] * 8, key="G major", tempo=60)
    for suffix in (".mid", ".musicxml"):
        save_music(score, folder / f"whole{suffix}")
    write_audio(folder / "whole.flac", noise.ravel()[:8000] / 255 - 0.5, 8000)
    days = [(f"2024-01-{day:02}", day * 1.5) for day in range(1, 29)]
    (folder / "whole.csv").write_text("date,value\n" + "".join(f"{day},{value}\n" for day, value in days))
    (folder / "whole.json").write_text(json.dumps([{"date": day, "value": value} for day, value in days]))


def damaged(content: bytes, generator: random.Random) -> bytes:
    """Cut off, replaced by noise, or with bytes changed, put in and taken out."""
    kind, found = generator.randrange(5), bytearray(content)
    if kind == 0:
        return content[: generator.randrange(len(content))]
    if kind == 1:
        return generator.randbytes(generator.randrange(1, 400))
    for _ in range(generator.choice((1, 3, 20))):
        place = generator.randrange(len(found))
        if kind == 2:
            found[place] = generator.randrange(256)
        elif kind == 3:
            found[place:place] = generator.choice((b"\xff" * 8, bytes(8), b"-1", b"1e999", b'"', b"<", b"NaN", b","))
        else:
            del found[place : place + generator.randrange(1, 9)]
    return bytes(found)


def test_a_thousand_damaged_files_are_read_or_refused_in_one_line(tmp_path: Path) -> None:
    write_files(tmp_path)
    read_whole, messages = 0, []
    for suffix, (read, count) in READERS.items():
        generator = random.Random(f"{suffix}0")
        content = (tmp_path / f"whole{suffix}").read_bytes()
        read(str(tmp_path / f"whole{suffix}"))
        for _ in range(count):
            path = tmp_path / f"damaged{suffix}"
            path.write_bytes(damaged(content, generator))
            try:
                read(str(path))
                read_whole += 1
            except RnnHubError as error:
                messages.append(str(error))
    assert read_whole + len(messages) == 1000 and min(read_whole, len(messages)) > 50
    assert not [message for message in messages if "\n" in message]


def note_written_files() -> list[str]:
    """A list that gets the path of each file that is opened for writing from now on in this process."""
    written: list[str] = []

    def note(event: str, given: tuple) -> None:
        if event == "open" and isinstance(given[0], str) and given[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            written.append(given[0])

    sys.addaudithook(note)
    return written


@pytest.fixture(scope="module")
def address(folder: Path, tmp_path_factory) -> Iterator[str]:
    """Where the demos of an e-mail model and of a forecaster are served, with uploads of at most 100 kB."""
    models = tmp_path_factory.mktemp("shown")
    shutil.copytree(folder, models / folder.name, ignore=shutil.ignore_patterns("checkpoints"))
    page = app.build(write_forecaster(models))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "MAX_UPLOAD", "100kb")
        address = app.serve(page, block=False)
    yield address
    page.close()


def test_fifty_visitors_at_once_are_answered_or_asked_to_wait(address: str) -> None:
    from gradio_client import Client

    assert address.startswith("http://127.0.0.1:")
    client, answers = Client(address, verbose=False, httpx_kwargs={"timeout": 120}), []

    def visit() -> None:
        try:
            answers.append(client.predict(MAIL, "tiny-mail", api_name="/summarize")[0])
        except Exception as error:
            answers.append(str(error))

    visitors = [threading.Thread(target=visit) for _ in range(50)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join(timeout=120)
    assert len(answers) == 50 and "gas report" in answers
    assert set(answers) <= {"gas report"} | {answer for answer in answers if "full" in answer}, set(answers)
    assert client.predict(MAIL, "tiny-mail", api_name="/summarize")[0] == "gas report"


def test_uploads_are_limited_and_files_of_this_machine_are_not_given_away(address: str, tmp_path: Path) -> None:
    def forecast(path: str) -> str:
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        values = {"data": ["rnn-forecast-ett", forecasting.UPLOAD, file, 12, "", ""]}
        call = f"{address}gradio_api/call/forecast"
        return httpx.get(f"{call}/{httpx.post(call, json=values).json()['event_id']}", timeout=60).text

    for size, status in ((90_000, 200), (120_000, 413)):
        answer = httpx.post(f"{address}gradio_api/upload", files={"files": ("a.csv", b"1" * size)}, timeout=60)
        assert answer.status_code == status, answer.text
    secret = tmp_path / "secret.csv"
    secret.write_text("date,value\n" + "".join(f"2024-01-{1 + n // 24:02}T{n % 24:02},{n}\n" for n in range(72)))
    assert httpx.get(f"{address}gradio_api/file={secret}", timeout=60).status_code == 403
    refused = forecast(str(secret))
    assert "event: error" in refused and "forecast.csv" not in refused
    written = note_written_files()
    with secret.open("rb") as file:
        (uploaded,) = httpx.post(f"{address}gradio_api/upload", files={"files": file}, timeout=60).json()
    assert "event: complete" in (answer := forecast(uploaded)) and "forecast.csv" in answer
    assert any(path.endswith("forecast.csv") for path in written)
    assert not [path for path in written if not path.startswith(get_upload_folder())]
