"""The vision family: any backbone, any cell, any number of frames, and a clip is what it is alone."""

import numpy as np
import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, AutoModel, AutoModelForVideoClassification, pipeline

from rnn_hub import RnnForVideoClassification, RnnVisionConfig
from rnn_hub.errors import RnnHubError
from rnn_hub.models.vision.frame_encoder import FrameEncoder, difference
from rnn_hub.models.vision.video_processing_vision import RnnVideoProcessor
from tests.videos import picture, write_video

LABELS = {"id2label": {0: "left", 1: "right", 2: "still"}, "label2id": {"left": 0, "right": 1, "still": 2}}
CNN = {"conv_channels": [6, 8], "conv_grid": [2, 2], "feature_size": 12}
SMALL = {"hidden_sizes": [4, 4, 6, 8], "depths": [1, 1, 1, 1]}
BACKBONES = {
    "resnet": {"model_type": "resnet", "embedding_size": 4, **SMALL},
    "resnet as a backbone": {"model_type": "resnet", "embedding_size": 4, "out_features": ["stage3"], **SMALL},
    "convnext": {"model_type": "convnext", **SMALL},
    "mobilenet": {"model_type": "mobilenet_v2", "depth_multiplier": 0.1, "image_size": 32},
    "efficientnet": {
        "model_type": "efficientnet",
        "width_coefficient": 0.1,
        "depth_coefficient": 0.1,
        "hidden_dim": 128,
    },
    "vit": {
        "model_type": "vit",
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 16,
    },
}
MODELS = {
    "attention": CNN,
    "last, gru": {**CNN, "pooling": "last", "cell_type": "gru", "bidirectional": False},
    "mean, no recurrence": {**CNN, "pooling": "mean", "num_layers": 0},
    "max, min_gru": {**CNN, "pooling": "max", "cell_type": "min_gru"},
    "both differences": {**CNN, "frame_inputs": ["frames", "pixel_differences", "feature_differences"]},
    "differences alone": {**CNN, "frame_inputs": ["feature_differences"], "feature_size": None},
    "changes, normalized": {**CNN, "frame_inputs": ["feature_differences", "feature_changes"], "feature_norm": True},
    "pixel differences alone": {**CNN, "frame_inputs": ["pixel_differences"]},
    "conv_lstm": {"conv_channels": [6], "cell_type": "conv_lstm", "pooling": "last", "bidirectional": False},
    "conv_lstm, both ways, two layers": {"conv_channels": [6], "cell_type": "conv_lstm", "num_layers": 2},
    "conv_lstm, layer norm, residual": {
        "conv_channels": [6, 8],
        "cell_type": "conv_lstm",
        "num_layers": 2,
        "layer_norm": True,
        "residual": True,
        "bidirectional": False,
    },
    "conv_lstm over a backbone": {"backbone": BACKBONES["resnet"], "cell_type": "conv_lstm"},
}
LENGTHS = (5, 50, 1, 9)


def build(**options) -> RnnForVideoClassification:
    torch.manual_seed(1)
    config = RnnVisionConfig(**{"hidden_size": 8, "initializer_range": 1.0, **LABELS, **options})
    return RnnForVideoClassification(config).eval()


def clips(lengths=LENGTHS, size=32, channels=3) -> list[torch.Tensor]:
    torch.manual_seed(2)
    return [torch.randn(length, channels, size, size) for length in lengths]


def batch_of(videos) -> dict[str, torch.Tensor]:
    return RnnVideoProcessor().pad(videos)


@pytest.fixture(params=MODELS.values(), ids=MODELS.keys())
def model(request):
    return build(**request.param)


def test_a_clip_is_what_it_is_alone(model) -> None:
    videos = clips(size=16 if model.config.reads_maps else 32)
    with torch.no_grad():
        together = model(**batch_of(videos)).logits
        for video, logits in zip(videos, together, strict=True):
            torch.testing.assert_close(model(pixel_values=video[None]).logits[0], logits, atol=2e-5, rtol=1e-4)


def test_saved_is_loaded_by_the_auto_class(model, tmp_path) -> None:
    model.save_pretrained(tmp_path)
    loaded, info = AutoModelForVideoClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert type(loaded) is type(model) and not info["missing_keys"] and not info["unexpected_keys"]
    batch = batch_of(clips((3, 2)))
    torch.testing.assert_close(loaded.eval()(**batch).logits, model(**batch).logits)


def test_missing_weights_are_drawn_on_their_proper_scale(model, tmp_path) -> None:
    model.save_pretrained(tmp_path, state_dict={"classifier.bias": model.classifier.bias})
    loaded = AutoModelForVideoClassification.from_pretrained(tmp_path).eval()
    assert all(value.isfinite().all() and value.float().abs().max() < 30 for value in loaded.state_dict().values())
    assert loaded(**batch_of(clips((3, 2)))).logits.isfinite().all()


