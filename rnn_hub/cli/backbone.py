"""``rnn-hub backbone FOLDER``: an ImageNet backbone, as a checkpoint of transformers."""

from __future__ import annotations

import argparse

from rnn_hub.cli.console import quiet


def backbone(options: argparse.Namespace) -> None:
    """Write EfficientNet-Lite0 with its classifier and image processor, in half precision."""
    quiet()
    from rnn_hub.models.backbone.efficientnet_lite import convert_lite0, lite0_processor

    convert_lite0().half().save_pretrained(options.folder)
    lite0_processor().save_pretrained(options.folder)
    print(f"EfficientNet-Lite0 is in {options.folder}")
