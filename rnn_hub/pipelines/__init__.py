"""Pipelines: plain text in, plain results out. ``pipeline("translation", model=...)`` builds one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnn_hub.errors import RnnHubError

if TYPE_CHECKING:
    from transformers import Pipeline

#: name of a pipeline -> "module:class"
PIPELINES: dict[str, str] = {
    "image-to-text": "rnn_hub.pipelines.captioning:ImageToTextPipeline",
    "conditional-text-generation": "rnn_hub.pipelines.text_generation:ContinuationPipeline",
    "forecasting": "rnn_hub.pipelines.forecasting:ForecastingPipeline",
    "language-modeling": "rnn_hub.pipelines.text_generation:ContinuationPipeline",
    "multi-label-classification": "rnn_hub.pipelines.text_classification:TextLabelPipeline",
    "speech-recognition": "rnn_hub.pipelines.speech_recognition:SpeechPipeline",
    "text-classification": "rnn_hub.pipelines.text_classification:TextLabelPipeline",
    "text-regression": "rnn_hub.pipelines.text_classification:TextLabelPipeline",
    "token-classification": "rnn_hub.pipelines.token_classification:EntityPipeline",
    "tree-classification": "rnn_hub.pipelines.tree_classification:TreeLabelPipeline",
    "music-generation": "rnn_hub.pipelines.music_generation:MusicPipeline",
    "video-classification": "rnn_hub.pipelines.video_classification:VideoLabelPipeline",
    "video-to-text": "rnn_hub.pipelines.captioning:VideoToTextPipeline",
    "summarization": "rnn_hub.pipelines.summarization:SummarizationPipeline",
    "translation": "rnn_hub.pipelines.translation:TranslationPipeline",
}


def pipeline(task: str, model: Any, tokenizer: Any = None, device: Any = None, **kwargs: Any) -> Pipeline:
    """Build the pipeline of a task around a model.

    Args:
        task: a name in ``PIPELINES``.
        model: a folder, a Hub name, or a loaded model (then give its ``tokenizer``, or
            under that name its processor, too).
        device: such as "cpu" or "cuda"; the default is transformers' own.
        kwargs: defaults of each call, such as ``num_beams``.

    Raises:
        RnnHubError: an unknown task, or a model that cannot be loaded; the message says why.
    """
    if task not in PIPELINES:
        raise RnnHubError(f"unknown pipeline {task!r}: the pipelines are {', '.join(sorted(PIPELINES))}")
    import importlib

    module, _, name = PIPELINES[task].partition(":")
    cls = getattr(importlib.import_module(module), name)
    parts = (name for name in ("video_processor", "feature_extractor") if getattr(cls, f"_load_{name}"))
    part = next(parts, "tokenizer")
    if isinstance(model, str) or hasattr(model, "__fspath__"):
        from transformers import AutoProcessor, AutoTokenizer

        from rnn_hub.pipelines.loading import load_pretrained

        usual = AutoProcessor if cls._load_image_processor else AutoTokenizer
        processor_class = getattr(cls, "processor_class", usual)
        model, loaded = load_pretrained(cls.auto_model_class, str(model), processor_class)
        tokenizer = tokenizer or loaded
    if tokenizer is None:
        raise RnnHubError(f"pipeline({task!r}) needs a {part} beside a loaded model")
    if cls._load_processor:
        kwargs["processor"] = tokenizer
    if cls._load_image_processor:
        kwargs["image_processor"], tokenizer = tokenizer.image_processor, tokenizer.tokenizer
    return cls(model=model, device=device, task=task, **{part: tokenizer}, **kwargs)
