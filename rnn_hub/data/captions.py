"""Captions as words, and images with their captions as batches."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from rnn_hub.data.collators import IGNORE_INDEX, pad_sequences
from rnn_hub.errors import RnnHubError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from rnn_hub.data.features import ImageFeatures

_WORD = re.compile(r"\w+(?=n't\b)|n't\b|'\w+|\w+(?:-\w+)*")


def caption_text(text: str) -> str:
    """A caption as the literature trains and scores it: lower case, words only, one space between them.

    Contractions part as in the Penn Treebank ("dog's": "dog 's"), hyphens stay.
    """
    return " ".join(_WORD.findall(text.lower()))


class CaptionCollator:
    """Rows with an image and its captions become a batch of features and labels.

    Returns `features` (B, S, C) and, where the captions are given, `labels` (B * K, T), padded with -100; the K
    captions of an image stand together, each ending with `</s>`, also when truncated.

    Args:
        tokenizer: of the captions.
        features: gives the features of images.
        image_column, captions_column: where they stand; a captions column holds a text, or a list of K texts.
        max_length: words to keep of a caption, `</s>` included.
        flip: show each image mirrored with probability 1/2 (training).
    """

    def __init__(
        self,
        tokenizer: "PreTrainedTokenizerFast",
        features: "ImageFeatures | Callable[..., torch.Tensor]",
        image_column: str,
        captions_column: str,
        max_length: int,
        flip: bool = False,
    ) -> None:
        self.tokenizer, self.features = tokenizer, features
        self.image_column, self.captions_column = image_column, captions_column
        self.max_length, self.flip = max_length, flip

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        mirrored = (torch.rand(len(rows)) < 0.5 * self.flip).tolist()
        features = self.features([row[self.image_column] for row in rows], mirrored)
        return {"features": features, **self.labels(rows)}

    def labels(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """The `labels` alone, where the rows have captions."""
        if self.captions_column not in rows[0]:
            return {}
        captions = [read_captions(row[self.captions_column]) for row in rows]
        if len({len(texts) for texts in captions}) != 1:
            raise RnnHubError(f"column {self.captions_column!r} holds more captions of some images than of others")
        texts = [caption_text(text) for group in captions for text in group]
        ids = self.tokenizer(texts, truncation=True, max_length=self.max_length).input_ids
        return {"labels": pad_sequences(ids, IGNORE_INDEX)}


def read_captions(value: Any) -> list[str]:
    """The captions of a row, one or several.

    Raises:
        RnnHubError: none, or something else than text.
    """
    captions = [value] if isinstance(value, str) else value
    if not isinstance(captions, list) or not captions or not all(isinstance(text, str) for text in captions):
        raise RnnHubError(f"a caption is a text or a list of texts, not {value!r:.60}")
    return captions


#: how a caption goes on where the camera does each of `MOTIONS`
CAMERA = {
    "pan left": "while the camera pans left",
    "pan right": "while the camera pans right",
    "pan up": "while the camera pans up",
    "pan down": "while the camera pans down",
    "zoom in": "while the camera zooms in",
    "zoom out": "while the camera zooms out",
    "rotate left": "while the camera turns left",
    "rotate right": "while the camera turns right",
    "still": "while the camera stands still",
}


def part_caption(text: str) -> tuple[str, str]:
    """A sentence about a clip as what is seen and what the camera does: ("two dogs play", "pans left")."""
    seen, _, motion = caption_text(text).partition("while the camera")
    return seen.strip(), motion.strip()
