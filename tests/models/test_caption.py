"""The captioner keeps what every model keeps, learns, looks where it says, and says what is wrong."""

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

from rnn_hub.models.caption.configuration_caption import RnnCaptionConfig
from rnn_hub.models.caption.modeling_caption import RnnForCaptioning, uneven_attention
from rnn_hub.models.caption.processing_caption import CaptionProcessor
from tests.contract import test_generation as contract
from tests.tiny_captions import COLOURS, SIDE, colour_image, tiny_captioner, tiny_processor

KINDS = {
    "attention": {},
    "attention between two layers": {"decoder_num_layers": 2, "attention_layer": 0, "cell_type": "gru"},
    "no attention": {"attention_type": None},
    "input feeding": {"input_feeding": True, "cell_type": "elman"},
}


@pytest.fixture(params=KINDS.values(), ids=KINDS.keys())
def model(request) -> RnnForCaptioning:
    return tiny_captioner(**request.param)


@pytest.fixture
def batch() -> dict[str, Tensor]:
    torch.manual_seed(4)
    return {"pixel_values": torch.randn(3, 3, SIDE, SIDE)}


test_cached_equals_uncached = contract.test_cached_equals_uncached
test_reported_scores_equal_teacher_forced = contract.test_reported_scores_equal_teacher_forced_log_probabilities
test_resumed_from_a_cache_equals_at_once = contract.test_resumed_from_a_cache_equals_at_once
test_the_cache_takes_any_number_of_tokens = contract.test_the_cache_takes_any_number_of_tokens_at_a_time
test_two_threads_equal_one_after_the_other = contract.test_two_threads_at_once_equal_one_after_the_other
test_a_streamer_sees_the_tokens_that_are_returned = contract.test_a_streamer_sees_the_tokens_that_are_returned


@pytest.mark.parametrize("search", [{}, {"num_beams": 3, "num_return_sequences": 2}])
def test_a_batch_equals_each_image_alone(model, batch, search):
    together = contract.generate(model, batch, **search)
    alone = [contract.generate(model, {"pixel_values": image[None]}, **search) for image in batch["pixel_values"]]
    for one, other in zip(together, torch.cat(alone), strict=True):
        assert torch.equal(*(ids[: 1 + contract.real_tokens(model, ids[1:]).sum()] for ids in (one, other)))


def test_features_give_what_their_images_give(model, batch):
    features = model.encoder.extract(batch["pixel_values"])
    assert features.shape == (3, 16, 16)
    for search in ({}, {"num_beams": 3}):
        expected = contract.generate(model, batch, **search)
        assert torch.equal(contract.generate(model, {"features": features}, **search), expected)
    labels = torch.randint(4, 40, (3, 6))
    torch.testing.assert_close(model(features=features, labels=labels).loss, model(**batch, labels=labels).loss)


def test_several_captions_of_an_image_stand_together(batch):
    model, labels = tiny_captioner(), torch.randint(4, 40, (6, 6))
    repeated = {"pixel_values": batch["pixel_values"].repeat_interleave(2, dim=0)}
    torch.testing.assert_close(model(**batch, labels=labels).logits, model(**repeated, labels=labels).logits)


def test_saved_equals_loaded_with_its_processor(model, batch, tmp_path):
    model.save_pretrained(tmp_path)
    processor = tiny_processor()
    processor.save_pretrained(tmp_path)
    loaded = AutoModelForImageTextToText.from_pretrained(tmp_path)
    assert type(loaded) is RnnForCaptioning and type(AutoConfig.from_pretrained(tmp_path)) is RnnCaptionConfig
    assert torch.equal(contract.generate(loaded, batch), contract.generate(model, batch))
    again = AutoProcessor.from_pretrained(tmp_path)
    assert isinstance(again, CaptionProcessor)
    image = colour_image("red")
    assert torch.equal(again([image])["pixel_values"], processor(image)["pixel_values"])
    assert again.decode(again(text=["a red picture"])["labels"][0]) == "a red picture"


def test_a_tiny_model_learns_to_tell_images_apart():
    processor, model = tiny_processor(), tiny_captioner(initializer_range=0.1, attention_penalty=0.1)
    captions = [f"a {colour} picture" for colour in COLOURS]
    batch = processor([colour_image(colour) for colour in COLOURS], captions)
    optimizer = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), 0.02)
    for _ in range(80):
        model.train()
        optimizer.zero_grad()
        model(**batch).loss.backward()
        optimizer.step()
    model.eval()
    for search in ({}, {"num_beams": 3}):
        ids = contract.generate(model, {"pixel_values": batch["pixel_values"]}, **search)
        assert [processor.decode(row) for row in ids] == captions


def test_a_frozen_backbone_does_not_move_and_a_free_one_does(batch):
    for frozen in (True, False):
        model = tiny_captioner(freeze_backbone=frozen).train()
        before = {name: value.clone() for name, value in model.encoder.backbone.state_dict().items()}
        model(**batch, labels=torch.randint(4, 40, (3, 5))).loss.backward()
        gradients = [parameter.grad is not None for parameter in model.encoder.backbone.parameters()]
        statistics = all(
            torch.equal(value, before[name]) for name, value in model.encoder.backbone.state_dict().items()
        )
        assert (not any(gradients), statistics) == (frozen, frozen)


def test_unknown_words_are_no_targets(batch):
    model, labels = tiny_captioner(), torch.tensor([[5, 1, 7, 3]] * 3)
    logits = model(**batch, labels=labels).logits.log_softmax(-1)
    expected = -sum(logits[:, place, labels[0, place]].sum() for place in (0, 2, 3)) / 12
    torch.testing.assert_close(model(**batch, labels=labels).loss, expected)


def test_scheduled_sampling_takes_several_captions_of_an_image(batch):
    model = tiny_captioner(scheduled_sampling=0.5).train()
    loss = model(**batch, labels=torch.randint(4, 40, (6, 6))).loss
    loss.backward()
    assert torch.isfinite(loss) and model.embeddings.weight.grad.any()


def test_even_attention_costs_nothing():
    real = torch.ones(2, 4)
    even = torch.full((2, 4, 8), 1 / 8)
    one_region = torch.eye(8)[:1].expand(2, 4, 8)
    assert uneven_attention(even, real) == pytest.approx(0)
    assert uneven_attention(one_region, real) == pytest.approx(2 * (3.5**2 + 7 * 0.5**2))
    longer = torch.cat([even, one_region], dim=1)
    assert uneven_attention(longer, torch.cat([real, torch.zeros(2, 4)], dim=1)) == pytest.approx(0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention_penalty": -1}, "must not be negative"),
        ({"attention_penalty": 1.0, "attention_type": None}, "attention_penalty needs an attention"),
        ({"backbone": {"depth": 3}}, "backbone lacks 'model_type'"),
        ({"share_embeddings": True}, "no source embeddings to share"),
        ({"bridge": "copy"}, "bridge 'copy' needs a recurrent encoder"),
        ({"feature_dropout": 1.0}, r"feature_dropout must be in \[0, 1\)"),
    ],
)
def test_wrong_configurations_say_what_to_write(options, message):
    with pytest.raises(Exception, match=message):
        RnnCaptionConfig(**options)


def test_missing_inputs_are_told(batch):
    model = tiny_captioner(backbone=None)
    with pytest.raises(ValueError, match="no backbone: pass features"):
        model(**batch, labels=torch.randint(4, 40, (3, 5)))
    with pytest.raises(ValueError, match="either pixel_values or features"):
        model(labels=torch.randint(4, 40, (3, 5)))
