"""Translation: two columns of text -> subwords -> an encoder-decoder -> beam search -> BLEU and chrF."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import transformers.pipelines  # noqa: F401  (brings our pipelines in; text_to_text first would go in a circle)
from datasets import Dataset
from transformers import AutoModelForSeq2SeqLM, PreTrainedModel, PreTrainedTokenizerBase

import rnn_hub.models.seq2seq  # noqa: F401  (registers the model with the Auto classes)
from rnn_hub.data.collators import Seq2SeqCollator
from rnn_hub.data.tokenization import token_lengths, train_tokenizer
from rnn_hub.metrics import compute_metrics
from rnn_hub.pipelines.text_to_text import TextToTextPipeline
from rnn_hub.pipelines.translation import TranslationPipeline
from rnn_hub.tasks.auto_model import column_texts
from rnn_hub.tasks.base import DatasetSection, Scores
from rnn_hub.tasks.generation import GenerationTask


@dataclass
class TranslationDataset(DatasetSection):
    """The columns of a parallel corpus; ``translation.en`` reads the key ``en`` of a column of dictionaries.

    ``target_language`` chooses the rules by which a metric tokenizes; the default is the column's name where
    that is a code of two letters, else English.
    """

    source: str = "source"
    target: str = "target"
    target_language: str | None = None

    def language(self) -> str:
        """The code of the target language."""
        column = self.target.rpartition(".")[2]
        return self.target_language or (column if len(column) == 2 else "en")


@dataclass
class SubwordSection:
    """One subword vocabulary for both languages.

    Args:
        type: "bpe" or "unigram".
        vocab_size: number of pieces, the special ones included.
        lowercase: fold the case of both languages.
        dropout: probability of BPE-dropout in training (Provilkov et al., 2020).
        target_dropout: the same of the target; None takes ``dropout``. With 0 the model learns one way to write
            a sentence, and beam search meets no second segmentation of it.
        max_length: longest text in subwords; longer ones are cut with a warning.
    """

    type: str = "unigram"
    vocab_size: int = 8000
    lowercase: bool = False
    dropout: float = 0.0
    target_dropout: float | None = None
    max_length: int = 256


class TranslationTask(GenerationTask):
    """Text in one language to text in another."""

    name = "translation"
    columns = ("source", "target")
    streams = True
    dataset_section: ClassVar[type] = TranslationDataset
    tokenizer_section: ClassVar[type] = SubwordSection
    model_type = "rnn_hub_seq2seq"
    pipeline_class: ClassVar[type[TextToTextPipeline]] = TranslationPipeline
    auto_class = AutoModelForSeq2SeqLM
    generation: ClassVar[dict[str, Any]] = {"num_beams": 5, "max_new_tokens": 128}
    metrics: ClassVar[tuple[str, ...]] = ("bleu", "bleu_lower", "chrf")
    main_metric = "bleu"
    demo = "demos.translation"
    usage = """```python
import rnn_hub

translate = rnn_hub.pipeline("translation", model="{name}")
translate("{example}")
```

or from the command line: `rnn-hub predict {name} "{example}"`."""

    def network(self, model: Mapping[str, Any]) -> str:
        """Cell and attention of encoder and decoder."""
        attention = model.get("attention_type", "general")
        cell = str(model.get("cell_type", "lstm")).upper()
        return f"{cell} encoder and decoder {f'with {attention}' if attention else 'without'} attention"

    def build_processor(
        self, rows: Dataset, dataset: TranslationDataset, tokenizer: SubwordSection
    ) -> PreTrainedTokenizerBase:
        """Train one tokenizer on both columns."""

        def texts() -> Iterable[str]:
            for column in (dataset.source, dataset.target):
                yield from column_texts(rows, column)

        return train_tokenizer(
            texts(),
            tokenizer.vocab_size,
            model_type=tokenizer.type,
            lowercase=tokenizer.lowercase,
            model_max_length=tokenizer.max_length,
        )

    def token_ids(self, processor: PreTrainedTokenizerBase) -> dict[str, int | None]:
        """The decoder starts with the tokenizer's `<s>`."""
        return {**super().token_ids(processor), "decoder_start_token_id": processor.bos_token_id}

    def build_collator(
        self,
        processor: PreTrainedTokenizerBase,
        dataset: TranslationDataset,
        tokenizer: SubwordSection,
        training: bool,
    ) -> Callable[[list[dict]], dict]:
        """Rows of raw text to padded ids and labels; BPE-dropout only in training."""
        return Seq2SeqCollator(
            processor,
            source_column=dataset.source,
            target_column=dataset.target,
            max_source_length=tokenizer.max_length,
            max_target_length=tokenizer.max_length,
            subword_dropout=tokenizer.dropout if training else 0.0,
            target_subword_dropout=tokenizer.target_dropout if training else 0.0,
        )

    def lengths(
        self, rows: Dataset, processor: PreTrainedTokenizerBase, dataset: TranslationDataset
    ) -> list[tuple[int, int]]:
        """Subwords of each source and target, as far as the limit."""
        limit = processor.model_max_length
        columns = (column_texts(rows, dataset.source), column_texts(rows, dataset.target))
        source, target = (token_lengths(processor, column, max_length=limit) for column in columns)
        return list(zip(source, target, strict=True))

    def inputs(self, rows: Dataset, dataset: TranslationDataset) -> list[str]:
        """The texts to translate."""
        return column_texts(rows, dataset.source)

    def references(self, rows: Dataset, dataset: TranslationDataset) -> list[str]:
        """The human translations."""
        return column_texts(rows, dataset.target)

    def predict(
        self,
        model: PreTrainedModel,
        processor: PreTrainedTokenizerBase,
        inputs: Sequence[str],
        batch_size: int = 64,
        progress: bool = False,
        **generation: Any,
    ) -> list[str]:
        """Translate the texts, sorted by length in between, in the order given."""
        pipe = self.pipeline_class(model=model, tokenizer=processor, device=model.device, task=self.name)
        outputs = pipe(list(inputs), batch_size=batch_size, progress=progress, **generation)
        return [output[f"{pipe.result}_text"] for output in outputs]

    def score(self, predictions: Sequence[str], references: Sequence[str], dataset: TranslationDataset) -> Scores:
        """BLEU (cased and detokenized), BLEU lowercased and tokenized, chrF."""
        values, signature = compute_metrics(self.metrics, predictions, references, language=dataset.language())
        return Scores(values, signature)
