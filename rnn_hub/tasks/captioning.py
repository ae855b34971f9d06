"""Image captioning: photographs with several captions -> features of regions -> a decoder that attends to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import datasets
from datasets import Dataset
from PIL import Image
from transformers import AutoModelForImageTextToText, PreTrainedModel

from rnn_hub.data.captions import CaptionCollator, caption_text, read_captions
from rnn_hub.data.features import FeatureCache, ImageFeatures, fingerprint
from rnn_hub.data.tokenization import token_lengths, train_tokenizer
from rnn_hub.metrics import compute_metrics
from rnn_hub.models.backbone.loading import LITE0, is_lite0, load_backbone
from rnn_hub.models.caption.processing_caption import CaptionProcessor
from rnn_hub.models.caption.regions import extract_regions
from rnn_hub.pipelines import pipeline
from rnn_hub.pipelines.loading import load_pretrained
from rnn_hub.tasks.base import DatasetSection, Scores
from rnn_hub.tasks.generation import GenerationTask


@dataclass
class CaptionDataset(DatasetSection):
    """Images with their captions.

    Args:
        image: the column of images.
        captions: the column of captions, a text or a list of texts, as many for every image.
        backbone: the network whose features are read: "efficientnet-lite0", a folder or a Hub name.
        flip: show images mirrored too in training.
    """

    image: str = "image"
    captions: str = "captions"
    backbone: str = LITE0
    flip: bool = True


@dataclass
class CaptionWords:
    """Whole words, in lower case and without punctuation; a rarer word is read as `<unk>` and never written.

    Args:
        vocab_size: number of words, 4 special ones included.
        max_length: longest caption in words; longer ones are cut.
    """

    vocab_size: int = 2541
    max_length: int = 30


class ImageCaptioningTask(GenerationTask):
    """An image to a sentence."""

    name = "image-to-text"
    columns = ("image", "captions")
    dataset_section: ClassVar[type] = CaptionDataset
    tokenizer_section: ClassVar[type] = CaptionWords
    model_type = "rnn_hub_caption"
    auto_class = AutoModelForImageTextToText
    generation: ClassVar[dict[str, Any]] = {"num_beams": 5, "max_new_tokens": 30}
    metrics: ClassVar[tuple[str, ...]] = ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider_d", "caption_chrf")
    main_metric = "bleu_4"
    unit = "images"
    usage = """```python
import rnn_hub

describe = rnn_hub.pipeline("image-to-text", model="{name}")
describe("photo.jpg")
```

