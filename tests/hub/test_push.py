"""Sharing models, by the real client of the Hub against a small server on this machine.

Each client is a process of its own, since the Hub's address and cache are read once.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import tiny_mail
from tests.conftest import ROOT
from tests.hub.small_hub import READER, TOKEN, SmallHub

NAME = "ada/tiny-mail"


@pytest.fixture
def hub():
    hub = SmallHub()
    yield hub
    hub.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tiny_mail.model_folder(tmp_path_factory.getbasetemp())


class Client:
    """Somebody with a home of their own, who talks to the hub."""

    def __init__(self, hub: SmallHub, home: Path):
        self.hub, self.home = hub, home

    def run(self, *command: str, token: str | None = TOKEN, **environment: str) -> subprocess.CompletedProcess:
        """Runs Python with `command`."""
        known = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        own = {
            "HF_ENDPOINT": self.hub.address,
            "HF_HOME": str(self.home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
            **({"HF_TOKEN": token} if token else {}),
            **environment,
        }
        return subprocess.run(
            [sys.executable, *command], env=known | own, capture_output=True, text=True, timeout=200, cwd=self.home
        )

    def push(self, *options: object, **settings: str) -> subprocess.CompletedProcess:
        """`rnn-hub push`."""
        return self.run("-m", "rnn_hub", "push", *map(str, options), **settings)


@pytest.fixture
def client(hub, tmp_path) -> Client:
    return Client(hub, tmp_path)


LOAD = """
import sys
from transformers import AutoModelForSeq2SeqLM
for given in sys.argv[2:]:
    options = dict(part.split("=") for part in given.split())
    if not options.get("trust_remote_code"):
        import rnn_hub
    model = AutoModelForSeq2SeqLM.from_pretrained(sys.argv[1], **options)
    print(type(model).__name__, round(sum(p.abs().sum().item() for p in model.parameters()), 3))
