"""Music from a model with random weights: whatever it draws is a score of what was asked for."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import GenerationConfig

from rnn_hub import RnnCausalLMConfig, RnnForCausalLM
from rnn_hub.data.midi import read_midi, write_midi
from rnn_hub.data.music import MODES, TONICS, Note, Score
from rnn_hub.data.music_tokens import music_tokenizer, vocabulary
from rnn_hub.errors import RnnHubError
from rnn_hub.pipelines import pipeline

pytest.importorskip("symusic")
RANGES = [(60, 81), (52, 74), (46, 69), (36, 66)]
MELODY = Score(((Note(0, 4, 67), Note(4, 2, 69), Note(8, 3, 71), Note(11, 3, 71), Note(14, 2, 67)),), tempo=96)
PRIMER = Score.from_grid([(67, 62, 59, 43)] * 6 + [(69, 62, 60, 48)] * 4, metre="4/4")


@pytest.fixture(scope="module", params=["with rests", "without rests", "in C"])
def pipe(request):
    """An untrained model, which makes the wildest music."""
    return wild(request.param != "without rests", request.param == "in C")


def wild(rests=True, in_c=False, ranges=RANGES, **more):
    torch.manual_seed(0)
    tokenizer = music_tokenizer(vocabulary(ranges, rests=rests, header=False), in_c)
    labels = {"mode": list(MODES), "tonic": list(TONICS), **more}
    config = RnnCausalLMConfig(
        vocab_size=len(tokenizer), embedding_size=16, hidden_size=16, condition_labels=labels, initializer_range=1.0
    )
    model = RnnForCausalLM(config).eval()
    ids = {name: getattr(tokenizer, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")}
    model.generation_config = GenerationConfig(do_sample=True, top_k=0, max_new_tokens=2000, **ids)
    return pipeline("music-generation", model=model, tokenizer=tokenizer)


@pytest.mark.parametrize("beats", [1, 2, 16, 17, 40])
@pytest.mark.parametrize("temperature", [0.1, 1.0, 5.0])
def test_every_output_is_a_file_of_the_length_asked_for(pipe, beats, temperature) -> None:
    for record in pipe("F# minor", beats=beats, temperature=temperature, seed=1, num_return_sequences=5):
        score = read_midi(record["midi"])
        assert replace(score, voices=()) == replace(record["score"], voices=())
        assert score.key == "F# minor" and score.tempo == 72
        assert record["seconds"] == pytest.approx(record["score"].length / 4 * 60 / 72)
        assert record["music_text"].count("|") == record["score"].beats <= beats
        if not pipe.music.rests:
            assert record["score"].beats == beats
        home = 6 if pipe.music.in_c else 0
        for voice, (low, high) in zip(record["score"].voices, RANGES, strict=True):
            assert all(low <= note.pitch - home <= high for note in voice)


def test_greedy_search_and_no_length_give_scores_too(pipe) -> None:
    for options in ({"do_sample": False}, {"seed": 3}, {"top_p": 0.5, "seed": 2}, {"guidance_scale": 2.0, "seed": 1}):
        assert read_midi(pipe(None, max_new_tokens=150, **options)["midi"]).length


def test_a_seed_gives_the_same_music(pipe) -> None:
    first, second, other = (pipe("C major", beats=8, seed=seed)["music_text"] for seed in (1, 1, 2))
    assert first == second != other


def test_several_keys_give_several_pieces(pipe) -> None:
    assert [record["score"].key for record in pipe(["C major", "D minor"], beats=4)] == ["C major", "D minor"]


def test_a_primer_is_continued(pipe, tmp_path) -> None:
    write_midi(PRIMER, tmp_path / "primer.mid")
    for primer in (PRIMER, tmp_path / "primer.mid", str(tmp_path / "primer.mid")):
        score = pipe("G major", primer=primer, beats=20, seed=1)["score"]
        assert score.grid()[:10] == PRIMER.grid()
        assert score.metre == "4/4" and score.beats > 3
    for seed in range(5):
        short = pipe("G major", primer=PRIMER, primer_beats=2, beats=9 if seed else None, max_new_tokens=50, seed=seed)
        assert short["score"].grid()[:8] == PRIMER.grid()[:8]


@pytest.mark.parametrize("voice", ["S", "A", "T", "B"])
def test_a_melody_is_kept_note_for_note_and_harmonized(pipe, voice) -> None:
    melody = MELODY.transposed({"S": 0, "A": -5, "T": -12, "B": -17}[voice])
    score = pipe("G major", melody=melody, voice=voice, seed=1)["score"]
    assert score.voices["SATB".index(voice)] == melody.voices[0]
    assert score.tempo == 96 and score.beats == 4
    assert sum(map(bool, score.voices)) >= 2
    several = pipe("G major", melody=melody, voice=voice, num_return_sequences=3, seed=1)
    assert len({record["music_text"] for record in several}) == 3


def test_of_sixteen_harmonies_the_likeliest_under_the_melody_is_taken(pipe) -> None:
    from rnn_hub.generation.music import MusicGrammar

    grammar = MusicGrammar(pipe.music, melody=Score.from_grid(MELODY.legato().grid()))
    start = torch.full((3, 1), pipe.tokenizer.bos_token_id)
    options = {"logits_processor": [grammar], "attention_mask": torch.ones_like(start)}
    sequences = pipe.model.generate(start, condition_ids=torch.tensor([[0, 0]] * 3), **options)
    for row, nats in zip(sequences, grammar.melody_scores, strict=True):
        again = MusicGrammar(pipe.music, melody=Score.from_grid(MELODY.legato().grid()))
        with torch.no_grad():
            logits = pipe.model(row[None], condition_ids=torch.tensor([[0, 0]])).logits
        for length in range(1, int((row == pipe.tokenizer.eos_token_id).nonzero()[0]) + 1):
            again(row[None, :length], logits[:, length - 1].float())
        assert again.melody_scores.item() == pytest.approx(nats.item(), abs=1e-3)


def test_voices_do_not_move_in_parallel_unless_they_may(pipe) -> None:
    from rnn_hub.metrics.music import parallels

    counts = []
    for allowed in (False, True):
        records = pipe("C major", beats=40, seed=1, parallels=allowed, num_return_sequences=4)
        counts.append(sum(sum(parallels(np.array(record["score"].grid()))) for record in records))
    assert counts[0] == 0 < counts[1]


def test_a_style_is_chosen_and_a_model_of_one_voice_does_not_harmonize(tmp_path) -> None:
    pipe = wild(ranges=[(60, 81), (128, 0), (128, 0), (128, 0)], style=["jig", "reel"])
    jig, reel = (pipe("G major", style=style, beats=8, seed=1)["score"] for style in ("jig", "reel"))
    assert jig != reel and not any(jig.voices[1:])
    assert pipe("G major", primer=Score(jig.voices[:1], "G major"), beats=12)["score"].head(7) == replace(
        jig.head(7), tempo=72
    )
    with pytest.raises(RnnHubError, match="unknown style 'polka'; the model knows jig, reel"):
        pipe("G major", style="polka")
    with pytest.raises(RnnHubError, match="writes melodies in one voice and cannot harmonize"):
        pipe(melody=MELODY)
    with pytest.raises(RnnHubError, match="the model knows no style, so it cannot take 'jig'"):
        wild()("G major", style="jig")


def test_sound_is_as_long_as_the_music(pipe) -> None:
    record = pipe("C major", beats=8, tempo=120, audio=True, instrument="piano", seed=1)
    assert record["audio"].shape[0] == 2 and record["audio"].dtype == np.float32
    assert record["audio"].shape[1] / record["sampling_rate"] >= record["seconds"] - 0.1
    assert 0.5 < np.abs(record["audio"]).max() <= 1


@pytest.mark.parametrize(
    ("key", "options", "message"),
    [
        ("H major", {}, "unknown key 'H major'; the keys are C major"),
        (3, {}, "takes a key such as"),
        (None, {"temperature": 0}, "temperature must be above 0, not 0"),
        (None, {"temperature": -1.0}, "temperature must be above 0, not -1.0"),
        (None, {"beats": 0}, "beats must be a whole number from 1 to 400"),
        (None, {"beats": 10_000}, "from 1 to 400"),
        (None, {"tempo": 0}, "a tempo of 0"),
        (None, {"instrument": "kazoo", "beats": 2}, "unknown instrument 'kazoo'; choose one of piano"),
        (None, {"num_return_sequences": 0}, "num_return_sequences"),
        (None, {"num_beams": 4}, "num_beams must be 1"),
        ("C major", {"primer": PRIMER, "melody": MELODY}, "not both"),
        ("C major", {"primer": PRIMER, "beats": 3}, "the primer has 3 beats: ask for more"),
        ("C major", {"primer": MELODY}, "1 of 4 voices.*pass it as melody"),
        ("C major", {"primer": PRIMER.transposed(24)}, "outside the range of voice S, 60 to 81"),
        ("C major", {"primer": "absent.mid"}, "no MIDI file 'absent.mid'"),
        ("C major", {"melody": MELODY.transposed(-20)}, "outside the range of voice S, 60 to 81: transpose"),
        ("C major", {"melody": MELODY, "voice": "X"}, "unknown voice 'X'; the voices are S, A, T, B"),
    ],
)
def test_what_is_impossible_is_refused_with_its_reason(pipe, key, options, message) -> None:
    with pytest.raises(RnnHubError, match=message):
        pipe(key, **options)
