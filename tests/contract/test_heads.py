"""What every classifier keeps: a row is what it is alone, in any batch, however padded; saved = loaded; exported."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification

from rnn_hub import RnnClassifierConfig, RnnForSequenceClassification, RnnForTokenClassification

BERT = {"model_type": "bert", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 40}
OVER_BERT = {"encoder": BERT, "stack_over_encoder": True, "freeze_encoder": True, "ignored_token_ids": [2]}
TEXT = {
    "last": {"pooling": "last"},
    "mean, gru": {"pooling": "mean", "cell_type": "gru"},
    "max, sum": {"pooling": "max", "merge": "sum"},
    "attention": {"attention_hops": 3},
    "attention, whole words, characters": {"whole_words": True, "char_features": "cnn", "characters": "abc"},
    "last, whole words, layer norm": {"pooling": "last", "whole_words": True, "layer_norm": True, "num_layers": 2},
    "attention over BERT": {"encoder": BERT, "ignored_token_ids": [2]},
    "last, gru over frozen BERT": {"pooling": "last", "cell_type": "gru", **OVER_BERT},
}
TAGS = {
    "linear": {},
    "crf": {"crf": True},
    "crf, whole words, char cnn": {"crf": True, "whole_words": True, "char_features": "cnn", "characters": "abc"},
    "linear, whole words, char rnn": {"whole_words": True, "char_features": "rnn", "characters": "abc"},
    "crf, one direction, elman": {"crf": True, "bidirectional": False, "cell_type": "elman"},
    "crf over BERT": {"crf": True, "encoder": BERT, "ignored_token_ids": [2]},
    "crf over lstm over frozen BERT, whole words": {"crf": True, "whole_words": True, **OVER_BERT},
}
KINDS = {f"text: {name}": (RnnForSequenceClassification, options) for name, options in TEXT.items()}
KINDS |= {f"tags: {name}": (RnnForTokenClassification, options) for name, options in TAGS.items()}
MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0], [0, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 1]])


def build(model_class: type, **options: object) -> torch.nn.Module:
    """A random model in evaluation mode."""
    torch.manual_seed(1)
    sizes = {"vocab_size": 40, "embedding_size": 12, "hidden_size": 10, "initializer_range": 1.0}
    names = ["O", "B-PER", "I-PER"]
    labels = {"id2label": dict(enumerate(names)), "label2id": {name: number for number, name in enumerate(names)}}
    model = model_class(RnnClassifierConfig(**{**sizes, **labels, **options}))
    if model.config.whole_words:
        starts = [number % 3 != 0 for number in range(40)]
        model.encoder.words.set(starts, [[2 + n % 3, 2 + n % 2] + [0] * 18 for n in range(40)])
    if model.config.crf:
        for parameter in model.crf.parameters():
            torch.nn.init.normal_(parameter)
    return model.eval()


@pytest.fixture(params=KINDS.values(), ids=KINDS.keys())
def model(request: pytest.FixtureRequest) -> torch.nn.Module:
    model_class, options = request.param
    return build(model_class, **options)


@pytest.fixture
def batch(model) -> dict[str, Tensor]:
    mask = MASK
    if model.config.encoder:  # whose positions count from the left
        mask = MASK.sort(dim=1, descending=True).values
    return {"input_ids": torch.randint(3, 40, mask.shape) * mask, "attention_mask": mask}


def rows(model: torch.nn.Module, batch: dict[str, Tensor]) -> list[Tensor]:
    """What a model says of each row, at its real positions."""
    with torch.no_grad():
        output = model(**batch)
    if isinstance(model, RnnForSequenceClassification):
        return list(output.logits)
    both = zip(output.logits, output.tags[..., None], batch["attention_mask"].bool(), strict=True)
    return [torch.cat([logits[real], tags[real].float()], dim=1) for logits, tags, real in both]


def test_a_row_is_what_it_is_alone(model, batch) -> None:
    together = rows(model, batch)
    for row, expected in enumerate(together):
        ids = batch["input_ids"][row, batch["attention_mask"][row].bool()][None]
        (alone,) = rows(model, {"input_ids": ids, "attention_mask": torch.ones_like(ids)})
        torch.testing.assert_close(alone, expected, atol=2e-5, rtol=1e-4)


def test_the_order_of_a_batch_and_more_padding_change_nothing(model, batch) -> None:
    together = rows(model, batch)
    order = torch.tensor([2, 0, 3, 1])
    moved = {name: torch.nn.functional.pad(value[order], (0, 3)) for name, value in batch.items()}
    for place, row in enumerate(order.tolist()):
        torch.testing.assert_close(rows(model, moved)[place], together[row], atol=2e-5, rtol=1e-4)


def test_what_is_padded_gets_no_gradient_and_all_parameters_get_some(model, batch) -> None:
    model.train()
    labels = torch.tensor([0, 1, 2, 0])
    if isinstance(model, RnnForTokenClassification):
        labels = torch.tensor([[0, 1, 2, 0, 1, 2]] * 4).masked_fill(batch["attention_mask"] == 0, -100)
    model(**batch, labels=labels).loss.backward()
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    missing = [name for name, parameter in trained.items() if parameter.grad is None]
    unused = ("pooler", "token_type", "norms.1")  # the final state is taken before the last norm
    assert all(any(part in name for part in unused) for name in missing), missing
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    if not model.config.encoder:
        assert not model.get_input_embeddings().weight.grad[0].any()


def test_saved_is_loaded_by_the_auto_class(model, batch, tmp_path) -> None:
    model.save_pretrained(tmp_path)
    text = isinstance(model, RnnForSequenceClassification)
    auto = AutoModelForSequenceClassification if text else AutoModelForTokenClassification
    loaded, info = auto.from_pretrained(tmp_path, output_loading_info=True)
    assert type(loaded) is type(model) and not info["missing_keys"] and not info["unexpected_keys"]
    for one, other in zip(rows(loaded.eval(), batch), rows(model, batch), strict=True):
        torch.testing.assert_close(one, other)


def test_missing_weights_are_drawn_anew_and_tables_are_neutral(tmp_path) -> None:
    model = build(RnnForTokenClassification, **TAGS["crf, whole words, char cnn"])
    state = {name: value for name, value in model.state_dict().items() if "embeddings.weight" in name}
    model.save_pretrained(tmp_path, state_dict=state)
    loaded = AutoModelForTokenClassification.from_pretrained(tmp_path).eval()
    assert all(value.isfinite().all() and value.abs().max() < 10 for value in loaded.parameters())
    assert loaded.encoder.words.starts.all() and not loaded.encoder.words.characters.any()
    assert loaded.crf.transitions.abs().max() == 0


@pytest.mark.parametrize("name", ["crf, whole words, char cnn", "linear, whole words, char rnn"])
def test_words_characters_tags_and_marginals_are_in_the_exported_graph(name) -> None:
    model = build(RnnForTokenClassification, **TAGS[name], unrolling="static")
    export(model, lambda output: (output.logits, output.tags))


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
def test_a_text_classifier_can_be_exported(pooling) -> None:
    model = build(RnnForSequenceClassification, pooling=pooling, whole_words=True, unrolling="static")
    export(model, lambda output: (output.logits,))


def export(model: torch.nn.Module, results: Callable) -> None:
    """The exported graph says on another batch what the model says."""
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    batch = {"input_ids": torch.randint(3, 40, MASK.shape) * MASK, "attention_mask": MASK}
    dynamic = {name: {0: torch.export.Dim("batch")} for name in batch}
    graph = torch.export.export(model, (), batch, dynamic_shapes=dynamic, strict=False).module()
    ids = torch.randint(3, 40, (2, 6))
    other = {"input_ids": ids, "attention_mask": MASK[1:3]}
    for one, expected in zip(results(graph(**other)), results(model(**other)), strict=True):
        torch.testing.assert_close(one, expected)
