"""From waveforms, or features that are given, to a batch of frames."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import BatchFeature
from transformers.audio_utils import mel_filter_bank
from transformers.feature_extraction_sequence_utils import SequenceFeatureExtractor

from rnn_hub.errors import RnnHubError

KINDS = ("log_mel", "given")
NORMALIZATIONS = ("utterance", "global", "none")
FLOOR = 1e-6
"""The least energy of a mel band, under its logarithm."""
BLOCK = 10_000
"""Frames that are transformed at once: memory stays small however long a recording is."""


class RnnSpeechFeatureExtractor(SequenceFeatureExtractor):
    """Logarithms of mel bands, or features that come ready, normalized; saved as `preprocessor_config.json`.

    Frame t sees the samples from t * hop_length on, and no others: frames of a recording that comes in pieces are the
    same (`frames`).

    Args:
        kind: "log_mel", of waveforms; or "given": rows hold features (T, feature_size) already.
        feature_size: mel bands, or features that are given.
        sampling_rate: samples a second, such as 8000 or 16000.
        window_length, hop_length: samples of a frame, and from one to the next.
        min_frequency: of the lowest band, in Hz.
        normalization: "utterance" brings each feature of each recording to mean 0 and deviation 1; "global" does so by
            `mean` and `std`, which the training data gave, as a stream needs; "none" leaves them.
        tail: seconds of silence after a recording, in which a model that reads forwards only ends its last word.

    Raises:
        RnnHubError: an unknown choice, or numbers that make no sense.
    """

    model_input_names = ["input_features", "attention_mask"]

    def __init__(
        self,
        kind: str = "log_mel",
        feature_size: int = 40,
        sampling_rate: int = 16000,
        window_length: int = 400,
        hop_length: int = 160,
        min_frequency: float = 20.0,
        normalization: str = "utterance",
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        tail: float = 0.0,
        padding_value: float = 0.0,
        **kwargs: Any,
    ):
        kwargs.pop("return_attention_mask", None)
        super().__init__(feature_size, sampling_rate, padding_value, return_attention_mask=True, **kwargs)
        for name, value, choices in (("kind", kind, KINDS), ("normalization", normalization, NORMALIZATIONS)):
            if value not in choices:
                raise RnnHubError(f"unknown {name} {value!r}; choose one of {', '.join(choices)}")
        if min(feature_size, sampling_rate, window_length, hop_length) < 1 or tail < 0:
            raise RnnHubError("feature_size, sampling_rate, window_length and hop_length must be at least 1, tail 0")
        if hop_length > window_length:
            raise RnnHubError(f"hop_length {hop_length} is longer than window_length {window_length}: samples are lost")
        self.kind, self.window_length, self.hop_length = kind, window_length, hop_length
        self.min_frequency, self.normalization, self.tail = min_frequency, normalization, tail
        self.mean, self.std = mean, std
        self._filters: np.ndarray | None = None

    def to_dict(self) -> dict[str, Any]:
        """What is saved: the arguments, without what follows from them."""
        return {name: value for name, value in super().to_dict().items() if name != "_filters"}

    def __call__(
        self,
        raw_speech: Any,
        sampling_rate: int | None = None,
        return_tensors: str | None = "pt",
        return_attention_mask: bool = True,
        **kwargs: Any,
    ) -> BatchFeature:
        """One recording, or a list of them, as a batch padded on the right.

        Args:
            raw_speech: samples (N,) at the extractor's rate, or features (T, feature_size) where they are given; or a
                list of such arrays.
            sampling_rate: that of the samples, for a check.

        Returns:
            input_features (B, T, feature_size) and attention_mask (B, T), 1 at real frames.

        Raises:
            RnnHubError: another rate, samples for features or the other way round.
        """
        if sampling_rate not in (None, self.sampling_rate):
            raise RnnHubError(
                f"the model hears {self.sampling_rate} samples a second, and these have {sampling_rate}: resample them"
            )
        rows = [np.asarray(row) for row in raw_speech] if self._several(raw_speech) else [np.asarray(raw_speech)]
        features = [torch.from_numpy(self.normalize(self.features(row))) for row in rows]
        mask = torch.arange(max(map(len, features))) < torch.tensor([len(row) for row in features])[:, None]
        padded = torch.nn.utils.rnn.pad_sequence(features, batch_first=True, padding_value=self.padding_value)
        batch = {"input_features": padded, "attention_mask": mask.long()}
        if return_tensors != "pt":
            batch = {name: part.numpy() for name, part in batch.items()}
        return BatchFeature(batch)

    def _several(self, raw_speech: Any) -> bool:
        if not isinstance(raw_speech, list | tuple):
            return False
        return hasattr(raw_speech[0], "shape") or np.ndim(raw_speech[0]) > (self.kind == "given")

    def features(self, row: np.ndarray) -> np.ndarray:
        """Frames (T, feature_size), not normalized, of one recording."""
        if self.kind == "given":
            if row.ndim != 2 or row.shape[1] != self.feature_size or not len(row):
                raise RnnHubError(
                    f"this model reads features of shape (T, {self.feature_size}) that are given, not an array of "
                    f"shape {row.shape}: it does not know how to make them of a waveform"
                )
            return row.astype(np.float32)
        if row.ndim != 1 or not len(row):
            raise RnnHubError(f"a recording is samples (N,) of one channel, not an array of shape {row.shape}")
        samples = np.concatenate([row.astype(np.float32), np.zeros(round(self.tail * self.sampling_rate), np.float32)])
        return self.frames(np.pad(samples, (0, max(0, self.window_length - len(samples)))))

    def frames(self, samples: np.ndarray) -> np.ndarray:
        """The frames (T, feature_size), not normalized, whose samples (N,) are all there; T may be 0."""
        if len(samples) < self.window_length:
            return np.zeros((0, self.feature_size), np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(samples, self.window_length)[:: self.hop_length]
        size = 2 ** (self.window_length - 1).bit_length()
        if self._filters is None:
            self._filters = mel_filter_bank(
                size // 2 + 1, self.feature_size, self.min_frequency, self.sampling_rate / 2, self.sampling_rate
            ).astype(np.float32)
        shape, found = np.hanning(self.window_length).astype(np.float32), []
        for start in range(0, len(windows), BLOCK):
            spectrum = np.fft.rfft(windows[start : start + BLOCK] * shape, n=size).astype(np.complex64)
            found.append(np.log((spectrum.real**2 + spectrum.imag**2) @ self._filters + FLOOR))
        return np.concatenate(found)

    def normalize(self, features: np.ndarray) -> np.ndarray:
        """Frames (T, feature_size) as the model reads them."""
        if self.normalization == "none":
            return features
        mean, std = features.mean(axis=0), features.std(axis=0)
        if self.normalization == "global":
            if self.mean is None or self.std is None:
                raise RnnHubError("normalization='global' needs mean and std of each feature, from the training data")
            mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        return (features - mean) / np.maximum(std, 1e-3)
