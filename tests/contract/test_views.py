"""What a model decodes with: its weights laid out for many rows, or in 8-bit integers."""

import pytest
import torch
from torch import Tensor

from rnn_hub.cache import RnnCache
from rnn_hub.cells import int8
from rnn_hub.layers.stack import RnnStack
from tests.contract.families import Batch, prompt_length, reading


def logits_after(model, view, batch: Batch) -> tuple[Tensor, Tensor]:
    """Those of one decoding step of a model and of a view of it, from the same state."""
    cache, tokens = RnnCache(), torch.full((3, 1), 2)
    inputs = reading(model, batch, tokens, prompted=False)
    with torch.no_grad():
        model(**inputs, past_key_values=cache, use_cache=True)
        return tuple(one.decode_step(torch.tensor([5, 6, 7]), cache.memory, cache.state)[0] for one in (model, view))


def test_weights_laid_out_for_many_rows_give_the_same_logits(model, batch: Batch) -> None:
    model.double()  # another order of sums is then no difference, however the layers after it amplify it
    before = {name: (value.data_ptr(), value.stride()) for name, value in model.state_dict().items()}
    view = model._decoder(rows=8, steps=100)
    assert view.lm_head.weight.stride() == (1, model.lm_head.out_features)
    expected, logits = logits_after(model, view, batch)
    torch.testing.assert_close(logits, expected)
    assert {name: (value.data_ptr(), value.stride()) for name, value in model.state_dict().items()} == before


def test_int8_decoding_is_near_and_can_be_left_again(model, batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8, "SMALLEST", 1)
    options = {"num_beams": 2, "max_new_tokens": 5, "do_sample": False}
    greedy, names = model.generate(**batch, **options), list(model.state_dict())
    assert model.decode_in_int8() is model
    expected, logits = logits_after(model, model._decoder(rows=1, steps=1), batch)
    assert 0 < (logits - expected).abs().mean() < 0.25 * expected.std()
    assert model.generate(**batch, **options).shape[1] > prompt_length(model, batch)
    assert list(model.state_dict()) == names
    assert torch.equal(model.decode_in_int8(False).generate(**batch, **options), greedy)


def test_small_matrices_stay_as_they_are() -> None:
    small, large = torch.randn(8, 8), torch.randn(512, 512)
    assert int8.quantize(small) is small
    x, weight = torch.randn(3, 512), int8.quantize(large)
    product = torch.nn.functional.linear(x, weight, torch.ones(512))
    torch.testing.assert_close(product, x @ large.T + 1, atol=1.5, rtol=0.02)
    assert torch.equal(weight[2:4], large[2:4])
    assert torch.equal(torch.mul(weight, 2), large * 2)


@pytest.mark.parametrize("cell_type", ["lstm", "gru"])
def test_a_cell_without_biases_steps_in_integers_too(cell_type: str) -> None:
    stack = RnnStack(512, 512, cell_type=cell_type, bias=False)
    x, state = torch.randn(3, 512), stack.init_state(3, torch.zeros(1))
    with torch.no_grad():
        expected, _ = stack.advance(x, state)
        stack.freeze(int8.quantize)
        output, _ = stack.advance(x, state)
    torch.testing.assert_close(output, expected, atol=0.08, rtol=0.05)
