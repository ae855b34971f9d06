"""Loading a model and its processor, with errors that say what is missing or broken."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi
from huggingface_hub.constants import is_offline_mode
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoTokenizer, PreTrainedModel

from rnn_hub.errors import RnnHubError

logger = logging.getLogger(__name__)

_NEEDED = ("config.json", "model.safetensors")


def load_pretrained(auto_class: Any, model: str, processor_class: Any = AutoTokenizer) -> tuple[PreTrainedModel, Any]:
    """Load ``model`` (a folder or a Hub name) with ``auto_class``, in evaluation mode, and its tokenizer or processor.

    A folder that ``rnn-hub export`` wrote is run by onnxruntime: it holds graphs instead of weights.

    Weights are read from safetensors only. A ``processor_class`` of ``AutoProcessor`` gives a processor with a
    tokenizer in it, one of videos a video processor. Files that come from the Hub must have the hashes it names.

    Raises:
        RnnHubError: no such folder or Hub name, a missing file, damaged weights, a config with a wrong field, a
            download that differs from what the Hub has.
    """
    folder = Path(model)
    if folder.is_dir():
        exported = is_exported(folder)
        needed = (*(_NEEDED[:1] if exported else _NEEDED), *_files(processor_class))
        missing = [name for name in needed if not any((folder / one).is_file() for one in name.split(" or "))]
        if (folder / "model.safetensors.index.json").is_file() and "model.safetensors" in missing:
            missing.remove("model.safetensors")
        if missing:
            raise RnnHubError(f"the model folder {model!r} lacks {', '.join(missing)}")
    elif folder.exists():
        raise RnnHubError(f"{model!r} is a file: give the folder of a model")
    try:
        processor = processor_class.from_pretrained(model)
        if folder.is_dir() and exported:
            from rnn_hub.onnx.loading import load_onnx

            loaded = load_onnx(folder)
        else:
            loaded = auto_class.from_pretrained(model, use_safetensors=True)
    except RnnHubError:
        raise
    except (OSError, ValueError, TypeError, RuntimeError, StrictDataclassError) as error:
        where = "" if folder.is_dir() else " (no such folder, and not found on the Hub)"
        raise RnnHubError(f"cannot load the model {model!r}{where}: {reason(error)}") from error
    if not folder.is_dir() and not is_offline_mode():
        _verify(model)
    return loaded.eval(), processor


def _verify(name: str) -> None:
    """Compare the cached files of a repository with the hashes that the Hub has of them; its client checks sizes only.

    Raises:
        RnnHubError: a file differs; it is named.
    """
    try:
        found = HfApi().verify_repo_checksums(name)
    except (OSError, ValueError) as error:  # the Hub cannot be reached, and the model came from the cache
        logger.warning("the files of %s could not be compared with the Hub's hashes: %s", name, reason(error))
        return
    if found.mismatches:
        files = ", ".join(mismatch["path"] for mismatch in found.mismatches)
        raise RnnHubError(
            f"the download of {name!r} is not what the Hub has: {files}: other hashes; "
            f"remove {found.verified_path.parents[1]} and load it again"
        )


def is_exported(folder: Path) -> bool:
    """Whether a folder holds graphs instead of weights."""
    return not (folder / "model.safetensors").is_file() and any(folder.glob("*.onnx"))


def _files(processor_class: Any) -> tuple[str, ...]:
    """The files that a processor is loaded from; "A or B" for either."""
    if hasattr(processor_class, "needed_files"):
        return processor_class.needed_files
    if hasattr(processor_class, "get_video_processor_dict"):
        return ("video_preprocessor_config.json",)
    if hasattr(processor_class, "get_feature_extractor_dict"):
        return ("preprocessor_config.json",)
    return ("tokenizer.json",) if processor_class is AutoTokenizer else ("tokenizer.json", "processor_config.json")


def reason(error: BaseException) -> str:
    """What an exception says, in one line; of a strict dataclass's error what its validator said."""
    if isinstance(error, StrictDataclassError) and error.__cause__ is not None:
        error = error.__cause__
    if "ignore_mismatched_sizes" in str(error):
        return "its weights have other sizes than its config.json says (or labels, id2label, that it lacks)"
    return " ".join(str(error).split()) or type(error).__name__
