"""Model cards: figures and metadata come from recipe and results; what a person wrote stays."""

import pytest
from huggingface_hub import ModelCard

from rnn_hub.errors import RnnHubError
from rnn_hub.hub.model_card import BEGIN, END, write_card
from rnn_hub.tasks import TASKS
from tests import tiny

RESULTS = {
    "name": "tiny-en-de",
    "parameters": 1_234_567,
    "training": {"examples": 240, "epochs": 5.0, "steps": 60, "seconds": 90.0, "device": "cpu", "processes": 1},
    "evaluations": [
        {
            "dataset": "owner/data",
            "split": "test",
            "examples": 24,
            "metrics": {"bleu": 36.54, "chrf": 61.2},
            "signature": "tok:13a",
        }
    ],
}


def test_a_card_tells_use_data_training_results_and_limits(tmp_path):
    card = ModelCard.load(write_card(tmp_path, tiny.recipe("owner/data", "run"), RESULTS))
    for part in ("## Use", "## Data and licence", "## Training", "## Measured results", "## Limits"):
        assert part in card.text
    assert 'rnn_hub.pipeline("translation", model="tiny-en-de")' in card.text
    assert "| `owner/data` | test | 24 | 36.54 | 61.20 |" in card.text
    assert "tok:13a" in card.text
    assert "1.2 million parameters" in card.text
    assert card.data.license == "cc0-1.0"
    assert card.data.datasets == ["owner/data"]
    figures = {(result.metric_type, result.metric_value) for result in card.data.eval_results}
    assert figures == {("bleu", 36.54), ("chrf", 61.2)}


def test_what_a_person_wrote_survives_and_the_generated_part_is_renewed(tmp_path):
    path = write_card(tmp_path, tiny.recipe("owner/data", "run"), {})
    assert "Not measured yet" in path.read_text()
    text = path.read_text().replace(BEGIN, f"Before.\n\n{BEGIN}") + "\nAfter.\n"
    path.write_text(text)
    for _ in range(2):
        write_card(tmp_path, tiny.recipe("owner/data", "run"), RESULTS)
    text = path.read_text()
    assert text.count("Before.") == text.count("After.") == text.count(BEGIN) == text.count("36.54") - 1 == 1
    assert "Not measured yet" not in text
    path.write_text(text.replace(END, ""))
    with pytest.raises(RnnHubError, match="markers"):
        write_card(tmp_path, tiny.recipe("owner/data", "run"), RESULTS)


@pytest.mark.parametrize("name", TASKS)
def test_a_card_of_every_task_says_how_to_use_the_model(tmp_path, name):
    text = write_card(tmp_path, {"task": name, "name": "some-model", "dataset": {"path": "owner/data"}}, {}).read_text()
    use = text.partition("## Use")[2].partition("## Data")[0]
    assert "some-model" in use and "{name}" not in use and "{example}" not in use
    assert "`owner/data`" in text.partition("## Limits")[2]
