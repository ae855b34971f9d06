"""What a stranger's file or text cannot do."""

import ast
import json
import os
import pickle
import random
import shutil
import threading
from pathlib import Path

import pytest

from demos import app, summarization
from demos.shelf import Shelf
from rnn_hub import pipeline
from rnn_hub.errors import RnnHubError
from tests import tiny_mail
from tests.conftest import ROOT

MAIL = "hello , please look at the gas report today ."
#: functions that run a file's or a text's content
DANGEROUS = {"torch.load", "pickle.load", "pickle.loads", "os.system", "os.popen", "eval", "exec", "joblib.load"}


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
                assert options.get("shell", "False") == "False", f"{path.name}, line {node.lineno}"
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


def test_fifty_visitors_at_once_are_answered_or_asked_to_wait(folder: Path) -> None:
    from gradio_client import Client

    page = app.build(folder.parent)
    address = app.serve(page, block=False)
    try:
        assert address.startswith("http://127.0.0.1:")
        client, answers = Client(address, verbose=False), []

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
    finally:
        page.close()
