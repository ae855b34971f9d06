"""Labels of a video while it goes on: frame by frame, with a state that is kept and does not grow."""

from typing import Any

import torch
from torch import Tensor

from rnn_hub.data.video import open_video
from rnn_hub.errors import RnnHubError
from rnn_hub.models.vision.modeling_vision import RnnForVideoClassification
from rnn_hub.models.vision.video_processing_vision import RnnVideoProcessor


class LabelStream:
    """A label after each frame, as of a camera. Without smoothing it is what the model says of the video so far.

    Args:
        model: one that reads forwards only.
        processor: that of the model, of which the choice of frames is not used: every frame given is read.
        smoothing: 0 to 1, how much the probabilities told are those told before: q' = s q + (1 - s) p.
        hold: a label changes only when another has been best for so many frames in sequence.

    Raises:
        RnnHubError: a model that reads backwards too, or a number out of range.
    """

    def __init__(
        self, model: RnnForVideoClassification, processor: RnnVideoProcessor, smoothing: float = 0.0, hold: int = 1
    ):
        if not hasattr(model, "classifier"):
            raise RnnHubError("a graph of ONNX watches whole videos only: stream with the model's own folder")
        if model.config.num_layers and model.config.bidirectional:
            raise RnnHubError("this model reads a video backwards too, so it cannot label one that goes on")
        if not 0 <= smoothing < 1 or hold < 1:
            raise RnnHubError(f"smoothing is at least 0 and below 1, hold at least 1; got {smoothing} and {hold}")
        self.model, self.processor, self.smoothing, self.hold = model, processor, smoothing, hold
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        self._state = self._pooled = self._pixels = self._features = None
        self._scores: Tensor | None = None
        self._label: int | None = None
        self._others = 0

    @torch.inference_mode()
    def push(self, frame: Any) -> dict[str, Any]:
        """Reads one frame, (H, W, C) of uint8 or an image of Pillow.

        Returns:
            ``label``, its ``score``, and ``scores``, the probabilities of all labels by name.

        Raises:
            RnnHubError: what is no frame.
        """
        with open_video([frame]) as video:
            pixels = self.processor.frame(next(video.frames()).picture)
        scores = self._logits(self.processor.normalize(pixels[None])).float().softmax(dim=-1)
        if self._scores is not None:
            scores = self.smoothing * self._scores + (1 - self.smoothing) * scores
        self._scores = scores
        best = int(scores.argmax())
        self._others = 0 if best == self._label else self._others + 1
        if self._label is None or self._others >= self.hold:
            self._label, self._others = best, 0
        names = self.model.config.id2label
        named = {names[number]: score for number, score in enumerate(scores.tolist())}
        return {"label": names[self._label], "score": named[names[self._label]], "scores": named}

    def _logits(self, pixels: Tensor) -> Tensor:
        """The logits after one more frame (1, C, H, W)."""
        model, pixels = self.model, pixels.to(self.model.device)
        seen = pixels if self._pixels is None else torch.cat([self._pixels, pixels])
        features = model.frames(seen[None])[:, -1:]
        before = features if self._features is None else self._features
        self._pixels, self._features = pixels if model.frames.differences else None, features
        mask = torch.ones(1, 1, dtype=torch.bool, device=features.device)
        states, last, self._state = model.read(features, mask, self._state, change=features - before)
        pooled, self._pooled = model.pooling.add(self._pooled, states[:, 0], last)
        return model.classifier(pooled)[0]
