"""A text in streams: every token is read once, in order, and counted as the literature does."""

import pytest
import torch

from rnn_hub.data.loading import load_split
from rnn_hub.data.streams import StreamBatchSampler, TokenStreams, collate_windows, join_texts
from rnn_hub.data.tokenization import train_tokenizer
from rnn_hub.errors import RnnHubError

LINES = ["no it was", "n't <unk> monday", "no"]


def read(sampler: StreamBatchSampler, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, list[bool]]:
    """All inputs and targets of each stream, end to end, and what the batches say of the state."""
    text = TokenStreams(tokens)
    batches = [collate_windows([text[window] for window in batch]) for batch in sampler]
    inputs, targets = (torch.cat([batch[name] for batch in batches], dim=1) for name in ("input_ids", "shift_labels"))
    return inputs, targets, [batch["continues"] for batch in batches]


@pytest.mark.parametrize("random", [False, True])
def test_every_stream_reads_its_part_of_the_text_in_order(random: bool) -> None:
    tokens = torch.arange(1004)
    sampler = StreamBatchSampler(1003, streams=4, steps=20, random=random)
    for epoch in range(3):
        sampler.set_epoch(epoch)
        inputs, targets, continues = read(sampler, tokens)
        assert torch.equal(inputs.flatten(), tokens[:1000])
        assert torch.equal(targets.flatten(), tokens[1:1001])
        assert continues == [False] + [True] * (len(sampler) - 1)
    assert sampler.mean_tokens * len(sampler) == 1000


def test_random_windows_change_with_the_epoch_and_follow_from_the_seed() -> None:
    def lengths(epoch: int, **options: int) -> list[int]:
        sampler = StreamBatchSampler(40_000, streams=4, steps=70, random=True, **options)
        sampler.set_epoch(epoch)
        return [batch[0].stop - batch[0].start for batch in sampler]

    assert lengths(1) == lengths(1)
    assert lengths(1) != lengths(2)
    assert lengths(1) != lengths(1, seed=5)
    assert min(lengths(1)) >= 5 and len(set(lengths(1))) > 10


def test_processes_read_what_one_with_more_streams_reads() -> None:
    tokens = torch.arange(501)
    one, _, _ = read(StreamBatchSampler(500, streams=4, steps=30, random=True, seed=2), tokens)
    for rank in range(2):
        sampler = StreamBatchSampler(500, streams=2, steps=30, random=True, seed=2, num_replicas=2, rank=rank)
        assert torch.equal(read(sampler, tokens)[0], one[rank::2])
        assert sampler.mean_tokens == 500 / 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"streams": 0, "steps": 5}, "at least 1"),
        ({"streams": 200, "steps": 5}, "100 tokens are too few for 200 streams"),
        ({"streams": 2, "steps": 5, "random": True}, "at least 10 steps"),
    ],
)
def test_streams_that_cannot_be_are_refused(options: dict, message: str) -> None:
    with pytest.raises(RnnHubError, match=message):
        StreamBatchSampler(100, **options)


def test_texts_are_joined_with_an_end_after_each_and_every_token_is_predicted_once() -> None:
    tokenizer = train_tokenizer(LINES, 20, "word", eos="before")
    tokens, counts = join_texts(tokenizer, LINES)
    words = [None if token == 3 else tokenizer.decode(token).strip() for token in tokens.tolist()]
    assert words == [None, "no", "it", "was", None, "n't", "<unk>", "monday", None, "no", None]
    assert counts == [4, 4, 2]


def test_characters_of_texts_are_joined_without_anything_between() -> None:
    tokenizer = train_tokenizer(["no\nit"], 30, "char", eos="none")
    tokens, counts = join_texts(tokenizer, ["", "no\n", "it"])
    assert tokenizer.decode(tokens) == "no\nit"
    assert counts == [0, 2, 2]
    with pytest.raises(RnnHubError, match="no token to predict"):
        join_texts(tokenizer, ["a"])


def test_the_penn_treebank_has_as_many_tokens_as_the_literature_says(data_dir) -> None:
    folder = data_dir / "ptb"
    if not folder.is_dir():
        pytest.skip(f"needs real data: no folder {folder}")
    lines = {split: load_split(folder, split)["sentence"] for split in ("train", "test")}
    tokenizer = train_tokenizer(lines["train"], 10_002, "word", eos="before")
    assert len(tokenizer) == 10_002  # 10,000 with the end of a line, besides <pad> and <s>
    tokens, counts = join_texts(tokenizer, lines["test"])
    assert len(tokens) - 1 == sum(counts) == 82_430
    assert int((tokens == tokenizer.unk_token_id).sum()) == 4_794
