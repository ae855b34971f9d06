"""A model of videos with random weights, in a folder as released models have it."""

from pathlib import Path


def write_model(folder: Path, **options: object) -> Path:
    """A folder of one model folder, whose labels are what a camera does."""
    import torch

    from rnn_hub import RnnForVideoClassification, RnnVisionConfig
    from rnn_hub.data.camera_motion import MOTIONS
    from rnn_hub.data.labels import number_labels
    from rnn_hub.models.vision.video_processing_vision import RnnVideoProcessor

    torch.manual_seed(0)
    sizes = {"conv_channels": [4, 8], "conv_grid": [2, 2], "feature_size": 8, "hidden_size": 8}
    model = RnnForVideoClassification(RnnVisionConfig(**{**sizes, **number_labels(MOTIONS), **options}))
    model.save_pretrained(folder / "rnn-video-motion-wild")
    RnnVideoProcessor(size={"height": 32, "width": 40}).save_pretrained(folder / "rnn-video-motion-wild")
    recipe = folder / "rnn-video-motion-wild" / "recipe.yaml"
    recipe.write_text("task: video-classification\n", encoding="utf-8")
    return folder
