"""Losses, problem types, decoding and mistakes of the classifiers."""

import pytest
import torch
import torch.nn.functional as F

from rnn_hub import RnnClassifierConfig, RnnForSequenceClassification, RnnForTokenClassification

SIZES = {"vocab_size": 30, "embedding_size": 8, "hidden_size": 6}
IDS = torch.randint(4, 30, (4, 5), generator=torch.Generator().manual_seed(0))
BIO = {0: "O", 1: "B-PER", 2: "I-PER", 3: "B-LOC", 4: "I-LOC"}


def text_model(**options) -> RnnForSequenceClassification:
    return RnnForSequenceClassification(RnnClassifierConfig(**SIZES, **options)).eval()


def tag_model(**options) -> RnnForTokenClassification:
    return RnnForTokenClassification(RnnClassifierConfig(**SIZES, id2label=BIO, **options)).eval()


@pytest.mark.parametrize(
    ("labels", "num_labels", "kind", "loss"),
    [
        (torch.tensor([0, 2, 1, 1]), 3, "single_label_classification", F.cross_entropy),
        (torch.rand(4, 3).round(), 3, "multi_label_classification", F.binary_cross_entropy_with_logits),
        (torch.randn(4), 1, "regression", lambda logits, labels: F.mse_loss(logits[:, 0], labels)),
    ],
)
def test_the_problem_follows_from_the_labels_and_stays(labels, num_labels, kind, loss) -> None:
    model = text_model(num_labels=num_labels)
    output = model(IDS, labels=labels)
    assert model.config.problem_type == kind
    torch.testing.assert_close(output.loss, loss(output.logits, labels))
    summed = model(IDS, labels=labels, num_items_in_batch=2 * labels.numel()).loss
    torch.testing.assert_close(summed, output.loss / 2)


def test_regression_of_several_values() -> None:
    model, values = text_model(num_labels=2, problem_type="regression"), torch.randn(4, 2)
    torch.testing.assert_close(model(IDS, labels=values).loss, F.mse_loss(model(IDS).logits, values))
    with pytest.raises(ValueError, match=r"labels of shape \(4,\) do not fit regression of \(4, 2\)"):
        model(IDS, labels=values[:, 0])


def test_smoothing_and_the_penalty_of_overlap_count_in_training_only() -> None:
    options = {"label_smoothing": 0.2, "attention_hops": 2, "attention_penalty": 1.0}
    model, labels = text_model(**options), torch.tensor([0, 1, 1, 0])
    measured = model(IDS, labels=labels).loss
    torch.testing.assert_close(measured, F.cross_entropy(model(IDS).logits, labels))
    assert model.train()(IDS, labels=labels).loss > measured + 0.3


@pytest.mark.parametrize("kind", ["single_label_classification", "multi_label_classification"])
def test_labels_weigh_in_training_as_they_are_told(kind) -> None:
    weights = torch.tensor([1.0, 5.0, 0.5])
    model = text_model(num_labels=3, problem_type=kind, label_weights=weights.tolist())
    labels, plain = torch.tensor([0, 1, 2, 1]), F.cross_entropy
    if kind.startswith("multi"):
        labels, plain = torch.eye(3)[labels], F.binary_cross_entropy_with_logits
    logits = model(IDS).logits
    torch.testing.assert_close(model(IDS, labels=labels).loss, plain(logits, labels))
    chosen = {"weight" if plain is F.cross_entropy else "pos_weight": weights}
    expected = plain(logits, labels, reduction="sum", **chosen) / labels.numel()
    torch.testing.assert_close(model.train()(IDS, labels=labels).loss, expected)


def test_rare_tags_weigh_more() -> None:
    tags = torch.tensor([[1, 0, 0, 0, 0]] * 4)
    plain, weighted = tag_model().train(), tag_model(label_weights=[1.0, 9.0, 1.0, 1.0, 1.0]).train()
    weighted.load_state_dict(plain.state_dict())
    for model in (plain, weighted):
        model(IDS, labels=tags).loss.backward()
    one, other = (model.classifier.bias.grad[1] for model in (plain, weighted))
    assert other < 5 * one < 0


def test_consistency_compares_two_draws_of_dropout_in_training_only() -> None:
    model, labels = text_model(consistency=2.0, dropout=0.5), torch.tensor([0, 1, 1, 0])
    plain = model(IDS, labels=labels)
    torch.testing.assert_close(plain.loss, F.cross_entropy(plain.logits, labels))
    torch.manual_seed(0)
    output = model.train()(IDS, labels=labels, num_items_in_batch=4)
    assert output.logits.shape == (4, 2)
    torch.manual_seed(0)
    model.config.consistency = 1e-9
    alone = model(IDS, labels=labels).loss
    assert output.loss > alone
    model.encoder.model.dropout.p, model.config.consistency = 0.0, 2.0
    still = model(IDS, labels=labels)
    torch.testing.assert_close(still.loss, F.cross_entropy(still.logits, labels))


