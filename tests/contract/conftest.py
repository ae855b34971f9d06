"""A model of each kind, and a batch for it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from rnn_hub.models.seq2seq.modeling_seq2seq import RnnForConditionalGeneration
from tests.contract.families import CAUSAL, POINTER, SEQ2SEQ, build_causal, build_pointer, build_seq2seq, draw_batch

KINDS = {name: (build_seq2seq, options) for name, options in SEQ2SEQ.items()}
KINDS |= {name: (build_pointer, options) for name, options in POINTER.items()}
KINDS |= {name: (build_causal, options) for name, options in CAUSAL.items()}


@pytest.fixture(params=KINDS.values(), ids=KINDS.keys())
def model(request: pytest.FixtureRequest):
    """A model of each kind of every family."""
    build, options = request.param
    return build(**options)


@pytest.fixture
def make() -> Callable[..., RnnForConditionalGeneration]:
    """Builds an encoder-decoder with given options."""
    return build_seq2seq


@pytest.fixture
def draw(request: pytest.FixtureRequest) -> Callable[[Tensor], dict[str, Tensor]]:
    """Draws a batch of a mask, for the test's `model`; without one, for an encoder-decoder."""
    model = request.getfixturevalue("model") if "model" in request.fixturenames else None
    return lambda mask: draw_batch(model, mask)


@pytest.fixture
def batch(draw: Callable) -> dict[str, Tensor]:
    """Three sources of 6, 3 and 5 tokens, padded right, left and on both sides; or prompts, padded left."""
    return draw(torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0], [0, 1, 1, 1, 1, 0]]))
