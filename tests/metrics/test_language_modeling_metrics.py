"""Nats a token and perplexity, on a case done by hand."""

import math

import pytest

from rnn_hub.metrics import compute_metrics


def test_the_mean_is_over_tokens_and_not_over_texts() -> None:
    predictions = [[math.log(2), math.log(8)], [], [math.log(4)] * 4]
    values, signature = compute_metrics(["nll", "perplexity"], predictions, ["a b", "", "c d e f"])
    assert values["nll"] == pytest.approx(math.log(4))
    assert values["perplexity"] == pytest.approx(4)
    assert "tokens:6" in signature
