"""The one table of model families, and their registration with the Auto classes of transformers.

`import rnn_hub` stays light: nothing heavy is imported until transformers' own Auto modules are, and as soon as these
have loaded, in whatever order, our classes are added to them.
"""

import contextlib
import importlib
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, NamedTuple


class ModelFamily(NamedTuple):
    """A row of the table; classes are named as "module:class".

    Args:
        model_type: the name in a configuration, with our prefix.
        config: the configuration.
        models: for each Auto class, the model that it loads.
        processor: what `AutoProcessor` loads, where that is more than a tokenizer.
        video_processor: what `AutoVideoProcessor` loads.
        feature_extractor: what `AutoFeatureExtractor` loads.
    """

    model_type: str
    config: str
    models: dict[str, str]
    processor: str | None = None
    video_processor: str | None = None
    feature_extractor: str | None = None


FAMILIES = (
    ModelFamily(
        "rnn_hub_encoder",
        "rnn_hub.models.encoder.configuration_encoder:RnnEncoderConfig",
        {"AutoModel": "rnn_hub.models.encoder.modeling_encoder:RnnEncoderModel"},
    ),
    ModelFamily(
        "rnn_hub_seq2seq",
        "rnn_hub.models.seq2seq.configuration_seq2seq:RnnSeq2SeqConfig",
        {"AutoModelForSeq2SeqLM": "rnn_hub.models.seq2seq.modeling_seq2seq:RnnForConditionalGeneration"},
    ),
    ModelFamily(
        "rnn_hub_pointer",
        "rnn_hub.models.pointer.configuration_pointer:RnnPointerConfig",
        {"AutoModelForSeq2SeqLM": "rnn_hub.models.pointer.modeling_pointer:RnnForPointerGeneration"},
    ),
    ModelFamily(
        "rnn_hub_caption",
        "rnn_hub.models.caption.configuration_caption:RnnCaptionConfig",
        {"AutoModelForImageTextToText": "rnn_hub.models.caption.modeling_caption:RnnForCaptioning"},
        "rnn_hub.models.caption.processing_caption:CaptionProcessor",
    ),
    ModelFamily(
        "rnn_hub_tree",
        "rnn_hub.models.tree.configuration_tree:RnnTreeConfig",
        {"AutoModelForSequenceClassification": "rnn_hub.models.tree.modeling_tree:RnnForTreeClassification"},
    ),
    ModelFamily(
        "rnn_hub_classifier",
        "rnn_hub.models.classifier.configuration_classifier:RnnClassifierConfig",
        {
            "AutoModelForSequenceClassification": (
                "rnn_hub.models.classifier.modeling_classifier:RnnForSequenceClassification"
            ),
            "AutoModelForTokenClassification": "rnn_hub.models.classifier.modeling_tagger:RnnForTokenClassification",
        },
    ),
    ModelFamily(
        "rnn_hub_forecast",
        "rnn_hub.models.forecast.configuration_forecast:RnnForecastConfig",
        {"AutoModelForTimeSeriesPrediction": ("rnn_hub.models.forecast.modeling_forecast:RnnForTimeSeriesPrediction")},
    ),
    ModelFamily(
        "rnn_hub_causal_lm",
        "rnn_hub.models.causal_lm.configuration_causal_lm:RnnCausalLMConfig",
        {"AutoModelForCausalLM": "rnn_hub.models.causal_lm.modeling_causal_lm:RnnForCausalLM"},
    ),
    ModelFamily(
        "rnn_hub_frames",
        "rnn_hub.models.frames.configuration_frames:RnnFramesConfig",
        {"AutoModelForCausalLM": "rnn_hub.models.frames.modeling_frames:RnnForFrames"},
    ),
    ModelFamily(
        "rnn_hub_vision",
        "rnn_hub.models.vision.configuration_vision:RnnVisionConfig",
        {"AutoModelForVideoClassification": "rnn_hub.models.vision.modeling_vision:RnnForVideoClassification"},
        video_processor="rnn_hub.models.vision.video_processing_vision:RnnVideoProcessor",
    ),
    ModelFamily(
        "rnn_hub_efficientnet_trunk",
        "rnn_hub.models.backbone.configuration_trunk:EfficientNetTrunkConfig",
        {"AutoModel": "rnn_hub.models.backbone.modeling_trunk:EfficientNetTrunk"},
    ),
    ModelFamily(
        "rnn_hub_speech",
        "rnn_hub.models.speech.configuration_speech:RnnSpeechConfig",
        {"AutoModelForCTC": "rnn_hub.models.speech.modeling_speech:RnnForCTC"},
        "rnn_hub.models.speech.processing_speech:RnnSpeechProcessor",
        feature_extractor="rnn_hub.models.speech.feature_extraction_speech:RnnSpeechFeatureExtractor",
    ),
    ModelFamily(
        "rnn_hub_speech_seq2seq",
        "rnn_hub.models.speech_seq2seq.configuration_speech_seq2seq:RnnSpeechSeq2SeqConfig",
        {"AutoModelForSpeechSeq2Seq": "rnn_hub.models.speech_seq2seq.modeling_speech_seq2seq:RnnForSpeechSeq2Seq"},
        "rnn_hub.models.speech.processing_speech:RnnSpeechProcessor",
        feature_extractor="rnn_hub.models.speech.feature_extraction_speech:RnnSpeechFeatureExtractor",
    ),
)


