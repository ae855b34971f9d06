"""The video task from a recipe to a model folder: small networks, frozen backbones with kept features, photographs."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import rnn_hub
from rnn_hub.cli import main
from rnn_hub.data.camera_motion import MOTIONS
from rnn_hub.data.features import FeatureCache
from rnn_hub.errors import RnnHubError
from rnn_hub.models.vision.features import ClipReader, encode_video
from rnn_hub.models.vision.video_processing_vision import RnnVideoProcessor
from rnn_hub.tasks import load_task
from rnn_hub.training.recipes import build_recipe
from rnn_hub.training.run import train
from tests import tiny_videos
from tests.models.test_vision import BACKBONES, CNN, build
from tests.videos import picture, write_video

pytest.importorskip("av")
RESNET = {"backbone": BACKBONES["resnet"], "conv_channels": None, "cell_type": "gru", "feature_size": 8}
PLAIN = {"contrast": 0.0, "height": 32, "width": 32}
FEW = {"num_train_epochs": 2}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("RNN_HUB_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="session")
def folder(base):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNN_HUB_CACHE", str(base / "cache"))
        return tiny_videos.model_folder(base)


def test_a_recipe_learns_and_leaves_a_folder_that_pipelines_load(folder, base, capsys) -> None:
    assert tiny_videos.results(folder)["accuracy"] == 100
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "video_preprocessor_config.json", "recipe.yaml", "README.md"} <= names
    assert (
        "a small convolutional network, 1 layer of the cell `conv_lstm` in one direction"
        in (folder / "README.md").read_text()
    )
    video = str(base / "video_corpus" / "test" / "left" / "2.mp4")
    pipe = rnn_hub.pipeline("video-classification", model=folder)
    assert pipe(video)["label"] == "left"
    assert pipe([video], top_k=None)[0][0]["label"] == "left"
    assert main(["predict", str(folder), video, video, "--n-best", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and lines[0].endswith("\tleft") and lines[0] == lines[2]
    assert main(["evaluate", str(folder), "--dataset", str(base / "video_corpus")]) == 0
    metrics = json.loads(capsys.readouterr().out.splitlines()[-1])["metrics"]
    assert metrics == {"accuracy": 100.0, "macro_f1": 100.0}


def test_the_command_refuses_what_is_no_video_in_one_line(folder, tmp_path, capsys) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    for name, message in (("text.mp4", "cannot be read as a video"), ("absent.mp4", "there is no file")):
        assert main(["predict", str(folder), str(tmp_path / name)]) == 2
        error = capsys.readouterr().err.strip()
        assert message in error and "\n" not in error
    assert main(["predict", str(folder), str(tmp_path / "text.mp4"), "--num-beams", "3"]) == 2


def test_the_pipeline_tells_how_a_video_went_on(folder, base) -> None:
    pipe = rnn_hub.pipeline("video-classification", model=folder)
    video = str(base / "video_corpus" / "test" / "right" / "5.mp4")
    record = pipe(video, return_progress=True)
    progress = torch.tensor(record["progress"])
    assert record["label"] == "right" and progress.shape == (len(record["times"]), 3)
    assert record["score"] == pytest.approx(progress[-1, 1].item(), abs=1e-5)
    assert torch.tensor(record["attention"]).shape == (1, len(record["times"]))
    features = encode_video(pipe.model.frames, pipe.video_processor, video).features
    third = pipe.model(features=features[None, :3]).logits.softmax(dim=-1)[0]
    torch.testing.assert_close(progress[2], third.detach(), atol=1e-5, rtol=1e-4)


def test_photographs_become_clips_of_what_the_camera_does(base, tmp_path) -> None:
    corpus = tiny_videos.write_photographs(base / "photographs")
    sizes = {"tokenizer": {"num_frames": 4, "gray": True, "contrast": 0.0}, "training": FEW}
    result = train(
        build_recipe(tiny_videos.recipe(corpus, tmp_path / "run", dataset={"photographs": "image"}, **sizes))
    )
    assert result["evaluations"][0]["examples"] == 9
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["num_channels"] == 1 and config["num_frames"] == 4
    assert list(config["label2id"]) == list(MOTIONS) or set(config["label2id"]) == set(MOTIONS)
    task = load_task("video-classification")
    dataset = task.dataset_section(path=str(corpus), photographs="image")
    rows = task.load(dataset, "validation")
    assert task.references(rows, dataset) == list(MOTIONS)
    processor = RnnVideoProcessor(size={"height": 16, "width": 24}, num_frames=4)
    clips = [item.frames(processor.size, 4) for item in task.inputs(rows, dataset)]
    again = [item.frames(processor.size, 4) for item in task.inputs(rows, dataset)]
    assert all(np.array_equal(one, other) for (one, _), (other, _) in zip(clips, again, strict=True))
    task.model_fields(rows, dataset)
    collate = task.build_collator(processor, dataset, task.tokenizer_section(), training=True)
    batch = [rows[0]] * 20
    first, second = collate(batch), collate(batch)
    assert len(set(first["labels"].tolist())) > 3 and not torch.equal(first["pixel_values"], second["pixel_values"])


def test_a_frozen_backbone_sees_a_video_once_and_the_result_is_the_same(base, folder, tmp_path, monkeypatch) -> None:
    corpus, seen = base / "video_corpus", []
    encode = ClipReader._make

    def counted(self, video):
        seen.append(video)
        return encode(self, video)

    monkeypatch.setattr(ClipReader, "_make", counted)
    options = {"tokenizer": PLAIN, "model": RESNET, "training": FEW}
    first = train(build_recipe(tiny_videos.recipe(corpus, tmp_path / "first", **options)))
    assert len(seen) == len(set(seen)) == 24  # in two epochs; those of validation have the content of some of them
    second = train(build_recipe(tiny_videos.recipe(corpus, tmp_path / "second", **options)))
    assert len(seen) == 24
    monkeypatch.setattr(FeatureCache, "get", lambda self, key: None)
    monkeypatch.setattr(FeatureCache, "put", lambda self, key, value: None)
    third = train(build_recipe(tiny_videos.recipe(corpus, tmp_path / "third", **options)))
    assert len(seen) > 100
    assert first["evaluations"][0]["metrics"] == second["evaluations"][0]["metrics"]
    assert first["evaluations"][0]["metrics"] == third["evaluations"][0]["metrics"]
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("first", "second", "third")]
    assert weights[0] == weights[1] == weights[2]


def test_what_is_kept_depends_on_content_processor_and_network(base, folder, cache, tmp_path) -> None:
    video = write_video(tmp_path / "clip.mp4", [picture(number) for number in range(9)])
    processor, model = RnnVideoProcessor(size={"height": 32, "width": 32}), build(**CNN)
    frames = ClipReader(processor)(video)
    assert frames.dtype == torch.uint8 and len(list(cache.rglob("*.npy"))) == 1
    assert torch.equal(ClipReader(processor)(video), frames)
    assert torch.equal(ClipReader(processor)(video.read_bytes()), frames)
    assert len(list(cache.rglob("*.npy"))) == 1
    ClipReader(RnnVideoProcessor(size={"height": 32, "width": 40}))(video)
    ClipReader(processor, model.frames)(video)
    ClipReader(processor, build(**{**CNN, "conv_channels": [8, 8]}).frames)(video)
    assert len(list(cache.rglob("*.npy"))) == 4
    write_video(video, [picture(number) for number in range(5)])
    assert len(ClipReader(processor)(video)) == 5
    assert len(ClipReader(processor, keep=False)([picture(0)])) == 1
    assert len(list(cache.rglob("*.npy"))) == 5


def test_frames_are_encoded_in_chunks_as_all_at_once(tmp_path) -> None:
    frames = np.stack([picture(number) for number in range(70)])
    processor = RnnVideoProcessor(size={"height": 16, "width": 16}, sampling="rate", num_frames=None)
    for inputs in (["frames"], ["frames", "pixel_differences"]):
        model = build(**{**CNN, "frame_inputs": inputs})
        encoded = encode_video(model.frames, processor, frames)
        assert len(encoded.times) == 70
        torch.testing.assert_close(encoded.features, model.frames(pixel_values=processor(frames)["pixel_values"])[0])


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"model": {"backbone": "no/such/backbone", "conv_channels": None}}, "cannot load the backbone"),
        ({"model": {"pooling": "median"}}, "unknown pooling"),
        ({"tokenizer": {"sampling": "random"}}, "unknown sampling 'random'"),
        ({"tokenizer": {"widht": 3}}, "did you mean 'width'"),
        ({"dataset": {"label": "mood"}}, "has no column 'mood'"),
        ({"tokenizer": {"stretch": 0.2}, "model": {**RESNET}}, "leave augmentation out"),
    ],
)
def test_a_wrong_recipe_says_what_to_write(base, folder, tmp_path, sections, message) -> None:
    with pytest.raises(RnnHubError, match=message):
        train(build_recipe(tiny_videos.recipe(base / "video_corpus", tmp_path / "run", **sections)))


def test_camera_clips_move_as_their_names_say() -> None:
    from rnn_hub.data.camera_motion import camera_clip

    width = np.linspace(0, 255, 200, dtype=np.uint8)
    across = Image.fromarray(np.stack([np.broadcast_to(width, (200, 200))] * 3, axis=-1))
    down = across.rotate(-90)
    for seed in range(5):
        means = {
            name: camera_clip(photo, name, (32, 48), 8, seed, rough=False).mean(axis=(1, 2, 3))
            for name, photo in (("pan left", across), ("pan right", across), ("pan up", down), ("pan down", down))
        }
        assert means["pan left"][0] - 3 > means["pan left"][-1] and means["pan right"][0] + 3 < means["pan right"][-1]
        assert means["pan up"][0] - 3 > means["pan up"][-1] and means["pan down"][0] + 3 < means["pan down"][-1]
        spread = {
            name: camera_clip(across, name, (32, 48), 8, seed, rough=False).std(axis=(1, 2, 3))
            for name in ("zoom in", "zoom out", "still")
        }
        assert spread["zoom in"][0] > spread["zoom in"][-1] + 1 and spread["zoom out"][0] < spread["zoom out"][-1] - 1
        assert np.ptp(spread["still"]) < 1
        left = camera_clip(across, "rotate left", (32, 32), 8, seed, rough=False).astype(int)
        # the camera turns counterclockwise, the picture clockwise: what was brighter on the right is so below
        lower = left[:, 16:].mean(axis=(1, 2, 3)) - left[:, :16].mean(axis=(1, 2, 3))
        assert lower[-1] > lower[0] + 1
    with pytest.raises(RnnHubError, match="unknown motion 'jump'; choose one of pan left"):
        camera_clip(across, "jump")
