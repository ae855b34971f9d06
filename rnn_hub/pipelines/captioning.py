"""Photographs or clips in, captions out, with what the decoder looked at for each word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import AutoModelForImageTextToText
from transformers.pipelines import PIPELINE_REGISTRY

from rnn_hub.data.features import ImageFeatures
from rnn_hub.data.images import read_image
from rnn_hub.models.caption.processing_caption import VideoCaptionProcessor
from rnn_hub.models.vision.video_processing_vision import several
from rnn_hub.pipelines.search import SearchPipeline, only

#: pixels of a side that are more than any backbone needs: a larger JPEG is decoded at a fraction of its size
ENOUGH = 512


class CaptionPipeline(SearchPipeline):
    """From tokens to captions, with what was looked at."""

    auto_model_class = AutoModelForImageTextToText

    def postprocess(self, model_outputs: Mapping[str, torch.Tensor], return_scores: bool = False) -> list | dict:
        """Ids of one image (1, n, 1 + target) to one dictionary, or to a list of n."""
        records, frames = [], model_outputs["clip_mask"].shape[1] if "clip_mask" in model_outputs else 0
        for rank, sequence in enumerate(model_outputs["sequences"][0]):
            record: dict[str, Any] = {
                "generated_text": self.tokenizer.decode(sequence, skip_special_tokens=True).strip()
            }
            if return_scores:
                record["score"] = model_outputs["scores"][0, rank].item()
            if "attention" in model_outputs:
                record.update(self._look(sequence, model_outputs["attention"][0, rank], frames))
            records.append(record)
        return only(records)

    def _look(self, sequence: torch.Tensor, attention: torch.Tensor, frames: int) -> dict[str, Any]:
        """The words of a sequence without its end, the grid of weights of each, and those of the frames, if any."""
        ids = sequence[1 : 1 + self._length(sequence)]
        ids = ids[ids != self.tokenizer.eos_token_id]
        attention = attention[: len(ids)].float()
        regions, watched = attention.split([attention.shape[-1] - frames, frames], dim=-1)
        side = round(regions.shape[-1] ** 0.5)
        found = {
            "words": self.tokenizer.convert_ids_to_tokens(ids.tolist()),
            "attention": regions.view(len(ids), side, -1).numpy(),
        }
        return found | ({"frame_attention": watched.numpy()} if frames else {})


class ImageToTextPipeline(CaptionPipeline):
    """Says what an image shows.

    ``pipe("dog.jpg")`` gives ``[{"generated_text": "a dog runs through the grass"}]``, a list of images one dictionary
    each. With ``num_return_sequences`` above 1 every image gets a list of dictionaries, the best first. An image is
    whatever ``read_image`` takes: a path, bytes, a PIL image, an array.

    Call arguments are those of ``SearchPipeline``; ``return_attention`` adds ``words`` and ``attention``, an array
    (words, rows, columns) over the image's regions from the upper left, of which each word's sum to 1.

    Attributes:
        features: where features of images are looked up before the backbone is asked (training sets it).
    """

    _load_image_processor = True
    activity, unit = "describing", "image"
    features: ImageFeatures | None = None

    def check_inputs(self, inputs: Any) -> list:
        """An image or a list of images."""
        return list(inputs) if isinstance(inputs, Sequence) and not isinstance(inputs, str | bytes) else [inputs]

    def preprocess(self, image: Any) -> dict[str, torch.Tensor]:
        """An image to pixels (1, 3, H, W), or its features (1, S, C)."""
        if self.features is not None:
            return {"features": self.features([image])}
        return dict(self.image_processor(read_image(image, ENOUGH), return_tensors="pt"))


class VideoToTextPipeline(CaptionPipeline):
    """Says what a clip shows, and what its camera does.

    ``pipe("clip.mp4")`` gives ``[{"generated_text": "two dogs play in the snow while the camera zooms in"}]``; else as
    `ImageToTextPipeline`. A clip is whatever ``open_video`` takes: a path, bytes, a folder of images, an array.

    Call arguments are those of ``SearchPipeline``; ``return_attention`` adds ``words``, ``attention``, an array (words,
    rows, columns) over the regions of the middle frame, and ``frame_attention``, (words, frames): together each word's
    weights sum to 1.
    """

    _load_processor = _load_image_processor = True
    processor_class = VideoCaptionProcessor
    activity, unit = "describing", "clip"

    def check_inputs(self, inputs: Any) -> list:
        """A clip or a list of clips."""
        return several(inputs)

    def preprocess(self, clip: Any) -> dict[str, torch.Tensor]:
        """A clip to the pixels of its middle frame (1, 3, H, W), and to small frames (1, T, C, h, w)."""
        return dict(self.processor(clip))


# transformers 5 refuses the name "image-to-text", so its own pipeline() knows these by others.
PIPELINE_REGISTRY.register_pipeline(
    "rnn-image-to-text", pipeline_class=ImageToTextPipeline, pt_model=AutoModelForImageTextToText, type="multimodal"
)
PIPELINE_REGISTRY.register_pipeline(
    "rnn-video-to-text", pipeline_class=VideoToTextPipeline, pt_model=AutoModelForImageTextToText, type="multimodal"
)
