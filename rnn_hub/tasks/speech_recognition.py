"""Speech recognition: columns of audio, or of features, and text -> characters, by CTC or attention -> error rates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

import datasets
import numpy as np
import torch
from tqdm.auto import tqdm
from transformers import PreTrainedModel

from rnn_hub.data.audio import read_audio
from rnn_hub.data.loading import load_split
from rnn_hub.data.speech_collator import SpeechAugmentation, SpeechCollator
from rnn_hub.data.speech_rows import JoinedStrings, Joining, SpeechRows
from rnn_hub.data.transcripts import DIGITS, spoken
from rnn_hub.errors import RnnHubError
from rnn_hub.metrics import compute_metrics
from rnn_hub.models.speech.auto_speech import AutoModelForSpeech
from rnn_hub.models.speech.feature_extraction_speech import RnnSpeechFeatureExtractor
from rnn_hub.models.speech.processing_speech import RnnSpeechProcessor, character_tokenizer, spelling_tokenizer
from rnn_hub.pipelines.loading import load_pretrained, reason
from rnn_hub.pipelines.speech_recognition import Transcript, recognize
from rnn_hub.pipelines.speech_search import LONGEST_TEXT, Search
from rnn_hub.tasks.base import DatasetSection, Scores
from rnn_hub.tasks.generation import GenerationTask
from rnn_hub.tasks.sections import check_keys

HELD_OUT = "held_out"
"""The name of a validation split that is a part of the training split."""
SEEDS = (2, 1)
"""Of the strings of a test and of a validation split."""
WRITING = {"num_beams": 5, "max_new_tokens": LONGEST_TEXT}
"""The search of a decoder, unless a recipe says otherwise."""

FEATURES_USAGE = """```python
import numpy as np
import rnn_hub

recognize = rnn_hub.pipeline("speech-recognition", model="{name}")
recognize(np.load("features.npy"), return_words=True)  # frames (T, %d)
```

It knows no waveforms: the features must be made as those of its training data were."""


@dataclass
class SpeechDataset(DatasetSection):
    """Recordings and what is said in them.

    Args:
        audio: column of audio; features: a column of frames (T, D) instead of it.
        text: column of texts, or of digits.
        speaker: column of speakers.
        spoken: texts become lower-case words without punctuation, digits and keys spelled out.
        sampling_rate: samples a second, to which recordings are resampled.
        hold_out: where `validation` is "held_out", each so manieth row of the split `train` is for validation.
        without_speaker: nothing of this speaker is trained on or validated with, and the test has nobody else.
        extra: other data sets with the same columns whose split `train` is trained on too; repeats: so often the rows
            of the data set itself are then seen in an epoch.
        strings: recordings of single words are joined to so many strings an epoch; test_strings: of other splits.
        longest: words of the longest string; gap: seconds of the longest pause.
    """

    audio: str = "audio"
    features: str | None = None
    text: str = "text"
    speaker: str | None = None
    spoken: bool = False
    sampling_rate: int = 16000
    hold_out: int = 10
    without_speaker: str | None = None
    extra: list[str] = field(default_factory=list)
    repeats: int = 1
    strings: int = 0
    test_strings: int = 0
    longest: int = 8
    gap: float = 0.3


@dataclass
class FeatureSection(SpeechAugmentation):
    """What the model hears of a recording, and how training changes it.

    Args:
        kind, feature_size, window_length, hop_length, normalization, tail: as ``RnnSpeechFeatureExtractor`` says.
        ends: whether the vocabulary has symbols of a text's start and end; default: where the model has a decoder,
            which needs them.
    """

    kind: str = "log_mel"
    feature_size: int = 40
    window_length: int = 400
    hop_length: int = 160
    normalization: str = "utterance"
    tail: float = 0.0
    ends: bool | None = None


class SpeechRecognitionTask(GenerationTask):
    """What is said in a recording.

    A recipe's `model.model_type` chooses: "rnn_hub_speech" says characters by CTC, "rnn_hub_speech_seq2seq" writes them
    by attention, jointly with CTC where its `ctc_weight` is above 0.
    """

    name = "speech-recognition"
    columns = ("audio", "text", "speaker")
    dataset_section: ClassVar[type] = SpeechDataset
    tokenizer_section: ClassVar[type] = FeatureSection
    processor_file = "processor_config.json"
    model_type = "rnn_hub_speech"
    auto_class = AutoModelForSpeech
    own_options = ("ctc_decoding_weight",)
    metrics: ClassVar[tuple[str, ...]] = ("wer", "cer")
    main_metric = "wer"
    greater_is_better = False
    demo = "demos.speech"
    pipeline_tag = "automatic-speech-recognition"
    unit = "recordings"
    usage = """```python
import rnn_hub

recognize = rnn_hub.pipeline("speech-recognition", model="{name}")
recognize("recording.wav", return_words=True)
```

