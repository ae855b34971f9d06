"""A model of trees: each tree of a batch as alone, saved as loaded, and it learns what only a tree can tell."""

import random

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors.torch import save_file
from transformers import AutoModelForSequenceClassification

from rnn_hub.models.tree.configuration_tree import RnnTreeConfig
from rnn_hub.models.tree.modeling_tree import RnnForTreeClassification

CELLS = ("binary_lstm", "child_sum_lstm", "gru", "min_gru")


def build(**options: object) -> RnnForTreeClassification:
    torch.manual_seed(1)
    sizes = {"vocab_size": 12, "embedding_size": 8, "hidden_size": 10, "num_labels": 3, "initializer_range": 0.3}
    return RnnForTreeClassification(RnnTreeConfig(**{**sizes, **options})).eval()


def batch() -> dict[str, torch.Tensor]:
    """((4 5) 6), the leaf 7, and (8 9), one after the other."""
    return {
        "input_ids": torch.tensor([4, 5, 0, 6, 0, 7, 8, 9, 0]),
        "edges": torch.tensor([[0, 1, 2, 3, 6, 7], [2, 2, 4, 4, 8, 8]]),
        "roots": torch.tensor([4, 5, 8]),
    }


@pytest.mark.parametrize("cell_type", CELLS)
def test_trees_of_a_batch_equal_each_alone(cell_type: str) -> None:
    model = build(cell_type=cell_type)
    together = model(**batch())
    alone = [
        model(torch.tensor([4, 5, 0, 6, 0]), torch.tensor([[0, 1, 2, 3], [2, 2, 4, 4]])),
        model(torch.tensor([7]), torch.zeros(2, 0, dtype=torch.long)),
        model(torch.tensor([8, 9, 0]), torch.tensor([[0, 1], [2, 2]])),
    ]
    torch.testing.assert_close(together.logits, torch.cat([output.logits for output in alone]))
    torch.testing.assert_close(together.node_logits, torch.cat([output.node_logits for output in alone]))


def test_the_loss_is_the_mean_over_labelled_nodes() -> None:
    model, labels = build(), torch.tensor([1, -100, 2, -100, 0, 1, -100, 2, 2])
    output = model(**batch(), labels=labels)
    chosen = labels >= 0
    expected = torch.nn.functional.cross_entropy(output.node_logits[chosen], labels[chosen])
    torch.testing.assert_close(output.loss, expected)
    torch.testing.assert_close(model(**batch(), labels=labels, num_items_in_batch=2).loss, expected * 6 / 2)


def test_words_of_inner_nodes_are_no_input_and_hidden_words_neither() -> None:
    model = build()
    assert torch.equal(model(**batch()).logits, model.train().eval()(**batch()).logits)
    hidden = build(word_dropout=0.99999).train()
    torch.manual_seed(0)
    empty = {**batch(), "input_ids": torch.zeros(9, dtype=torch.long)}
    torch.testing.assert_close(hidden(**batch()).logits, hidden(**empty).logits)


@pytest.mark.parametrize("cell_type", CELLS)
def test_saved_equals_loaded(cell_type: str, tmp_path) -> None:
    model = build(cell_type=cell_type)
    model.save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert type(loaded) is RnnForTreeClassification
    torch.testing.assert_close(loaded(**batch()).logits, model(**batch()).logits)


def test_it_learns_an_operation_on_its_two_children() -> None:
    """A node is 'left minus right' of the signs below it: order and grouping matter, so no bag of words will do."""
    random.seed(1)

    def draw(depth: int, nodes: list, edges: list, labels: list) -> tuple[int, int]:
        if depth == 0:
            value = random.choice([-1, 1])
            nodes.append(5 + value)
            labels.append(value + 1)
            return len(nodes) - 1, value
        children = [draw(random.randrange(depth), nodes, edges, labels) for _ in range(2)]
        value = max(-1, min(1, children[0][1] - children[1][1]))
        nodes.append(0)
        labels.append(value + 1)
        edges.extend((child, len(nodes) - 1) for child, _ in children)
        return len(nodes) - 1, value

    def trees(count: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        nodes, edges, labels = [], [], []
        roots = [draw(3, nodes, edges, labels)[0] for _ in range(count)]
        ids, edges = torch.tensor(nodes), torch.tensor(edges).T
        return {"input_ids": ids, "edges": edges, "roots": torch.tensor(roots)}, torch.tensor(labels)

    model = build(hidden_size=24).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        inputs, labels = trees(32)
        model(**inputs, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    inputs, labels = trees(200)
    predicted = model.eval()(**inputs).logits.argmax(dim=-1)
    assert (predicted == labels[inputs["roots"]]).float().mean() > 0.95


def test_what_no_tree_can_be_is_refused() -> None:
    for fields, message in (
        ({"bidirectional": True}, "read from its leaves only"),
        ({"cell_type": "lstn"}, "unknown cell_type 'lstn'"),
        ({"layer_norm": True}, "layer_norm is for sequences and means nothing in a tree: leave it at False"),
        ({"unrolling": "static"}, "unrolling is for sequences"),
        ({"zoneout": 0.1}, "'binary_lstm' a unit has no one last state to keep"),
    ):
        with pytest.raises((ValueError, StrictDataclassError), match=message):
            RnnTreeConfig(**fields)
    assert RnnTreeConfig(cell_type="gru", zoneout=0.1).max_children is None
    with pytest.raises(ValueError, match="does not support (gradient|activation) checkpointing"):
        build().gradient_checkpointing_enable()
    with pytest.raises(ValueError, match="node 3 has more than 2 predecessors"):
        build()(torch.tensor([4, 5, 6, 0]), torch.tensor([[0, 1, 2], [3, 3, 3]]))
    assert build(cell_type="child_sum_lstm").config.max_children is None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_loads_and_runs(dtype: torch.dtype, tmp_path) -> None:
    model = build(cell_type="child_sum_lstm")
    model.save_pretrained(tmp_path)
    half = AutoModelForSequenceClassification.from_pretrained(tmp_path, dtype=dtype)
    output = half(**batch(), labels=torch.zeros(9, dtype=torch.long))
    assert output.logits.dtype == dtype
    assert output.loss.isfinite()
    torch.testing.assert_close(output.logits.float(), model(**batch()).logits, atol=0.02, rtol=0.02)


def test_missing_weights_are_drawn_as_in_a_new_model(tmp_path) -> None:
    build(vocab_size=40).save_pretrained(tmp_path)
    save_file({}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path).state_dict()
    for name, fresh in build(vocab_size=40).state_dict().items():
        assert loaded[name].std() == pytest.approx(fresh.std().item(), rel=0.4, abs=1e-6), name
    assert torch.equal(loaded["stack.bias_ih_l0"][10:20], torch.ones(10))  # of the forget gates
