"""Video captioning: clips of a camera over captioned photographs -> what they show, and what the camera does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from datasets import Dataset
from torch import Tensor
from tqdm.auto import tqdm
from transformers import AutoModelForVideoClassification, PreTrainedModel

from rnn_hub.data.camera_motion import MOTIONS
from rnn_hub.data.captions import CAMERA, CaptionCollator, caption_text, part_caption, read_captions
from rnn_hub.data.features import ClipFeatures, FeatureCache, fingerprint
from rnn_hub.data.video_collator import CameraClip
from rnn_hub.metrics import compute_metrics
from rnn_hub.models.backbone.loading import load_backbone
from rnn_hub.models.caption.processing_caption import CaptionProcessor, VideoCaptionProcessor
from rnn_hub.models.caption.regions import extract_regions, watch_clips
from rnn_hub.models.vision.video_processing_vision import RnnVideoProcessor
from rnn_hub.pipelines.loading import load_pretrained
from rnn_hub.tasks.base import Scores
from rnn_hub.tasks.captioning import CaptionDataset, CaptionWords, ImageCaptioningTask

CLIP = "camera_clip"


@dataclass
class VideoCaptionDataset(CaptionDataset):
    """Photographs with their captions, over which a virtual camera moves: one clip of each, always the same.

    Args:
        motion: folder or Hub name of the video classifier whose states tell what the camera does.
        clip_size, num_frames: of the clips.
        view: between which parts of the photograph's shorter side a frame has.
    """

    flip: bool = False
    motion: str = "model_cards/rnn-video-motion"
    clip_size: int = 144
    num_frames: int = 12
    view: list | None = None


class VideoCaptioningTask(ImageCaptioningTask):
    """A clip to a sentence; a recipe's model section may name an image captioner to `start` from."""

    name = "video-to-text"
    dataset_section: ClassVar[type] = VideoCaptionDataset
    metrics: ClassVar[tuple[str, ...]] = ("bleu_1", "bleu_4", "cider_d")
    unit = "clips"
    usage = """```python
import rnn_hub

describe = rnn_hub.pipeline("video-to-text", model="{name}")
describe("clip.mp4")
```

or from the command line: `rnn-hub predict {name} clip.mp4`."""

    def load(self, dataset: VideoCaptionDataset, split: str, **kwargs: Any) -> Dataset:
        """Load one split: of each photograph a clip, the motions by turns, and captions that tell them."""
        rows = super().load(dataset, split, **kwargs)
        return rows.add_column(CLIP, list(range(len(rows))))

    def network(self, model: Mapping[str, Any]) -> str:
        """Cell and attention of the decoder."""
        return f"{super().network(model)} in the middle and over the states of a motion network"

    def pretrained(self, recipe: Mapping[str, Any]) -> str:
        """The networks it stands on."""
        start = (recipe.get("model") or {}).get("start")
        more = f", with the weights of `{Path(start).name}` to start from" if start else ""
        motion = Path(recipe["dataset"].get("motion", VideoCaptionDataset.motion)).name
        return f"{super().pretrained(recipe)} and the frozen motion network `{motion}`{more}"

    def limits(self, recipe: Mapping[str, Any]) -> str:
        """What it knows."""
        return (
            f"{super().limits(recipe)} Its clips were photographs over which a virtual camera moved: in a real clip it "
            "describes the middle frame, what people and things do there it can only guess from that one picture, and "
            "it takes every motion for the camera's."
        )

    def build_processor(
        self, rows: Dataset, dataset: VideoCaptionDataset, tokenizer: CaptionWords
    ) -> VideoCaptionProcessor:
        """As for images, and the motion network's own processor."""
        images = super().build_processor(rows, dataset, tokenizer)
        _, videos = load_motion(dataset.motion)
        return VideoCaptionProcessor(images.image_processor, images.tokenizer, videos.to_dict())

    def load_processor(self, folder: Any) -> VideoCaptionProcessor:
        """The processors and the tokenizer of a folder."""
        return VideoCaptionProcessor.from_pretrained(folder)

    def load_model(self, model: str) -> tuple[PreTrainedModel, VideoCaptionProcessor]:
        """Load a model and its processor; what is missing or broken raises an ``RnnHubError``."""
        return load_pretrained(self.auto_class, model, VideoCaptionProcessor)

    def model_fields(self, rows: Dataset, dataset: VideoCaptionDataset) -> dict[str, Any]:
        """The backbone and the motion network."""
        return {"backbone": dataset.backbone, "motion": dataset.motion}

    def check_model(self, fields: Mapping[str, Any], generation: Mapping[str, Any]) -> None:
        """As for images."""
        super().check_model({name: value for name, value in fields.items() if name != "start"}, generation)

    def build_model(
        self, fields: Mapping[str, Any], processor: VideoCaptionProcessor, generation: Mapping[str, Any]
    ) -> PreTrainedModel:
        """A decoder behind the pretrained networks; it starts as that of the image captioner, where there is one."""
        fields = dict(fields)
        start = fields.pop("start", None)
        motion, _ = load_motion(fields["motion"])
        model = super().build_model({**fields, "motion": motion.config.to_dict()}, processor, generation)
        model.encoder.motion.load_state_dict(motion.state_dict())
        if start is not None:
            take_over(model, processor.tokenizer, *load_pretrained(self.auto_class, start, CaptionProcessor))
        return model

    def build_collator(
        self,
        processor: VideoCaptionProcessor,
        dataset: VideoCaptionDataset,
        tokenizer: CaptionWords,
        training: bool,
    ) -> Callable[[list[dict]], dict]:
        """Rows to features of clips, and labels."""
        backbone, _ = load_backbone(dataset.backbone)
        motion, _ = load_motion(dataset.motion)
        features = clip_features(backbone, motion, processor, dataset)
        captions = CaptionCollator(processor.tokenizer, None, dataset.image, dataset.captions, tokenizer.max_length)

        def collate(rows: list[dict]) -> dict[str, Tensor]:
            told = [{dataset.captions: tell(row, dataset)} for row in rows]
            return {**features([clip(row, dataset) for row in rows]), **captions.labels(told)}

        return collate

    def inputs(self, rows: Dataset, dataset: VideoCaptionDataset) -> list[tuple[CameraClip, VideoCaptionDataset]]:
        """The clips, made when they are looked at."""
        return [(clip(row, dataset), dataset) for row in rows]

    def references(self, rows: Dataset, dataset: VideoCaptionDataset) -> list[list[str]]:
        """The human captions, with what the camera does."""
        return [tell(row, dataset) for row in rows.remove_columns(dataset.image)]

    @torch.no_grad()
    def predict(
        self,
        model: PreTrainedModel,
        processor: VideoCaptionProcessor,
        inputs: Sequence[tuple[CameraClip, VideoCaptionDataset]],
        batch_size: int = 64,
        progress: bool = False,
        **generation: Any,
    ) -> list[str]:
        """Describe the clips, in the order given; features that training has left on the disk are used."""
        found = []
        features = clip_features(model.encoder.backbone, model.encoder.motion, processor, inputs[0][1], keep=False)
        for start in tqdm(range(0, len(inputs), batch_size), desc="describing", unit="batch", disable=not progress):
            batch = features([clip for clip, _ in inputs[start : start + batch_size]])
            batch = {name: part.to(model.device) for name, part in batch.items()}
            found += [processor.decode(ids) for ids in model.generate(**batch, **generation)]
        return found

    def score(self, predictions: Sequence[str], references: Sequence[list[str]], dataset: CaptionDataset) -> Scores:
        """How often the motion is told rightly, and the metrics of captions of the rest of the sentence."""
        seen, motions = zip(*map(part_caption, predictions), strict=True)
        rest = [[part_caption(text)[0] for text in texts] for texts in references]
        right, _ = compute_metrics(["accuracy"], motions, [part_caption(texts[0])[1] for texts in references])
        values, signature = compute_metrics(self.metrics, seen, rest)
        return Scores({"motion_accuracy": right["accuracy"], **values}, signature)


