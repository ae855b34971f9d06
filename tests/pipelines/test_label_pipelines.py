"""Labels and entities from plain text: ours and transformers' own pipelines, and every kind of bad input."""

import json
import logging
import shutil

import pytest
import torch
from transformers import pipeline

import rnn_hub
from rnn_hub.data.word_pieces import train_word_pieces
from rnn_hub.errors import RnnHubError
from tests import tiny_labels

OPINION = "The cast is brilliant."
VISIT = "Grace Brewster Hopper left Rio de Janeiro."
ENTITIES = [("PER", 0, 21), ("LOC", 27, 41)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    base = tmp_path_factory.getbasetemp()
    return {kind: str(tiny_labels.model_folder(base, kind)) for kind in ("opinion", "visit")}


@pytest.fixture(scope="module")
def classify(folders):
    return rnn_hub.pipeline("text-classification", model=folders["opinion"])


@pytest.fixture(scope="module")
def find(folders):
    return rnn_hub.pipeline("token-classification", model=folders["visit"])


def spans(entities):
    return [(entity["entity_group"], entity["start"], entity["end"]) for entity in entities]


def test_a_text_gets_a_label_with_its_probability(classify, folders) -> None:
    result = classify(OPINION)
    assert result["label"] == "positive" and 0.5 < result["score"] < 1
    both = classify(OPINION, top_k=None)
    assert [record["label"] for record in both] == ["positive", "negative"]
    assert sum(record["score"] for record in both) == pytest.approx(1)
    theirs = pipeline("text-classification", model=folders["opinion"], device="cpu")
    assert theirs(OPINION)[0] == pytest.approx(result)
    assert [each["label"] for each in theirs([OPINION, "the film is awful ."], batch_size=1)] == [
        "positive",
        "negative",
    ]


def test_attention_points_at_words_of_the_text(classify) -> None:
    result = classify(OPINION, return_attention=True)
    words = [OPINION[start:end] for start, end in result["words"]]
    assert words == ["The", "cast", "is", "brilliant", "."]
    assert len(result["attention"]) == 2
    for hop in result["attention"]:
        assert len(hop) == len(words) and sum(hop) == pytest.approx(1, abs=1e-5)


def test_results_come_in_the_order_of_the_texts_whatever_the_batch(classify, find) -> None:
    texts = ["the film is very awful .", OPINION, "dull", "the story is moving ."]
    one_by_one = [classify(text) for text in texts]
    for size in (1, 3, 4):
        for result, expected in zip(classify(texts, batch_size=size), one_by_one, strict=True):
            assert result["label"] == expected["label"]
            assert result["score"] == pytest.approx(expected["score"], abs=1e-5)
    visits = [VISIT, "Ada Lovelace saw Bath .", "left ."]
    assert [spans(entities) for entities in find(visits, batch_size=3)] == [spans(find(text)) for text in visits]
    assert classify([]) == []


def test_entities_stand_where_the_text_has_them(find) -> None:
    entities = find(VISIT)
    assert spans(entities) == ENTITIES
    assert [entity["word"] for entity in entities] == ["Grace Brewster Hopper", "Rio de Janeiro"]
    assert all(0.5 < entity["score"] <= 1 for entity in entities)
    words = find(VISIT, aggregation_strategy="none")
    assert [word["entity"] for word in words] == ["B-PER", "I-PER", "I-PER", "O", "B-LOC", "I-LOC", "I-LOC", "O"]
    tokens = VISIT.replace(".", " .").split()
    split = find([tokens], is_split_into_words=True)[0]
    assert spans(split) == [("PER", 0, 3), ("LOC", 4, 7)]


@pytest.mark.parametrize("strategy", ["simple", "first"])
def test_transformers_own_pipeline_finds_the_same_entities(find, folders, strategy) -> None:
    theirs = pipeline("token-classification", model=folders["visit"], aggregation_strategy=strategy, device="cpu")
    for text in (VISIT, "Ada Lovelace saw New York."):
        assert spans(theirs(text)) == spans(find(text))


def test_a_name_of_many_pieces_is_one_entity_in_transformers_own_pipeline(find, folders) -> None:
    theirs = pipeline("token-classification", model=folders["visit"], aggregation_strategy="simple", device="cpu")
    text = "Janeth Londonder saw London."
    assert len(find.tokenizer.tokenize("Londonder")) > 1
    assert spans(theirs(text)) == spans(find(text))


@pytest.mark.parametrize("empty", ["", "  \n "])
def test_a_text_without_a_word_is_an_error_that_says_which(classify, find, empty) -> None:
    for pipe in (classify, find):
        with pytest.raises(RnnHubError, match="input 2 holds no word"):
            pipe([OPINION, empty])


def test_only_unknown_words_are_a_guess_and_a_warning_says_so(classify, caplog) -> None:
    with caplog.at_level(logging.WARNING, "rnn_hub"):
        assert classify("犬が雪")["label"] in tiny_labels.LABELS
    assert "1 of 1 inputs hold only words that the model does not know" in caplog.text


@pytest.mark.parametrize("kind", ["opinion", "visit"])
def test_a_text_of_100000_words_is_cut_with_a_warning_that_names_the_limit(classify, find, kind, caplog) -> None:
    pipe, text = (classify, "dull " * 100_000) if kind == "opinion" else (find, "Bath . " * 50_000)
    with caplog.at_level(logging.WARNING, "rnn_hub"):
        result = pipe(text)
    assert "has 100000 tokens and is cut to the limit of 64" in caplog.text
    assert result["label"] == "negative" if kind == "opinion" else len(result) == 32
    if kind == "visit":
        tags = find([text.split()], is_split_into_words=True, aggregation_strategy="none")[0]
        assert len(tags) == 100_000 and tags[-1]["entity"] == "O"


def test_a_long_text_is_read_as_far_as_asked_and_without_a_warning_whole(classify, find, caplog) -> None:
    text = "the film is dull . " * 3_000 + "brilliant ! " * 6_000  # 27,000 tokens, the model's limit is 64
    assert classify(text, max_length=4)["label"] == classify("the film is dull")["label"]
    assert "is cut to the limit of 4" in caplog.text
    caplog.clear()
    whole = classify(text, max_length=100_000, return_attention=True)
    assert len(whole["words"]) == 27_000 and not caplog.text
    visits = find("Ada Lovelace saw Bath . " * 2_000, max_length=100_000)
    assert len(visits) == 4_000 and visits[-1]["end"] == len("Ada Lovelace saw Bath . " * 2_000) - 3


@pytest.mark.parametrize("kind", ["opinion", "visit"])
def test_labels_missing_from_a_config_are_told(folders, kind, tmp_path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(folders[kind], folder)
    config = json.loads((folder / "config.json").read_text())
    del config["id2label"], config["label2id"]
    (folder / "config.json").write_text(json.dumps(config))
    if kind == "opinion":  # two labels are what transformers supposes
        assert rnn_hub.pipeline("text-classification", model=str(folder))(OPINION)["label"] == "LABEL_1"
        return
    with pytest.raises(RnnHubError, match="other sizes than its config.json says .or labels, id2label, that it lacks"):
        rnn_hub.pipeline("token-classification", model=str(folder))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda classify, find: classify("a", max_length=0), "max_length must be at least 1, not 0"),
        (lambda classify, find: classify([3]), "takes texts, and input 1 is a int"),
        (lambda classify, find: find(["a"], is_split_into_words=True), "takes lists of words, and input 1 is a str"),
        (lambda classify, find: find("a", aggregation_strategy="middle"), "'middle'; choose one of simple, none"),
        (lambda classify, find: classify("a", batch_size=-1), "batch_size must be at least 1"),
    ],
)
def test_wrong_arguments_are_named(classify, find, call, message) -> None:
    with pytest.raises(RnnHubError, match=message):
        call(classify, find)


