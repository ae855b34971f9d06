"""TranslationPipeline: text in, translations out, with n-best lists, scores and attention on request."""

from __future__ import annotations

from transformers import AutoModelForSeq2SeqLM
from transformers.pipelines import PIPELINE_REGISTRY

from rnn_hub.pipelines.text_to_text import TextToTextPipeline


class TranslationPipeline(TextToTextPipeline):
    """Translates: ``pipe("A dog runs.")`` gives ``[{"translation_text": "Ein Hund läuft."}]``."""

    activity, unit, result = "translating", "sentence", "translation"


# transformers 5 refuses the name "translation", so its own pipeline() knows this one by another.
PIPELINE_REGISTRY.register_pipeline(
    "rnn-translation", pipeline_class=TranslationPipeline, pt_model=AutoModelForSeq2SeqLM, type="text"
)
