"""Tiny models of every kind, each with weights large enough that a wrong state changes what is generated."""

from collections.abc import Callable

import pytest
import torch

from rnn_hub.models.seq2seq.configuration_seq2seq import RnnSeq2SeqConfig
from rnn_hub.models.seq2seq.modeling_seq2seq import RnnForConditionalGeneration

KINDS = {
    "default": {},
    "additive, input feeding": {"attention_type": "additive", "input_feeding": True},
    "two layers, attention between": {"decoder_num_layers": 2, "attention_layer": 0, "attention_type": "concat"},
    "no attention": {"attention_type": None},
    "gru, sum, dot": {"cell_type": "gru", "merge": "sum", "decoder_hidden_size": 12, "attention_type": "dot"},
    "elman, copy bridge": {"cell_type": "elman", "bridge": "copy", "decoder_hidden_size": 24},
    "layer norm, untied, own embeddings": {
        "cell_type": "layer_norm_lstm",
        "tie_word_embeddings": False,
        "share_embeddings": False,
        "source_vocab_size": 35,
    },
}


def build(**options: object) -> RnnForConditionalGeneration:
    """A random model in evaluation mode, whose greedy translations do not repeat one token."""
    sizes = {"vocab_size": 40, "embedding_size": 12, "encoder_hidden_size": 12, "decoder_hidden_size": 16}
    torch.manual_seed(1)
    model = RnnForConditionalGeneration(RnnSeq2SeqConfig(**{**sizes, "initializer_range": 1.0, **options}))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "stack" in name or "decoder" in name or "bridge" in name:
                parameter.mul_(1.7)
    return model.eval()


@pytest.fixture(params=KINDS.values(), ids=KINDS.keys())
def model(request: pytest.FixtureRequest) -> RnnForConditionalGeneration:
    """A model of each kind."""
    return build(**request.param)


@pytest.fixture
def make() -> Callable[..., RnnForConditionalGeneration]:
    """Builds a model with given options."""
    return build


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    """Three sources of 6, 3 and 5 tokens, padded right, left and on both sides."""
    torch.manual_seed(2)
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0], [0, 1, 1, 1, 1, 0]])
    return {"input_ids": torch.randint(4, 35, (3, 6)) * mask, "attention_mask": mask}