"""
HIDDEN = """
import sys, transformers
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "rnn_hub":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
transformers.AutoModelForSeq2SeqLM.from_pretrained(sys.argv[1], trust_remote_code=True)
"""


def test_a_model_is_pushed_listed_loaded_and_shown(hub, client, folder, tmp_path) -> None:
    (folder / "train.log").write_text("a log\n")
    (folder / ".env").write_text("HF_TOKEN=hf_secret\n")
    pushed = client.push(folder, NAME, "--private", "--space")
    assert pushed.returncode == 0, pushed.stderr
    assert pushed.stdout.split() == [f"{hub.address}/{NAME}", f"{hub.address}/spaces/{NAME}"]
    files = hub.files(NAME)
    kept = {"README.md", "config.json", "model.safetensors", "recipe.yaml", "results.json", "modeling_rnn_hub.py"}
    assert kept <= files.keys() and "train.log" not in files and not any("checkpoint" in name for name in files)
    assert hub.repositories[f"models/{NAME}"].private
    assert files["model.safetensors"] in hub.large.values()  # by the path of large files
    assert files["model.safetensors"] == (folder / "model.safetensors").read_bytes()
    assert b"model-index" in files["README.md"]
    space = hub.files(NAME, "spaces")
    shown = {file for file in space if file.startswith("model_cards/tiny-mail/")}
    assert not [file for file in shown if "checkpoint" in file or file.endswith((".log", ".env", ".pt"))]
    assert b"demos.summarization" in space["app.py"] and "model_cards/tiny-mail/model.safetensors" in space

    here = client.run("-c", LOAD, str(folder), "").stdout
    assert here.startswith("RnnForPointerGeneration")
    first = hub.repositories[f"models/{NAME}"].commits[-1][0]
    hub.repositories[f"models/{NAME}"].commit({f"small/{path}": content for path, content in files.items()} | files)
    ways = ("trust_remote_code=1", "", f"revision={first}", "subfolder=small")
    loaded = client.run("-c", LOAD, NAME, *ways, token=READER)
    assert loaded.stdout == 4 * here, loaded.stderr
    offline = client.run("-c", LOAD, NAME, "", token=None, HF_HUB_OFFLINE="1")  # from the cache
    assert offline.stdout == here, offline.stderr
    stranger = Client(hub, tmp_path / "stranger")
    stranger.home.mkdir()
    refused = stranger.run("-m", "rnn_hub", "predict", NAME, "gas", token=None)
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
    assert f"there is no model folder '{NAME}'" in refused.stderr
    predicted = client.run("-m", "rnn_hub", "predict", NAME, "hello , please look at the gas report today .")
    assert predicted.stdout == "gas report\n", predicted.stderr


def test_without_the_package_one_line_says_what_to_install(hub, client, folder, tmp_path) -> None:
    assert client.push(folder, NAME).returncode == 0
    failed = client.run("-c", HIDDEN, NAME)
    assert failed.returncode == 1
    assert "packages that were not found in your environment: rnn_hub. Run `pip install rnn_hub`" in failed.stderr


@pytest.mark.parametrize(
    ("settings", "status", "message"),
    [
        ({"token": None}, None, "hf auth login"),
        ({"token": "hf_wrong"}, None, "hf auth login"),
        ({"token": READER}, None, "the token may not write there"),
        ({}, 404, "there is no such repository"),
        ({}, 409, "somebody changed the repository at the same time: push again"),
        ({}, 500, "status 500"),
    ],
    ids=["no token", "a wrong token", "a reader's token", "404", "409", "500"],
)
def test_what_the_hub_refuses_is_told_in_one_line(hub, client, folder, settings, status, message) -> None:
    if status is not None:
        hub.fail = lambda method, path: status if "/commit/" in path else None
    refused = client.push(folder, NAME, **settings)
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
    assert refused.stderr.splitlines()[-1].startswith(f"rnn-hub: error: cannot push to {NAME}: ")
    assert message in refused.stderr.splitlines()[-1]


def test_too_many_requests_and_a_cut_connection_are_tried_again(hub, client, folder) -> None:
    seen: dict[str, int] = {}

    def fail(method: str, path: str) -> int | str | None:
        step = "preupload" if "preupload" in path else method if path.startswith("/large/") else ""
        seen[step] = seen.get(step, 0) + 1
        return {"preupload": 429, "PUT": "cut"}.get(step) if seen[step] == 1 else None

    hub.fail = fail
    pushed = client.push(folder, NAME)
    assert pushed.returncode == 0, pushed.stderr
    assert seen["preupload"] == 2 and seen["PUT"] == 2
    assert hub.files(NAME)["model.safetensors"] == (folder / "model.safetensors").read_bytes()


def test_weights_that_the_hub_does_not_take_are_told_in_one_line(hub, client, folder) -> None:
    hub.fail = lambda method, path: 403 if path.startswith("/large/") else None
    refused = client.push(folder, NAME)
    assert refused.returncode == 2 and "Traceback" not in refused.stderr, refused.stderr
    assert "the token may not write there" in refused.stderr.splitlines()[-1]
    assert "model.safetensors" not in hub.files(NAME)


def test_a_download_that_is_cut_goes_on_and_one_of_another_size_is_refused(hub, client, folder) -> None:
    assert client.push(folder, NAME).returncode == 0
    cuts: list[str] = []

    def cut_once(method: str, path: str) -> str | None:
        if method == "GET" and path.endswith("model.safetensors") and not cuts:
            cuts.append(path)
            return "cut"
        return None

    hub.fail = cut_once
    get = "import sys, huggingface_hub as hub; print(hub.hf_hub_download(sys.argv[1], 'model.safetensors'))"
    found = client.run("-c", get, NAME)
    assert len(cuts) == 1 and found.returncode == 0, found.stderr
    weights = Path(found.stdout.strip())
    assert weights.read_bytes() == (folder / "model.safetensors").read_bytes()
    shutil.rmtree(client.home / "hub")
    hub.promised = len(hub.files(NAME)["model.safetensors"]) + 1
    refused = client.run("-c", get, NAME)
    assert refused.returncode == 1 and "Consistency check failed" in refused.stderr


def test_a_download_of_the_same_size_with_another_content_is_refused(hub, client, folder) -> None:
    assert client.push(folder, NAME).returncode == 0
    hub.tamper = lambda path, content: (
        content[:-1] + {"model.safetensors": b"\x01", "recipe.yaml": b" "}.get(path, content[-1:])
    )
    refused = client.run("-m", "rnn_hub", "predict", NAME, "hello , please look at the gas report today .")
    assert refused.returncode == 2 and "Traceback" not in refused.stderr, refused.stderr
    assert "is not what the Hub has: model.safetensors, recipe.yaml: other hashes" in refused.stderr


def test_a_model_pushes_itself_as_transformers_does(hub, client, folder) -> None:
    push = "import sys, rnn_hub; from transformers import AutoModelForSeq2SeqLM as auto; "
    pushed = client.run("-c", push + "auto.from_pretrained(sys.argv[1]).push_to_hub(sys.argv[2])", str(folder), NAME)
    assert pushed.returncode == 0, pushed.stderr
    assert {"config.json", "model.safetensors"} <= hub.files(NAME).keys()


TRAIN = """
import sys
from pathlib import Path
from rnn_hub.cli import main
recipe, run = sys.argv[1:]
train = ["train", recipe, f"training.output_dir={run}", "training.push_to_hub=true"]
forbidden = main([*train, "training.hub_model_id=ada/forbidden", "training.hub_token=hf_reader"])
print("statuses", forbidden, Path(run, "checkpoints").exists(), main([*train, "training.hub_model_id=ada/late"]))
Path(run, "results.json").unlink()
options = ["training.hub_model_id=ada/trained", "training.hub_token=hf_writer", "training.resume=true"]
print("statuses", main([*train, *options]), main(["push", run, "ada/pushed"]))