or, after `import rnn_hub`, with transformers' own `pipeline("automatic-speech-recognition", model="{name}")`, or from
the command line: `rnn-hub predict {name} recording.wav`."""

    def use(self, recipe: Mapping[str, Any]) -> str:
        """Of waveforms, or of the features that are given to the model instead; words with times of what knows them."""
        given, model = recipe.get("tokenizer") or {}, recipe.get("model") or {}
        usage = FEATURES_USAGE % given["feature_size"] if given.get("kind") == "given" else self.usage
        knows_times = not self._writes(model) or model.get("ctc_weight")
        return usage if knows_times else usage.replace(", return_words=True", "")

    def network(self, model: Mapping[str, Any]) -> str:
        """The layers and their steps, and who says the characters."""
        ways = "both directions" if model.get("bidirectional", True) else "one direction"
        writes = self._writes(model)
        layers = model.get("encoder_num_layers" if writes else "num_layers", 3)
        heard = f"convolutions over time, {super().network({**model, 'num_layers': layers})} in {ways}"
        if not writes:
            return f"{heard}, CTC"
        share = f", and CTC of weight {model['ctc_weight']:g}" if model.get("ctc_weight") else ""
        return f"{heard}, a decoder with {model.get('attention_type', 'general')} attention{share}"

    def _writes(self, model: Mapping[str, Any]) -> bool:
        """Whether the model of a recipe's section has a decoder."""
        return self._config({"model_type": self.model_type, **model}).is_encoder_decoder

    def limits(self, recipe: Mapping[str, Any]) -> str:
        """What it knows."""
        return (
            f"The model knows the words, voices and microphones of `{recipe['dataset']['path']}` and little else: "
            "other speech becomes words of these data, or none. It tells no voices apart. Do not use it where an error "
            "matters."
        )

    def load(self, dataset: SpeechDataset, split: str, **kwargs: Any) -> SpeechRows | JoinedStrings:
        """The recordings of a split in memory, or strings that are joined of them."""
        training, held_out = split == dataset.train, split == HELD_OUT
        rows = self._read(dataset, dataset.path, dataset.train if held_out else split, **kwargs)
        if dataset.validation == HELD_OUT and (training or held_out):
            if dataset.hold_out < 2:
                raise RnnHubError(f"dataset.hold_out must be at least 2, not {dataset.hold_out}")
            rows = [row for place, row in enumerate(rows) if (place % dataset.hold_out == 0) == held_out]
        if dataset.without_speaker is not None:
            rows = _of_speaker(rows, dataset, wanted=not (training or split == dataset.validation))
        rows = rows * (dataset.repeats if training else 1)
        for path in dataset.extra if training else ():
            rows += self._read(dataset, path, dataset.train)
        if not dataset.strings:
            return SpeechRows(rows)
        count, seed = (
            (dataset.strings, None) if training else (dataset.test_strings or dataset.strings, SEEDS[held_out])
        )
        joining = Joining(longest=dataset.longest, gap=dataset.gap)
        return JoinedStrings(SpeechRows(rows), count, seed, joining, dataset.sampling_rate)

    def _read(self, dataset: SpeechDataset, path: str, split: str, **kwargs: Any) -> list[dict[str, Any]]:
        """The rows of a split of one data set."""
        source = dataset.features or dataset.audio
        columns = [source, dataset.text, *([dataset.speaker] if dataset.speaker else [])]
        rows = load_split(path, split, name=dataset.name, columns=columns, **kwargs)
        if dataset.features is None:
            rows = rows.cast_column(source, datasets.Audio(decode=False))
        rows = rows.select_columns(columns)
        return [
            _row(row, dataset) for row in tqdm(rows, desc="reading audio", unit="recording", disable=len(rows) < 2000)
        ]

    def fit_tokenizer(self, tokenizer: FeatureSection, model: Mapping[str, Any]) -> FeatureSection:
        """A decoder needs symbols of a text's start and end, and CTC has no use for them."""
        writes = self._writes(model)
        if tokenizer.ends not in (None, writes):
            need = "needs symbols of a text's start and end" if writes else "has no use for symbols of a text's ends"
            raise RnnHubError(
                f"tokenizer.ends is {str(tokenizer.ends).lower()}, and a model of type {model['model_type']} {need}: "
                "leave it out"
            )
        return replace(tokenizer, ends=writes)

    def check_model(self, fields: Mapping[str, Any], generation: Mapping[str, Any]) -> None:
        """Build the config and, without memory, the model."""
        if not self._writes(fields):
            check_keys(generation, (), "generation (how a text is searched for is said when it is)")
        self._generation_config(generation)
        with torch.device("meta"):
            self._build(self._config(fields), generation)

    def build_model(
        self, fields: Mapping[str, Any], processor: RnnSpeechProcessor, generation: Mapping[str, Any]
    ) -> PreTrainedModel:
        """Build the model for the processor's features and characters."""
        extractor, ids = processor.feature_extractor, self.token_ids(processor)
        known = {"input_size": extractor.feature_size, "hop_length": extractor.hop_length}
        if not self._writes(fields):
            return self._model(self._config(fields, **known, vocab_size=len(processor.tokenizer), **ids))
        ids["decoder_start_token_id"] = processor.tokenizer.bos_token_id
        config = self._config(fields, **known, vocab_size=len(processor.tokenizer), **ids)
        model = self._build(config, generation)
        model.generation_config = self._generation_config({**WRITING, **generation}, **ids)
        return model

    def _build(self, config: Any, generation: Mapping[str, Any]) -> PreTrainedModel:
        """The model, whose search a recipe can have."""
        model = self._model(config)
        if generation.get("ctc_decoding_weight") is not None:
            try:
                model.decoding_weight(generation["ctc_decoding_weight"])
            except ValueError as error:
                raise RnnHubError(f"generation: {reason(error)}") from error
        return model

    def token_ids(self, processor: RnnSpeechProcessor) -> dict[str, int | None]:
        """The special tokens of the characters."""
        return super().token_ids(processor.tokenizer)

    def build_processor(
        self, rows: SpeechRows | JoinedStrings, dataset: SpeechDataset, tokenizer: FeatureSection
    ) -> RnnSpeechProcessor:
        """Take the characters from the texts and, where normalization is global, mean and deviation of features."""
        names = ("kind", "feature_size", "window_length", "hop_length", "normalization", "tail")
        options = {name: getattr(tokenizer, name) for name in names}
        options["sampling_rate"] = dataset.sampling_rate
        if tokenizer.normalization == "global":
            plain = RnnSpeechFeatureExtractor(**{**options, "normalization": "none"})
            few = rows.fixed().select(range(0, len(rows), max(1, len(rows) // 300)))
            features = np.concatenate([plain.features(_sound(row)) for row in few])
            options |= {"mean": features.mean(axis=0).tolist(), "std": features.std(axis=0).tolist()}
        characters = (spelling_tokenizer if tokenizer.ends else character_tokenizer)(rows.texts())
        return RnnSpeechProcessor(RnnSpeechFeatureExtractor(**options), characters)

    def load_processor(self, folder: Any) -> RnnSpeechProcessor:
        """The processor of a folder."""
        return RnnSpeechProcessor.from_pretrained(folder)

    def load_model(self, model: str) -> tuple[PreTrainedModel, RnnSpeechProcessor]:
        """Load a model and its processor; what is missing or broken raises an ``RnnHubError``."""
        return load_pretrained(self.auto_class, model, RnnSpeechProcessor)

    def build_collator(
        self, processor: RnnSpeechProcessor, dataset: SpeechDataset, tokenizer: FeatureSection, training: bool
    ) -> Callable[[list[dict]], dict]:
        """Rows to features and characters; recordings change only in training."""
        names = [field.name for field in fields(SpeechAugmentation)]
        augmentation = SpeechAugmentation(**{name: getattr(tokenizer, name) for name in names})
        return SpeechCollator(processor, augmentation if training else None)

    def lengths(
        self, rows: SpeechRows | JoinedStrings, processor: RnnSpeechProcessor, dataset: SpeechDataset
    ) -> list[int]:
        """Frames of each recording, about."""
        extractor = processor.feature_extractor
        return [1 + size // (1 if extractor.kind == "given" else extractor.hop_length) for size in rows.sizes()]

    def inputs(self, rows: SpeechRows | JoinedStrings, dataset: SpeechDataset) -> list[np.ndarray]:
        """The samples, or the features."""
        return [_sound(row) for row in rows]

    def references(self, rows: SpeechRows | JoinedStrings, dataset: SpeechDataset) -> list[str]:
        """The texts."""
        return rows.texts()

    def predict(
        self,
        model: PreTrainedModel,
        processor: RnnSpeechProcessor,
        inputs: Sequence[np.ndarray],
        batch_size: int = 64,
        progress: bool = False,
        **generation: Any,
    ) -> list[Transcript]:
        """The text of each recording, with how long it is and how long that took."""
        return recognize(model, processor, inputs, Search(**generation), batch_size, progress)

    def score(self, predictions: Sequence[Transcript], references: Sequence[str], dataset: SpeechDataset) -> Scores:
        """Error rates of words and characters, in percent, and the real-time factor."""
        values, signature = compute_metrics(self.metrics, [found.text for found in predictions], references)
        spent = sum(found.seconds for found in predictions)
        values["real_time_factor"] = spent / max(sum(found.duration for found in predictions), 1e-9)
        return Scores(values, signature)


def _row(row: Mapping[str, Any], dataset: SpeechDataset) -> dict[str, Any]:
    """A row of a data set in memory."""
    text = row[dataset.text]
    text = DIGITS[text] if isinstance(text, int) else str(text)
    found = {"text": spoken(text) if dataset.spoken else " ".join(text.split())}
    found["speaker"] = str(row[dataset.speaker]) if dataset.speaker else ""
    if dataset.features is not None:
        return found | {"features": np.asarray(row[dataset.features], np.float32)}
    return found | {"audio": read_audio(row[dataset.audio], dataset.sampling_rate)}


def _of_speaker(rows: list[dict[str, Any]], dataset: SpeechDataset, wanted: bool) -> list[dict[str, Any]]:
    """The rows of the one speaker that is left out, or of all others."""
    names = sorted({row["speaker"] for row in rows})
    if dataset.without_speaker not in names:
        raise RnnHubError(f"there is no speaker {dataset.without_speaker!r}; there are {', '.join(names)}")
    return [row for row in rows if (row["speaker"] == dataset.without_speaker) == wanted]


def _sound(row: Mapping[str, Any]) -> np.ndarray:
    return row["features"] if "features" in row else row["audio"]