def clip(row: Mapping[str, Any], dataset: VideoCaptionDataset) -> CameraClip:
    """The clip of a row."""
    number, view = row[CLIP], dataset.view or (0.65, 0.8)
    return CameraClip(row[dataset.image]["bytes"], MOTIONS[number % len(MOTIONS)], number, tuple(view))


def tell(row: Mapping[str, Any], dataset: VideoCaptionDataset) -> list[str]:
    """A row's captions with what the camera does."""
    motion = CAMERA[MOTIONS[row[CLIP] % len(MOTIONS)]]
    return [f"{caption_text(text)} {motion}" for text in read_captions(row[dataset.captions])]


def load_motion(name: str) -> tuple[PreTrainedModel, RnnVideoProcessor]:
    """The video classifier and its processor."""
    return load_pretrained(AutoModelForVideoClassification, name, RnnVideoProcessor)


def clip_features(
    backbone: PreTrainedModel,
    motion: PreTrainedModel,
    processor: VideoCaptionProcessor,
    dataset: VideoCaptionDataset,
    keep: bool = True,
) -> ClipFeatures:
    """The features of clips as frozen networks see them, from the disk where they are known."""

    def extract(clips: list) -> tuple[Tensor, Tensor]:
        batch = processor(clips)
        states = watch_clips(motion, batch["clip_values"], batch["clip_mask"])
        return extract_regions(backbone, batch["pixel_values"]), states

    settings = (processor.image_processor.to_json_string(), sorted(processor.clips.items()))
    cache = FeatureCache(fingerprint(torch.nn.ModuleList([backbone, motion]), settings))
    return ClipFeatures(extract, cache, dataset.clip_size, dataset.num_frames, keep)


@torch.no_grad()
def take_over(model: PreTrainedModel, tokenizer: Any, start: PreTrainedModel, processor: CaptionProcessor) -> None:
    """Copies the weights of an image captioner, those of the words that both know by their names."""
    theirs, mine = start.state_dict(), model.state_dict()
    words = processor.tokenizer.get_vocab()
    pairs = [(row, words[word]) for word, row in tokenizer.get_vocab().items() if word in words]
    here, there = (torch.tensor(rows) for rows in zip(*pairs, strict=True))
    for name, value in theirs.items():
        if name in mine and not name.startswith("encoder.backbone"):
            if name in ("embeddings.weight", "lm_head.weight", "lm_head.bias"):
                mine[name][here] = value[there].to(mine[name].dtype)
            elif mine[name].shape == value.shape:
                mine[name].copy_(value)
