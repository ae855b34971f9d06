"""The pointer-generator: what it copies, what it has looked at, and what it cannot be made of."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from rnn_hub.layers.coverage import CoverageAttention
from rnn_hub.models.pointer.configuration_pointer import RnnPointerConfig
from rnn_hub.models.pointer.modeling_pointer import RnnForPointerGeneration

SIZES = {"vocab_size": 60, "embedding_size": 24, "encoder_hidden_size": 24, "decoder_hidden_size": 32}


def build(**options: object) -> RnnForPointerGeneration:
    torch.manual_seed(0)
    return RnnForPointerGeneration(RnnPointerConfig(**{**SIZES, **options}))


@pytest.fixture
def batch() -> dict[str, Tensor]:
    torch.manual_seed(1)
    mask = (torch.arange(7) < torch.tensor([[7], [4]])).long()
    return {"input_ids": torch.randint(4, 60, (2, 7)) * mask, "attention_mask": mask}


@pytest.mark.parametrize("coverage", [True, False])
def test_probabilities_are_the_mixture_of_the_paper(batch: dict[str, Tensor], coverage: bool) -> None:
    model, targets = build(coverage=coverage).eval(), torch.randint(4, 60, (2, 5))
    output = model(**batch, decoder_input_ids=targets, output_attentions=True)
    with torch.no_grad():
        encoded = model.encoder(**batch)
        hidden, weights, _ = model._decode(model.embeddings(targets), encoded, batch["attention_mask"], None, None)
        torch.testing.assert_close(output.cross_attentions[0][:, 0], weights)
        writes = torch.sigmoid(model.gate(hidden))
        expected = writes * torch.softmax(model.lm_head(hidden), dim=-1)
        for row, step, place in torch.cartesian_prod(torch.arange(2), torch.arange(5), torch.arange(7)).tolist():
            token = batch["input_ids"][row, place]
            expected[row, step, token] += (1 - writes[row, step, 0]) * weights[row, step, place]
    torch.testing.assert_close(output.logits.exp(), expected)
    torch.testing.assert_close(output.logits.exp().sum(dim=-1), torch.ones(2, 5))


def test_the_loss_is_the_cross_entropy_of_these_probabilities(batch: dict[str, Tensor]) -> None:
    model, labels = build().eval(), torch.randint(4, 60, (2, 5))
    labels[1, 3:] = -100
    output = model(**batch, labels=labels)
    torch.testing.assert_close(output.loss, F.cross_entropy(output.logits.mT, labels))


def test_coverage_is_the_sum_of_all_attention_before_and_changes_the_energy() -> None:
    torch.manual_seed(0)
    attention = CoverageAttention(4, 6).double()
    memory = attention.remember(torch.randn(2, 5, 6, dtype=torch.double), None)
    query, coverage = torch.randn(4, 1, 4, dtype=torch.double), torch.rand(4, 5, dtype=torch.double)
    context, weights = attention(query, memory._replace(coverage=coverage))
    for row in range(4):
        energies = torch.stack(
            [
                attention.score(
                    torch.tanh(
                        attention.query(query[row, 0])
                        + memory.keys[row // 2, place]
                        + attention.covered.weight[:, 0] * coverage[row, place]
                    )
                )[0]
                for place in range(5)
            ]
        )
        expected = torch.softmax(energies, dim=0)
        torch.testing.assert_close(weights[row, 0], expected.to(weights.dtype))
        torch.testing.assert_close(context[row, 0], expected @ memory.values[row // 2])


def test_looking_twice_at_one_place_costs_in_training_only(batch: dict[str, Tensor]) -> None:
    model, labels = build(coverage_penalty=3.0).train(), torch.randint(4, 60, (2, 5))
    labels[0, 4:] = -100
    penalized = model(**batch, labels=labels).loss
    weights = model.eval()(**batch, labels=labels, output_attentions=True).cross_attentions[0][:, 0]
    again = sum(
        torch.minimum(weights[row, step], weights[row, :step].sum(dim=0)).sum()
        for row, step in torch.nonzero(labels != -100).tolist()
    )
    torch.testing.assert_close(penalized, model(**batch, labels=labels).loss + 3.0 * again / 9)


def test_what_is_copied_was_never_written_in_training() -> None:
    """It learns to answer with the token after a mark, and does so for tokens that no target ever held."""
    torch.manual_seed(0)
    model, mark = build(coverage=False, attention_type="dot", decoder_hidden_size=48).train(), 4

    def draw(low: int, high: int, rows: int) -> tuple[Tensor, Tensor]:
        source, place = torch.randint(5, 60, (rows, 8)), torch.randint(0, 7, (rows,))
        answer = torch.randint(low, high, (rows,))
        source[torch.arange(rows), place] = mark
        source[torch.arange(rows), place + 1] = answer
        return source, torch.stack([answer, torch.full_like(answer, model.config.eos_token_id)], dim=1)

    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(250):
        source, labels = draw(5, 40, 64)
        loss = model(input_ids=source, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    source, labels = draw(40, 60, 100)
    written = model.eval().generate(input_ids=source, max_new_tokens=2, do_sample=False, num_beams=1)
    assert (written[:, 1] == labels[:, 0]).float().mean() > 0.9
    copied = model.copied(written, input_ids=source, attention_mask=torch.ones_like(source))
    assert copied[:, 0].mean() > 0.9 and copied[:, 1].mean() < 0.1  # the end is written


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention_type": None}, "copies what it attends to"),
        ({"attention_type": "dot"}, "coverage is part of the additive attention"),
        ({"source_vocab_size": 50, "share_embeddings": False}, "one vocabulary"),
        ({"label_smoothing": 0.1}, "label_smoothing would spread"),
        ({"coverage_penalty": -1.0}, "coverage_penalty must not be negative"),
    ],
)
def test_what_cannot_copy_is_refused(options: dict, message: str) -> None:
    with pytest.raises(Exception, match=message):
        RnnPointerConfig(**options)


def test_embeddings_and_outputs_without_tokens_are_refused(batch: dict[str, Tensor]) -> None:
    model = build().eval()
    with pytest.raises(ValueError, match="pass input_ids"):
        model(inputs_embeds=torch.randn(1, 3, 24), labels=torch.tensor([[5]]))
    encoded = model.encoder(**batch)
    encoded["tokens"] = None
    with pytest.raises(ValueError, match="lack tokens"):
        model(encoder_outputs=encoded, labels=torch.tensor([[5], [6]]))
