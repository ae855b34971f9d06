"""Loading a split: what is missing is named, with what exists."""

import json

import pytest
from datasets import Dataset

from rnn_hub.data.loading import column_names, load_split
from rnn_hub.errors import RnnHubError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A dataset of two splits with a plain and a dict column."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    data = tmp_path / "pairs"
    data.mkdir()
    for split, count in (("train", 3), ("test", 2)):
        lines = [{"id": i, "translation": {"en": f"a {i}", "de": f"ein {i}"}} for i in range(count)]
        (data / f"{split}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return data


def test_loads_a_split_with_plain_and_dotted_columns(folder):
    dataset = load_split(folder, "train", columns=["id", "translation.de"])
    assert len(dataset) == 3
    assert column_names(dataset) == ["id", "translation", "translation.en", "translation.de"]
    assert len(load_split(folder, "train[:2]")) == 2


def test_a_missing_column_names_those_that_exist(folder):
    with pytest.raises(RnnHubError, match="no column 'translation.fr'.*translation.en, translation.de"):
        load_split(folder, "train", columns=["translation.fr"])


def test_a_missing_split_names_those_that_exist(folder):
    with pytest.raises(RnnHubError, match="no split 'validation'; it has train, test"):
        load_split(folder, "validation")


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(RnnHubError, match="no dataset folder"):
        load_split(tmp_path / "nowhere", "train")


def test_an_empty_folder_is_told(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(RnnHubError, match="cannot load the dataset"):
        load_split(tmp_path / "empty", "train")


def test_an_empty_slice_is_told(folder):
    with pytest.raises(RnnHubError, match="is empty"):
        load_split(folder, "train[:0]")


def test_a_split_without_rows_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    Dataset.from_dict({"en": [], "de": []}).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(RnnHubError, match="split 'train' of .* is empty"):
        load_split(tmp_path, "train")


def test_a_hub_name_without_a_network_is_told_in_one_line(monkeypatch):
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises(RnnHubError, match="from the Hub .no such name, or no network.") as caught:
        load_split("rnn-hub-tests/no-such-dataset", "train")
    assert "\n" not in str(caught.value)


def test_multi30k_has_its_splits(multi30k):
    assert [len(load_split(multi30k, split)) for split in ("train", "validation", "test")] == [
        29000,
        1014,
        1000,
    ]
    with pytest.raises(RnnHubError, match="it has en, de, fr"):
        load_split(multi30k, "test", columns=["english"])
