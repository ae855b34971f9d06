"""A tiny classifier and a tiny tagger: trained, measured, read from and predicted with by the commands."""

import json

import pytest
import torch
import yaml

from rnn_hub.cli import main
from rnn_hub.errors import RnnHubError
from rnn_hub.tasks import load_task
from rnn_hub.training.recipes import build_recipe
from rnn_hub.training.run import train
from tests import tiny_labels

METRIC = {"opinion": "accuracy", "visit": "entity_f1"}


@pytest.fixture(scope="module", params=METRIC)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def folder(kind, tmp_path_factory):
    return tiny_labels.model_folder(tmp_path_factory.getbasetemp(), kind)


def test_what_there_is_to_learn_is_learned(folder, kind, capsys) -> None:
    assert main(["evaluate", str(folder), "--split", "test"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["metrics"][METRIC[kind]] == 100
    recorded = json.loads((folder / "results.json").read_text())["evaluations"][0]
    assert recorded["split"] == "validation" and recorded["metrics"][METRIC[kind]] > 99


def test_the_card_says_what_was_measured_and_how_to_use_it(folder, kind) -> None:
    card = (folder / "README.md").read_text()
    task = {"opinion": "text-classification", "visit": "token-classification"}[kind]
    assert f"pipeline_tag: {task}" in card and f'pipeline("{task}"' in card
    assert "100.00" in card


def test_predict_prints_a_line_a_text(folder, kind, capsys) -> None:
    texts = {"opinion": "the cast is brilliant .", "visit": "Ada Lovelace saw New York ."}
    assert main(["predict", str(folder), texts[kind]]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    if kind == "opinion":
        score, label = line.split("\t")
        assert label == "positive" and 0.5 < float(score) <= 1
    else:
        entities = json.loads(line)
        assert [(each["entity_group"], each["word"]) for each in entities] == [
            ("PER", "Ada Lovelace"),
            ("LOC", "New York"),
        ]


def test_predict_reads_as_much_of_a_text_as_asked(folder, capsys) -> None:
    assert main(["predict", str(folder), "Jane Austen saw the film", "--max-length", "0"]) == 2
    assert "max_length must be at least 1, not 0" in capsys.readouterr().err
    assert main(["predict", str(folder), "Jane Austen saw the film", "--max-length", "2"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_run_continues_where_it_stopped(kind, tmp_path) -> None:
    corpus = tiny_labels.write_corpus(tmp_path / "corpus", kind)
    values = tiny_labels.recipe(kind, corpus, tmp_path / "run", training={"num_train_epochs": 2})
    train(build_recipe(values))
    (tmp_path / "run" / "results.json").unlink()
    values["training"] |= {"num_train_epochs": 3, "resume": True}
    assert train(build_recipe(values))["training"]["epochs"] == 3


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("model", {"pooling": "middle"}, "'middle'.*last, mean, max, attention"),
        ("model", {"char_features": "lstm"}, "'lstm'.*cnn, rnn"),
        ("model", {"word_vectors": "absent.txt"}, "no file of word vectors absent.txt"),
        ("tokenizer", {"word_list": "absent.txt"}, "dropout parts words by BPE"),
        ("tokenizer", {"word_list": "absent.txt", "dropout": 0.0}, "cannot read absent.txt: No such file"),
        ("dataset", {"text": "sentence"}, "no column 'sentence'"),
        ("dataset", {"labels": ["negative"]}, "the label 1 is none of the model's: they are negative"),
        ("generation", {"max_new_tokens": 3}, "labels are not generated"),
    ],
)
def test_mistakes_in_a_recipe_are_told_at_once(section, change, message, tmp_path) -> None:
    corpus = tiny_labels.write_corpus(tmp_path / "corpus", "opinion")
    values = {"generation": {}, **tiny_labels.recipe("opinion", corpus, tmp_path / "run")}
    values[section] = {**values[section], **change}
    with pytest.raises(RnnHubError, match=message):
        train(build_recipe(yaml.safe_load(yaml.safe_dump(values))))


def test_vectors_stay_as_they_are_and_words_of_the_file_join_the_vocabulary(tmp_path) -> None:
    vectors = tmp_path / "vectors.txt"
    words = ["film", "story", "brilliant", "superb"]
    numbers = torch.randn(len(words), 24).tolist()
    lines = zip(words, numbers, strict=True)
    vectors.write_text("".join(f"{word} {' '.join(map(str, row))}\n" for word, row in lines))
    corpus = tiny_labels.write_corpus(tmp_path / "corpus", "opinion")
    sections = {
        "tokenizer": {"word_list": str(vectors), "dropout": 0.0, "vocab_size": 60},
        "model": {"word_vectors": str(vectors)},
        "training": {"num_train_epochs": 1},
    }
    train(build_recipe(tiny_labels.recipe("opinion", corpus, tmp_path / "run", **sections)))
    model, tokenizer = load_task("text-classification").load_model(str(tmp_path / "run"))
    rows = model.get_input_embeddings().weight[tokenizer(" ".join(words)).input_ids]
    assert rows.shape[0] == 4
    expected = torch.tensor(numbers)
    scale = rows.norm() / expected.norm()
    torch.testing.assert_close(rows, expected * scale, atol=2e-3, rtol=2e-3)


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> str:
    """The folder of a tiny pretrained encoder, whose tokenizer marks each text's beginning."""
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("bert")
    words = " ".join((*tiny_labels.PEOPLE, *tiny_labels.PLACES, "lived in saw left")).lower().split()
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *dict.fromkeys([*words, "br", "##ew", "##ster", "."])]
    vocab = {piece: row for row, piece in enumerate(piece for piece in pieces if piece != "brewster")}
    tokenizer = BertTokenizer(vocab=vocab, mask_token="[UNK]")
    tokenizer.save_pretrained(folder)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=len(tokenizer) + 2, **sizes)).save_pretrained(folder)
    return str(folder)


