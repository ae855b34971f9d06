"""Rows of recordings with their texts: read once and kept, or strings that are joined of single words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


class SpeechRows(Sequence):
    """Rows in memory, each a dictionary of `audio` (N,) or `features` (T, D), `text` and `speaker`."""

    def __init__(self, rows: Iterable[dict[str, Any]]):
        self.rows = list(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> dict[str, Any]:
        return self.rows[place]

    def select(self, places: Iterable[int]) -> SpeechRows:
        """The rows of these numbers."""
        return SpeechRows(self.rows[place] for place in places)

    def texts(self) -> list[str]:
        """What is said in each row."""
        return [row["text"] for row in self.rows]

    def fixed(self) -> SpeechRows:
        """These rows, which are the same each time."""
        return self

    def sizes(self) -> list[int]:
        """How many samples, or frames, each row has."""
        return [len(row.get("audio", row.get("features"))) for row in self.rows]


@dataclass
class Joining:
    """How recordings of single words become a string.

    Args:
        longest: words of the longest string; string i has 1 + i mod longest.
        gap: seconds of the longest pause before, between and after words.
        speed: the slowest and the fastest tempo, times that of the recordings.
        noise: decibels by which the words are louder than the noise, least and most.
        level: of the loudest sample, least and most.
    """

    longest: int = 8
    gap: float = 0.3
    speed: tuple[float, float] = (0.85, 1.15)
    noise: tuple[float, float] = (15.0, 40.0)
    level: tuple[float, float] = (0.1, 0.9)


class JoinedStrings(Sequence):
    """Strings of words, each joined of recordings of one speaker by chance.

    Args:
        words: rows of single words with `audio`, `text` and `speaker`.
        count: how many strings there are.
        seed: string i is the same each time; None draws another each time, by torch's generator.
        sampling_rate: of the recordings.
    """

    def __init__(self, words: SpeechRows, count: int, seed: int | None, joining: Joining, sampling_rate: int):
        self.words, self.seed, self.joining, self.sampling_rate = words, seed, joining, sampling_rate
        self.numbers = list(range(count))
        self.speakers: dict[str, list[dict[str, Any]]] = {}
        for row in words:
            self.speakers.setdefault(row["speaker"], []).append(row)

    def __len__(self) -> int:
        return len(self.numbers)

    def select(self, places: Iterable[int]) -> JoinedStrings:
        """The strings of these numbers."""
        part = JoinedStrings(self.words, 0, self.seed, self.joining, self.sampling_rate)
        part.numbers = [self.numbers[place] for place in places]
        return part

    def fixed(self) -> JoinedStrings:
        """As many strings, which are the same each time."""
        return JoinedStrings(self.words, len(self), 0, self.joining, self.sampling_rate)

    def texts(self) -> list[str]:
        """What is said in each string, where that is the same each time; otherwise the words."""
        return self.words.texts() if self.seed is None else [row["text"] for row in self]

    def sizes(self) -> list[int]:
        """About how many samples each string has."""
        mean = np.mean([len(row["audio"]) for row in self.words]) + self.joining.gap / 2 * self.sampling_rate
        return [int((1 + number % self.joining.longest) * mean) for number in self.numbers]

    def __getitem__(self, place: int) -> dict[str, Any]:
        number = self.numbers[place]
        key = int(torch.randint(2**62, ())) if self.seed is None else [self.seed, number]
        generator = np.random.default_rng(key)
        speaker = sorted(self.speakers)[generator.integers(len(self.speakers))]
        rows = [self._one_of(self.speakers[speaker], generator) for _ in range(1 + number % self.joining.longest)]
        return {
            "audio": self._join([row["audio"] for row in rows], generator),
            "text": " ".join(row["text"] for row in rows),
            "speaker": speaker,
        }

    @staticmethod
    def _one_of(rows: list[dict[str, Any]], generator: np.random.Generator) -> dict[str, Any]:
        return rows[generator.integers(len(rows))]

    def _join(self, recordings: list[np.ndarray], generator: np.random.Generator) -> np.ndarray:
        """Words with pauses, at another tempo, under noise, at some level."""
        options, parts = self.joining, []
        for recording in recordings:
            parts += [self._pause(generator), recording / max(np.abs(recording).max(), 1e-4)]
        samples = change_speed(np.concatenate([*parts, self._pause(generator)]), generator.uniform(*options.speed))
        words = np.sqrt(np.mean(np.concatenate(parts) ** 2))
        samples = samples + generator.normal(0, words / 10 ** (generator.uniform(*options.noise) / 20), len(samples))
        return (samples * generator.uniform(*options.level) / np.abs(samples).max()).astype(np.float32)

    def _pause(self, generator: np.random.Generator) -> np.ndarray:
        return np.zeros(int(generator.uniform(0, self.joining.gap) * self.sampling_rate), np.float32)


def change_speed(samples: np.ndarray, speed: float) -> np.ndarray:
    """Samples (N,) or features (T, D), played `speed` times as fast; of samples the pitch changes with it."""
    count = max(1, round(len(samples) / speed))
    places = np.linspace(0, len(samples) - 1, count)
    below = np.minimum(places.astype(int), max(len(samples) - 2, 0))
    above = np.minimum(below + 1, len(samples) - 1)
    share = (places - below).astype(np.float32).reshape(-1, *[1] * (samples.ndim - 1))
    return (samples[below] * (1 - share) + samples[above] * share).astype(np.float32)
