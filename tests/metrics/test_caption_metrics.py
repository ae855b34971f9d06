"""The metrics of captions give the values of the COCO evaluation server's code (pycocoevalcap 1.2)."""

import evaluate
import pytest

from rnn_hub.data.captions import caption_text
from rnn_hub.metrics import METRICS, compute_metrics, load_metric

NAMES = [name for name, path in METRICS.items() if ".captions:" in path]
PREDICTIONS = [
    "A dog runs through the grass.",
    "Two children are playing in the water .",
    "a man in a red shirt is climbing a rock",
]
REFERENCES = [
    [
        "A brown dog runs through the tall grass .",
        "A dog is running in a field .",
        "The dog's ears fly as it runs .",
    ],
    [
        "Two kids play in the water at the beach .",
        "Children splash in the ocean .",
        "A boy and a girl are playing in the water .",
    ],
    [
        "A man climbs a rock wall .",
        "A climber in a red shirt on a cliff .",
        "The man is climbing a big rock .",
    ],
]
COCO = {
    "bleu_1": 100.0,
    "bleu_2": 86.60254037844388,
    "bleu_3": 70.66984026,
    "bleu_4": 56.35190098,
    "rouge_l": 71.34283537994004,
    "cider_d": 231.19949487084131,
}
"""What pycocoevalcap's Bleu(4), Rouge() and Cider() give for the words of these, times 100."""

COCO_FLICKR8K = {
    "bleu_1": 63.64127013,
    "bleu_2": 44.57777186,
    "bleu_3": 30.54903536,
    "bleu_4": 20.94567590,
    "rouge_l": 48.75924503,
    "cider_d": 78.86754251977489,
}
"""The same of the test split of flickr8k: each image's first caption against its other four."""


def test_values_are_those_of_the_coco_server():
    values, signature = compute_metrics(list(COCO), PREDICTIONS, REFERENCES)
    assert values == pytest.approx(COCO, rel=1e-7)
    assert "cider_d: case:lc|punctuation:none|order:4|sigma:6.0" in signature


def test_values_of_a_thousand_captions_are_those_of_the_coco_server(data_dir):
    from rnn_hub.data.loading import load_split

    captions = load_split(data_dir / "flickr8k", "test", columns=("captions",)).remove_columns("image")["captions"]
    values, _ = compute_metrics(list(COCO), [texts[0] for texts in captions], [texts[1:] for texts in captions])
    assert values == pytest.approx(COCO_FLICKR8K, rel=1e-7)


def test_case_and_punctuation_do_not_count():
    plain, _ = compute_metrics(NAMES, [caption_text(text) for text in PREDICTIONS], REFERENCES)
    assert plain == compute_metrics(NAMES, PREDICTIONS, REFERENCES)[0]
    assert caption_text("The dog's T-shirt, isn't it?") == "the dog 's t-shirt is n't it"


@pytest.mark.parametrize("name", NAMES)
def test_they_are_modules_of_evaluate(name):
    metric = load_metric(name)
    assert isinstance(metric, evaluate.Metric)
    metric.add_batch(predictions=PREDICTIONS, references=REFERENCES)
    assert metric.compute()[name] == compute_metrics([name], PREDICTIONS, REFERENCES)[0][name]


@pytest.mark.parametrize("name", NAMES)
def test_empty_and_unrelated_captions_score_nothing(name):
    values, _ = compute_metrics([name], ["", "zzz", "qqq"], REFERENCES)
    assert values[name] == pytest.approx(0, abs=1.5)
