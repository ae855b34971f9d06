"""Names of labels, tags in order, labelled rows to batches, pieces of words."""

import pytest
from datasets import ClassLabel, Dataset, Features, List

from rnn_hub.data.label_collators import TagCollator, TextLabelCollator
from rnn_hub.data.labels import label_names, mend_bio
from rnn_hub.data.word_pieces import (
    add_words,
    common_characters,
    listed_words,
    spell,
    train_word_pieces,
    vocabulary,
    word_starts,
)
from rnn_hub.errors import RnnHubError

TEXTS = ["I don't like it , it 's a feel-good film", "Jane Austen's Bath"] * 4
TAGS = ["O", "B-PER", "I-PER"]


@pytest.fixture(scope="module")
def tokenizer():
    return train_word_pieces(TEXTS, 60, model_max_length=8)


def test_names_come_from_the_recipe_the_data_set_or_the_values() -> None:
    numbers = Dataset.from_dict({"label": [0, 2, 1]})
    assert label_names(numbers, "label") == ["LABEL_0", "LABEL_1", "LABEL_2"]
    assert label_names(numbers, "label", ["a", "b", "c"]) == ["a", "b", "c"]
    named = numbers.cast(Features({"label": ClassLabel(names=["x", "y", "z"])}))
    assert label_names(named, "label") == ["x", "y", "z"]
    tags = Dataset.from_dict({"tags": [["I-PER", "O"], ["B-LOC", "B-PER"]]})
    assert label_names(tags, "tags") == ["O", "B-LOC", "B-PER", "I-PER"]
    tags = Dataset.from_dict({"tags": [[0], [1]]}, features=Features({"tags": List(ClassLabel(names=["O", "B-X"]))}))
    assert label_names(tags, "tags") == ["O", "B-X"]


@pytest.mark.parametrize(
    ("values", "names", "message"),
    [
        ([0, 1], ["only"], "the label 1 is none of the model's: they are only"),
        (["up"], ["down"], "the label 'up' is none of the model's: they are down"),
        ([0.5], None, "the label 0.5 is none of the model's: they are not given"),
        ([-1], None, "the label -1"),
    ],
)
def test_a_label_without_a_name_is_named(values, names, message) -> None:
    with pytest.raises(RnnHubError, match=message):
        label_names(Dataset.from_dict({"label": values}), "label", names)


def test_a_tag_that_continues_nothing_begins_something() -> None:
    assert mend_bio(["I-X", "I-X", "O", "I-Y", "B-Y", "I-X"]) == ["B-X", "I-X", "O", "B-Y", "B-Y", "B-X"]


def test_raw_and_treebank_text_give_the_same_words(tokenizer) -> None:
    assert tokenizer.tokenize("I don't , it's") == tokenizer.tokenize("I do n't , it 's")
    assert tokenizer.tokenize("feel-good") == tokenizer.tokenize("feel - good")
    assert tokenizer("</s> <unk>").input_ids.count(tokenizer.unk_token_id) > 0
    assert tokenizer.decode(tokenizer("Jane Bath").input_ids) == "Jane Bath"


def test_pieces_say_whether_they_begin_a_word_and_what_they_are_made_of(tokenizer) -> None:
    pieces = vocabulary(tokenizer)
    assert pieces[:2] == ["<pad>", "<unk>"]
    ids = tokenizer("Bathane").input_ids
    assert [word_starts(pieces)[i] for i in ids] == [True] + [False] * (len(ids) - 1)
    characters = common_characters(pieces)
    table = spell(pieces, characters, 6)
    assert table[0] == [0] * 6 and table[1] == [1] + [0] * 5
    spelled = "".join(characters[number - 2] for i in ids for number in table[i] if number)
    assert spelled == "Bathane"


def test_words_of_a_file_stay_whole_and_others_are_parted(tmp_path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("film 0 1\n1-2 0 1\nlondon 0 1\nparis 1 1\nbath 1 0\n")
    words = listed_words(path, 3, TEXTS)
    assert words == ["film", "Bath", "Film", "London", "film"]
    tokenizer = add_words(train_word_pieces(TEXTS, 40), words)
    assert tokenizer.tokenize("London film Bath") == ["London", "film", "Bath"]
    assert len(tokenizer.tokenize("Janet")) > 1 and tokenizer.tokenize("Jane犬 film") == ["<unk>", "film"]
    assert tokenizer("<pad> film").input_ids[-1] == vocabulary(tokenizer).index("film")


def test_a_vocabulary_needs_text_and_room() -> None:
    with pytest.raises(RnnHubError, match="no text"):
        train_word_pieces(["", " "], 50)
    with pytest.raises(RnnHubError, match="vocab_size 5 is too small"):
        train_word_pieces(TEXTS, 5)


def test_texts_and_labels_become_a_batch(tokenizer) -> None:
    collate = TextLabelCollator(tokenizer, "text", "label", ["down", "up"])
    batch = collate(
        [{"text": "a film", "label": 1}, {"text": "like it , it 's a film film film film", "label": "down"}]
    )
    assert batch["labels"].tolist() == [1, 0]
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (2, 8)
    with pytest.raises(RnnHubError, match="the label 'left' is none"):
        collate([{"text": "a", "label": "left"}])


def test_every_piece_gets_a_tag_and_only_the_first_begins(tokenizer) -> None:
    collate = TagCollator(tokenizer, "tokens", "tags", TAGS)
    batch = collate([{"tokens": ["Austen-Jane", "Bath"], "tags": ["B-PER", 0]}, {"tokens": ["I"], "tags": ["I-PER"]}])
    pieces = tokenizer.tokenize("Austen-Jane")
    assert batch["labels"][0].tolist() == [1] + [2] * (len(pieces) - 1) + [0] * len(tokenizer.tokenize("Bath"))
    assert batch["labels"][1].tolist() == [1] + [-100] * (batch["labels"].shape[1] - 1)
