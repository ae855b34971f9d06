"""Video classification: a column of videos -> frames, or features of a frozen network -> a label."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import datasets
import torch
from datasets import ClassLabel, Dataset
from torch import Tensor
from tqdm.auto import tqdm
from transformers import AutoModelForVideoClassification, PreTrainedModel

import rnn_hub.models.vision  # noqa: F401  (registers the model with the Auto classes)
from rnn_hub.data.camera_motion import MOTIONS
from rnn_hub.data.labels import label_names, name_of, number_labels
from rnn_hub.data.loading import load_split
from rnn_hub.data.video_augmentation import ClipAugmentation
from rnn_hub.data.video_collator import CameraClip, VideoCollator
from rnn_hub.errors import RnnHubError
from rnn_hub.metrics import compute_metrics
from rnn_hub.models.backbone.loading import backbone_config, load_backbone
from rnn_hub.models.vision.features import ClipReader
from rnn_hub.models.vision.modeling_vision import RnnForVideoClassification
from rnn_hub.models.vision.video_processing_vision import RnnVideoProcessor
from rnn_hub.pipelines.loading import load_pretrained
from rnn_hub.tasks.auto_model import AutoModelTask
from rnn_hub.tasks.base import DatasetSection, Scores
from rnn_hub.tasks.sections import check_keys

#: the column of seeds that rows of photographs get
SEED = "clip_seed"


@dataclass
class VideoDataset(DatasetSection):
    """Videos with a label each, or photographs.

    Args:
        video, label: the columns.
        labels: names of the numbers in the second, where the data set does not tell them.
        photographs: a column of images over which a virtual camera moves instead; the label is what it does. Training
            then sees another clip each time, the other splits always the same.
    """

    video: str = "video"
    label: str = "label"
    labels: list[str] | None = None
    photographs: str | None = None


@dataclass
class FrameSection(ClipAugmentation):
    """Which frames the model sees, how large, and how training changes them.

    Args:
        height, width: of a frame.
        crop: cut off what stands over, instead of squeezing a frame.
        gray: one channel instead of three.
        standardize: each frame to mean 0 and standard deviation 1, instead of by mean and std.
        mean, std: of each channel, of values from 0 to 1.
        sampling, num_frames, fps: as ``rnn_hub.data.frame_sampling.Sampling`` says.
    """

    height: int = 224
    width: int = 224
    crop: bool = False
    gray: bool = False
    standardize: bool = False
    mean: list | None = None
    std: list | None = None
    sampling: str = "uniform"
    num_frames: int | None = 16
    fps: float | None = None


class VideoClassificationTask(AutoModelTask):
    """A label for a video.

    A recipe's model section may name a pretrained `backbone`: "efficientnet-lite0", a folder or a Hub name. While it is
    frozen, its features are kept on the disk between epochs.
    """

    name = "video-classification"
    columns = ("video", "label")
    dataset_section: ClassVar[type] = VideoDataset
    tokenizer_section: ClassVar[type] = FrameSection
    processor_file = "video_preprocessor_config.json"
    model_type = "rnn_hub_vision"
    auto_class = AutoModelForVideoClassification
    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "macro_f1")
    main_metric = "accuracy"
    demo = "demos.video"
    unit = "videos"
    failures = "its labels are guesses"
    usage = """```python
import rnn_hub

classify = rnn_hub.pipeline("video-classification", model="{name}")
classify("clip.mp4", top_k=3)
```

