"""Metrics of music: likelihood of a sixteenth, and how far the statistics of pieces are from a corpus's own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import Any

import datasets
import evaluate
import numpy as np

from rnn_hub.data.music import STEPS, VOICES, Score, estimate_key, key_ids
from rnn_hub.data.music_tokens import read_words
from rnn_hub.metrics.base import OfflineMetric
from rnn_hub.metrics.language_modeling import Nll

#: pitch classes over the tonic, of major and of minor in its natural, harmonic and melodic form
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 9, 10, 11))
TRIADS = ({0, 4, 7}, {0, 3, 7})


class NllStep(Nll):
    """Negative log-likelihood in nats of all that happens at a sixteenth, the mean over all sixteenths.

    Predictions are -log p of a piece's tokens, references the pieces in words. A token is an event, not a step: this
    figure does not depend on how music is cut into tokens.
    """

    name = "nll_step"

    def _compute(self, predictions: Sequence[Sequence[float]], references: Sequence[str]) -> dict[str, Any]:
        steps = STEPS * sum(word.startswith("|") for words in references for word in words.split())
        value = math.fsum(map(math.fsum, predictions)) / max(steps, 1)
        return {self.name: value, "signature": f"natural logarithm|sixteenths:{steps}"}


class MusicDeviation(OfflineMetric):
    """How far pieces are from a corpus: a statistic's distance in the corpus's standard deviations, the largest one.

    Below 1 each statistic's mean is within the corpus's own spread from piece to piece. Predictions and references are
    pieces in words; their numbers may differ. `compute` also returns `statistics`: for each (see `describe`) the mean
    of the predictions, the mean and the standard deviation of the references, and the deviation.
    """

    name = "music_deviation"

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Sequence(datasets.Value("string"))
        return evaluate.MetricInfo(
            description=type(self).__doc__ or "",
            citation="",
            features=datasets.Features({"predictions": text, "references": text}),
            inputs_description="predictions: a list of one list of pieces in words; references: the same of a corpus",
        )

    def _compute(self, predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> dict[str, Any]:
        found = [read_words(words.split()) for words in predictions[0]]
        corpus = [read_words(words.split()) for words in references[0]]
        table = compare(found, corpus)
        worst = max(table, key=lambda name: table[name]["deviation"])
        signature = f"pieces:{len(found)}|corpus:{len(corpus)}|statistics:{len(table)}|largest:{worst}"
        return {self.name: table[worst]["deviation"], "signature": signature, "statistics": table}


def compare(pieces: Sequence[Score], corpus: Sequence[Score]) -> dict[str, dict[str, float]]:
    """Each statistic of pieces and of a corpus: `mean`, `corpus_mean`, `corpus_sd`, and the `deviation` in these."""
    histograms = [[pitch_classes(score) for score in scores] for scores in (pieces, corpus)]
    middle = {
        mode: np.mean([each for kind, each in histograms[1] if kind == mode] or [np.zeros(12)], axis=0)
        for mode in range(len(SCALES))
    }
    rows = []
    for scores, classes in zip((pieces, corpus), histograms, strict=True):
        rows.append(
            [
                {"pitch_class_distance": float(np.abs(each - middle[mode]).sum() / 2), **describe(score)}
                for score, (mode, each) in zip(scores, classes, strict=True)
            ]
        )
    table = {}
    for name in rows[0][0]:
        mine, theirs = (np.array([row[name] for row in part]) for part in rows)
        gap, spread = abs(mine.mean() - theirs.mean()), theirs.std()
        table[name] = {
            "mean": float(mine.mean()),
            "corpus_mean": float(theirs.mean()),
            "corpus_sd": float(spread),
            "deviation": float(gap / max(spread, 1e-9)),
        }
    return table


def pitch_classes(score: Score) -> tuple[int, np.ndarray]:
    """The mode of the estimated key, and the share of sounding time of each pitch class over its tonic (12,)."""
    mode, tonic = key_ids(estimate_key(score))
    shares = np.zeros(12)
    for voice in score.voices:
        for note in voice:
            shares[(note.pitch - tonic) % 12] += note.duration
    return mode, shares / shares.sum()


def describe(score: Score) -> dict[str, float]:
    """What is counted in a piece of four voices.

    in_key: share of the sounding time in the scale of the estimated key.
    final_tonic: 1 where the bass ends on its tonic; final_triad: 1 where the last chord is a major or minor triad.
    notes_per_beat: of all voices; beats: the length.
    range_X, pitch_X: semitones from the lowest to the highest note of a voice, and its mean pitch.
    crossings: share of steps at which a voice is below the one that should be under it.
    parallel_fifths, parallel_octaves: of two voices that move, for each 100 beats.
    repetition: share of pairs of beats that the piece had before, note for note.
    """
    grid = np.array(score.grid())
    mode, classes = pitch_classes(score)
    _, tonic = key_ids(estimate_key(score))
    last = {int(pitch) % 12 for pitch in grid[-1] if pitch >= 0}
    found = {
        "in_key": float(classes[list(SCALES[mode])].sum()),
        "final_tonic": float(grid[-1, -1] >= 0 and grid[-1, -1] % 12 == tonic),
        "final_triad": float(any({(pitch - root) % 12 for pitch in last} in TRIADS for root in last)),
        "beats": float(score.beats),
        "notes_per_beat": sum(map(len, score.voices)) / score.beats,
    }
    for name, pitches in zip(VOICES.lower(), grid.T, strict=True):
        sung = pitches[pitches >= 0]
        found[f"range_{name}"] = float(np.ptp(sung)) if len(sung) else 0.0
        found[f"pitch_{name}"] = float(sung.mean()) if len(sung) else 0.0
    sounding = (grid[:, :-1] >= 0) & (grid[:, 1:] >= 0)
    found["crossings"] = float((sounding & (grid[:, :-1] < grid[:, 1:])).any(axis=1).mean())
    fifths, octaves = parallels(grid)
    found |= {"parallel_fifths": 100 * fifths / score.beats, "parallel_octaves": 100 * octaves / score.beats}
    return found | {"repetition": _repetition(grid)}


def parallels(grid: np.ndarray) -> tuple[int, int]:
    """How often two voices of a grid (T, 4) move together from a fifth to a fifth, and from an octave to an octave."""
    counts = {7: 0, 0: 0}
    for before, after in pairwise(grid):
        for high, low in combinations(range(grid.shape[1]), 2):
            pitches = before[high], before[low], after[high], after[low]
            moves = after[high] - before[high], after[low] - before[low]
            if min(pitches) < 0 or moves[0] * moves[1] <= 0:
                continue
            interval = (before[high] - before[low]) % 12
            if interval in counts and interval == (after[high] - after[low]) % 12:
                counts[int(interval)] += 1
    return counts[7], counts[0]


def _repetition(grid: np.ndarray) -> float:
    """Share of the pairs of beats, from beat to beat, that equal an earlier one."""
    length = 2 * STEPS
    pairs = [grid[start : start + length].tobytes() for start in range(0, len(grid) - length + 1, STEPS)]
    return 1 - len(set(pairs)) / len(pairs) if pairs else 0.0