def test_padding_gets_no_gradient_and_all_parameters_get_some(model) -> None:
    model.train()
    batch = batch_of(clips((4, 2, 3)))
    batch["pixel_values"].requires_grad_()
    model(**batch, labels=torch.tensor([0, 1, 2])).loss.backward()
    trained = {name: part for name, part in model.named_parameters() if part.requires_grad}
    missing = [name for name, part in trained.items() if part.grad is None and "norms.1" not in name]
    assert not missing and all(part.grad.isfinite().all() for part in trained.values() if part.grad is not None)
    if not model.config.backbone:
        assert not batch["pixel_values"].grad[batch["attention_mask"] == 0].any()


@pytest.mark.parametrize("backbone", BACKBONES.values(), ids=BACKBONES.keys())
def test_any_backbone_of_transformers(backbone, tmp_path) -> None:
    model = build(backbone=backbone, feature_size=8)
    batch = batch_of(clips((3, 2)))
    logits = model(**batch).logits
    model.save_pretrained(tmp_path)
    loaded = AutoModelForVideoClassification.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(loaded(**batch).logits, logits)


@pytest.mark.parametrize("kind", ["backbone", "cnn"])
def test_every_real_frame_is_seen_once_and_padding_never(kind, monkeypatch) -> None:
    model = build(backbone=BACKBONES["resnet"]) if kind == "backbone" else build(**CNN)
    module, seen = model.frames.backbone if kind == "backbone" else model.frames.cnn, []
    real = module.forward

    def count(*frames, **kwargs):
        seen.append(len(kwargs["pixel_values"] if kwargs else frames[0]))
        return real(*frames, **kwargs)

    monkeypatch.setattr(module, "forward", count)
    model(**batch_of(clips()))
    assert sum(seen) == sum(LENGTHS) and max(seen) <= (32 if kind == "backbone" else sum(LENGTHS))


def test_a_frozen_backbone_stays_as_it_is_and_a_tuned_one_learns() -> None:
    for frozen in (True, False):
        model = build(backbone=BACKBONES["resnet"], freeze_backbone=frozen).train()
        before = {name: value.clone() for name, value in model.frames.state_dict().items()}
        optimizer = torch.optim.SGD([part for part in model.parameters() if part.requires_grad], lr=0.1)
        model(**batch_of(clips((3, 2))), labels=torch.tensor([0, 1])).loss.backward()
        optimizer.step()
        same = [torch.equal(value, before[name]) for name, value in model.frames.state_dict().items()]
        assert all(same) if frozen else not all(same)


def test_features_that_come_ready_give_the_same() -> None:
    for options in ({**CNN, "frame_inputs": ["frames", "feature_differences"]}, MODELS["conv_lstm"]):
        model, batch = build(**options), batch_of(clips((4, 2)))
        features = model.frames(pixel_values=batch["pixel_values"], mask=batch["attention_mask"])
        ready = model(features=features, attention_mask=batch["attention_mask"]).logits
        torch.testing.assert_close(ready, model(**batch).logits)
    only = build(input_size=features.shape[-1])
    assert only(features=features.mean(dim=(2, 3)), attention_mask=batch["attention_mask"]).logits.shape == (2, 3)
    with pytest.raises(ValueError, match="no network for frames"):
        only(**batch)


def test_a_pretrained_backbone_can_be_given() -> None:
    backbone = AutoModel.from_config(AutoConfig.for_model(**BACKBONES["resnet"])).eval()
    config = RnnVisionConfig(backbone=backbone.config.to_dict(), hidden_size=8, **LABELS)
    model = RnnForVideoClassification(config, backbone).eval()
    (video,) = clips((3,))
    expected = backbone(pixel_values=video).pooler_output.flatten(1)
    torch.testing.assert_close(model.frames(video[None])[0], expected)
    maps = FrameEncoder(config, backbone, maps=True).eval()(video[None])
    torch.testing.assert_close(maps[0].mean(dim=(1, 2)), expected, atol=1e-5, rtol=1e-4)


def test_differences_begin_with_zero_and_skip_padding() -> None:
    x = torch.tensor([[[1.0], [3.0], [9.0]], [[5.0], [6.0], [0.0]]])
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]]).bool()
    assert difference(x, mask)[..., 0].tolist() == [[0, 2, 6], [0, 1, 0]]


def test_attention_looks_at_real_frames_only() -> None:
    model, batch = build(**CNN, attention_hops=2), batch_of(clips((4, 2)))
    weights = model(**batch, output_attentions=True).attentions[0]
    assert weights.shape == (2, 2, 4) and not weights[1, :, 2:].any()
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 2))
    with pytest.raises(ValueError, match="no attention to return"):
        build(**CNN, pooling="mean")(**batch, output_attentions=True)


