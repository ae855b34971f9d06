"""What stands between a captioner and its user: an image processor and a tokenizer."""

from collections.abc import Sequence
from typing import Any

from transformers import BatchFeature, ProcessorMixin

from rnn_hub.data.images import read_image


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