def test_a_gru_over_a_frozen_pretrained_encoder_learns_and_leaves_it_alone(bert, tmp_path) -> None:
    from transformers import AutoModel, pipeline

    corpus = tiny_labels.write_corpus(tmp_path / "corpus", "visit")
    over = {"encoder": bert, "freeze_encoder": True, "stack_over_encoder": True, "cell_type": "gru"}
    sections = {"tokenizer": {"pretrained": bert, "dropout": 0.0}, "model": {"char_features": None, **over}}
    results = train(build_recipe(tiny_labels.recipe("visit", corpus, tmp_path / "run", **sections)))
    assert results["evaluations"][0]["metrics"]["entity_f1"] > 95
    model, tokenizer = load_task("token-classification").load_model(str(tmp_path / "run"))
    for name, weight in AutoModel.from_pretrained(bert).state_dict().items():
        torch.testing.assert_close(model.encoder.model.state_dict()[name], weight, atol=1e-3, rtol=1e-3)
    assert "over the pretrained encoder" in (tmp_path / "run" / "README.md").read_text()
    find = pipeline("token-classification", model=model, tokenizer=tokenizer, aggregation_strategy="simple")
    entities = find("Grace Brewster Hopper left Bath .")
    assert [entity["word"] for entity in entities] == ["grace brewster hopper", "bath"]


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("model", {"encoder": "absent/encoder"}, "cannot load the pretrained encoder 'absent/encoder'"),
        ("model", {"char_features": "cnn"}, "char_features belong to our own encoder"),
        ("model", {"encoder": None}, "stack_over_encoder is about another encoder"),
        ("tokenizer", {"pretrained": None}, r"tokens and the tokenizer \d+: set tokenizer.pretrained"),
        ("tokenizer", {"dropout": 0.1}, "tokenizer.dropout is for tokenizers that are trained here"),
    ],
)
def test_mistakes_about_a_pretrained_encoder_are_told_at_once(section, change, message, bert, tmp_path) -> None:
    corpus = tiny_labels.write_corpus(tmp_path / "corpus", "visit")
    over = {"encoder": bert, "stack_over_encoder": True, "char_features": None}
    values = tiny_labels.recipe("visit", corpus, tmp_path / "run", model=over)
    values["tokenizer"] |= {"pretrained": bert, "dropout": 0.0}
    values[section] |= change
    with pytest.raises(RnnHubError, match=message):
        train(build_recipe(values))