def test_only_a_recurrent_network_sees_the_order_of_frames() -> None:
    (video,) = clips((6,))
    for name, differs in (("mean, no recurrence", False), ("attention", True), ("conv_lstm", True)):
        model = build(**MODELS[name])
        forwards, backwards = (model(pixel_values=x[None]).logits for x in (video, video.flip(0)))
        assert torch.allclose(forwards, backwards, atol=1e-5) is not differs


def test_a_tiny_model_learns_which_way_a_square_moves() -> None:
    processor = RnnVideoProcessor(size={"height": 16, "width": 24}, do_standardize=True)
    videos, labels = [], []
    for start in range(8):
        frames = [picture(start + 4 * number, 16, 48) for number in range(6)]
        videos += [np.stack(frames[::-1]), np.stack(frames), np.stack(frames[:1] * 6)]
        labels += [0, 1, 2]
    batch = processor(videos)
    assert batch["pixel_values"].shape == (24, 6, 3, 16, 24)
    model = build(conv_channels=[8, 8], cell_type="conv_lstm", hidden_size=12, pooling="last", bidirectional=False)
    optimizer = torch.optim.Adam(model.train().parameters(), lr=0.01)
    for _ in range(60):
        loss = model(**batch, labels=torch.tensor(labels)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (model.eval()(**batch).logits.argmax(dim=-1) == torch.tensor(labels)).all()


def test_a_video_without_a_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="row 1 of the batch holds only padding"):
        build(**CNN)(pixel_values=torch.zeros(2, 3, 3, 16, 16), attention_mask=torch.tensor([[1, 1, 0], [0, 0, 0]]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({**CNN, "input_size": 3}, "give one of backbone, conv_channels, input_size"),
        ({"backbone": {"hidden_sizes": [3]}}, "lacks 'model_type'"),
        ({**CNN, "pooling": "median"}, "unknown pooling 'median'"),
        ({**CNN, "frame_inputs": ["sound"]}, "unknown frame input 'sound'"),
        ({"input_size": 3, "frame_inputs": ["pixel_differences"]}, "trained on them: conv_channels"),
        ({**CNN, "cell_type": "conv_lstm"}, "reads maps: leave feature_size"),
        ({**CNN, "num_layers": 0, "pooling": "last"}, "no last state"),
        ({**CNN, "conv_grid": [2]}, "conv_grid is rows and columns"),
        ({**CNN, "hiden_size": 3}, "did you mean 'hidden_size'"),
    ],
)
def test_a_wrong_configuration_says_what_to_write(options, message) -> None:
    with pytest.raises((ValueError, StrictDataclassError)) as caught:
        RnnVisionConfig(**options)
    assert message in f"{caught.value} {caught.value.__cause__}"


def test_the_pipeline_of_transformers_works_unchanged(tmp_path) -> None:
    pytest.importorskip("av")
    model = build(**CNN)
    model.save_pretrained(tmp_path / "model")
    RnnVideoProcessor(size={"height": 32, "width": 32}, num_frames=4).save_pretrained(tmp_path / "model")
    path = write_video(tmp_path / "clip.mp4", [picture(number) for number in range(20)])
    pipe = pipeline("video-classification", model=str(tmp_path / "model"))
    records = pipe(str(path))
    expected = model(**RnnVideoProcessor(size={"height": 32, "width": 32}, num_frames=4)(path)).logits[0].softmax(-1)
    assert [record["label"] for record in records] == [
        model.config.id2label[n] for n in expected.argsort().tolist()[::-1]
    ]
    assert [record["score"] for record in records] == pytest.approx(sorted(expected.tolist(), reverse=True), abs=1e-5)
    (few,) = pipe([str(path)], num_frames=2, top_k=1)
    assert few[0]["label"] in LABELS["label2id"]


def test_the_processor_is_saved_and_loaded_and_takes_one_video_or_several(tmp_path) -> None:
    processor = RnnVideoProcessor(
        size={"height": 8, "width": 12}, do_grayscale=True, image_mean=[0.2], image_std=[0.1], num_frames=3
    )
    processor.save_pretrained(tmp_path)
    loaded = RnnVideoProcessor.from_pretrained(tmp_path)
    assert loaded.to_dict() == processor.to_dict()
    frames = [picture(number) for number in range(5)]
    one = loaded(frames)
    assert one["pixel_values"].shape == (1, 3, 1, 8, 12)
    several = loaded([np.stack(frames), np.stack(frames[:2])])
    assert several["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    torch.testing.assert_close(several["pixel_values"][0], one["pixel_values"][0])
    assert loaded.read(frames).shape == (3, 8, 12, 1)
    values = one["pixel_values"] * 0.1 + 0.2
    assert values.min() >= 0 and values.max() <= 1.001
    with pytest.raises(RnnHubError, match="image_mean and image_std must have 3 numbers"):
        RnnVideoProcessor(image_mean=[0.2])
    with pytest.raises(RnnHubError, match="a height and a width"):
        RnnVideoProcessor(size={"shortest_edge": 8})