from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
from rnn_hub.data.collators import Seq2SeqCollator
from rnn_hub.training.arguments import TrainingArguments
from rnn_hub.training.trainer import RnnTrainer
tokenizer, model = AutoTokenizer.from_pretrained(run), AutoModelForSeq2SeqLM.from_pretrained(run)
values = {"max_steps": 1, "eval_strategy": "no", "use_cpu": True, "hub_model_id": "ada/own", "hub_private_repo": True}
rows = [{"body": "look at the gas report", "subject": "gas report"}]
collator = Seq2SeqCollator(tokenizer, "body", "subject")
trainer = RnnTrainer(model, TrainingArguments(run + "-own", **values), rows, [5], collator, processing_class=tokenizer)
trainer.train()
print(trainer.push_to_hub())
"""


def test_a_training_pushes_its_model_as_the_command_does(hub, client, folder, tmp_path) -> None:
    run, recipe = tmp_path / "run", tmp_path / "recipe.yaml"
    values = tiny_mail.recipe(folder.parents[1] / "mail", run)
    values["training"] |= {"max_steps": 2}
    recipe.write_text(json.dumps(values))
    hub.fail = lambda method, path: 500 if "/ada/late/commit/" in path else None
    done = client.run("-c", TRAIN, str(recipe), str(run))
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    statuses = [line for line in done.stdout.splitlines() if line.startswith("statuses")]
    assert statuses == ["statuses 2 False 2", "statuses 0 0"], done.stderr  # the first before any work
    told = [line for line in done.stderr.splitlines() if line.startswith("rnn-hub: error: ")]
    assert len(told) == 2 and "cannot push to ada/forbidden: the token may not write there" in told[0]
    assert told[1].endswith(f"(status 500); the finished model is in {run}, and later: rnn-hub push {run} ada/late")
    files = hub.files("ada/trained")
    assert files == hub.files("ada/pushed")
    assert files.keys() >= {"README.md", "config.json", "model.safetensors", "tokenizer.json", "modeling_rnn_hub.py"}
    assert files.keys() >= {"recipe.yaml", "results.json"} and b"model-index" in hub.files("ada/trained")["README.md"]
    assert not any(TOKEN.encode() in content or b"ada/" in files["recipe.yaml"] for content in files.values())

    # A trainer without a recipe pushes weights, processor and the card that transformers writes.
    assert done.stdout.splitlines()[-1] == f"{hub.address}/ada/own"
    own = hub.files("ada/own")
    assert own.keys() >= {"README.md", "config.json", "model.safetensors", "tokenizer.json", "modeling_rnn_hub.py"}
    assert not any("checkpoint" in path or path.endswith((".bin", ".pt", ".pth")) for path in own)
    assert hub.repositories["models/ada/own"].private


def test_what_is_no_finished_model_is_refused_before_anything_is_sent(hub, client, folder, tmp_path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken, ignore=shutil.ignore_patterns("checkpoints"))
    foreign = json.loads((broken / "config.json").read_text()) | {"model_type": "bert"}
    (broken / "config.json").write_text(json.dumps(foreign))
    cases = [
        ((tmp_path / "none", NAME), "there is no folder"),
        ((folder, "tiny-mail"), "write NAMESPACE/NAME"),
        ((broken, NAME), "model_type 'bert', which is none of rnn_hub's"),
        ((tmp_path, NAME), "no finished model: it lacks config.json, model.safetensors, README.md"),
    ]
    for given, message in cases:
        refused = client.push(*given)
        assert refused.returncode == 2 and message in refused.stderr, refused.stderr
    card = (folder / "README.md").read_text()
    wrong = tmp_path / "wrong"
    shutil.copytree(folder, wrong, ignore=shutil.ignore_patterns("checkpoints"))
    (wrong / "README.md").write_text(card.replace("license: cc0-1.0", "license: no_such_licence"))
    refused = client.push(wrong, NAME)
    assert refused.returncode == 2 and "the Hub refuses the metadata of README.md" in refused.stderr
    assert not hub.repositories


def test_a_card_is_renewed_and_what_people_wrote_stays(folder, tmp_path, capsys) -> None:
    from rnn_hub.cli import main

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("checkpoints"))
    card = copy / "README.md"
    written = card.read_text()
    card.write_text(written.replace("## Training", "## Broken") + "\nBy hand.\n")
    assert main(["card", str(copy)]) == 0
    assert capsys.readouterr().out == f"{card}\n"
    assert card.read_text() == written + "\nBy hand.\n"
    (copy / "recipe.yaml").unlink()
    assert main(["card", str(copy)]) == 2
    assert "holds no recipe.yaml" in capsys.readouterr().err


def test_the_index_of_released_models_is_current(capsys) -> None:
    from rnn_hub.cli import main

    assert main(["list", "--markdown", "--folder", str(ROOT / "model_cards")]) == 0
    assert capsys.readouterr().out == (ROOT / "model_cards" / "README.md").read_text()
