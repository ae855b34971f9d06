"""Music: a column of voices on a grid -> tokens -> the next one under a key -> nats a step, statistics of samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from datasets import Dataset
from transformers import AutoModelForCausalLM, LogitsProcessorList, PreTrainedModel, PreTrainedTokenizerBase

import rnn_hub.models.causal_lm  # noqa: F401  (registers the model with the Auto classes)
from rnn_hub.data.collators import IGNORE_INDEX, lengths_to_mask, pad_sequences
from rnn_hub.data.conditions import condition_ids
from rnn_hub.data.music import MODES, TONICS, VOICES, Score, above_c, complete_grid, conditions, estimate_key
from rnn_hub.data.music_tokens import MusicProcessor, body_words, music_tokenizer, vocabulary
from rnn_hub.errors import RnnHubError
from rnn_hub.generation.music import MusicGrammar
from rnn_hub.metrics import compute_metrics
from rnn_hub.tasks.base import DatasetSection, Scores
from rnn_hub.tasks.generation import GenerationTask, batches_by_length

SEED = 0
"""Of the pieces that are sampled for measuring."""
MARGIN = 6
"""Semitones that voices in C may go beyond those of the training split."""
KEY_LABELS = {"mode": list(MODES), "tonic": list(TONICS)}


@dataclass
class VoicesDataset(DatasetSection):
    """The columns of a piece.

    Args:
        voices: for each sixteenth the pitches of soprano, alto, tenor, bass, without the silent ones.
        style: the name of the piece's style; None where there is one only.
        styles: their names; by default those of the training split.
    """

    voices: str = "voices"
    style: str | None = None
    styles: list[str] | None = None

    def labels(self) -> dict[str, list[str]]:
        """The conditions of a model and their values."""
        return dict(sorted({**KEY_LABELS, **({"style": self.styles} if self.styles else {})}.items()))


@dataclass
class ScoreSection:
    """How scores are read.

    Args:
        transpose: in training each piece is moved by up to so many semitones, as far as every voice stays in its range.
        in_c: instead, the model reads and writes all music in C, and its condition says what C stands for.
    """

    transpose: int = 6
    in_c: bool = False


class ScoreCollator:
    """Rows of voices -> `input_ids`, `attention_mask`, `labels` (B, T) and `condition_ids` (B, conditions).

    Args:
        processor: of the scores.
        labels: the conditions and their values.
        voices, style: the columns.
        transpose: the most semitones of a random transposition; 0 for none.
    """

    def __init__(
        self,
        processor: MusicProcessor,
        labels: Mapping[str, Sequence[str]],
        voices: str = "voices",
        style: str | None = None,
        transpose: int = 0,
    ):
        self.processor, self.labels, self.transpose = processor, labels, transpose
        self.voices, self.style = voices, style

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        scores = [self._moved(read_score(row[self.voices])) for row in rows]
        styles = [row.get(self.style) if self.style else None for row in rows]
        told = [conditions(score.key, style) for score, style in zip(scores, styles, strict=True)]
        ids = [self.processor.encode(score.in_c() if self.processor.in_c else score) for score in scores]
        input_ids = pad_sequences(ids, self.processor.tokenizer.pad_token_id)
        mask = lengths_to_mask(torch.tensor([len(sequence) for sequence in ids]), input_ids.shape[1])
        return {
            "input_ids": input_ids,
            "attention_mask": mask,
            "labels": input_ids.masked_fill(mask == 0, IGNORE_INDEX),
            "condition_ids": torch.tensor([condition_ids(self.labels, each) for each in told]),
        }

    def _moved(self, score: Score) -> Score:
        if not self.transpose or self.processor.in_c:
            return score
        low, high = transpositions(score, self.processor.ranges, self.transpose)
        return score.transposed(int(torch.randint(low, high + 1, ())))


class MusicGenerationTask(GenerationTask):
    """Four voices, note by note."""

    name = "music-generation"
    columns = ("voices", "style")
    dataset_section: ClassVar[type] = VoicesDataset
    tokenizer_section: ClassVar[type] = ScoreSection
    model_type = "rnn_hub_causal_lm"
    auto_class = AutoModelForCausalLM
    generation: ClassVar[dict[str, Any]] = {"do_sample": True, "temperature": 0.8, "top_k": 0, "max_new_tokens": 2000}
    metrics: ClassVar[tuple[str, ...]] = ("nll", "nll_step")
    main_metric = "nll"
    greater_is_better = False
    demo = "demos.music"
    usage = """```python
import rnn_hub

compose = rnn_hub.pipeline("music-generation", model="{name}")
piece = compose("G minor", seed=1)  # or primer="beginning.mid", or melody="melody.mid"
open("piece.mid", "wb").write(piece["midi"])
```

