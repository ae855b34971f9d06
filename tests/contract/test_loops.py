"""Our decoding loops give what transformers' own give, and do less."""

import pytest
import torch
from torch import Tensor
from transformers import CompileConfig, GenerationMixin, MaxLengthCriteria, MaxTimeCriteria, StoppingCriteriaList
from transformers.generation import EosTokenCriteria
from transformers.generation.utils import GenerateBeamEncoderDecoderOutput

from rnn_hub.generation.beam import top_k

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture
def many(draw) -> dict[str, Tensor]:
    """Nine sources of 1 to 7 tokens, whose translations end at different steps."""
    return draw((torch.arange(7) < torch.tensor([7, 3, 1, 5, 2, 6, 4, 7, 1])[:, None]).long())


def both_loops(model, batch: dict[str, Tensor], **options: object) -> list[GenerateBeamEncoderDecoderOutput]:
    """What `generate()` returns on our loops, and on those of transformers."""
    outputs = []
    kind = type(model)
    plain = {"_sample": GenerationMixin._sample, "_beam_search": GenerationMixin._beam_search}
    for model.__class__ in (kind, type(kind.__name__, (kind,), plain)):
        torch.manual_seed(5)
        outputs.append(model.generate(**batch, **options, return_dict_in_generate=True))
    model.__class__ = kind
    return outputs


@pytest.mark.parametrize("early_stopping", [False, True, "never"])
@pytest.mark.parametrize("penalty", [-0.5, 0.0, 1.0, 2.0])
def test_beams_equal_those_of_transformers(model, many, early_stopping: bool | str, penalty: float) -> None:
    options = {"num_beams": 4, "early_stopping": early_stopping, "length_penalty": penalty, "max_new_tokens": 17}
    ours, theirs = both_loops(model, many, **options, num_return_sequences=3)
    assert torch.equal(ours.sequences, theirs.sequences)
    first, again = both_loops(model, many, **options)
    assert torch.equal(first.sequences, again.sequences)


@pytest.mark.parametrize(
    "options",
    [{"max_new_tokens": 1}, {"eos_token_id": [3, 7, 9]}, {"num_beams": 20, "max_new_tokens": 3}, {"pad_token_id": 5}],
    ids=lambda options: ", ".join(options),
)
def test_searches_at_their_edges_equal_those_of_transformers(model, many, options: dict) -> None:
    for beams in (1, 3):
        ours, theirs = both_loops(
            model, many, **{"num_beams": beams, "max_new_tokens": 9, "do_sample": False} | options
        )
        assert torch.equal(ours.sequences, theirs.sequences)


def test_samples_equal_those_of_transformers(model, many) -> None:
    options = {"do_sample": True, "top_p": 0.9, "repetition_penalty": 1.2, "num_return_sequences": 2}
    ours, theirs = both_loops(model, many, **options, max_new_tokens=17)
    assert torch.equal(ours.sequences, theirs.sequences)


@pytest.mark.parametrize("search", [{"num_beams": 1}, {"num_beams": 3, "early_stopping": True}], ids=["greedy", "beam"])
def test_sentences_leave_the_batch_when_they_have_ended(make, many, search: dict, monkeypatch) -> None:
    model, rows = make(), []
    step = model.decode_step
    with torch.no_grad():
        model.lm_head.bias[model.config.eos_token_id] = 2  # ends come early, at different steps

    def counted(tokens: Tensor, memory: object, state: object) -> tuple:
        rows.append(len(tokens))
        return step(tokens, memory, state)

    monkeypatch.setattr(model, "decode_step", counted)
    model.generate(**many, **search, do_sample=False, max_new_tokens=30)
    assert rows == sorted(rows, reverse=True)
    assert rows[0] > rows[-1]


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_gpu)])
@pytest.mark.parametrize("beams", [1, 3])
def test_a_compiled_step_gives_the_same_tokens(make, many, beams: int, device: str, monkeypatch) -> None:
    model, compiled = make().to(device), []
    kind = {"cpu": {"backend": "aot_eager", "mode": "default"}, "cuda": {}}[device]  # a CPU's own backend takes long
    compiler = torch.compile
    monkeypatch.setattr(torch, "compile", lambda *given, **options: compiled.append(1) or compiler(*given, **options))
    batch = {name: part.to(device) for name, part in many.items()}
    options = {"num_beams": beams, "do_sample": False, "max_new_tokens": 9}
    expected = model.generate(**batch, **options)
    for _ in range(2):
        tokens = model.generate(**batch, **options, compile_config=CompileConfig(dynamic=True, **kind))
        assert torch.equal(tokens, expected)
    assert compiled == [1]


def test_the_callers_own_stopping_criteria_are_kept(make, many) -> None:
    model = make()
    for criterion in (MaxLengthCriteria(5), EosTokenCriteria(torch.arange(4, 40)), MaxTimeCriteria(0.0)):
        for beams in (1, 3):
            options = {"num_beams": beams, "do_sample": False, "max_new_tokens": 9}
            ours, theirs = both_loops(model, many, **options, stopping_criteria=StoppingCriteriaList([criterion]))
            assert torch.equal(ours.sequences, theirs.sequences)


def test_scores_of_every_step_come_from_the_loop_of_transformers(make, many) -> None:
    output = make().generate(**many, num_beams=3, max_new_tokens=5, output_scores=True, return_dict_in_generate=True)
    assert output.scores[0].shape == (27, 40)
    ours, theirs = (
        make().generate(**many, num_beams=3, max_new_tokens=5, return_dict_in_generate=True, **more)
        for more in ({}, {"no_repeat_ngram_size": 9})
    )
    assert theirs.scores is None
    for other in (ours, theirs):
        torch.testing.assert_close(other.sequences_scores, output.sequences_scores)


@pytest.mark.parametrize("size", [5, 64, 300, 1280, 1301])
def test_the_best_of_blocks_are_the_best_of_all(size: int) -> None:
    scores = torch.randn(6, size, dtype=torch.float64)
    values, places = top_k(scores, 5)
    expected = scores.topk(5)
    assert torch.equal(values, expected.values)
    assert torch.equal(places, expected.indices)
