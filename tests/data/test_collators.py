"""Batches from rows: padding, masks, truncation, columns, and dropout that stays in the collator."""

import logging

import pytest
import torch
from torch.utils.data import DataLoader

from rnn_hub.data.collators import Seq2SeqCollator, lengths_to_mask, mask_to_lengths, pad_sequences
from rnn_hub.errors import RnnHubError


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_mask_and_lengths_agree(side):
    sequences = [[1, 2, 3], [4], []]
    padded = pad_sequences(sequences, value=9, side=side, multiple=4)
    lengths = torch.tensor([3, 1, 0])
    mask = lengths_to_mask(lengths, total=4, side=side)
    assert padded.shape == (3, 4)
    assert padded[mask.bool()].tolist() == [1, 2, 3, 4]
    assert padded[~mask.bool()].tolist() == [9] * 8
    assert torch.equal(mask_to_lengths(mask), lengths)


def test_padding_keeps_features_and_dtype():
    frames = [torch.rand(5, 13), torch.rand(2, 13)]
    padded = pad_sequences(frames)
    assert padded.shape == (2, 5, 13) and padded.dtype == torch.float32
    assert torch.equal(padded[1, :2], frames[1]) and padded[1, 2:].abs().sum() == 0


def test_padding_to_a_fixed_length():
    assert pad_sequences([[1], [2, 3]], length=5).shape == (2, 5)
    with pytest.raises(RnnHubError, match="truncate it first"):
        pad_sequences([[1, 2, 3]], length=2)


def test_empty_batch_and_unknown_side_are_told():
    with pytest.raises(RnnHubError, match="empty"):
        pad_sequences([])
    with pytest.raises(RnnHubError, match="left or right"):
        pad_sequences([[1]], side="top")


def test_a_batch_holds_the_tokens_of_its_rows(tokenizer, rows):
    batch = Seq2SeqCollator(tokenizer, "en", "de")(rows)
    for index, row in enumerate(rows):
        real = batch["attention_mask"][index].bool()
        assert batch["input_ids"][index][real].tolist() == tokenizer(row["en"])["input_ids"]
        assert (batch["input_ids"][index][~real] == tokenizer.pad_token_id).all()
        labels = batch["labels"][index]
        assert labels[labels != -100].tolist() == tokenizer(row["de"])["input_ids"]
    assert batch["input_ids"].shape[1] == batch["attention_mask"].sum(1).max()


def test_no_labels_without_a_target(tokenizer, rows):
    assert set(Seq2SeqCollator(tokenizer, "en")(rows)) == {"input_ids", "attention_mask"}
    sources = [{"en": row["en"]} for row in rows]
    assert "labels" not in Seq2SeqCollator(tokenizer, "en", "de")(sources)


def test_truncation_keeps_eos_and_warns_once(tokenizer, rows, caplog):
    collator = Seq2SeqCollator(tokenizer, "en", "de", max_source_length=6, max_target_length=4)
    with caplog.at_level(logging.WARNING):
        batch = collator(rows)
        collator(rows)
    assert batch["input_ids"].shape == (4, 6) and batch["labels"].shape == (4, 4)
    assert (batch["input_ids"][:, -1] == tokenizer.eos_token_id).all()
    assert (batch["labels"][:, -1] == tokenizer.eos_token_id).all()
    assert [record.getMessage().count("max_source_length=6") for record in caplog.records] == [1, 0]
    assert collator.truncated == {"source": 8, "target": 8}


def test_fixed_and_multiple_padding(tokenizer, rows):
    fixed = Seq2SeqCollator(tokenizer, "en", "de", max_source_length=70, max_target_length=90, padding="max_length")
    batch = fixed(rows)
    assert batch["input_ids"].shape[1] == 70 and batch["labels"].shape[1] == 90
    batch = Seq2SeqCollator(tokenizer, "en", "de", pad_to_multiple_of=8)(rows)
    assert batch["input_ids"].shape[1] % 8 == 0 and batch["labels"].shape[1] % 8 == 0


def test_a_dot_reaches_into_a_dict_column(tokenizer, rows):
    nested = [{"id": 1, "translation": row} for row in rows]
    batch = Seq2SeqCollator(tokenizer, "translation.en", "translation.de")(nested)
    plain = Seq2SeqCollator(tokenizer, "en", "de")(rows)
    assert torch.equal(batch["input_ids"], plain["input_ids"])
    assert torch.equal(batch["labels"], plain["labels"])


def test_dropout_is_the_collators_alone(tokenizer, rows):
    collator = Seq2SeqCollator(tokenizer, "en", "de", subword_dropout=0.5)
    before = [tokenizer(row["en"])["input_ids"] for row in rows]
    drawn = {tuple(collator(rows)["input_ids"].flatten().tolist()) for _ in range(5)}
    assert len(drawn) == 5
    assert [tokenizer(row["en"])["input_ids"] for row in rows] == before


def test_each_side_has_its_own_dropout(tokenizer, rows):
    plain = Seq2SeqCollator(tokenizer, "en", "de")(rows)
    collator = Seq2SeqCollator(tokenizer, "en", "de", subword_dropout=0.5, target_subword_dropout=0.0)
    batches = [collator(rows) for _ in range(5)]
    assert len({tuple(batch["input_ids"].flatten().tolist()) for batch in batches}) == 5
    assert all(torch.equal(batch["labels"], plain["labels"]) for batch in batches)


def test_works_in_dataloader_workers(tokenizer, rows):
    loader = DataLoader(rows, batch_size=2, collate_fn=Seq2SeqCollator(tokenizer, "en", "de"), num_workers=1)
    assert sum(len(batch["labels"]) for batch in loader) == 4


def test_an_empty_source_is_an_end_of_sentence(tokenizer):
    batch = Seq2SeqCollator(tokenizer, "en")([{"en": ""}, {"en": "A man."}])
    assert batch["attention_mask"].sum(1)[0] == 1


def test_bad_rows_and_arguments_are_told(tokenizer, rows):
    with pytest.raises(RnnHubError, match="no column 'fr'; the columns are en, de"):
        Seq2SeqCollator(tokenizer, "fr")(rows)
    with pytest.raises(RnnHubError, match="column 'de' holds None"):
        Seq2SeqCollator(tokenizer, "en", "de")([{"en": "A man.", "de": None}])
    with pytest.raises(RnnHubError, match="longest or max_length"):
        Seq2SeqCollator(tokenizer, "en", padding="widest")
    with pytest.raises(RnnHubError, match="needs max_target_length"):
        Seq2SeqCollator(tokenizer, "en", "de", max_source_length=9, padding="max_length")
    with pytest.raises(RnnHubError, match="max_source_length must be at least 1"):
        Seq2SeqCollator(tokenizer, "en", max_source_length=0)
