"""Length-bucketed batches: the budget holds, every example once, any number of processes, resumable."""

import logging

import numpy as np
import pytest
import torch
from accelerate import skip_first_batches
from accelerate.data_loader import BatchSamplerShard, DataLoaderShard
from torch.utils.data import DataLoader

from rnn_hub.data.collators import Seq2SeqCollator
from rnn_hub.data.loading import load_split
from rnn_hub.data.samplers import LengthGroupedBatchSampler, TokenBatchSampler
from rnn_hub.data.tokenization import token_lengths, train_tokenizer
from rnn_hub.errors import RnnHubError


def pair_lengths(count: int = 2000) -> list[tuple[int, int]]:
    """Lengths like those of a parallel corpus: skewed, and of similar length on both sides."""
    generator = np.random.default_rng(0)
    source = generator.gamma(6, 2.5, count).astype(int) + 3
    target = np.maximum(3, (source * generator.normal(1.05, 0.15, count)).astype(int))
    return list(zip(source.tolist(), target.tolist(), strict=True))


LENGTHS = pair_lengths()
SAMPLERS = {
    "tokens": lambda **kwargs: TokenBatchSampler(LENGTHS, max_tokens=1024, **kwargs),
    "sentences": lambda **kwargs: LengthGroupedBatchSampler(LENGTHS, sentences=32, **kwargs),
}


@pytest.fixture(params=SAMPLERS)
def build(request):
    return SAMPLERS[request.param]


def flat(batches) -> list[int]:
    return [index for batch in batches for index in batch]


def test_every_example_comes_once_an_epoch(build):
    sampler = build()
    for epoch in range(3):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert sorted(flat(batches)) == list(range(len(LENGTHS)))
        assert len(batches) == len(sampler) and all(batches)


def test_the_padded_size_stays_within_the_budget():
    for kwargs in ({}, {"max_sentences": 7}, {"shuffle": False}):
        for batch in TokenBatchSampler(LENGTHS, max_tokens=1024, **kwargs):
            longest = np.array([LENGTHS[i] for i in batch]).max(axis=0).sum()
            assert longest * len(batch) <= 1024
            assert len(batch) <= kwargs.get("max_sentences", len(batch))


def test_single_lengths_work_as_pairs_do():
    sampler = TokenBatchSampler([source for source, _ in LENGTHS], max_tokens=512)
    assert sorted(flat(sampler)) == list(range(len(LENGTHS)))
    assert sampler.padding_ratio() < 0.03


def test_padding_ratio_counts_what_a_collator_pads():
    sampler = TokenBatchSampler(LENGTHS, max_tokens=1024)
    padded = real = 0
    for batch in sampler:
        rows = np.array([LENGTHS[i] for i in batch])
        padded += rows.max(axis=0).sum() * len(batch)
        real += rows.sum()
    assert sampler.padding_ratio() == pytest.approx(1 - real / padded)


def test_lengths_are_mixed_over_the_epoch(build):
    means = [np.mean([LENGTHS[i] for i in batch]) for batch in build()]
    assert abs(np.corrcoef(np.arange(len(means)), means)[0, 1]) < 0.3


def test_epochs_differ_and_follow_from_the_seed(build):
    def epoch(number: int, seed: int = 0) -> list[list[int]]:
        sampler = build(seed=seed)
        sampler.set_epoch(number)
        return list(sampler)

    assert epoch(1) == epoch(1)
    assert epoch(1) != epoch(2)
    assert epoch(1) != epoch(1, seed=5)
    assert {frozenset(batch) for batch in epoch(1)} != {frozenset(batch) for batch in epoch(2)}


def test_epochs_have_the_same_number_of_batches():
    for budget in (64, 100, 300, 1024):
        sampler = TokenBatchSampler(LENGTHS[:500], max_tokens=budget)
        counts = set()
        for epoch in range(30):
            sampler.set_epoch(epoch)
            counts.add(len(list(sampler)))
        assert counts == {len(sampler)}


def test_without_shuffle_the_longest_come_first_and_epochs_agree(build):
    sampler = build(shuffle=False)
    first = list(sampler)
    sampler.set_epoch(4)
    assert list(sampler) == first
    longest = [max(max(LENGTHS[i]) for i in batch) for batch in first]
    assert longest == sorted(longest, reverse=True)


@pytest.mark.parametrize("replicas", [2, 3, 8])
def test_processes_share_one_global_order(build, replicas):
    one = build()
    one.set_epoch(2)
    order = list(one)
    ranks = [build(num_replicas=replicas, rank=rank) for rank in range(replicas)]
    shares = []
    for sampler in ranks:
        sampler.set_epoch(2)
        shares.append(list(sampler))
    assert {len(share) for share in shares} == {len(ranks[0])}
    together = [batch for step in zip(*shares, strict=True) for batch in step]
    assert together[: len(order)] == order
    assert together[len(order) :] == order[: len(together) - len(order)]


def test_round_to_leaves_no_remainder(build):
    sampler = build(round_to=8)
    assert len(sampler) % 8 == 0
    assert sorted(flat(sampler)) == list(range(len(LENGTHS)))
    shares = [list(build(round_to=8, num_replicas=4, rank=rank)) for rank in range(4)]
    assert sorted(flat(flat(shares))) == list(range(len(LENGTHS)))