def test_attention_of_a_model_without_any_is_refused(folders) -> None:
    from rnn_hub import RnnClassifierConfig, RnnForSequenceClassification

    tokenizer = train_word_pieces(["a film"], 30)
    model = RnnForSequenceClassification(RnnClassifierConfig(vocab_size=len(tokenizer), pooling="mean"))
    pipe = rnn_hub.pipeline("text-classification", model=model.eval(), tokenizer=tokenizer)
    with pytest.raises(RnnHubError, match="no attention to return: its pooling is 'mean'"):
        pipe("a film", return_attention=True)
    assert {record["label"] for record in pipe("a film", top_k=None)} == {"LABEL_0", "LABEL_1"}
    model.config.problem_type = "multi_label_classification"
    assert pipe("a film", top_k=None)[0]["score"] == pytest.approx(
        model(**tokenizer("a film", return_tensors="pt")).logits.sigmoid().max().item()
    )


def test_a_pretrained_encoder_of_transformers_feeds_the_head_through_the_pipeline() -> None:
    from transformers import BertConfig, BertModel

    from rnn_hub import RnnClassifierConfig, RnnForTokenClassification

    tokenizer = train_word_pieces(["Jane Austen lived in Bath ."], 60)
    bert = BertModel(BertConfig(vocab_size=len(tokenizer), hidden_size=8, num_hidden_layers=1, num_attention_heads=2))
    config = RnnClassifierConfig(crf=True, id2label={0: "O", 1: "B-X", 2: "I-X"})
    model = RnnForTokenClassification(config, encoder=bert).eval()
    torch.nn.init.constant_(model.classifier.bias[1:2], 50.0)
    pipe = rnn_hub.pipeline("token-classification", model=model, tokenizer=tokenizer)
    assert [entity["word"] for entity in pipe("Jane Austen")] == ["Jane", "Austen"]
