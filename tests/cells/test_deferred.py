"""Gradients of weights that a loop uses at every step, made in one product after it."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from rnn_hub.cells import fused
from rnn_hub.cells.deferred import DeferredWeight, defer
from tests.contract.families import SEQ2SEQ, build_seq2seq

FEEDING = {name: options for name, options in SEQ2SEQ.items() if options.get("input_feeding")}
FEEDING["weight dropout, zoneout, residual"] = {
    "input_feeding": True,
    "cell_type": "gru",
    "weight_dropout": 0.3,
    "zoneout": 0.1,
    "decoder_num_layers": 2,
    "decoder_hidden_size": 12,
    "residual": True,
    "dropout": 0.2,
    "variational_dropout": True,
}


def gradients(options: dict) -> dict[str, Tensor]:
    """Those of a small model that feeds its outputs back, on ragged targets."""
    model = build_seq2seq(**options).train()
    labels = torch.randint(4, 40, (3, 6)).masked_fill(torch.arange(6) >= torch.tensor([6, 2, 4])[:, None], -100)
    torch.manual_seed(4)
    model(input_ids=torch.randint(4, 35, (3, 5)), labels=labels).loss.backward()
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize("options", FEEDING.values(), ids=FEEDING.keys())
def test_deferred_gradients_equal_those_of_autograd(options: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    deferred = gradients(options)
    monkeypatch.setattr(fused, "defers", lambda x: False)
    plain = gradients(options)
    assert deferred.keys() == plain.keys()
    for name, expected in plain.items():
        torch.testing.assert_close(deferred[name], expected, msg=name)


def test_a_weight_that_is_also_used_otherwise_has_both_gradients() -> None:
    weight, x = torch.randn(4, 3, dtype=torch.double, requires_grad=True), torch.randn(5, 3, dtype=torch.double)
    deferred = DeferredWeight(weight)
    (F.linear(x, deferred).square().sum() + deferred[1:].square().sum() + torch.sum(deferred)).backward()
    expected = torch.autograd.grad(
        F.linear(x, weight).square().sum() + weight[1:].square().sum() + weight.sum(), weight
    )
    torch.testing.assert_close(weight.grad, expected[0])


def test_a_product_that_gets_no_gradient_is_none() -> None:
    weight, x = torch.randn(4, 3, requires_grad=True), torch.randn(5, 3)
    deferred = defer(weight)
    first, _ = F.linear(x, deferred), F.linear(x, deferred)
    first.sum().backward()
    torch.testing.assert_close(weight.grad, x.sum(0).expand(4, 3))
    assert isinstance(defer(torch.randn(1, 3)), Tensor)
