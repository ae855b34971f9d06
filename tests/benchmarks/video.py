"""Seconds and peak memory for a video of 1080p, 10 seconds and 10 minutes long, each in a process of its own.

By default EfficientNet-Lite0 with a recurrent layer, on 16 frames; `--model` takes a model folder. `--cpu-time` divides
the processor's time by the threads, for a machine that is busy otherwise.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
from timing import Costs, arguments, report

CLIP_SECONDS, FPS, REPEATS = 10, 30, 60


def write_clip(path: Path) -> Path:
    """Ten seconds of a moving pattern with noise, H.264 as phones write it."""
    import av

    generator = np.random.default_rng(0)
    noise = generator.integers(0, 40, (1080, 2100, 3), np.uint8)
    ramp = np.linspace(0, 200, 1920, dtype=np.uint8)[None, :, None]
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        for number in range(CLIP_SECONDS * FPS):
            shift = number % 180
            frame = np.ascontiguousarray(noise[:, shift : shift + 1920] + np.roll(ramp, 6 * number, axis=1))
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())
    return path


def repeat(source: Path, path: Path) -> Path:
    """The clip so often after itself that it lasts ten minutes; nothing is encoded again."""
    import av

    with av.open(str(path), "w") as target, av.open(str(source)) as opened:
        template = opened.streams.video[0]
        stream = target.add_stream_from_template(template)
        length = round(Fraction(CLIP_SECONDS) / template.time_base)
        for turn in range(REPEATS):
            opened.seek(0)
            for packet in opened.demux(template):
                if packet.dts is None:
                    continue
                packet.pts, packet.dts, packet.stream = packet.pts + turn * length, packet.dts + turn * length, stream
                target.mux(packet)
    return path


def classify(model: str, paths: list[str]) -> None:
    """Runs in a process of its own: prints the seconds of each video, and the peak memory in megabytes."""
    import torch

    import rnn_hub

    pipe = rnn_hub.pipeline("video-classification", model=model) if model else fresh_pipeline()
    pipe([np.zeros((2, 64, 64, 3), np.uint8)])
    found = []
    for path in paths:
        start, work = time.perf_counter(), time.process_time()
        pipe(path)
        wall, work = time.perf_counter() - start, time.process_time() - work
        found.append({"perf_counter": wall, "process_time": work / torch.get_num_threads()})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"videos": found, "megabytes": peak}))


def fresh_pipeline():
    """A pipeline around EfficientNet-Lite0 and a recurrent network that nobody trained."""
    from rnn_hub import RnnForVideoClassification, RnnVisionConfig
    from rnn_hub.models.backbone.loading import LITE0, load_backbone
    from rnn_hub.models.vision.video_processing_vision import RnnVideoProcessor
    from rnn_hub.pipelines.video_classification import VideoLabelPipeline

    backbone, _ = load_backbone(LITE0)
    config = RnnVisionConfig(backbone=backbone.config.to_dict(), feature_size=128)
    model = RnnForVideoClassification(config, backbone).eval()
    return VideoLabelPipeline(model=model, video_processor=RnnVideoProcessor())


def measure(paths: list[Path], model: str, threads: int) -> dict:
    """What `classify` prints of some videos."""
    command = [sys.executable, __file__, "--child", *map(str, paths), "--model", model, "--threads", str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measures both videos, each in `--rounds` processes."""
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--model", default="", help="a model folder")
    parser.add_argument("--child", nargs="+", help="videos to classify in this process")
    options = parser.parse_args()
    if options.child:
        import torch

        torch.set_num_threads(options.threads)
        classify(options.model, options.child)
        return
    with tempfile.TemporaryDirectory() as folder:
        short = write_clip(Path(folder) / "short.mp4")
        videos = {"10 seconds": short, "10 minutes": repeat(short, Path(folder) / "long.mp4")}
        rounds = [
            {name: measure([path], options.model, options.threads) for name, path in videos.items()}
            for _ in range(options.rounds)
        ]
    times = {name: [turn[name]["videos"][0][options.clock] for turn in rounds] for name in videos}
    peaks = {
        f"peak_megabytes_{name.replace(' ', '_')}": max(turn[name]["megabytes"] for turn in rounds) for name in videos
    }
    report("video of 1080p", Costs(times), "10 seconds", **peaks)


if __name__ == "__main__":
    main()
