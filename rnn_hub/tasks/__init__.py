"""The tasks by name: the index of what the project can do. Importing this package imports no task."""

from __future__ import annotations

import importlib
from difflib import get_close_matches
from typing import TYPE_CHECKING

from rnn_hub.errors import RnnHubError

if TYPE_CHECKING:
    from rnn_hub.tasks.base import Task

#: name of a task -> "module:class"; a new task is one file and one line here.
TASKS: dict[str, str] = {
    "image-to-text": "rnn_hub.tasks.captioning:ImageCaptioningTask",
    "conditional-text-generation": "rnn_hub.tasks.conditional_text:ConditionalTextTask",
    "forecasting": "rnn_hub.tasks.forecasting:ForecastingTask",
    "language-modeling": "rnn_hub.tasks.language_modeling:LanguageModelingTask",
    "multi-label-classification": "rnn_hub.tasks.multi_label_classification:MultiLabelClassificationTask",
    "music-frames": "rnn_hub.tasks.music_frames:MusicFramesTask",
    "music-frames-independent": "rnn_hub.tasks.music_frames_independent:IndependentFramesTask",
    "speech-recognition": "rnn_hub.tasks.speech_recognition:SpeechRecognitionTask",
    "text-classification": "rnn_hub.tasks.text_classification:TextClassificationTask",
    "text-regression": "rnn_hub.tasks.text_regression:TextRegressionTask",
    "token-classification": "rnn_hub.tasks.token_classification:TokenClassificationTask",
    "tree-classification": "rnn_hub.tasks.tree_classification:TreeClassificationTask",
    "music-generation": "rnn_hub.tasks.music_generation:MusicGenerationTask",
    "video-to-text": "rnn_hub.tasks.video_captioning:VideoCaptioningTask",
    "video-classification": "rnn_hub.tasks.video_classification:VideoClassificationTask",
    "summarization": "rnn_hub.tasks.summarization:SummarizationTask",
    "translation": "rnn_hub.tasks.translation:TranslationTask",
}


def load_task(name: str) -> Task:
    """Return the task called ``name``; an unknown name raises an error that lists the known ones."""
    if name not in TASKS:
        close = get_close_matches(str(name), TASKS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise RnnHubError(f"unknown task {name!r}: the tasks are {', '.join(sorted(TASKS))}{hint}")
    module, _, attribute = TASKS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)()