or from the command line: `rnn-hub predict {name} photo.jpg`."""

    def load(self, dataset: CaptionDataset, split: str, **kwargs: Any) -> Dataset:
        """Load one split, its images as the bytes of their files."""
        rows = super().load(dataset, split, **kwargs)
        return rows.cast_column(dataset.image, datasets.Image(decode=False))

    def network(self, model: Mapping[str, Any]) -> str:
        """Cell and attention of the decoder."""
        cell = str(model.get("cell_type", "lstm")).upper()
        return f"{cell} decoder with {model.get('attention_type', 'additive')} attention over the regions of the image"

    def pretrained(self, recipe: Mapping[str, Any]) -> str:
        """The backbone, and where it comes from."""
        backbone = recipe["dataset"].get("backbone", LITE0)
        return f"behind the frozen backbone `{backbone}`{', trained on ImageNet' if is_lite0(backbone) else ''}"

    def limits(self, recipe: Mapping[str, Any]) -> str:
        """What it knows."""
        return (
            f"The model knows the {recipe.get('tokenizer', {}).get('vocab_size', CaptionWords.vocab_size)} most "
            f"frequent words of `{recipe['dataset']['path']}` and describes everything with them: of a picture of "
            "another kind (a drawing, a text, a face from near, an animal that is no dog) it invents people, dogs and "
            "grass, as fluently as where it is right. It guesses the sex and the age of people from their looks, as "
            "its annotators did, reads no text, counts badly and repeats whatever prejudice the data hold. Do not use "
            "it to judge people, nor in place of a description that someone depends on."
        )

    def build_processor(self, rows: Dataset, dataset: CaptionDataset, tokenizer: CaptionWords) -> CaptionProcessor:
        """The most frequent words, and the backbone's image processor."""
        texts = (caption_text(text) for group in self.references(rows, dataset) for text in group)
        words = train_tokenizer(
            texts, tokenizer.vocab_size, model_type="word", lowercase=True, model_max_length=tokenizer.max_length
        )
        return CaptionProcessor(load_backbone(dataset.backbone)[1], words)

    def load_processor(self, folder: Any) -> CaptionProcessor:
        """The image processor and tokenizer of a folder."""
        return CaptionProcessor.from_pretrained(folder)

    def load_model(self, model: str) -> tuple[PreTrainedModel, CaptionProcessor]:
        """Load a model and its processor; what is missing or broken raises an ``RnnHubError``."""
        return load_pretrained(self.auto_class, model, CaptionProcessor)

    def model_fields(self, rows: Dataset, dataset: CaptionDataset) -> dict[str, Any]:
        """The backbone."""
        return {"backbone": dataset.backbone}

    def token_ids(self, processor: CaptionProcessor) -> dict[str, int | None]:
        """The decoder starts with `<s>`."""
        ids = super().token_ids(processor.tokenizer)
        return {**ids, "decoder_start_token_id": processor.tokenizer.bos_token_id}

    def check_model(self, fields: Mapping[str, Any], generation: Mapping[str, Any]) -> None:
        """As of every model that generates; the backbone itself is the data's."""
        super().check_model({**fields, "backbone": None}, generation)

    def build_model(
        self, fields: Mapping[str, Any], processor: CaptionProcessor, generation: Mapping[str, Any]
    ) -> PreTrainedModel:
        """A fresh decoder behind the pretrained backbone."""
        ids, words = self.token_ids(processor), processor.tokenizer
        backbone, images = load_backbone(fields["backbone"])
        pixels = images(Image.new("RGB", (32, 32)), return_tensors="pt")["pixel_values"]
        config = self._config(
            {**fields, "backbone": backbone.config.to_dict()},
            feature_size=extract_regions(backbone, pixels).shape[-1],
            vocab_size=len(words),
            unk_token_id=words.unk_token_id,
            **ids,
        )
        model = self._model(config)
        model.encoder.backbone.load_state_dict(backbone.state_dict())
        model.generation_config = self._generation_config(generation, **ids)
        return model

    def build_collator(
        self, processor: CaptionProcessor, dataset: CaptionDataset, tokenizer: CaptionWords, training: bool
    ) -> Callable[[list[dict]], dict]:
        """Rows to features of regions, and labels; mirrored images only in training."""
        backbone, _ = load_backbone(dataset.backbone)
        return CaptionCollator(
            processor.tokenizer,
            cached_features(backbone, processor.image_processor),
            dataset.image,
            dataset.captions,
            tokenizer.max_length,
            flip=dataset.flip and training,
        )

    def lengths(self, rows: Dataset, processor: CaptionProcessor, dataset: CaptionDataset) -> list[int]:
        """Words of each image's longest caption."""
        limit = processor.tokenizer.model_max_length
        groups = self.references(rows, dataset)
        return [max(token_lengths(processor.tokenizer, [*map(caption_text, texts)], limit)) for texts in groups]

    def inputs(self, rows: Dataset, dataset: CaptionDataset) -> list[dict]:
        """The images."""
        return list(rows[dataset.image])

    def references(self, rows: Dataset, dataset: CaptionDataset) -> list[list[str]]:
        """The human captions."""
        return [read_captions(value) for value in rows[dataset.captions]]

    def predict(
        self,
        model: PreTrainedModel,
        processor: CaptionProcessor,
        inputs: Sequence[Any],
        batch_size: int = 64,
        progress: bool = False,
        **generation: Any,
    ) -> list[str]:
        """Describe the images, in the order given; features that training has left on the disk are used."""
        pipe = pipeline(self.name, model, processor, device=model.device)
        if getattr(model.encoder, "backbone", None) is not None:  # a graph of ONNX has none apart
            pipe.features = cached_features(model.encoder.backbone, processor.image_processor, keep=False)
        outputs = pipe(list(inputs), batch_size=batch_size, progress=progress, **generation)
        return [output["generated_text"] for output in outputs]

    def score(self, predictions: Sequence[str], references: Sequence[list[str]], dataset: CaptionDataset) -> Scores:
        """BLEU-1 to 4, ROUGE-L, CIDEr-D and chrF against all captions of an image."""
        values, signature = compute_metrics(self.metrics, predictions, references)
        return Scores(values, signature)


def cached_features(backbone: PreTrainedModel, image_processor: Any, keep: bool = True) -> ImageFeatures:
    """The features of a frozen backbone's regions, from the disk where they are known."""
    cache = FeatureCache(fingerprint(backbone, image_processor.to_json_string()))
    return ImageFeatures(partial(extract_regions, backbone), image_processor, cache, keep)
