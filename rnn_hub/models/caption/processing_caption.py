"""What stands between a captioner and its user: an image processor and a tokenizer."""

from collections.abc import Sequence
from typing import Any

from transformers import BatchFeature, ProcessorMixin

from rnn_hub.data.images import read_image
from rnn_hub.models.vision.video_processing_vision import RnnVideoProcessor, several


class CaptionProcessor(ProcessorMixin):
    """Images to pixels, and tokens to text.

    Args:
        image_processor: the backbone's.
        tokenizer: of the captions.
    """

    def __init__(self, image_processor: Any, tokenizer: Any):
        super().__init__(image_processor, tokenizer)

    def __call__(self, images: Any = None, text: Any = None, **kwargs: Any) -> BatchFeature:
        """Images, each as `read_image` takes it, as `pixel_values` (B, 3, H, W); captions as `labels` (B, T)."""
        data: dict[str, Any] = {}
        if images is not None:
            several = isinstance(images, Sequence) and not isinstance(images, str | bytes)
            read = [read_image(image) for image in (images if several else [images])]
            data.update(self.image_processor(read, return_tensors="pt"))
        if text is not None:
            data["labels"] = self.tokenizer(text, padding=True, return_tensors="pt", **kwargs)["input_ids"]
        return BatchFeature(data)

    def decode(self, ids: Any) -> str:
        """The text of tokens."""
        return self.tokenizer.decode(ids, skip_special_tokens=True).strip()


class VideoCaptionProcessor(ProcessorMixin):
    """Clips to the pixels of their middle frame and to the small frames of a motion network, and tokens to text.

    Args:
        image_processor: the backbone's.
        tokenizer: of the captions.
        clips: the settings of the motion network's `RnnVideoProcessor` (transformers, without torchvision, takes no
            video processor as a part of another).
    """

    decode = CaptionProcessor.decode

    def __init__(self, image_processor: Any, tokenizer: Any, clips: dict[str, Any] | None = None):
        super().__init__(image_processor, tokenizer)
        self.clips = {name: value for name, value in (clips or {}).items() if name != "video_processor_type"}

    def __call__(self, videos: Any) -> BatchFeature:
        """A clip or a list of them, each as `open_video` takes it.

        Returns:
            pixel_values (B, 3, H, W), clip_values (B, T, C, h, w) and clip_mask (B, T), 1 at real frames.
        """
        videos, size = several(videos), dict(self.image_processor.size)
        middle = RnnVideoProcessor(size={"height": size["height"], "width": size["width"]}, num_frames=1)
        pictures = [middle.read(video)[0] for video in videos]
        clips = RnnVideoProcessor(**self.clips)(videos)
        data = dict(self.image_processor(pictures, return_tensors="pt"))
        return BatchFeature({**data, "clip_values": clips["pixel_values"], "clip_mask": clips["attention_mask"]})
