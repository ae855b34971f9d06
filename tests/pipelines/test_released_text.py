"""The released model of film reviews: the sentiment model hears what it was told to write."""

import pytest
import torch

from rnn_hub.pipelines import pipeline
from tests.conftest import ROOT

WRITER, READER = (ROOT / "model_cards" / name for name in ("rnn-text-sentiment", "rnn-sentiment-en"))
SAMPLES = 100

pytestmark = pytest.mark.skipif(
    not all((folder / "model.safetensors").is_file() for folder in (WRITER, READER)), reason="the models are not here"
)


@pytest.mark.slow
def test_another_classifier_agrees_with_the_condition() -> None:
    write = pipeline("conditional-text-generation", model=WRITER)
    read = pipeline("text-classification", model=READER)
    torch.manual_seed(0)
    agreed = {}
    for sentiment in ("negative", "positive"):
        options = {"condition": {"sentiment": sentiment}, "num_return_sequences": SAMPLES}
        texts = [record["generated_text"] for record in write("", **options)]
        agreed[sentiment] = sum(found["label"] == sentiment for found in read(texts)) / SAMPLES
        print(sentiment, agreed[sentiment], *texts[:8], sep="\n")
    assert sum(agreed.values()) / 2 >= 0.85