def test_several_labels_a_text_are_learned_measured_and_predicted(tmp_path, capsys) -> None:
    corpus = tiny_labels.write_corpus(tmp_path / "corpus", "opinion")
    for file in corpus.glob("*.jsonl"):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        for row in rows:
            about = [noun for noun in ("film", "cast") if noun in row["text"]]
            row["labels"] = about + ["praise"] * row.pop("label")
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    values = tiny_labels.recipe("opinion", corpus, tmp_path / "run")
    values["task"], values["dataset"] = "multi-label-classification", {"path": str(corpus)}
    results = train(build_recipe(values))
    assert results["evaluations"][0]["metrics"]["label_set_accuracy"] > 90
    assert "exactly the right labels" in (tmp_path / "run" / "README.md").read_text()
    assert main(["evaluate", str(tmp_path / "run"), "--split", "test"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["metrics"]["label_set_f1"] > 90
    assert main(["predict", str(tmp_path / "run"), "the film is brilliant .", "--n-best", "2"]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert {label for _, label in lines} == {"film", "praise"} and all(float(score) > 0.5 for score, _ in lines)
    values["dataset"]["label"] = "text"
    with pytest.raises(RnnHubError, match="column 'text' must hold lists of labels; .* task: text-classification"):
        train(build_recipe({**values, "training": {"output_dir": str(tmp_path / "other")}}))


def test_a_number_for_a_text_is_learned_measured_and_predicted(tmp_path, capsys) -> None:
    corpus = tiny_labels.write_corpus(tmp_path / "corpus", "opinion")
    for file in corpus.glob("*.jsonl"):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        rated = ({"text": row["text"], "score": 2.5 + row["label"] + 0.1 * ("film" in row["text"])} for row in rows)
        file.write_text("".join(json.dumps(row) + "\n" for row in rated))
    values = tiny_labels.recipe("opinion", corpus, tmp_path / "run")
    values["task"], values["dataset"] = "text-regression", {"path": str(corpus)}
    metrics = train(build_recipe(values))["evaluations"][0]["metrics"]
    assert metrics["pearson"] > 90 and metrics["spearman"] > 80 and metrics["rmse"] < 0.5
    assert main(["evaluate", str(tmp_path / "run"), "--split", "test"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["metrics"]["pearson"] > 90
    scores = []
    for text in ("the film is brilliant .", "the film is awful ."):
        assert main(["predict", str(tmp_path / "run"), text]) == 0
        scores.append(float(capsys.readouterr().out.split("\t")[0]))
    assert scores[0] > scores[1] + 0.5
    values["dataset"]["label"] = "text"
    with pytest.raises(RnnHubError, match="row 1 of the column 'text' holds no number but"):
        train(build_recipe({**values, "training": {"output_dir": str(tmp_path / "other")}}))


@pytest.mark.parametrize("numbers", [False, True])
def test_tags_in_bioes_are_learned_as_bio(numbers, tmp_path) -> None:
    from datasets import ClassLabel, Dataset, Features, List, Value

    names = ["O", "S-LOC", "B-PER", "I-PER", "E-PER", "B-LOC", "E-LOC"]
    tokens = [["Grace", "Brewster", "Hopper", "left", "New", "York", "Bath"]]
    tags = [["B-PER", "I-PER", "E-PER", "O", "B-LOC", "E-LOC", "S-LOC"]]
    rows = Dataset.from_dict({"tokens": tokens, "ner_tags": tags})
    if numbers:
        rows = rows.cast(Features({"tokens": List(Value("string")), "ner_tags": List(ClassLabel(names=names))}))
    for split in ("train", "validation"):
        rows.to_parquet(tmp_path / f"{split}.parquet")
    task = load_task("token-classification")
    section = task.dataset_section(path=str(tmp_path))
    train_rows, validation_rows = task.load(section, "train"), task.load(section, "validation")
    model_labels = task.model_fields(train_rows, section)["label2id"]
    assert set(model_labels) == {"O", "B-PER", "I-PER", "B-LOC", "I-LOC"}
    expected = [["B-PER", "I-PER", "I-PER", "O", "B-LOC", "I-LOC", "B-LOC"]]
    assert task.references(validation_rows, section) == expected


def test_long_texts_of_the_training_split_can_be_seen_more_often(tmp_path) -> None:
    task, corpus = load_task("text-classification"), tiny_labels.write_corpus(tmp_path / "corpus", "opinion")
    plain = task.dataset_section(path=str(corpus))
    repeated = task.dataset_section(path=str(corpus), long_words=6, long_repeats=3)
    lengths = [len(text.split()) for text in task.load(plain, "train")["text"]]
    assert len(task.load(repeated, "train")) == len(lengths) + 2 * sum(length >= 6 for length in lengths)
    assert len(task.load(repeated, "test")) == len(task.load(plain, "test"))


def test_labels_that_the_model_does_not_have_are_named(tmp_path, tmp_path_factory, capsys) -> None:
    folder = tiny_labels.model_folder(tmp_path_factory.getbasetemp(), "opinion")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "test.jsonl").write_text('{"text": "fine", "label": 2}\n')
    assert main(["evaluate", str(folder), "--dataset", str(tmp_path / "other"), "--split", "test"]) == 2
    assert "the label 2 is none of the model's: they are negative, positive" in capsys.readouterr().err
