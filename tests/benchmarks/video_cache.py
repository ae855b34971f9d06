"""Videos a second in training behind a frozen EfficientNet-Lite0: features kept on the disk, and computed each time.

The batches, the recurrent network and the losses are the same.
"""

import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from timing import arguments, interleave, report, seconds
from video import write_clip

VIDEOS, SIZE = 8, (144, 256)


def write_videos(folder: Path) -> list[str]:
    """Two-second clips as those of surveillance_fights are: 256 x 144, 12.5 frames a second."""
    import av

    from rnn_hub.data.video_files import write_mp4

    source, paths = write_clip(folder / "source.mp4"), []
    with av.open(str(source)) as opened:
        frames = [
            frame.reformat(SIZE[1], SIZE[0], format="rgb24").to_ndarray()
            for number, frame in enumerate(opened.decode(video=0))
            if number < 100
        ]
    for number in range(VIDEOS):
        path = folder / f"{number}.mp4"
        write_mp4(path, frames[4 * number : 4 * number + 25], fps=12)
        paths.append(str(path))
    return paths


def main() -> None:
    """One batch of all videos a round, forwards, backwards and a step of the optimizer."""
    options = arguments(__doc__, rounds=5).parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RNN_HUB_CACHE"] = str(Path(folder) / "cache")
        from rnn_hub import RnnForVideoClassification, RnnVisionConfig
        from rnn_hub.data.video_collator import VideoCollator
        from rnn_hub.models.backbone.loading import LITE0, load_backbone
        from rnn_hub.models.vision.features import ClipReader, encode_video
        from rnn_hub.models.vision.video_processing_vision import RnnVideoProcessor

        torch.manual_seed(0)
        rows = [{"video": path, "label": number % 2} for number, path in enumerate(write_videos(Path(folder)))]
        backbone, _ = load_backbone(LITE0)
        config = RnnVisionConfig(backbone=backbone.config.to_dict(), feature_size=128, num_labels=2)
        processor, losses = RnnVideoProcessor(num_frames=16), {}

        def contestant(name: str, kept: bool):
            torch.manual_seed(0)
            model = RnnForVideoClassification(config, backbone).train()
            optimizer = torch.optim.AdamW(part for part in model.parameters() if part.requires_grad)
            read = ClipReader(processor, model.frames) if kept else None

            def row(item: dict) -> tuple[torch.Tensor, int]:
                found = read(item["video"]) if kept else encode_video(model.frames, processor, item["video"]).features
                return found.half().float(), item["label"]

            collate = VideoCollator(row, processor)

            def step() -> None:
                loss = model(**collate(rows)).loss
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.setdefault(name, []).append(loss.item())

            return lambda: seconds(step, options.clock) / VIDEOS

        contestants = {"kept": contestant("kept", True), "computed": contestant("computed", False)}
        costs = interleave(contestants, options.rounds)
        same = bool(np.allclose(losses["kept"], losses["computed"], atol=1e-5))
        report("training behind a frozen backbone, seconds a video", costs, "kept", same_losses=same)


if __name__ == "__main__":
    main()