@pytest.mark.parametrize(("make", "width"), [(text_model, 2), (tag_model, 5)])
def test_a_tiny_batch_can_be_learned(make, width) -> None:
    model = make().train()
    labels = torch.arange(4) % 2 if width == 2 else torch.tensor([[1, 2, 0, 3, 4], [0, 1, 0, 3, 0]] * 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(60):
        optimizer.zero_grad()
        model(IDS, labels=labels).loss.backward()
        optimizer.step()
    output = model.eval()(IDS)
    assert torch.equal(output.logits.argmax(dim=-1), labels)


def test_attention_is_returned_where_there_is_any() -> None:
    weights = text_model(attention_hops=3)(IDS, output_attentions=True).attentions[0]
    assert weights.shape == (4, 3, 5)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(4, 3))
    with pytest.raises(ValueError, match="no attention to return: the config has pooling='mean'"):
        text_model(pooling="mean")(IDS, output_attentions=True)


def test_tags_of_a_random_field_keep_the_order_of_b_and_i_and_probabilities_sum_to_one() -> None:
    model = tag_model(crf=True)
    torch.nn.init.normal_(model.classifier.weight, std=5)
    output = model(torch.randint(4, 30, (50, 12)))
    for row in output.tags.tolist():
        for before, tag in zip([0, *row], row, strict=False):
            assert tag not in (2, 4) or before in (tag, tag - 1)
    torch.testing.assert_close(output.logits.exp().sum(dim=-1), torch.ones(50, 12))
    assert not output.logits[:, 0, [2, 4]].exp().any()


def test_a_piece_that_continues_a_word_is_inside_of_what_the_word_begins() -> None:
    model = tag_model(crf=True, whole_words=True)
    model.encoder.words.set([True] * 20 + [False] * 10)
    ids = torch.tensor([[5, 21, 22, 6]])
    output = model(ids)
    p = output.logits.exp()[0]
    assert output.tags[0, 1:3].tolist() == [-100, -100]
    for piece in (1, 2):
        torch.testing.assert_close(p[piece, 2], p[0, 1] + p[0, 2])
        torch.testing.assert_close(p[piece, 0], p[0, 0])
        assert p[piece, 1] < 1e-30
    labels = torch.tensor([[1, 2, 2, 0]])
    torch.testing.assert_close(
        model(ids, labels=labels).loss, model(ids, labels=torch.tensor([[1, -100, -100, 0]])).loss
    )


@pytest.mark.parametrize("make", [text_model, tag_model])
def test_texts_without_a_token_are_refused(make) -> None:
    with pytest.raises(ValueError, match="holds no token"):
        make()(torch.zeros(2, 0, dtype=torch.long))
    with pytest.raises(ValueError, match="row 1 of the batch holds only padding"):
        make()(IDS[:2], attention_mask=torch.tensor([[1] * 5, [0] * 5]))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pooling": "sum"}, "unknown pooling 'sum'.*last, mean, max, attention"),
        ({"char_features": "gru"}, "unknown char_features 'gru'.*cnn, rnn, or null"),
        ({"attention_hops": 0}, "attention_hops must be at least 1"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"encoder": {"hidden_size": 4}}, "encoder lacks 'model_type'"),
        ({"label_weights": [1.0, 0.0]}, "label_weights must be 2 positive numbers, one a label"),
        ({"label_weights": [1.0, 2.0], "crf": True}, "not for a crf or regression"),
        ({"poolin": "max"}, "no field 'poolin'; did you mean 'pooling'"),
    ],
)
def test_wrong_configurations_name_the_value_and_the_remedy(fields, message) -> None:
    with pytest.raises(Exception, match=f"(?s){message}"):
        RnnClassifierConfig(**fields)


def test_labels_missing_from_the_configuration_are_named() -> None:
    with pytest.raises(ValueError, match="id2label must number the labels 0 to 1"):
        RnnForSequenceClassification(RnnClassifierConfig(**SIZES, id2label={0: "a", 2: "b"}))


def test_a_long_text_is_read_without_a_limit() -> None:
    model = tag_model(crf=True)
    ids = torch.randint(4, 30, (1, 3000))
    with torch.no_grad():
        output = model(ids)
    assert output.tags.shape == (1, 3000) and output.logits.isfinite().all()
