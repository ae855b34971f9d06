"""Loading one split of a dataset, with the mistakes of a name, split or column told before work starts."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnn_hub.data.row_stream import RowStream
from rnn_hub.errors import RnnHubError

if TYPE_CHECKING:
    from datasets import Dataset


def load_split(
    path: str | Path, split: str, name: str | None = None, columns: Sequence[str] = (), **kwargs: Any
) -> "Dataset":
    """Load a split that holds rows and the columns asked for.

    Args:
        path: a dataset's name on the Hub, or a local folder that `datasets.load_dataset` reads.
        split: its split, also sliced ("train[:1000]").
        name: its configuration, where it has several.
        columns: columns that must exist; a dot reaches into a dict column ("translation.en").
        kwargs: what else `datasets.load_dataset` takes (revision, data_files, ...).

    Raises:
        RnnHubError: no such dataset, configuration, split or column (naming those that exist), an
            empty split, or a Hub name out of reach.
    """
    dataset = _load(str(path), split, name, kwargs)
    if len(dataset) == 0:
        raise RnnHubError(f"split {split!r} of {path} is empty")
    _require_columns(column_names(dataset), columns, split, path)
    return dataset


def load_stream(
    path: str | Path,
    split: str,
    name: str | None = None,
    columns: Sequence[str] = (),
    sample: int = 100_000,
    pool: int = 10_000,
    seed: int = 0,
) -> RowStream:
    """The rows of a split as a stream, for data that are larger than memory.

    Args:
        path, split, name, columns: as of `load_split`; a split cannot be sliced.
        sample, pool, seed: as of `RowStream`.

    Raises:
        RnnHubError: as `load_split`.
    """
    rows = RowStream(_load(str(path), split, name, {"streaming": True}), sample, pool, seed)
    _require_columns(column_names(rows.sample), columns, split, path)
    return rows


def _require_columns(available: Sequence[str], columns: Sequence[str], split: str, path: str | Path) -> None:
    missing = [column for column in columns if column not in available]
    if missing:
        raise RnnHubError(
            f"{path} has no column {', '.join(map(repr, missing))} in split {split!r}; it has {', '.join(available)}"
        )


def column_names(dataset: "Dataset") -> list[str]:
    """A dataset's columns, and with a dot those inside its dict columns."""
    return list(_names(dataset.features))


def _names(features: Mapping[str, Any], prefix: str = "") -> Iterable[str]:
    for name, feature in features.items():
        yield prefix + name
        if isinstance(feature, Mapping):
            yield from _names(feature, f"{prefix}{name}.")
        for language in getattr(feature, "languages", None) or ():  # a Translation feature
            yield f"{prefix}{name}.{language}"


def _load(path: str, split: str, name: str | None, kwargs: dict[str, Any]) -> "Dataset":
    import datasets

    if _looks_local(path) and not Path(path).expanduser().exists():
        raise RnnHubError(f"there is no dataset folder {path}: give an existing folder or a name on the Hub")
    if Path(path).expanduser().exists():
        path = str(Path(path).expanduser())
    try:
        return datasets.load_dataset(path, name, split=split, **kwargs)
    except Exception as error:
        raise RnnHubError(_explain(path, split, name, error)) from error


def _looks_local(path: str) -> bool:
    """Whether a path cannot be a name on the Hub, which is `name` or `owner/name`."""
    return path.startswith((".", "/", "~")) or path.count("/") > 1 or "\\" in path


def _explain(path: str, split: str, name: str | None, error: Exception) -> str:
    """One line for what went wrong, with what exists where that can be found out."""
    import datasets

    reason = " ".join(str(error).split()) or type(error).__name__
    if "corresponds to no data" in reason:
        return f"split {split!r} of {path} is empty"
    unreachable = isinstance(error, datasets.exceptions.DatasetNotFoundError | ConnectionError)
    if unreachable and not Path(path).exists():
        return f"cannot load the dataset {path!r} from the Hub (no such name, or no network): {reason}"
    try:
        configurations = datasets.get_dataset_config_names(path)
        if name is None and len(configurations) > 1:
            return f"{path} has several configurations; give the name of one: {', '.join(configurations)}"
        if name not in (None, *configurations):
            return f"{path} has no configuration {name!r}; it has {', '.join(configurations)}"
        splits = datasets.get_dataset_split_names(path, name)
        if split.split("[")[0].split("+")[0] not in splits:
            return f"{path} has no split {split!r}; it has {', '.join(map(str, splits))}"
    except Exception:
        return f"cannot load the dataset {path!r}: {reason}"
    return f"cannot load split {split!r} of {path!r}: {reason}"