def load(path: str) -> Any:
    """The object that "module:name" names."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def register_configs() -> None:
    """Adds our configurations to `AutoConfig`; a second time changes nothing.

    Raises:
        ValueError: a model type of ours already means something else there.
    """
    from transformers import CONFIG_MAPPING, AutoConfig

    for family in FAMILIES:
        # not `get`, which sees nothing here; and `register` would refuse only transformers' own model types
        taken = CONFIG_MAPPING[family.model_type] if family.model_type in CONFIG_MAPPING else None  # noqa: SIM401
        name = f"{taken.__module__}:{taken.__qualname__}" if taken else family.config
        if name != family.config:
            raise ValueError(f"the model type {family.model_type!r} is taken by {name}: only one can be imported")
        AutoConfig.register(family.model_type, load(family.config))


def register_models() -> None:
    """Adds our models to their Auto classes."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES as WRITERS

    for family in FAMILIES:
        for auto_class, model in family.models.items():
            load(f"transformers:{auto_class}").register(load(family.config), load(model))
            if auto_class == "AutoModelForSpeechSeq2Seq":  # by these names the pipeline knows what generates
                WRITERS[family.model_type] = load(model).__name__


def register_video_processors() -> None:
    """Adds our video processors to `AutoVideoProcessor`."""
    from transformers.models.auto.video_processing_auto import AutoVideoProcessor  # elsewhere it asks for torchvision

    for family in FAMILIES:
        if family.video_processor is not None:
            AutoVideoProcessor.register(load(family.config), load(family.video_processor), exist_ok=True)


def register_feature_extractors() -> None:
    """Adds our feature extractors to `AutoFeatureExtractor`."""
    for family in FAMILIES:
        if family.feature_extractor is not None:
            load("transformers:AutoFeatureExtractor").register(load(family.config), load(family.feature_extractor))


def register_processors() -> None:
    """Adds our processors to `AutoProcessor`."""
    for family in FAMILIES:
        if family.processor is not None:
            load("transformers:AutoProcessor").register(load(family.config), load(family.processor))


def register_pipelines() -> None:
    """Adds our pipelines, which register themselves, to those of transformers."""
    for name in ("translation", "summarization", "captioning"):
        importlib.import_module(f"rnn_hub.pipelines.{name}")


HOOKS: dict[str, Callable[[], None]] = {
    "transformers.models.auto.configuration_auto": register_configs,
    "transformers.models.auto.modeling_auto": register_models,
    "transformers.models.auto.video_processing_auto": register_video_processors,
    "transformers.models.auto.feature_extraction_auto": register_feature_extractors,
    "transformers.models.auto.processing_auto": register_processors,
    "transformers.pipelines": register_pipelines,
}


class _AfterImport:
    """A finder and loader that loads one module as usual and then calls a function, once."""

    def __init__(self, name: str, function: Callable[[], None]):
        self.name = name
        self.function = function

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        """Wraps the loader of the one module that is waited for."""
        if name != self.name:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None:
            self.loader, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the usual loader."""
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """As the usual loader, which then takes its place again; then the function. A failed import may be repeated."""
        module.__spec__.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        self.function()
        self.remove()

    def remove(self) -> None:
        """Waits no longer."""
        with contextlib.suppress(ValueError):  # another thread was faster
            sys.meta_path.remove(self)


def register() -> None:
    """Registers with the Auto classes: now with those that are loaded, with the others when they are."""
    waiting = {finder.name for finder in sys.meta_path if isinstance(finder, _AfterImport)}
    for name, function in HOOKS.items():
        if name in waiting:
            continue
        hook = _AfterImport(name, function)
        sys.meta_path.insert(0, hook)
        if name in sys.modules:  # asked after inserting, so that no import of another thread slips through between
            function()
            hook.remove()
