"""Attention: each energy against its formula, masks, and beams that share a source."""

import pytest
import torch
from torch import nn

from rnn_hub.layers.attention import ATTENTIONS, get_attention

every_attention = pytest.mark.parametrize("name", sorted(ATTENTIONS))
MASK = torch.tensor([[1, 1, 1, 0, 0], [0, 1, 1, 1, 1]])


def build(name: str) -> nn.Module:
    return get_attention(name)(6, 6, 4).double()


@every_attention
def test_weights_follow_the_formula(name: str) -> None:
    attention = build(name)
    query, values = torch.randn(2, 3, 6, dtype=torch.float64), torch.randn(2, 5, 6, dtype=torch.float64)
    context, weights = attention(query, attention.remember(values, MASK))
    for row in range(2):
        for t in range(3):
            q, energies = query[row, t], []
            for key in values[row]:
                if name == "dot":
                    energies.append(q @ key)
                elif name == "general":
                    energies.append(q @ (attention.key.weight @ key))
                elif name == "additive":
                    hidden = attention.query.weight @ q + attention.key.weight @ key + attention.key.bias
                    energies.append(attention.score.weight[0] @ hidden.tanh())
                elif name == "concat":
                    hidden = attention.pair.weight @ torch.cat([q, key])
                    energies.append(attention.score.weight[0] @ hidden.tanh())
            energy = torch.stack(energies).masked_fill(MASK[row] == 0, -torch.inf)
            torch.testing.assert_close(weights[row, t], energy.softmax(0))
            torch.testing.assert_close(context[row, t], energy.softmax(0) @ values[row])


@every_attention
def test_beams_that_share_a_source_equal_a_repeated_source(name: str) -> None:
    attention = build(name)
    query, values = torch.randn(6, 2, 6, dtype=torch.float64), torch.randn(2, 5, 6, dtype=torch.float64)
    shared = attention(query, attention.remember(values, MASK))
    repeated = attention(query, attention.remember(values.repeat_interleave(3, 0), MASK.repeat_interleave(3, 0)))
    torch.testing.assert_close(shared, repeated)


@every_attention
def test_a_source_of_only_padding_gives_zeros_and_no_nan(name: str) -> None:
    attention = build(name)
    values = torch.randn(2, 5, 6, dtype=torch.float64, requires_grad=True)
    context, weights = attention(torch.randn(2, 3, 6).double(), attention.remember(values, torch.zeros(2, 5)))
    assert not context.any()
    assert not weights.any()
    context.sum().backward()
    assert values.grad.isfinite().all()


def test_dot_attention_needs_equal_sizes_and_unknown_names_list_the_choices() -> None:
    with pytest.raises(ValueError, match=r"decoder states \(4\).*encoder states \(6\).*general"):
        get_attention("dot")(4, 6)
    with pytest.raises(ValueError, match=r"'bahdanau'.*additive.*dot"):
        get_attention("bahdanau")


def test_queries_that_cannot_share_the_sources_are_refused() -> None:
    attention = build("dot")
    memory = attention.remember(torch.randn(2, 5, 6).double(), MASK)
    with pytest.raises(ValueError, match="3 rows of queries cannot share 2 sources"):
        attention(torch.randn(3, 2, 6).double(), memory)
