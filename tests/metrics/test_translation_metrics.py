"""BLEU and chrF against sacreBLEU itself, the baseline's scoring, no network, mistakes told."""

import evaluate
import pytest
import sacrebleu

from rnn_hub.errors import RnnHubError
from rnn_hub.metrics import METRICS, compute_metrics, load_metric
from rnn_hub.metrics.translation import moses_tokenize

TRANSLATION = [name for name, path in METRICS.items() if ".translation:" in path]
REFERENCES = [
    "Ein Mann in einem blauen T-Shirt steht auf einer Leiter, z. B. beim Putzen.",
    "Zwei Männer sagen „Hallo“ zu einem Mädchen.",
    "Eine Gruppe von Menschen läuft durch den Schnee.",
]
PREDICTIONS = [
    "Ein Mann im blauen T-Shirt steht auf einer Leiter, z. B. beim Putzen.",
    'Zwei Männer sagen "Hallo" zu dem Mädchen.',
    "Eine Gruppe Menschen läuft durch den Schnee.",
]


def test_bleu_and_chrf_are_sacrebleus():
    values, signature = compute_metrics(["bleu", "chrf"], PREDICTIONS, REFERENCES)
    assert values["bleu"] == pytest.approx(sacrebleu.corpus_bleu(PREDICTIONS, [REFERENCES]).score)
    assert values["chrf"] == pytest.approx(sacrebleu.corpus_chrf(PREDICTIONS, [REFERENCES]).score)
    assert signature.startswith("bleu: nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert "; chrf: nrefs:1|case:mixed" in signature


def test_bleu_lower_forgives_case_and_quotes_but_not_words():
    def score(prediction: str, reference: str) -> float:
        values, _ = compute_metrics(["bleu_lower"], [prediction], [reference], language="de")
        return values["bleu_lower"]

    assert score('zwei männer sagen "hallo" .', "Zwei Männer sagen „Hallo“.") == pytest.approx(100)
    assert score("Zwei Frauen sagen „Hallo“.", "Zwei Männer sagen „Hallo“.") < 90


def test_bleu_lower_counts_moses_tokens():
    values, signature = compute_metrics(["bleu_lower"], PREDICTIONS, REFERENCES, language="de")
    tokens = [[moses_tokenize(text, "de") for text in side] for side in (PREDICTIONS, REFERENCES)]
    plain = sacrebleu.corpus_bleu(tokens[0], [tokens[1]], tokenize="none", force=True)
    assert values["bleu_lower"] == pytest.approx(plain.score)
    for setting in ("case:lc", "norm:moses", "tok:moses-de", "hyphens:kept", "sacremoses:"):
        assert setting in signature


@pytest.mark.parametrize(
    ("language", "text", "tokens"),
    [
        ("de", "Ein „Mann“ im T-Shirt – so…", "ein &quot; mann &quot; im t-shirt - so ..."),
        ("en", "The man’s dog, isn't it?", "the man &apos;s dog , isn &apos;t it ?"),
        ("fr", "L'homme dit « oui » !", "l&apos; homme dit &quot; oui &quot; !"),
    ],
)
def test_moses_tokens(language, text, tokens):
    assert moses_tokenize(text, language).replace("&quot; oui", "&quot; oui") == tokens


@pytest.mark.parametrize("name", TRANSLATION)
def test_metrics_are_evaluate_modules_from_0_to_100(name, tmp_path, monkeypatch):
    monkeypatch.setattr("evaluate.config.HF_METRICS_CACHE", tmp_path / "unwritten")
    metric = load_metric(name)
    assert isinstance(metric, evaluate.Metric)
    assert metric.compute(predictions=REFERENCES, references=REFERENCES)[name] == pytest.approx(100)
    metric.add_batch(predictions=PREDICTIONS, references=REFERENCES)
    assert 0 < metric.compute()[name] < 100
    assert metric.compute(predictions=["x y z w"] * 3, references=REFERENCES)[name] < 10
    assert not (tmp_path / "unwritten").exists()


@pytest.mark.parametrize("name", TRANSLATION)
def test_several_references_take_the_best_match(name):
    several = [[reference, "Ganz anders gesagt ist das ."] for reference in REFERENCES]
    assert compute_metrics([name], REFERENCES, several)[0][name] == pytest.approx(100)


@pytest.mark.parametrize("name", TRANSLATION)
def test_empty_predictions_score_nothing(name):
    assert compute_metrics([name], ["", "", ""], REFERENCES)[0][name] == 0


def test_mistakes_are_told():
    with pytest.raises(RnnHubError, match="'bleurt' is unknown; choose from accuracy, binary_accuracy, bleu"):
        load_metric("bleurt")
    with pytest.raises(RnnHubError, match="no predictions"):
        compute_metrics(["bleu"], [], [])
    with pytest.raises(RnnHubError, match="2 predictions do not match 3 references"):
        compute_metrics(["bleu"], PREDICTIONS[:2], REFERENCES)
    with pytest.raises(RnnHubError, match="none of bleu, chrf takes language"):
        compute_metrics(["bleu", "chrf"], PREDICTIONS, REFERENCES, language="de")
    with pytest.raises(RnnHubError, match="same number of references"):
        compute_metrics(["bleu"], PREDICTIONS, [["a"], ["b", "c"], ["d"]])
