"""RnnCache: one object for generation, streaming and truncated backpropagation."""

import pytest
import torch

from rnn_hub.cache import RnnCache
from rnn_hub.layers.attention import Memory
from rnn_hub.layers.stack import RnnStack


def build(rows: int = 4) -> RnnCache:
    state = tuple((torch.randn(rows, 3), torch.randn(rows, 3)) for _ in range(2))
    cache = RnnCache()
    cache.update(state, steps=5)
    return cache


def test_updates_count_steps_and_keep_the_state() -> None:
    cache = build()
    assert (len(cache), cache.get_seq_length()) == (2, 5)
    state = cache.state
    cache.update(state, steps=2)
    assert cache.get_seq_length() == 7
    assert cache.state[1][0] is state[1][0]
    assert RnnCache().state is None
    assert RnnCache().get_seq_length() == 0


def test_rows_can_be_reordered_selected_and_repeated() -> None:
    for method, argument, rows in [
        ("reorder_cache", torch.tensor([2, 2, 0, 1]), [2, 2, 0, 1]),
        ("batch_select_indices", torch.tensor([3, 1]), [3, 1]),
        ("batch_repeat_interleave", 2, [0, 0, 1, 1, 2, 2, 3, 3]),
    ]:
        cache = build()
        before = cache.state
        getattr(cache, method)(argument)
        for old, new in zip(before, cache.state, strict=True):
            for one, other in zip(old, new, strict=True):
                assert torch.equal(one[rows], other)


def test_beams_permute_while_their_source_stays_and_selected_rows_take_theirs() -> None:
    memory = Memory(torch.randn(4, 6, 2), torch.randn(4, 6, 2), None)
    cache = build()
    cache.memory = memory
    cache.reorder_cache(torch.tensor([1, 0, 3, 2]))
    assert cache.memory is memory
    cache.batch_select_indices(torch.tensor([3, 1]))
    assert torch.equal(cache.memory.keys, memory.keys[[3, 1]])
    shared = build()
    shared.memory = Memory(memory.keys[:2], memory.values[:2], None)
    with pytest.raises(ValueError, match="share a source"):
        shared.batch_select_indices(torch.tensor([0, 1]))


def test_reset_forgets_and_crop_refuses() -> None:
    cache = build()
    cache.memory = Memory(torch.randn(4, 6, 2), torch.randn(4, 6, 2), None)
    cache.reset()
    assert cache.state is None
    assert cache.memory is None
    assert cache.get_seq_length() == 0
    with pytest.raises(ValueError, match="cannot go back"):
        build().layers[0].crop(1)


def test_truncated_backpropagation_stops_at_a_detached_state() -> None:
    stack = RnnStack(3, 4).double()
    x = torch.randn(2, 6, 3, dtype=torch.float64, requires_grad=True)
    cache = RnnCache()
    cache.update(stack(x[:, :3])[1], steps=3)
    output, _ = stack(x[:, 3:], None, cache.detach().state)
    (grad,) = torch.autograd.grad(output.sum(), x)
    assert not grad[:, :3].any()
    assert grad[:, 3:].any()
    whole, _ = stack(x)
    torch.testing.assert_close(output, whole[:, 3:])


def test_offloading_brings_a_state_back() -> None:
    cache = build()
    before = cache.state
    for layer in cache.layers:
        layer.offload()
        layer.prefetch()
    assert all(
        torch.equal(a, b) for old, new in zip(before, cache.state, strict=True) for a, b in zip(old, new, strict=True)
    )