or from the command line: `rnn-hub predict {name} "G minor" --output piece.mid --output piece.wav`."""

    def limits(self, recipe: Mapping[str, Any]) -> str:
        """One style, and no plan."""
        return (
            f"The model knows the style of `{recipe['dataset']['path']}` and no other. It keeps a key, leads voices "
            "and ends in cadences; beyond a phrase it has no plan, and a rule that it breaks it does not mend: "
            "parallels and crossings occur."
        )

    def build_processor(
        self, rows: Dataset, dataset: VoicesDataset, tokenizer: ScoreSection
    ) -> PreTrainedTokenizerBase:
        """A vocabulary of the pitches that each voice has in the rows, and all between them.

        In C it reaches `MARGIN` semitones further.
        """
        ranges = [[128, 0] for _ in VOICES]
        for grid in rows[dataset.voices]:
            score = read_score(grid, key=tokenizer.in_c)
            for reach, voice in zip(ranges, (score.in_c() if tokenizer.in_c else score).voices, strict=True):
                for note in voice:
                    reach[:] = min(reach[0], note.pitch), max(reach[1], note.pitch)
        margin = MARGIN if tokenizer.in_c else 0
        ranges = [(low - margin, high + margin) if low <= high else (low, high) for low, high in ranges]
        return music_tokenizer(vocabulary(ranges, header=False), tokenizer.in_c)

    def build_collator(
        self, processor: PreTrainedTokenizerBase, dataset: VoicesDataset, tokenizer: ScoreSection, training: bool
    ) -> Callable[[list[dict]], dict]:
        """Scores to padded ids, transposed only in training."""
        transpose = tokenizer.transpose if training else 0
        return ScoreCollator(MusicProcessor(processor), dataset.labels(), dataset.voices, dataset.style, transpose)

    def model_fields(self, rows: Dataset, dataset: VoicesDataset) -> dict[str, Any]:
        """The conditions; the section keeps the styles too, for the batches."""
        if dataset.style:
            dataset.styles = dataset.styles or sorted(set(rows[dataset.style]))
        return {"condition_labels": dataset.labels()}

    def lengths(self, rows: Dataset, processor: PreTrainedTokenizerBase, dataset: VoicesDataset) -> list[int]:
        """Tokens of each piece."""
        return [1 + sum(1 for _ in body_words(read_score(grid, key=False))) for grid in rows[dataset.voices]]

    def inputs(self, rows: Dataset, dataset: VoicesDataset) -> list[dict[str, Any]]:
        """The grid and the style of each piece."""
        styles = rows[dataset.style] if dataset.style else [None] * len(rows)
        return [{"voices": grid, "style": style} for grid, style in zip(rows[dataset.voices], styles, strict=True)]

    def references(self, rows: Dataset, dataset: VoicesDataset) -> list[str]:
        """The scores in words."""
        return [" ".join(body_words(read_score(grid, key=False))) for grid in rows[dataset.voices]]

    @torch.no_grad()
    def predict(
        self,
        model: PreTrainedModel,
        processor: PreTrainedTokenizerBase,
        inputs: Sequence[Any],
        batch_size: int = 64,
        progress: bool = False,
        **generation: Any,
    ) -> list[dict[str, Any]]:
        """For each piece `nats`, -log p of each of its tokens under its estimated key, and `music`, a piece in words.

        That one is sampled in the same key, style and length with a seed of its own: the same model gives the same
        pieces.
        """
        collate = ScoreCollator(MusicProcessor(processor), model.config.condition_labels, style="style")
        scores = [read_score(row["voices"]) for row in inputs]
        lengths = [score.length for score in scores]
        found: list[dict[str, Any]] = [{} for _ in inputs]
        for number, chosen in enumerate(batches_by_length(lengths, batch_size, progress)):
            batch = {k: v.to(model.device) for k, v in collate([inputs[index] for index in chosen]).items()}
            told = [conditions(scores[index].key, inputs[index].get("style")) for index in chosen]
            beats = [scores[index].beats for index in chosen]
            pieces = sample(model, processor, told, beats, SEED + number * batch_size, **generation)
            for index, nats, piece in zip(chosen, _read(model, batch), pieces, strict=True):
                found[index] = {"nats": nats, "music": " ".join(body_words(piece))}
        return found

    def score(self, predictions: Sequence[Any], references: Sequence[str], dataset: VoicesDataset) -> Scores:
        """Nats a token and a step of the pieces, and how far the sampled ones are from them."""
        nats = [prediction["nats"] for prediction in predictions]
        values, signature = compute_metrics(self.metrics, nats, references)
        music = [prediction["music"] for prediction in predictions]
        deviation, details = compute_metrics(("music_deviation",), [music], [list(references)])
        return Scores({**values, **deviation}, f"{signature}; {details}")

    def _config(self, fields: Mapping[str, Any], **ids: Any) -> Any:
        return super()._config({"condition_labels": KEY_LABELS, **fields}, **ids)


def read_score(grid: Sequence[Sequence[int]], key: bool = True) -> Score:
    """The score of a row, with its estimated key."""
    if not any(any(pitch >= 0 for pitch in step) for step in grid):
        raise RnnHubError("a piece of the data holds no note")
    score = Score.from_grid(complete_grid(grid))
    return Score(score.voices, estimate_key(score)) if key else score


def transpositions(score: Score, ranges: Sequence[tuple[int, int]], most: int) -> tuple[int, int]:
    """The lowest and the highest transposition, of at most so many semitones, with which each voice is in its range."""
    down, up = -most, most
    for voice, (low, high) in zip(score.voices, ranges, strict=True):
        if voice:
            pitches = [note.pitch for note in voice]
            down, up = max(down, low - min(pitches)), min(up, high - max(pitches))
    return min(down, 0), max(up, 0)


def _read(model: PreTrainedModel, batch: Mapping[str, torch.Tensor]) -> list[list[float]]:
    """-log p of each token of each row of a batch, but of the first."""
    inputs = {name: part for name, part in batch.items() if name != "labels"}
    labels = batch["labels"][:, 1:]
    nats = F.cross_entropy(model(**inputs).logits[:, :-1].mT.float(), labels, reduction="none").double()
    return [row[real].tolist() for row, real in zip(nats, labels != IGNORE_INDEX, strict=True)]


def sample(
    model: PreTrainedModel,
    processor: PreTrainedTokenizerBase,
    told: Sequence[Mapping[str, str | None]],
    beats: Sequence[int],
    seed: int = SEED,
    **options: Any,
) -> list[Score]:
    """A score under each of several `conditions`, of so many beats, all at once; `options` are of `generate()`."""
    music = MusicProcessor(processor)
    start = torch.full((len(told), 1), processor.bos_token_id, device=model.device)
    with torch.random.fork_rng([model.device] if model.device.type == "cuda" else []):
        torch.manual_seed(seed)
        sequences = model.generate(
            input_ids=start,
            attention_mask=torch.ones_like(start),
            condition_ids=torch.tensor(
                [condition_ids(model.config.condition_labels, each) for each in told], device=model.device
            ),
            logits_processor=LogitsProcessorList([MusicGrammar(music, beats)]),
            **options,
        )
    scores = [music.decode(row) for row in sequences.tolist()]
    if music.in_c:
        homes = [above_c(f"{each['tonic']} {each['mode']}") for each in told]
        scores = [score.transposed(home) for score, home in zip(scores, homes, strict=True)]
    return scores
