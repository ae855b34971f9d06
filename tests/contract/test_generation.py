"""What every model keeps while it generates."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import DynamicCache, TextStreamer
from transformers.generation.streamers import BaseStreamer

from rnn_hub.cache import RnnCache
from tests.contract.families import SEQ2SEQ, Batch, one_row, prompt_length, reading

SEARCHES = {
    "greedy": {},
    "beam": {"num_beams": 4},
    "n-best": {"num_beams": 4, "num_return_sequences": 3, "length_penalty": 0.6},
    "no repeated bigrams": {"num_beams": 3, "no_repeat_ngram_size": 2},
    "sampling": {"do_sample": True, "top_k": 0},
    "several samples": {"do_sample": True, "num_return_sequences": 2, "temperature": 0.8},
    "beam sampling": {"do_sample": True, "num_beams": 3},
}
every_search = pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES.keys())


def generate(model, batch: Batch, **options: object) -> Tensor:
    torch.manual_seed(3)
    return model.generate(**batch, **{"max_new_tokens": 9, "do_sample": False, **options})


def teacher_forced(model, batch: Batch, sequences: Tensor) -> Tensor:
    """Log-probability of what was written (rows of one source together), its end token included."""
    start = prompt_length(model, batch)
    logits = model(**reading(model, batch, sequences[:, :-1])).logits[:, start - 1 :]
    chosen = logits.log_softmax(-1).gather(-1, sequences[:, start:, None])[..., 0]
    return chosen.masked_fill(~real_tokens(model, sequences[:, start:]), 0.0).sum(dim=1)


def real_tokens(model, written: Tensor) -> Tensor:
    """Which tokens stand before or at the first end token."""
    ends = (written == model.config.eos_token_id).long()
    return ends.cumsum(dim=-1) - ends == 0


@every_search
def test_cached_equals_uncached(model, batch: Batch, search: dict) -> None:
    assert torch.equal(generate(model, batch, **search), generate(model, batch, use_cache=False, **search))


@pytest.mark.parametrize("penalty", [0.0, 1.0, 1.7])
def test_reported_scores_equal_teacher_forced_log_probabilities(model, batch: Batch, penalty: float) -> None:
    options = {"num_beams": 4, "num_return_sequences": 4, "length_penalty": penalty}
    output = generate(model, batch, return_dict_in_generate=True, output_scores=True, **options)
    lengths = real_tokens(model, output.sequences[:, prompt_length(model, batch) :]).sum(dim=1)
    expected = teacher_forced(model, batch, output.sequences) / lengths**penalty
    torch.testing.assert_close(output.sequences_scores, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("search", [SEARCHES["greedy"], SEARCHES["n-best"]], ids=["greedy", "n-best"])
def test_a_padded_batch_equals_each_row_alone(model, batch: Batch, search: dict) -> None:
    together = generate(model, batch, **search)[:, prompt_length(model, batch) :]
    each = len(together) // 3
    for row in range(3):
        source = one_row(batch, row)
        alone = generate(model, source, **search)[:, prompt_length(model, source) :]
        rows = together[row * each : (row + 1) * each]
        for one, other in zip(rows, alone, strict=True):
            assert torch.equal(one[real_tokens(model, one)], other[real_tokens(model, other)])


def test_more_padding_changes_nothing(model, batch: Batch) -> None:
    more, labels = (0, 4), torch.randint(4, 40, (3, 5))
    if not model.config.is_encoder_decoder:
        more, labels = (2, 3), batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    expected = model(**batch, labels=labels)
    padded = batch | {name: F.pad(batch[name], (2, 3)) for name in ("input_ids", "attention_mask")}
    result = model(**padded, labels=F.pad(labels, more, value=-100))
    torch.testing.assert_close(result.loss, expected.loss)
    torch.testing.assert_close(F.pad(result.logits, (0, 0, -more[0], -more[1])), expected.logits)


def test_resumed_from_a_cache_equals_at_once(model, batch: Batch) -> None:
    whole = generate(model, batch, max_new_tokens=8)
    first = generate(model, batch, max_new_tokens=3, return_dict_in_generate=True)
    seen = reading(model, batch, first.sequences)
    rest = generate(model, seen, max_new_tokens=5, past_key_values=first.past_key_values)
    assert isinstance(first.past_key_values, RnnCache)
    real = real_tokens(model, whole[:, prompt_length(model, batch) :])  # an ended text begins again when resumed
    assert torch.equal(*(text[:, -real.shape[1] :][real] for text in (rest, whole)))


def test_the_cache_takes_any_number_of_tokens_at_a_time(model, batch: Batch) -> None:
    target = torch.randint(4, 40, (3, 7))
    expected = model(**reading(model, batch, target, prompted=False)).logits
    cache, logits = RnnCache(), []
    for piece in target.split([1, 4, 2], dim=1):
        output = model(**reading(model, batch, piece, prompted=False), past_key_values=cache, use_cache=True)
        logits.append(output.logits)
    torch.testing.assert_close(torch.cat(logits, dim=1), expected)
    assert cache.get_seq_length() == 7


@pytest.mark.parametrize("options", SEQ2SEQ.values(), ids=SEQ2SEQ.keys())
def test_left_padded_prompts_of_a_decoder_equal_each_alone(make, batch: Batch, options: dict) -> None:
    model = make(**options)
    prompts = [[2, 7, 9, 11], [2, 8], [2, 5, 6]]
    width = max(map(len, prompts))
    padded = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    together = generate(model, batch, decoder_input_ids=padded, decoder_attention_mask=mask, max_new_tokens=4)
    for row, prompt in enumerate(prompts):
        source = {name: value[row : row + 1] for name, value in batch.items()}
        alone = generate(model, source, decoder_input_ids=torch.tensor([prompt]), max_new_tokens=4)
        new = alone[0, len(prompt) :]
        assert torch.equal(together[row, width : width + len(new)], new)


def test_two_threads_at_once_equal_one_after_the_other(model, batch: Batch) -> None:
    other = {name: value.flip(0) for name, value in batch.items()}
    jobs = [batch, other] * 4
    expected = [model.generate(**job, num_beams=3, do_sample=False, max_new_tokens=9) for job in jobs]
    with ThreadPoolExecutor(2) as pool:
        results = pool.map(lambda job: model.generate(**job, num_beams=3, do_sample=False, max_new_tokens=9), jobs)
    assert all(torch.equal(result, one) for result, one in zip(results, expected, strict=True))


def test_a_streamer_sees_the_tokens_that_are_returned(model, batch: Batch) -> None:
    class Recorder(BaseStreamer):
        tokens: list[int]

        def put(self, value: Tensor) -> None:
            self.tokens.extend(value.flatten().tolist())

        def end(self) -> None:
            self.ended = True

    assert issubclass(TextStreamer, BaseStreamer)
    source = {name: value[:1] for name, value in batch.items()}
    recorder = Recorder()
    recorder.tokens = []
    result = generate(model, source, streamer=recorder)
    assert recorder.tokens == result[0].tolist()
    assert recorder.ended


def test_cross_attentions_come_back_for_each_step(make, batch: Batch) -> None:
    model = make(attention_type="additive")
    output = generate(model, batch, num_beams=2, return_dict_in_generate=True, output_attentions=True)
    for (weights,) in output.cross_attentions:
        assert weights.shape == (6, 1, 1, 6)
        torch.testing.assert_close(weights.sum(-1), torch.ones(6, 1, 1))
        assert not weights[:, 0, 0][batch["attention_mask"].repeat_interleave(2, 0) == 0].any()
    assert (
        make(attention_type=None)(**batch, labels=batch["input_ids"], output_attentions=True).cross_attentions is None
    )


def test_constraints_of_transformers_hold(make, batch: Batch) -> None:
    model = make()
    assert not (generate(model, batch, bad_words_ids=[[7]], num_beams=3) == 7).any()
    assert (generate(model, batch, min_new_tokens=9) != 3).all()
    only = generate(model, batch, prefix_allowed_tokens_fn=lambda row, ids: [5, 6], num_beams=2)
    assert set(only[:, 1:].flatten().tolist()) <= {0, 5, 6}


def test_encoder_outputs_can_be_given(make, batch: Batch) -> None:
    model = make()
    encoded = model.get_encoder()(**batch)
    result = model.generate(
        encoder_outputs=encoded, attention_mask=batch["attention_mask"], num_beams=3, do_sample=False, max_new_tokens=9
    )
    assert torch.equal(result, generate(model, batch, num_beams=3))


def test_a_source_of_only_padding_is_an_error_that_names_its_row(make, batch: Batch) -> None:
    batch["attention_mask"][1] = 0
    with pytest.raises(ValueError, match="row 1 of the batch holds only padding"):
        generate(make(), batch)


def test_a_source_of_only_padding_is_refused_before_another_encoder_too(make, batch: Batch) -> None:
    bert = {"model_type": "bert", "vocab_size": 35, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    batch["attention_mask"][1] = 0
    with pytest.raises(ValueError, match="row 1 of the batch holds only padding"):
        generate(make(encoder=bert, share_embeddings=False), batch)


def test_beams_resumed_from_a_greedy_cache_equal_beams_over_the_same_prefix(model, batch: Batch) -> None:
    first = generate(model, batch, max_new_tokens=3, return_dict_in_generate=True)
    seen, options = reading(model, batch, first.sequences), {"num_beams": 3, "max_new_tokens": 5}
    expected = generate(model, seen, **options)
    assert torch.equal(generate(model, seen, past_key_values=first.past_key_values, **options), expected)


def test_the_cache_of_another_kind_of_model_is_refused(make, batch: Batch) -> None:
    with pytest.raises(ValueError, match="must be an RnnCache, got a DynamicCache"):
        generate(make(), batch, past_key_values=DynamicCache())


def test_an_empty_target_gives_no_logits(make, batch: Batch) -> None:
    for model in (make(), make(attention_type="additive", input_feeding=True)):
        assert model(**batch, decoder_input_ids=torch.zeros(3, 0, dtype=torch.long)).logits.shape == (3, 0, 40)
