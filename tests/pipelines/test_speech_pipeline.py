"""Recordings in, words with their times out; searches with a language model and a list of words; bad input."""

import itertools
import shutil

import numpy as np
import pytest
import torch

import rnn_hub
from rnn_hub.data.audio import read_audio
from rnn_hub.errors import RnnHubError
from tests.recordings import TONES, say, tone, write_audio
from tests.speech_models import learned, processor_kind, write_language_model

pytest.importorskip("av")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return learned(tmp_path_factory.mktemp("speech"))


@pytest.fixture(scope="module")
def hear(folder):
    return rnn_hub.pipeline("speech-recognition", model=folder)


def test_a_folder_without_its_characters_is_refused(folder, tmp_path) -> None:
    shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns("vocab.json", "checkpoints"))
    with pytest.raises(RnnHubError, match="lacks vocab.json or tokenizer.json"):
        rnn_hub.pipeline("speech-recognition", model=tmp_path / "copy")


def test_it_learned_to_hear(hear) -> None:
    texts = [" ".join(words) for words in itertools.product(("d", "m", "s", "t"), repeat=2)]
    found = hear([say(text, seed=99 + place) for place, text in enumerate(texts)])
    assert [one["text"] for one in found] == texts


def test_files_of_any_rate_and_channels_and_arrays_are_heard_alike(hear, tmp_path) -> None:
    sound = read_audio((8000, say("t d m")), 44100)
    stereo = write_audio(tmp_path / "sound.m4a", np.stack([sound, sound]), 44100, "ipod", "aac")
    flac = write_audio(tmp_path / "sound.flac", sound, 44100, "flac", "flac")
    given = [str(stereo), flac.read_bytes(), (44100, sound), {"array": sound, "sampling_rate": 44100}]
    assert [one["text"] for one in hear(given)] == ["t d m"] * 4


def test_words_stand_where_they_were_said(hear) -> None:
    sound = np.concatenate([say("d"), say("", pause=0.5), say("s")])
    words = hear(sound, return_words=True)["words"]
    assert [word["word"] for word in words] == ["d", "s"]
    assert 0.05 <= words[0]["start"] < words[0]["end"] <= 0.6
    assert 0.9 <= words[1]["start"] < words[1]["end"] <= 1.5


def test_a_stream_writes_more_and_more_and_ends_as_the_whole(hear) -> None:
    sound = say("d m s t")
    texts = list(hear.stream(np.array_split(sound, 10)))
    assert all(after.startswith(before) for before, after in itertools.pairwise(texts))
    assert texts[-1] == "d m s t" == hear(sound)["text"] and texts[5] not in ("", texts[-1])


def test_batches_and_the_order_of_recordings_change_nothing(hear) -> None:
    sounds = [say("d", seconds=0.1 * (1 + number % 4), seed=number) for number in range(7)]
    alone = [hear(sound)["text"] for sound in sounds]
    for size in (1, 3, 16):
        assert [one["text"] for one in hear(sounds, batch_size=size)] == alone


def test_n_best_texts_have_falling_scores(hear) -> None:
    found = hear(say("d m"), num_return_sequences=4)
    scores = [one["score"] for one in found["others"]]
    assert found["text"] == "d m" == found["others"][0]["text"] and len(scores) == 4
    assert scores == sorted(scores, reverse=True) and len({one["text"] for one in found["others"]}) == 4


