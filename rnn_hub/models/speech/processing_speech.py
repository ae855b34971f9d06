"""What stands between a recognizer and its user: features of audio, and a tokenizer of characters."""

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from transformers import BatchFeature, ProcessorMixin, Wav2Vec2CTCTokenizer

from rnn_hub.data.audio import read_audio
from rnn_hub.data.tokenization import SPECIAL_TOKENS, train_tokenizer


class RnnSpeechProcessor(ProcessorMixin):
    """Audio to features, and characters to text.

    Args:
        feature_extractor: an `RnnSpeechFeatureExtractor`.
        tokenizer: a `Wav2Vec2CTCTokenizer`, whose padding token is the blank; of a model with a decoder one that ends
            every text with a token of its own (`spelling_tokenizer`).
    """

    needed_files = ("processor_config.json", "vocab.json or tokenizer.json")

    def __init__(self, feature_extractor: Any, tokenizer: Any):
        super().__init__(feature_extractor, tokenizer)

    def __call__(self, audio: Any = None, text: Any = None, **kwargs: Any) -> BatchFeature:
        """Recordings, each as `read_audio` takes it or as features that are given, as `input_features` and
        `attention_mask`; texts as `labels` (B, L)."""
        data: dict[str, Any] = {}
        if audio is not None:
            data.update(self.feature_extractor([self.read(one) for one in audio]))
        if text is not None:
            data["labels"] = self.tokenizer(text, padding=True, return_tensors="pt", **kwargs)["input_ids"]
        return BatchFeature(data)

    def read(self, source: Any, longest: float | None = None) -> Any:
        """What the feature extractor takes of a recording: samples, or the features that are given.

        A file of more than `longest` seconds is refused, as `read_audio` says.
        """
        if self.feature_extractor.kind == "given":
            return source
        return read_audio(source, self.feature_extractor.sampling_rate, longest)

    def decode(self, ids: Any, **kwargs: Any) -> str:
        """The text of the likeliest token of each step, or of what a decoder wrote."""
        if self.tokenizer.eos_token_id is not None:
            kwargs.setdefault("skip_special_tokens", True)
        return self.tokenizer.decode(ids, **kwargs)


def character_tokenizer(texts: Iterable[str]) -> Wav2Vec2CTCTokenizer:
    """The tokenizer of the characters of some texts: 0 is the blank, "|" parts words."""
    characters = sorted(set("".join(texts)) - {" "})
    vocabulary = {token: number for number, token in enumerate(["<pad>", "<unk>", "|", *characters])}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vocab.json"
        path.write_text(json.dumps(vocabulary), encoding="utf-8")
        return Wav2Vec2CTCTokenizer(str(path), bos_token=None, eos_token=None)


def spelling_tokenizer(texts: Iterable[str]) -> Any:
    """The tokenizer of the characters of some texts with `<s>` and `</s>`, for a decoder; 0 is padding and blank."""
    texts = list(texts)
    return train_tokenizer(texts, len(SPECIAL_TOKENS) + len(set("".join(texts))), "char", model_max_length=None)
