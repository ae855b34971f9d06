"""A tiny captioner over a tiny backbone, its processor, and images."""

from pathlib import Path

import numpy as np
import torch
from datasets import Dataset, Features, Value
from datasets import Image as ImageColumn
from PIL import Image
from transformers import AutoConfig, AutoModel, EfficientNetImageProcessorPil, ResNetConfig

from rnn_hub.data.tokenization import train_tokenizer
from rnn_hub.models.caption.configuration_caption import RnnCaptionConfig
from rnn_hub.models.caption.modeling_caption import RnnForCaptioning
from rnn_hub.models.caption.processing_caption import CaptionProcessor, VideoCaptionProcessor
from rnn_hub.models.vision.configuration_vision import RnnVisionConfig

SIDE = 32
COLOURS = ("red", "green", "blue", "yellow")
BACKBONE = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic").to_dict()
MOTION = {"conv_channels": [4], "num_channels": 1, "cell_type": "conv_lstm", "hidden_size": 6, "bidirectional": False}
"""A motion network of small gray frames."""


def colour_image(colour: str, size: tuple[int, int] = (40, 30)) -> Image.Image:
    """A picture of one colour with some noise."""
    noise = np.random.default_rng(0).normal(0, 8, (size[1], size[0], 3))
    return Image.fromarray((np.asarray(Image.new("RGB", size, colour)) + noise).clip(0, 255).astype(np.uint8))


def tiny_processor() -> CaptionProcessor:
    """Images of 32 x 32, and the words of captions of colours."""
    texts = [f"a {colour} picture of the colour" for colour in COLOURS]
    return CaptionProcessor(
        EfficientNetImageProcessorPil(size={"height": SIDE, "width": SIDE}, include_top=False),
        train_tokenizer(texts, 40, model_type="word", lowercase=True, model_max_length=12),
    )


def tiny_captioner(**options: object) -> RnnForCaptioning:
    """A random model in evaluation mode, with weights large enough that a wrong state changes what it writes."""
    torch.manual_seed(1)
    sizes = {"vocab_size": 40, "embedding_size": 12, "encoder_hidden_size": 12, "decoder_hidden_size": 16}
    fields = {"initializer_range": 1.0, "backbone": BACKBONE, "feature_size": 16, "unk_token_id": 1}
    model = RnnForCaptioning(RnnCaptionConfig(**{**sizes, **fields, **options}))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if any(part in name for part in ("stack", "decoder", "bridge", "project")):
                parameter.mul_(1.7)
    return model.eval()


def write_pictures(folder: Path) -> Path:
    """A data set of coloured pictures with two captions each, 8 to train on and 4 to validate."""
    for split, images in {"train": 2, "validation": 1}.items():
        rows = [
            {
                "image": colour_image(colour, (40 + number, 30)),
                "captions": [f"A {colour} picture .", f"Picture of the colour {colour} ."],
            }
            for number in range(images)
            for colour in COLOURS
        ]
        features = Features({"image": ImageColumn(), "captions": [Value("string")]})
        folder.mkdir(parents=True, exist_ok=True)
        Dataset.from_list(rows, features=features).to_parquet(folder / f"{split}.parquet")
    return folder


def write_backbone(folder: Path) -> Path:
    """The tiny backbone with random weights, and its image processor."""
    torch.manual_seed(0)
    AutoModel.from_config(AutoConfig.for_model(**BACKBONE)).save_pretrained(folder)
    tiny_processor().image_processor.save_pretrained(folder)
    return folder


def recipe(folder: Path, **training: object) -> dict:
    """A recipe that trains on these in seconds."""
    return {
        "task": "image-to-text",
        "name": "tiny-captions",
        "dataset": {"path": str(write_pictures(folder / "data")), "backbone": str(write_backbone(folder / "backbone"))},
        "tokenizer": {"vocab_size": 20, "max_length": 8},
        "model": {"encoder_hidden_size": 16, "decoder_hidden_size": 24, "embedding_size": 12},
        "training": {
            "output_dir": str(folder / "run"),
            "num_train_epochs": 120,
            "learning_rate": 0.01,
            "per_device_train_batch_size": 4,
            "eval_strategy": "no",
            **training,
        },
        "generation": {"num_beams": 2, "max_new_tokens": 8},
    }


def write_captioner(folder: Path) -> Path:
    """A model folder, in a folder of such, whose model says what colour a picture has."""
    processor, model = tiny_processor(), tiny_captioner(initializer_range=0.1)
    captions = [f"a {colour} picture" for colour in COLOURS]
    batch = processor([colour_image(colour) for colour in COLOURS], captions)
    optimizer = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), 0.02)
    model.train()
    for _ in range(100):
        optimizer.zero_grad()
        model(**batch).loss.backward()
        optimizer.step()
    model.generation_config.update(max_new_tokens=8, num_beams=2)
    target = folder / "tiny-captioning"
    model.eval().save_pretrained(target)
    processor.save_pretrained(target)
    (target / "recipe.yaml").write_text("task: image-to-text\n", encoding="utf-8")
    return folder


def write_clip_captioner(folder: Path) -> Path:
    """The same for clips, whose model knows nothing yet."""
    images, model = tiny_processor(), tiny_captioner(motion=RnnVisionConfig(**MOTION, pooling="last").to_dict())
    clips = {"size": {"height": 16, "width": 16}, "do_grayscale": True, "num_frames": 6}
    model.generation_config.update(max_new_tokens=6, min_new_tokens=4, num_beams=2)
    target = folder / "tiny-clip-captioning"
    model.save_pretrained(target)
    VideoCaptionProcessor(images.image_processor, images.tokenizer, clips).save_pretrained(target)
    (target / "recipe.yaml").write_text("task: video-to-text\n", encoding="utf-8")
    return folder
