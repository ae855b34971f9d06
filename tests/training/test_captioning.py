"""A recipe of images trains a captioner on cached features, and its folder describes images."""

import pytest
import torch
import yaml
from transformers import AutoModel
from transformers import pipeline as transformers_pipeline

from rnn_hub.cli import main
from rnn_hub.errors import RnnHubError
from rnn_hub.pipelines import pipeline
from rnn_hub.tasks import load_task
from rnn_hub.training.recipes import load_recipe
from rnn_hub.training.run import load_results, train
from tests.tiny_captions import COLOURS, colour_image, recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model folder, and beside it the cache of features that its training filled."""
    root = tmp_path_factory.mktemp("captions")
    (root / "recipe.yaml").write_text(yaml.safe_dump(recipe(root, save_strategy="epoch")), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNN_HUB_CACHE", str(root / "cache"))
        train(load_recipe(root / "recipe.yaml"))
        yield root / "run"


@pytest.fixture(scope="module")
def describe(folder):
    return pipeline("image-to-text", model=folder, device="cpu")


def says(record: dict, colour: str) -> bool:
    return record["generated_text"] in (f"a {colour} picture", f"picture of the colour {colour}")


def test_it_describes_images_one_or_many(describe):
    images = [colour_image(colour) for colour in COLOURS]
    alone = [describe(image)[0] for image in images]
    assert all(says(record, colour) for record, colour in zip(alone, COLOURS, strict=True))
    assert describe(images, batch_size=3) == alone
    assert describe([]) == []


def test_features_are_computed_once_for_an_image_and_its_mirror_image(folder):
    files = list((folder.parent / "cache").rglob("*.npy"))
    assert len(files) == 2 * len(list(COLOURS)) * 2
    task, recipe = load_task("image-to-text"), load_recipe(folder.parent / "recipe.yaml")
    rows = task.load(recipe.dataset, "train")
    _, processor = task.load_model(str(folder))
    collate = task.build_collator(processor, recipe.dataset, recipe.tokenizer, training=True)
    collate.features.extract = None  # nothing is left to compute
    batch = collate(list(rows))
    assert batch["features"].shape == (8, 16, 16)
    assert batch["labels"].shape == (16, 6)


def test_evaluation_gives_what_the_pipeline_gives(folder, describe, capsys):
    assert main(["evaluate", str(folder), "--split", "validation", "--output", str(folder.parent / "said.txt")]) == 0
    expected = [describe(colour_image(colour))[0]["generated_text"] for colour in COLOURS]
    assert (folder.parent / "said.txt").read_text(encoding="utf-8").splitlines() == expected
    assert '"bleu_4": ' in capsys.readouterr().out
    assert load_results(folder)["task"] == "image-to-text"


def test_scores_and_attention_come_with_the_words(describe):
    (records,) = describe(
        [colour_image("red")], num_beams=3, num_return_sequences=2, return_scores=True, return_attention=True
    )
    assert records[0]["score"] >= records[1]["score"]
    for record in records:
        assert " ".join(record["words"]) == record["generated_text"]
        assert record["attention"].shape == (len(record["words"]), 4, 4)
        assert record["attention"].sum((1, 2)) == pytest.approx(1)


def test_transformers_own_pipeline_knows_it(folder, describe):
    theirs = transformers_pipeline("rnn-image-to-text", model=str(folder), device="cpu")
    image = colour_image("blue")
    assert theirs(image) == describe(image)


def test_the_command_line_describes_files(folder, tmp_path, capsys):
    names = [str(tmp_path / f"{colour}.png") for colour in COLOURS]
    for name, colour in zip(names, COLOURS, strict=True):
        colour_image(colour).save(name)
    assert main(["predict", str(folder), *names]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(says({"generated_text": line}, colour) for line, colour in zip(lines, COLOURS, strict=True))
    assert main(["predict", str(folder), names[0], "--n-best", "2"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [("text.jpg", b"no picture", "is no image that can be read"), (None, None, "there is no file")],
)
def test_bad_files_are_refused_in_one_line(folder, tmp_path, capsys, name, content, message):
    path = tmp_path / (name or "absent.jpg")
    if content:
        path.write_bytes(content)
    assert main(["predict", str(folder), str(path)]) == 2
    assert message in capsys.readouterr().err
    with pytest.raises(RnnHubError, match="1 is not|not int"):
        pipeline("image-to-text", model=folder)(1)


def test_odd_images_are_described_too(describe):
    transparent = colour_image("red").convert("RGBA")
    transparent.putalpha(200)
    for image in (colour_image("red", (1, 1)), colour_image("red", (900, 20)), transparent):
        assert describe(image)[0]["generated_text"]


def test_wrong_sections_fail_before_any_work(tmp_path):
    wrong = recipe(tmp_path)
    for section, key, value, message in [
        ("model", "attention_penalty", -1.0, "attention_penalty must not be negative"),
        ("dataset", "backbone", "no/such", "cannot load the backbone 'no/such'"),
        ("dataset", "captions", "texts", "has no column 'texts'"),
    ]:
        source = {**wrong, section: {**wrong[section], key: value}}
        (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(source), encoding="utf-8")
        with pytest.raises(RnnHubError, match=message):
            train(load_recipe(tmp_path / "recipe.yaml"))


def test_the_folder_holds_the_pretrained_backbone(folder):
    model, _ = load_task("image-to-text").load_model(str(folder))
    original = AutoModel.from_pretrained(folder.parent / "backbone").state_dict()
    for name, value in model.encoder.backbone.state_dict().items():
        torch.testing.assert_close(value, original[name], rtol=1e-3, atol=1e-4)
