"""VideoLabelPipeline: a video in, its label out, and what the model thought of it as it went on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm
from transformers import AutoModelForVideoClassification, VideoClassificationPipeline

from rnn_hub.models.vision.features import encode_video
from rnn_hub.models.vision.streaming import LabelStream
from rnn_hub.models.vision.video_processing_vision import RnnVideoProcessor, several

#: prefixes of a video that are looked at together
PREFIXES = 64


class VideoLabelPipeline(VideoClassificationPipeline):
    """transformers' video classification for videos of any kind and length, in memory that does not grow with it.

    ``pipe("clip.mp4")`` gives ``{"label": "pan left", "score": 0.98}``, a list of videos a list of these.

    Call arguments:
        top_k: so many best labels, as a list for each video; None for all.
        return_progress: add ``times``, when each frame that was looked at is shown; ``progress``, for each of them the
            probabilities of the labels after it, in the order of their numbers; and, of a model with attention,
            ``attention``, how much each counted in the end, one list a hop.
        progress: show a progress bar on standard error.
    """

    auto_model_class = AutoModelForVideoClassification
    processor_class = RnnVideoProcessor
    _load_video_processor = True

    def __call__(
        self,
        inputs: Any,
        top_k: int | None = 1,
        return_progress: bool = False,
        progress: bool = False,
        batch_size: int | None = None,
    ) -> dict | list:
        """Classify a video, as `open_video` takes it, or a list of videos; see the class for the arguments."""
        videos = several(inputs)
        bar = tqdm(videos, desc="watching", unit="video", disable=not progress)
        results = [self._classify(video, top_k, return_progress) for video in bar]
        return results[0] if len(videos) == 1 and videos[0] is inputs else results

    @torch.inference_mode()
    def _classify(self, video: Any, top_k: int | None, return_progress: bool) -> dict | list[dict]:
        times, features = encode_video(self.model.frames, self.video_processor, video)
        attends = return_progress and self.model.config.pooling == "attention"
        output = self.model(features=features[None], output_attentions=attends or None)
        scores = output.logits[0].float().softmax(dim=-1)
        names = self.model.config.id2label
        order = scores.argsort(descending=True).tolist()
        records = [{"label": names[number], "score": scores[number].item()} for number in order]
        found = records[0] if top_k == 1 else records[:top_k]
        if return_progress:
            more = {"times": times, "progress": self.after_each(features).tolist()}
            if attends:
                more["attention"] = output.attentions[0][0].float().tolist()
            for record in found if isinstance(found, list) else [found]:
                record |= more
        return found

    def after_each(self, features: Tensor) -> Tensor:
        """The probabilities (T, labels) after each frame of a video: what the model says of the video so far."""
        length, found = len(features), []
        for start in range(0, length, PREFIXES):
            ends = torch.arange(start, min(start + PREFIXES, length), device=features.device)
            mask = torch.arange(int(ends[-1]) + 1, device=features.device) <= ends[:, None]
            rows = features[None, : mask.shape[1]].expand(len(ends), *[-1] * features.dim())
            found.append(self.model(features=rows, attention_mask=mask).logits)
        return torch.cat(found).float().softmax(dim=-1)

    def stream(self, frames: Iterator[np.ndarray], smoothing: float = 0.0) -> Iterator[dict]:
        """Labels of an endless video, one a frame; see `LabelStream`.

        Args:
            frames: (H, W, C) of uint8, as a camera gives them.
            smoothing: share of the probabilities so far in those that are told.

        Raises:
            RnnHubError: a model that reads backwards too, and so must know the end.
        """
        labels = LabelStream(self.model, self.video_processor, smoothing)
        for frame in frames:
            yield labels.push(frame)