or, after `import rnn_hub`, with transformers' own `pipeline("video-classification", model="{name}")`, or from the
command line: `rnn-hub predict {name} clip.mp4`."""

    def __init__(self) -> None:
        self._frozen: Any = None  # the network whose features a training run keeps

    def network(self, model: Mapping[str, Any]) -> str:
        """What sees the frames, and what reads and pools them."""
        eyes = f"`{model['backbone']}`" if model.get("backbone") else "a small convolutional network"
        kind = model.get("pooling", "attention")
        pooling = "the last state" if kind == "last" else f"{kind} pooling of the frames"
        if model.get("num_layers") == 0:
            return f"{eyes} and {pooling}"
        ways = "both directions" if model.get("bidirectional", True) else "one direction"
        count, cell = model.get("num_layers", 1), model.get("cell_type", "lstm")
        layers = f"{count} layer{'s' if count > 1 else ''} of the cell `{cell}`"
        return f"{eyes}, {layers} in {ways} and {pooling}"

    def pretrained(self, recipe: Mapping[str, Any]) -> str:
        """The network that sees the frames, where it comes from elsewhere."""
        backbone = (recipe.get("model") or {}).get("backbone")
        return f"behind the pretrained `{backbone}` (ImageNet)" if backbone else super().pretrained(recipe)

    def limits(self, recipe: Mapping[str, Any]) -> str:
        """What it knows."""
        return (
            f"The model knows the labels and the kind of video of `{recipe['dataset']['path']}` and nothing else: "
            f"every video gets one of its labels, and of other videos {self.failures}. Do not use it where an error "
            "matters."
        )

    def load(self, dataset: VideoDataset, split: str, **kwargs: Any) -> Dataset:
        """Load one split, its videos or photographs as files that are not decoded yet."""
        if dataset.photographs is None:
            rows = super().load(dataset, split, **kwargs)
            return rows.cast_column(dataset.video, datasets.Video(decode=False))
        column = dataset.photographs
        rows = load_split(dataset.path, split, name=dataset.name, columns=(column,), **kwargs)
        rows = rows.select_columns([column]).cast_column(column, datasets.Image(decode=False))
        motions = [number % len(MOTIONS) for number in range(len(rows))]
        rows = rows.add_column(dataset.label, motions).add_column(SEED, list(range(len(rows))))
        return rows.cast_column(dataset.label, ClassLabel(names=list(MOTIONS)))

    def model_fields(self, rows: Dataset, dataset: VideoDataset) -> dict[str, Any]:
        """The labels; the section keeps them too, for the batches."""
        dataset.labels = label_names(rows, dataset.label, dataset.labels)
        return number_labels(dataset.labels)

    def build_processor(self, rows: Dataset, dataset: VideoDataset, tokenizer: FrameSection) -> RnnVideoProcessor:
        """As the section says; nothing is learned from the rows."""
        return RnnVideoProcessor(
            size={"height": tokenizer.height, "width": tokenizer.width},
            do_center_crop=tokenizer.crop,
            do_grayscale=tokenizer.gray,
            do_standardize=tokenizer.standardize,
            image_mean=tokenizer.mean,
            image_std=tokenizer.std,
            sampling=tokenizer.sampling,
            num_frames=tokenizer.num_frames,
            fps=tokenizer.fps,
        )

    def load_processor(self, folder: Any) -> RnnVideoProcessor:
        """The video processor of a folder."""
        return RnnVideoProcessor.from_pretrained(folder)

    def load_model(self, model: str) -> tuple[PreTrainedModel, RnnVideoProcessor]:
        """Load a model and its video processor; what is missing or broken raises an ``RnnHubError``."""
        return load_pretrained(self.auto_class, model, RnnVideoProcessor)

    def check_model(self, fields: Mapping[str, Any], generation: Mapping[str, Any]) -> None:
        """Build the config and, without memory, the model: a wrong field, cell, pooling or size fails here."""
        check_keys(generation, (), "generation (labels are not generated)")
        if isinstance(fields.get("backbone"), str):
            fields = {**fields, "backbone": backbone_config(fields["backbone"])}
        with torch.device("meta"):
            self._model(self._config(fields))

    def build_model(
        self, fields: Mapping[str, Any], processor: RnnVideoProcessor, generation: Mapping[str, Any]
    ) -> PreTrainedModel:
        """A fresh recurrent network behind a pretrained backbone, or one that is trained with it."""
        fields, backbone = dict(fields), None
        if isinstance(fields.get("backbone"), str):
            backbone, _ = load_backbone(fields["backbone"])
            fields["backbone"] = backbone.config.to_dict()
        known = {"num_channels": 1 if processor.do_grayscale else 3, "num_frames": processor.num_frames}
        model = RnnForVideoClassification(self._config(fields, **known), backbone)
        self._frozen = model.frames if model.frames.frozen else None
        return model

    def build_collator(
        self, processor: RnnVideoProcessor, dataset: VideoDataset, tokenizer: FrameSection, training: bool
    ) -> Callable[[list[dict]], dict]:
        """Rows to frames or features, and labels; clips change only in training."""
        names = [field.name for field in fields(ClipAugmentation)]
        augmentation = ClipAugmentation(**{name: getattr(tokenizer, name) for name in names})
        if self._frozen is not None and augmentation != ClipAugmentation():
            raise RnnHubError("a frozen backbone's features are kept, so frames cannot change: leave augmentation out")
        read, numbers = ClipReader(processor, self._frozen), {name: n for n, name in enumerate(dataset.labels or ())}

        def read_row(row: Mapping[str, Any]) -> tuple[Tensor, int]:
            clip = _clip(row, dataset)
            if not isinstance(clip, CameraClip):
                return read(clip), numbers[name_of(row[dataset.label], dataset.labels)]
            if training:
                clip = clip._replace(motion=None, seed=int(torch.randint(2**62, ())))
            frames, motion = clip.frames(processor.size, processor.num_frames, processor.do_grayscale)
            return torch.tensor(frames), numbers[motion]

        return VideoCollator(read_row, processor, augmentation if training else None, len(numbers))

    def lengths(self, rows: Dataset, processor: RnnVideoProcessor, dataset: VideoDataset) -> list[int]:
        """All alike: how many frames a video has is known when it is read."""
        return [1] * len(rows)

    def inputs(self, rows: Dataset, dataset: VideoDataset) -> list[Any]:
        """The videos' paths or bytes, or what the clips are made of."""
        return [_clip(row, dataset) for row in rows]

    def references(self, rows: Dataset, dataset: VideoDataset) -> list[str]:
        """The names of the labels."""
        names = label_names(rows, dataset.label, dataset.labels)
        return [name_of(label, names) for label in rows[dataset.label]]

    @torch.inference_mode()
    def predict(
        self,
        model: PreTrainedModel,
        processor: RnnVideoProcessor,
        inputs: Sequence[Any],
        batch_size: int = 64,
        progress: bool = False,
        **generation: Any,
    ) -> list[str]:
        """The most probable label of each video; features that training has left on the disk are used."""
        read = ClipReader(processor, model.frames if model.frames.frozen else None, keep=False)
        collator, names, found = VideoCollator(read, processor), model.config.id2label, []
        for start in tqdm(range(0, len(inputs), batch_size), desc="watching", unit="batch", disable=not progress):
            clips = []
            for item in inputs[start : start + batch_size]:
                if isinstance(item, CameraClip):
                    frames, _ = item.frames(processor.size, processor.num_frames, processor.do_grayscale)
                clips.append(torch.tensor(frames) if isinstance(item, CameraClip) else read(item))
            batch = {name: part.to(model.device) for name, part in collator.batch(clips).items()}
            found += [names[number] for number in model(**batch).logits.argmax(dim=-1).tolist()]
        return found

    def score(self, predictions: Sequence[str], references: Sequence[str], dataset: VideoDataset) -> Scores:
        """Accuracy and macro F1, in percent."""
        return Scores(*compute_metrics(self.metrics, predictions, references))


def _clip(row: Mapping[str, Any], dataset: VideoDataset) -> Any:
    """A row's video as path or bytes, or the clip that is made of its photograph."""
    value = row[dataset.photographs or dataset.video]
    content = value.get("bytes") or value.get("path") if isinstance(value, Mapping) else value
    if dataset.photographs is None:
        return content
    if not isinstance(content, bytes):
        content = Path(content).read_bytes()
    return CameraClip(content, MOTIONS[row[dataset.label]], row[SEED])