def test_a_language_model_adds_what_it_says_of_a_text_and_its_end(hear, tmp_path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, sound = write_language_model(tmp_path, "m d"), say("d m")
    wide = {"num_beams": 64, "num_return_sequences": 16}  # what a beam drops, a score lacks
    plain = {one["text"]: one["score"] for one in hear(sound, **wide)["others"]}
    searched = hear(sound, language_model=str(folder), lm_weight=0.5, token_bonus=0.25, **wide)
    fused = {one["text"]: one["score"] for one in searched["others"]}
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    likely = max(plain.values()) - 8
    shared = {text for text in plain.keys() & fused.keys() if plain[text] > likely}
    assert len(shared) > 2
    for text in shared:
        ids = tokenizer(text, return_tensors="pt").input_ids  # </s> and the characters, after which </s> ends the text
        following = torch.cat([ids[:, 1:], ids[:, :1]], dim=1)
        said = model(input_ids=ids).logits.log_softmax(dim=-1).gather(2, following[..., None]).sum().item()
        assert fused[text] - plain[text] == pytest.approx(0.5 * said + 0.25 * len(text), abs=1e-3), text


def test_a_list_of_words_allows_no_others(hear, tmp_path) -> None:
    sound = say("d m")
    assert set(hear(sound, word_list=["s", "t"])["text"].split()) <= {"s", "t"}
    (tmp_path / "words.txt").write_text("d\nm\n", encoding="utf-8")
    assert hear(sound, word_list=str(tmp_path / "words.txt"))["text"] == "d m"


def test_strange_recordings_are_heard_without_an_error(hear) -> None:
    silence = hear(np.zeros(16000, np.float32), return_words=True)
    assert silence == {"text": "", "words": []}
    assert hear(np.zeros(1, np.float32))["text"] == ""
    clipped = np.clip(20 * say("d m"), -1, 1)
    assert isinstance(hear(clipped)["text"], str)
    assert hear([]) == []


def test_a_long_recording_is_heard_at_once(hear) -> None:
    sound = np.concatenate([say("d m s t", seed=number) for number in range(45)])  # one minute
    assert hear(sound)["text"] == " ".join(["d m s t"] * 45)


def hour() -> np.ndarray:
    """Silence, then a tone, at 1000 samples a second."""
    return np.concatenate([np.zeros(1800 * 1000, np.float32), tone(200, 1800, rate=1000)])


def wide_frames(bidirectional: bool) -> tuple:
    """A random model whose frames last a second each, so that an hour is 3600 of them, and its processor."""
    from rnn_hub import RnnForCTC, RnnSpeechConfig
    from rnn_hub.models.speech.feature_extraction_speech import RnnSpeechFeatureExtractor
    from rnn_hub.models.speech.processing_speech import RnnSpeechProcessor, character_tokenizer

    torch.manual_seed(0)
    sizes = {"feature_size": 4, "sampling_rate": 1000, "window_length": 1000, "hop_length": 1000}
    extractor = RnnSpeechFeatureExtractor(**sizes, normalization="global", mean=[-8.0] * 4, std=[3.0] * 4)
    network = {"input_size": 4, "hop_length": 1000, "conv_size": 4, "hidden_size": 4, "num_layers": 1, "vocab_size": 7}
    model = RnnForCTC(RnnSpeechConfig(**network, bidirectional=bidirectional)).eval()
    return model, RnnSpeechProcessor(extractor, character_tokenizer(TONES))


def test_an_hour_is_heard_piece_by_piece_by_a_model_that_reads_forwards(monkeypatch) -> None:
    model, processor = wide_frames(bidirectional=False)
    hear, frames = rnn_hub.pipeline("speech-recognition", model=model, tokenizer=processor), []
    extract = processor.feature_extractor.frames
    monkeypatch.setattr(
        processor.feature_extractor, "frames", lambda samples: frames.append(len(samples)) or extract(samples)
    )
    sound = hour()
    found = hear([sound, say("d")], return_words=True)
    assert max(frames) <= 62 * 1000  # a piece, and what was left of the one before
    assert found[1] == hear(say("d"), return_words=True)
    monkeypatch.setattr("rnn_hub.pipelines.speech_recognition.LONGEST", 4000.0)
    assert found[0] == hear(sound, return_words=True)


def test_an_hour_is_refused_at_once_by_a_model_that_reads_backwards_too(tmp_path) -> None:
    model, processor = wide_frames(bidirectional=True)
    hear = rnn_hub.pipeline("speech-recognition", model=model, tokenizer=processor)
    for options in ({}, {"num_beams": 4}):
        with pytest.raises(RnnHubError, match="lasts 3600 seconds, and this model hears 600 at once: cut it"):
            hear([say("d"), hour()], **options)
    path = write_audio(tmp_path / "hour.wav", hour(), 1000)
    with pytest.raises(RnnHubError, match="hour.wav lasts more than 600 seconds"):
        hear(str(path))


def test_what_cannot_be_done_is_said_in_one_line(hear, folder, tmp_path) -> None:
    sound = tone(300, 0.2)
    subwords = write_language_model(tmp_path / "other", eos="none")
    for options, message in (
        ({"beams": 3}, "unexpected keyword argument 'beams'"),
        ({"num_beams": 0}, "num_beams must be at least 1, not 0"),
        ({"word_list": ["d", "x-ray"]}, "cannot spell the word 'x-ray'"),
        ({"word_list": []}, "at least one word"),
        ({"word_list": "absent.txt"}, "cannot read the list of words 'absent.txt'"),
        ({"word_list": ["d"], "num_beams": 1}, "num_beams=1 looks at no language model"),
        ({"language_model": str(tmp_path / "none")}, "cannot load the model"),
        ({"language_model": str(subwords)}, "must be one of characters"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
    ):
        with pytest.raises(RnnHubError, match=message) as caught:
            hear(sound, **options)
        assert "\n" not in str(caught.value)
    with pytest.raises(RnnHubError, match="there is no audio file 'absent.wav'"):
        hear("absent.wav")


def test_a_model_of_given_features_refuses_waveforms(tmp_path) -> None:
    from tests.speech_models import learn

    folder = learn(tmp_path)
    processor_kind(folder, "given")
    hear = rnn_hub.pipeline("speech-recognition", model=folder)
    assert isinstance(hear(np.zeros((30, 16), np.float32))["text"], str)
    with pytest.raises(
        RnnHubError, match=r"features of shape \(T, 16\) that are given, not an array of shape \(800,\)"
    ):
        hear(np.zeros(800, np.float32))
