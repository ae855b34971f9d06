"""A model folder to its repository on the Hub, and its demo to a Space."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from huggingface_hub import HfApi, ModelCard
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled

import rnn_hub
from rnn_hub.errors import RnnHubError
from rnn_hub.hub.model_card import CARD
from rnn_hub.registry import FAMILIES, ModelFamily

NEEDED = ("config.json", "model.safetensors", CARD)
#: what a model folder may hold that is not the model: checkpoints, logs, half-written files
LEFT_OUT = ("checkpoints", "*checkpoint-*", "runs", "__pycache__", ".*", "*.log", "*.pt", "*.bin", "*.pkl")
SHIM = "modeling_rnn_hub.py"
_NAME = re.compile(r"^[\w.-]+/[\w.-]+$")
_MEANINGS = {
    401: "the token is missing or wrong: say hf auth login, or set HF_TOKEN",
    403: "the token may not write there: make one that may, or choose a namespace of yours",
    404: "there is no such repository, or the token may not see it",
    409: "somebody changed the repository at the same time: push again",
    413: "the Hub takes no files so large",
    429: "the Hub asks to wait: push again in some minutes",
}


def push_model(
    folder: Path,
    name: str,
    private: bool | None = False,
    token: str | None = None,
    message: str | None = None,
    revision: str | None = None,
) -> str:
    """Upload a model folder as the repository NAMESPACE/NAME, which is made where there is none; return its address.

    The repository gets all that the folder holds but checkpoints and logs, and a shim: with `trust_remote_code=True`
    the model then loads where the package is installed, and elsewhere one line says what to install.

    Raises:
        RnnHubError: a folder that is no finished model, a name without a namespace, a card that the Hub refuses, or
            whatever the Hub answers, with the remedy. Nothing is uploaded before the folder is checked.
    """
    check_name(name)
    missing = [file for file in NEEDED if not (folder / file).is_file()]
    if missing:
        raise RnnHubError(f"{folder} is no finished model: it lacks {', '.join(missing)}")
    with tempfile.TemporaryDirectory() as temporary:
        staged = Path(temporary) / "model"
        shutil.copytree(folder, staged, ignore=shutil.ignore_patterns(*LEFT_OUT))
        add_shim(staged)
        with hub_errors(name):
            _validate(staged / CARD)
            api = HfApi(token=token)
            address = api.create_repo(name, private=private, exist_ok=True)
            message = message or "A model of rnn_hub"
            api.upload_folder(repo_id=name, folder_path=staged, commit_message=message, revision=revision)
    return str(address)


def push_space(folder: Path, name: str, private: bool = False, token: str | None = None) -> str:
    """Upload the folder of a Space, as `demos.space` writes it, as NAMESPACE/NAME; return its address.

    Raises:
        RnnHubError: as `push_model`.
    """
    check_name(name)
    with hub_errors(name):
        api = HfApi(token=token)
        address = api.create_repo(name, repo_type="space", space_sdk="gradio", private=private, exist_ok=True)
        api.upload_folder(repo_id=name, repo_type="space", folder_path=folder, commit_message="A demo of rnn_hub")
    return str(address)


def check_name(name: str) -> None:
    """Raise an `RnnHubError` unless a name is NAMESPACE/NAME."""
    if not _NAME.match(name):
        raise RnnHubError(f"{name!r} is no name of a repository: write NAMESPACE/NAME, such as ada/my-translator")


def add_shim(folder: Path) -> None:
    """Write the shim of a model folder, and name it in its config (`auto_map`)."""
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    family = family_of(config.get("model_type"))
    module = SHIM.removesuffix(".py")
    config_class, models = family.config, dict(family.models)
    architecture = (config.get("architectures") or [None])[0]
    models = {auto: model for auto, model in models.items() if model.endswith(f":{architecture}")} or models
    classes = [config_class, *models.values()]
    config["auto_map"] = {
        "AutoConfig": f"{module}.{config_class.partition(':')[2]}",
        **{auto: f"{module}.{model.partition(':')[2]}" for auto, model in models.items()},
    }
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    imports = "\n".join("from {} import {}".format(*name.split(":")) for name in classes)
    names = ", ".join(f'"{name.partition(":")[2]}"' for name in classes)
    (folder / SHIM).write_text(
        f'"""This model is part of the package rnn_hub {rnn_hub.__version__}: pip install rnn-hub."""\n\n'
        f"{imports}\n\n__all__ = [{names}]\n",
        encoding="utf-8",
    )


def family_of(model_type: str | None) -> ModelFamily:
    """The row of the registry with that model type.

    Raises:
        RnnHubError: it is none of ours.
    """
    for family in FAMILIES:
        if family.model_type == model_type:
            return family
    raise RnnHubError(f"its config.json has the model_type {model_type!r}, which is none of rnn_hub's")


def _validate(card: Path) -> None:
    """Let the Hub check a card's metadata, before anything is uploaded."""
    try:
        ModelCard.load(card).validate()
    except ValueError as error:
        raise RnnHubError(f"the Hub refuses the metadata of {card.name}: {' '.join(str(error).split())}") from error


@contextmanager
def hub_errors(name: str) -> Iterator[None]:
    """Turn whatever the Hub or the way to it says into an `RnnHubError` of one line, with the remedy."""
    try:
        yield
    except (LocalTokenNotFoundError, OfflineModeIsEnabled, httpx2.HTTPError) as error:
        raise RnnHubError(f"cannot push to {name}: {_meaning(error)}") from error
    except RuntimeError as error:  # the client's wrapping of what broke while it sent a large file
        if not isinstance(error.__cause__, httpx2.HTTPError):
            raise
        raise RnnHubError(f"cannot push to {name}: {_meaning(error.__cause__)}") from error


def _meaning(error: Exception) -> str:
    """What an error of the client means, and what to do."""
    if isinstance(error, LocalTokenNotFoundError):
        return _MEANINGS[401]
    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE forbids all requests: unset it"
    if isinstance(error, HfHubHTTPError | httpx2.HTTPStatusError):
        status = error.response.status_code
        said = getattr(error, "server_message", None) or " ".join(str(error).split())
        return f"{_MEANINGS.get(status, said)} (status {status})"
    return f"the connection broke ({type(error).__name__}); push again, what arrived is kept"