def test_more_processes_than_batches():
    shares = [list(TokenBatchSampler([3, 4], max_tokens=99, num_replicas=3, rank=rank)) for rank in range(3)]
    assert [len(share) for share in shares] == [1, 1, 1]


def test_resuming_gives_the_same_remaining_batches(build):
    sampler = build(seed=3)
    sampler.set_epoch(1)
    batches = iter(sampler)
    for _ in range(5):
        next(batches)
    state = sampler.state_dict()
    rest = list(batches)

    resumed = build(seed=3)
    resumed.load_state_dict(state)
    resumed.set_epoch(1)
    assert list(resumed) == rest
    assert len(list(resumed)) == len(resumed)
    sampler.set_epoch(2)
    resumed.set_epoch(2)
    assert list(resumed) == list(sampler)


def test_a_state_of_another_run_is_refused():
    state = TokenBatchSampler(LENGTHS, max_tokens=1024, seed=1).state_dict()
    with pytest.raises(RnnHubError, match="seed = 1, this run has 2"):
        TokenBatchSampler(LENGTHS, max_tokens=1024, seed=2).load_state_dict(state)
    with pytest.raises(RnnHubError, match="examples"):
        TokenBatchSampler(LENGTHS[:-1], max_tokens=1024, seed=1).load_state_dict(state)


def test_an_overlong_example_gets_a_batch_of_its_own_with_a_warning(caplog):
    with caplog.at_level(logging.WARNING):
        batches = list(TokenBatchSampler([5, 5, 900, 5], max_tokens=20))
    assert [2] in batches and sorted(flat(batches)) == [0, 1, 2, 3]
    assert "1 examples exceed max_tokens=20" in caplog.text and "number 2" in caplog.text


@pytest.mark.parametrize("count", [1, 2, 3])
def test_tiny_datasets(count):
    for sampler in (
        TokenBatchSampler([4] * count, max_tokens=8, round_to=4),
        LengthGroupedBatchSampler([0] * count, 2),
    ):
        assert sorted(flat(sampler)) == list(range(count))


def test_bad_arguments_are_told():
    with pytest.raises(RnnHubError, match="empty"):
        TokenBatchSampler([], max_tokens=10)
    with pytest.raises(RnnHubError, match="negative length -1"):
        TokenBatchSampler([3, -1], max_tokens=10)
    with pytest.raises(RnnHubError, match="max_tokens=0"):
        TokenBatchSampler([3], max_tokens=0)
    with pytest.raises(RnnHubError, match="at least 1 example, not 0"):
        LengthGroupedBatchSampler([3], 0)
    with pytest.raises(RnnHubError, match="rank 2 of 2"):
        TokenBatchSampler([3], max_tokens=9, num_replicas=2, rank=2)


def test_works_behind_a_dataloader_with_workers():
    sampler = TokenBatchSampler(LENGTHS, max_tokens=1024)
    loader = DataLoader(torch.arange(len(LENGTHS)), batch_sampler=sampler, num_workers=2)
    assert len(loader) == len(sampler)
    assert [batch.tolist() for batch in loader] == list(sampler)


def test_accelerate_skips_batches_and_keeps_the_epoch():
    sampler = TokenBatchSampler(LENGTHS, max_tokens=1024)
    loader = skip_first_batches(DataLoader(torch.arange(len(LENGTHS)), batch_sampler=sampler), 4)
    sampler.set_epoch(3)
    assert [batch.tolist() for batch in loader] == list(sampler)[4:]


def test_accelerate_shards_as_the_sampler_does_and_sets_its_epoch():
    for rank in range(2):
        sampler = TokenBatchSampler(LENGTHS, max_tokens=1024)
        shard = BatchSamplerShard(sampler, num_processes=2, process_index=rank)
        loader = DataLoaderShard(torch.arange(len(LENGTHS)), batch_sampler=shard, _drop_last=False)
        loader.set_epoch(2)
        expected = TokenBatchSampler(LENGTHS, max_tokens=1024, num_replicas=2, rank=rank)
        expected.set_epoch(2)
        assert [batch.tolist() for batch in loader] == list(expected)


def test_padding_on_multi30k_is_under_five_percent(multi30k):
    train = load_split(multi30k, "train", columns=("en", "de"))
    source, target = list(train["en"]), list(train["de"])
    tokenizer = train_tokenizer(source + target, vocab_size=8000)
    lengths = list(zip(token_lengths(tokenizer, source), token_lengths(tokenizer, target), strict=True))
    for sampler in (
        LengthGroupedBatchSampler(lengths, 64),
        TokenBatchSampler(lengths, 2048),
        TokenBatchSampler(lengths, 4096),
    ):
        ratios = []
        for epoch in range(3):
            sampler.set_epoch(epoch)
            ratios.append(sampler.padding_ratio())
        assert max(ratios) < 0.05, f"{type(sampler).__name__}: {ratios}"
    collator = Seq2SeqCollator(tokenizer, "en", "de")
    for batch in list(sampler)[:20]:
        tensors = collator([{"en": source[i], "de": target[i]} for i in batch])
        assert tensors["input_ids"].numel() + tensors["labels"].numel() <= 4096
