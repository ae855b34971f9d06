"""Features of a frozen network on the disk, so that its work on an image or a clip is done once."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import ImageOps
from torch import Tensor, nn

from rnn_hub.data.images import read_image

SUFFIX = ".npy"


class FeatureCache:
    """One file for each item, what is no whole number in half precision; processes may share it.

    Args:
        network: what the features depend on besides the item, as `fingerprint` says it.
        folder: where the caches of all networks lie; by default `RNN_HUB_CACHE`, else `~/.cache/rnn_hub`.
    """

    def __init__(self, network: str, folder: str | Path | None = None):
        root = folder or os.environ.get("RNN_HUB_CACHE") or Path.home() / ".cache" / "rnn_hub"
        self.folder = Path(root) / "features" / network

    def get(self, key: str) -> Tensor | None:
        """The features of an item, or None where they are not known."""
        try:
            return torch.from_numpy(np.load(self._file(key)))
        except FileNotFoundError:
            return None

    def put(self, key: str, features: Tensor) -> None:
        """Keeps an item's features; a reader sees all of them or none."""
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f".{key}.{os.getpid()}"
        with open(partial, "wb") as file:
            features = features.detach().cpu()
            np.save(file, (features.half() if features.is_floating_point() else features).numpy())
        os.replace(partial, self._file(key))

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}{SUFFIX}"


def content_key(content: bytes, *settings: object) -> str:
    """The name of an item: a hash of its bytes and of what was done to it."""
    return hashlib.blake2b(content + repr(settings).encode(), digest_size=16).hexdigest()


def fingerprint(network: nn.Module, *settings: object) -> str:
    """A hash of a network's weights and of further settings, such as those of its image processor."""
    digest = hashlib.blake2b(repr(settings).encode(), digest_size=8)
    for name, value in network.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


class ImageFeatures:
    """The features of images, from a cache where they are known.

    Args:
        extract: images as pixels (B, 3, H, W) -> features (B, ...).
        image_processor: images -> pixels.
        cache: where features are looked up, and kept.
        keep: whether new features are kept; reading does not need it.
    """

    def __init__(
        self, extract: Callable[[Tensor], Tensor], image_processor: Any, cache: FeatureCache, keep: bool = True
    ):
        self.extract, self.image_processor = extract, image_processor
        self.cache, self.keep = cache, keep

    @torch.no_grad()
    def __call__(self, images: Sequence[Any], mirrored: Sequence[bool] | None = None) -> Tensor:
        """The features (B, ...) in single precision of images, each as `read_image` takes it, some mirrored."""
        mirrored = [False] * len(images) if mirrored is None else mirrored
        keys = [self._key(*item) for item in zip(images, mirrored, strict=True)]
        known = [key and self.cache.get(key) for key in keys]
        missing = [index for index, features in enumerate(known) if features is None]
        if missing:
            fresh = self.extract(self.pixels([images[i] for i in missing], [mirrored[i] for i in missing])).half()
            for index, features in zip(missing, fresh, strict=True):
                known[index] = features
                if self.keep and keys[index]:
                    self.cache.put(keys[index], features)
        return torch.stack(known).float()

    def pixels(self, images: Sequence[Any], mirrored: Sequence[bool]) -> Tensor:
        """Images as the network sees them (B, 3, H, W)."""
        read = [read_image(image) for image in images]
        turned = [ImageOps.mirror(image) if flip else image for image, flip in zip(read, mirrored, strict=True)]
        return self.image_processor(turned, return_tensors="pt")["pixel_values"]

    @staticmethod
    def _key(image: Any, mirrored: bool) -> str | None:
        """An item's name; None for an image that is not given as a file's bytes."""
        content = image.get("bytes") if isinstance(image, Mapping) else image
        return content_key(content, mirrored) if isinstance(content, bytes) else None


class ClipFeatures:
    """The features of clips of a camera over photographs, from a cache where they are known.

    Args:
        extract: clips (T, H, W, 3) of uint8 -> features (B, S, C) of their middle frames, and (B, T, M) of the motion.
        cache: where they are looked up, and kept.
        size: height and width, num_frames: of the clips that are made.
        keep: whether new features are kept.
    """

    def __init__(
        self,
        extract: Callable[[list[np.ndarray]], tuple[Tensor, Tensor]],
        cache: FeatureCache,
        size: int,
        num_frames: int,
        keep: bool = True,
    ):
        self.extract, self.cache, self.keep = extract, cache, keep
        self.size, self.num_frames = {"height": size, "width": size}, num_frames

    @torch.no_grad()
    def __call__(self, clips: Sequence[Any]) -> dict[str, Tensor]:
        """`features` and `motion_features`, in single precision, of clips, each a `CameraClip`."""
        keys = [content_key(clip.photograph, *clip[1:], self.size, self.num_frames) for clip in clips]
        known = [(self.cache.get(key), self.cache.get(f"{key}-motion")) for key in keys]
        missing = [index for index, parts in enumerate(known) if any(part is None for part in parts)]
        if missing:
            made = [clips[index].frames(self.size, self.num_frames)[0] for index in missing]
            for index, *parts in zip(missing, *(part.half() for part in self.extract(made)), strict=True):
                known[index] = parts
                if self.keep:
                    self.cache.put(keys[index], parts[0])
                    self.cache.put(f"{keys[index]}-motion", parts[1])
        features, motion = (torch.stack(parts).float() for parts in zip(*known, strict=True))
        return {"features": features, "motion_features": motion}
