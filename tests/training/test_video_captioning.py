"""A recipe of photographs trains a captioner of clips, which starts from one of images and describes video files."""

import numpy as np
import pytest
import torch
import yaml

from rnn_hub.cli import main
from rnn_hub.data.camera_motion import MOTIONS
from rnn_hub.data.captions import CAMERA, part_caption
from rnn_hub.models.vision.configuration_vision import RnnVisionConfig
from rnn_hub.models.vision.modeling_vision import RnnForVideoClassification
from rnn_hub.models.vision.video_processing_vision import RnnVideoProcessor
from rnn_hub.pipelines import pipeline
from rnn_hub.tasks import load_task
from rnn_hub.tasks.video_captioning import take_over
from rnn_hub.training.recipes import load_recipe
from rnn_hub.training.run import load_results, train
from tests.contract.test_generation import generate
from tests.tiny_captions import COLOURS, MOTION, SIDE, colour_image, recipe, tiny_captioner, tiny_processor
from tests.videos import write_sound, write_video


def clip_recipe(root, **training):
    torch.manual_seed(0)
    config = RnnVisionConfig(**MOTION, pooling="last", id2label=dict(enumerate(MOTIONS)))
    RnnForVideoClassification(config).save_pretrained(root / "motion")
    size = {"height": 16, "width": 16}
    RnnVideoProcessor(size=size, do_grayscale=True, do_standardize=True, num_frames=6).save_pretrained(root / "motion")
    values = recipe(root, **training)
    more = {"motion": str(root / "motion"), "clip_size": 24, "num_frames": 6}
    return {**values, "task": "video-to-text", "dataset": {**values["dataset"], **more}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips")
    values = clip_recipe(root, save_strategy="epoch", num_train_epochs=60)
    values["tokenizer"] = {"vocab_size": 40, "max_length": 14}
    values["generation"] = {"num_beams": 2, "max_new_tokens": 14}
    (root / "recipe.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNN_HUB_CACHE", str(root / "cache"))
        train(load_recipe(root / "recipe.yaml"))
        yield root / "run"


@pytest.fixture(scope="module")
def describe(folder):
    return pipeline("video-to-text", model=folder, device="cpu")


def frames(colour, count=8):
    return [np.asarray(colour_image(colour))] * count


def test_it_describes_clips_one_or_many_of_any_length(describe, tmp_path):
    paths = [write_video(tmp_path / f"{c}.mp4", frames(c, 3 + 5 * n)) for n, c in enumerate(COLOURS)]
    alone = [describe(str(path))[0] for path in paths]
    assert describe([str(path) for path in paths], batch_size=4) == alone
    assert describe(np.stack(frames("red"))) == describe([frames("red")])
    seen, motion = part_caption(alone[0]["generated_text"])
    assert seen.split()[-1] in (*COLOURS, "picture") and motion in {
        phrase.removeprefix("while the camera ") for phrase in CAMERA.values()
    }


def test_attention_is_over_the_middle_frame_and_the_frames(describe):
    (record,) = describe(np.stack(frames("blue")), return_attention=True, return_scores=True)
    words = len(record["words"])
    assert record["attention"].shape == (words, 4, 4) and record["frame_attention"].shape == (words, 6)
    total = record["attention"].sum((1, 2)) + record["frame_attention"].sum(1)
    assert total == pytest.approx(np.ones(words), abs=1e-5)


def test_the_command_line_describes_clips_and_refuses_what_is_none(folder, tmp_path, capsys):
    path = write_video(tmp_path / "clip.mp4", frames("green"))
    assert main(["predict", str(folder), str(path)]) == 0
    assert "while the camera" in capsys.readouterr().out
    (tmp_path / "text.mp4").write_text("no video")
    write_sound(tmp_path / "sound.mp4")
    for name, message in [("text.mp4", "cannot be read as a video"), ("sound.mp4", "holds no video, only sound")]:
        assert main(["predict", str(folder), str(tmp_path / name)]) == 2
        assert message in capsys.readouterr().err


def test_evaluation_parts_what_is_seen_from_what_the_camera_does(folder, capsys):
    assert main(["evaluate", str(folder), "--split", "validation"]) == 0
    assert '"motion_accuracy": ' in capsys.readouterr().out
    assert load_results(folder)["task"] == "video-to-text"
    task = load_task("video-to-text")
    references = [["a dog runs while the camera zooms in", "the dog while the camera zooms in"]] * 4
    said = ["a dog runs while the camera zooms out", "a dog runs while the camera zooms in", "a dog runs", ""]
    assert task.score(said, references, None).values["motion_accuracy"] == 25
    assert task.score(said[:3], references[:3], None).values["bleu_1"] == pytest.approx(100)


def test_padded_frames_change_nothing():
    motion = RnnVisionConfig(**MOTION, pooling="last").to_dict()
    model = tiny_captioner(motion=motion)
    image, clip = torch.randn(2, 3, SIDE, SIDE), torch.randn(2, 5, 1, 16, 16)
    padded = torch.cat([clip, torch.randn(2, 3, 1, 16, 16)], dim=1)
    mask = torch.tensor([[1] * 5 + [0] * 3] * 2)
    batch = {"pixel_values": image, "clip_values": clip}
    more = {"pixel_values": image, "clip_values": padded, "clip_mask": mask}
    labels = torch.randint(4, 40, (2, 6))
    torch.testing.assert_close(model(**more, labels=labels).loss, model(**batch, labels=labels).loss)
    for search in ({}, {"num_beams": 3}):
        assert torch.equal(generate(model, more, **search), generate(model, batch, **search))
    features = {"features": model.encoder.extract(image), "motion_features": model.encoder.watch(clip)}
    assert torch.equal(generate(model, features, num_beams=3), generate(model, batch, num_beams=3))
    encoded, ids = model.encoder(**more), torch.tensor([[2, 5]] * 2)
    expected = model(**more, decoder_input_ids=ids).logits
    for given in (encoded, encoded.to_tuple()):
        torch.testing.assert_close(model(encoder_outputs=given, decoder_input_ids=ids).logits, expected)
    with pytest.raises(ValueError, match="either clip_values or motion_features"):
        model(pixel_values=image, labels=labels)


def test_a_captioner_of_clips_starts_as_one_of_images():
    motion = RnnVisionConfig(**MOTION, pooling="last").to_dict()
    start, model = tiny_captioner(decoder_hidden_size=20), tiny_captioner(motion=motion, decoder_hidden_size=20)
    words = tiny_processor().tokenizer
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    take_over(model, words, start, tiny_processor())
    known = list(words.get_vocab().values())
    assert torch.equal(model.embeddings.weight[known], start.embeddings.weight[known])
    assert torch.equal(model.decoder.combine.weight, start.decoder.combine.weight)
    assert torch.equal(model.encoder.project.weight, start.encoder.project.weight)
    assert not model.encoder.project_motion.weight.any()
