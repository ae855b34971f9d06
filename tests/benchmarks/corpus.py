"""multi30k as token ids, the released translation model with random weights, and one step of its training."""

import os
from functools import cache
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from rnn_hub.data.loading import load_split
from rnn_hub.data.tokenization import train_tokenizer
from rnn_hub.models.seq2seq.configuration_seq2seq import RnnSeq2SeqConfig
from rnn_hub.models.seq2seq.modeling_seq2seq import RnnForConditionalGeneration

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("RNN_HUB_DATA", ROOT.parent / "shared" / "data")) / "multi30k"
IGNORED = -100

Pair = tuple[list[int], list[int]]
"""Source and target ids, both with `</s>`."""


@cache
def recipe() -> dict[str, Any]:
    """How the released English-German model is trained."""
    return yaml.safe_load((ROOT / "model_cards" / "rnn-translation-en-de" / "recipe.yaml").read_text())


@cache
def multi30k(vocab_size: int | None = None) -> tuple[list[Pair], list[Pair]]:
    """Training and test split, English to German, under a vocabulary trained on the first (of the recipe's size)."""
    wanted = recipe()["tokenizer"]
    train, test = (load_split(DATA, split, columns=("en", "de")) for split in ("train", "test"))
    tokenizer = train_tokenizer([*train["en"], *train["de"]], vocab_size or wanted["vocab_size"], wanted["type"])
    return tuple(
        list(zip(*(tokenizer(list(rows[column])).input_ids for column in ("en", "de")), strict=True))
        for rows in (train, test)
    )


def lengths(pairs: list[Pair]) -> list[tuple[int, int]]:
    """Tokens of each source and target."""
    return [(len(source), len(target)) for source, target in pairs]


def collate(pairs: list[Pair]) -> dict[str, Tensor]:
    """A batch as `Seq2SeqCollator` makes it."""
    sources, targets = zip(*pairs, strict=True)
    input_ids = pad_sequence([torch.tensor(ids) for ids in sources], batch_first=True)
    labels = pad_sequence([torch.tensor(ids) for ids in targets], batch_first=True, padding_value=IGNORED)
    return {"input_ids": input_ids, "attention_mask": (input_ids != 0).long(), "labels": labels}


def build_model(**changes: Any) -> RnnForConditionalGeneration:
    """The released model's architecture, or one that differs from it in some fields of its config."""
    torch.manual_seed(1)
    fields = {"vocab_size": recipe()["tokenizer"]["vocab_size"], **recipe()["model"], **changes}
    return RnnForConditionalGeneration(RnnSeq2SeqConfig(**fields))


class Trainer:
    """The updates that transformers' Trainer makes: clipped gradients, fused AdamW."""

    def __init__(self, model: RnnForConditionalGeneration):
        self.model = model.train()
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)

    def step(self, batch: dict[str, Tensor]) -> float:
        """Forward, backward, and into the weights; returns the loss."""
        loss = self.model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item()
