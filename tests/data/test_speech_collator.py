"""Recordings to batches: what training changes, and what it must leave."""

import numpy as np
import pytest
import torch

from rnn_hub.data.speech_collator import SpeechAugmentation, SpeechCollator
from rnn_hub.data.speech_rows import change_speed
from rnn_hub.errors import RnnHubError
from rnn_hub.models.speech.feature_extraction_speech import RnnSpeechFeatureExtractor
from rnn_hub.models.speech.processing_speech import RnnSpeechProcessor, character_tokenizer
from tests.recordings import TONES, say, tone

ROWS = [{"audio": say(text, seed=place), "text": text} for place, text in enumerate(("d m s", "t"))]


@pytest.fixture(scope="module")
def processor() -> RnnSpeechProcessor:
    extractor = RnnSpeechFeatureExtractor(
        feature_size=16, sampling_rate=8000, window_length=200, hop_length=80, normalization="utterance"
    )
    return RnnSpeechProcessor(extractor, character_tokenizer(TONES))


def test_a_batch_is_padded_and_its_texts_too(processor) -> None:
    batch = SpeechCollator(processor)(ROWS)
    lengths = [len(processor.feature_extractor.features(row["audio"])) for row in ROWS]
    assert batch["attention_mask"].sum(dim=1).tolist() == lengths
    assert batch["input_features"].shape == (2, max(lengths), 16)
    assert (batch["labels"][1] != -100).sum() == 1 and processor.tokenizer.decode(batch["labels"][0]) == "d m s"


def test_without_a_change_training_sees_what_evaluation_sees(processor) -> None:
    plain, same = (SpeechCollator(processor, change)(ROWS) for change in (None, SpeechAugmentation()))
    for name, tensor in plain.items():
        torch.testing.assert_close(same[name], tensor, msg=name)


def test_a_recording_is_heard_in_another_way_each_time_and_again_by_its_seed(processor) -> None:
    change = SpeechAugmentation(speed=0.2, level=6, noise=20, feature_noise=0.1, time_masks=2, frequency_masks=1)
    collate = SpeechCollator(processor, change)

    def hear(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return collate(ROWS)["input_features"]

    torch.testing.assert_close(hear(0), hear(0))
    lengths = {hear(seed).shape[1] for seed in range(5)}
    assert len(lengths) > 2  # the tempo


@pytest.mark.parametrize("speed", [0.8, 1.25])
def test_tempo_changes_the_duration_by_what_it_says(speed: float) -> None:
    sound = tone(300, 1.0)
    assert len(change_speed(sound, speed)) == pytest.approx(len(sound) / speed, abs=2)


def test_a_drawn_tempo_stays_within_what_was_asked() -> None:
    change, sound, generator = SpeechAugmentation(speed=0.3), tone(300, 1.0), np.random.default_rng(0)
    drawn = [len(change.before(sound, generator)) for _ in range(50)]
    assert 8000 / 1.3 - 2 <= min(drawn) < 7000 and 9000 < max(drawn) <= 8000 / 0.7 + 2


def test_noise_is_as_soft_as_asked(processor) -> None:
    change, sound = SpeechAugmentation(noise=10), tone(300, 2.0)
    ratios = []
    for seed in range(30):
        noise = change.before(sound, np.random.default_rng(seed)) - sound
        ratios.append(10 * np.log10(np.mean(sound**2) / np.mean(noise**2)))
    assert 9.5 < min(ratios) < 20 < 30 < max(ratios) < 40.5


def test_holes_are_no_larger_than_asked_and_never_more_than_a_third() -> None:
    change = SpeechAugmentation(time_masks=1, time_mask_size=50, frequency_masks=1, frequency_mask_size=4)
    generator, widest = np.random.default_rng(0), 0
    for _ in range(50):
        holes = change.after(np.ones((30, 16), np.float32), generator) == 0
        assert holes.all(axis=1).sum() <= 10 and holes.all(axis=0).sum() <= 4
        widest = max(widest, holes.all(axis=1).sum())
    assert widest == 10


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"speed": 1.0}, "below 1, not 1.0"), ({"noise": -1}, "noise must not be"), ({"time_mask_size": 0}, "at least 1")],
)
def test_what_cannot_be_done_is_refused(wrong: dict, message: str) -> None:
    with pytest.raises(RnnHubError, match=message):
        SpeechAugmentation(**wrong)
