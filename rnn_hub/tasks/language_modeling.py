"""Language modelling: a column of text -> characters or words -> the next token -> nats a token and perplexity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from datasets import Dataset
from torch import Tensor
from tqdm.auto import tqdm
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

import rnn_hub.models.causal_lm  # noqa: F401  (registers the model with the Auto classes)
from rnn_hub.cache import RnnCache
from rnn_hub.data.streams import TokenStreams, collate_windows, join_texts
from rnn_hub.data.tokenization import train_tokenizer
from rnn_hub.generation.neural_cache import NeuralCache
from rnn_hub.metrics import compute_metrics
from rnn_hub.tasks.auto_model import column_texts
from rnn_hub.tasks.base import DatasetSection, Scores
from rnn_hub.tasks.generation import GenerationTask

CONTEXT = 256
"""Tokens that a stream reads before the first that it scores, where a text is measured in several streams at once."""


@dataclass
class TextDataset(DatasetSection):
    """The column of text; its rows are read one after the other, as one long text."""

    text: str = "text"


@dataclass
class TokenSection:
    """The vocabulary.

    Args:
        type: "word" (between white space), "char", "bpe" or "unigram".
        vocab_size: at most so many tokens, the special ones included; what is rarer is `<unk>`.
        lowercase: fold the case.
        eos: "before" puts `</s>` between the rows of the data, and before a prompt; "none" joins them without.
    """

    type: str = "word"
    vocab_size: int = 10000
    lowercase: bool = False
    eos: str = "before"


class LanguageModelingTask(GenerationTask):
    """The next token of a text, from all before it."""

    name = "language-modeling"
    columns = ("text",)
    dataset_section: ClassVar[type] = TextDataset
    tokenizer_section: ClassVar[type] = TokenSection
    model_type = "rnn_hub_causal_lm"
    auto_class = AutoModelForCausalLM
    generation: ClassVar[dict[str, Any]] = {"do_sample": True, "temperature": 0.8, "max_new_tokens": 200}
    metrics: ClassVar[tuple[str, ...]] = ("nll", "perplexity")
    main_metric = "nll"
    demo = "demos.text_generation"
    greater_is_better = False
    rows_are_independent = False
    pipeline_tag = "text-generation"
    unit = "tokens"
    evaluation_options = ("cache_size", "cache_theta", "cache_weight")
    usage = """```python
import rnn_hub
from transformers import pipeline

write = pipeline("text-generation", model="{name}")
write("The", max_new_tokens=100)
```

or from the command line: `rnn-hub predict {name} "The"`."""

    def build_processor(self, rows: Dataset, dataset: TextDataset, tokenizer: TokenSection) -> PreTrainedTokenizerBase:
        """Take the vocabulary from the rows."""
        return train_tokenizer(
            column_texts(rows, dataset.text),
            tokenizer.vocab_size,
            model_type=tokenizer.type,
            lowercase=tokenizer.lowercase,
            model_max_length=None,
            eos=tokenizer.eos,
        )

    def examples(self, rows: Dataset, processor: PreTrainedTokenizerBase, dataset: TextDataset) -> TokenStreams:
        """All tokens of the rows, to be read in parallel streams with the state carried on."""
        return TokenStreams(join_texts(processor, column_texts(rows, dataset.text))[0])

    def build_collator(
        self, processor: PreTrainedTokenizerBase, dataset: TextDataset, tokenizer: TokenSection, training: bool
    ) -> Callable[[list[dict]], dict]:
        """Windows of the streams to a batch."""
        return collate_windows

    def lengths(self, rows: Dataset, processor: PreTrainedTokenizerBase, dataset: TextDataset) -> list:
        """Nothing: windows are no rows, and batches are not formed by length."""
        return []

    def inputs(self, rows: Dataset, dataset: TextDataset) -> list[str]:
        """The texts."""
        return column_texts(rows, dataset.text)

    references = inputs

    @torch.no_grad()
    def predict(
        self,
        model: PreTrainedModel,
        processor: PreTrainedTokenizerBase,
        inputs: Sequence[str],
        batch_size: int = 64,
        progress: bool = False,
        **options: Any,
    ) -> list[list[float]]:
        """For each text the negative log-likelihood, in nats, of each of its tokens.

        The texts are read as one, the state carried over all of them: with `batch_size=1` exactly so; else in as many
        streams at once, each of which first reads the `CONTEXT` tokens before its own. With
        `cache_size`, `cache_theta` or `cache_weight` a `NeuralCache` helps, with what the stream itself has read.
        """
        tokens, counts = join_texts(processor, inputs)
        given = {name.removeprefix("cache_"): options[name] for name in self.evaluation_options if name in options}
        cache = NeuralCache(**given) if given else None
        streams = max(1, min(batch_size, len(tokens) // CONTEXT))
        return [part.tolist() for part in _score_tokens(model, tokens, streams, cache, progress).split(counts)]

    def score(self, predictions: Sequence[Sequence[float]], references: Sequence[str], dataset: TextDataset) -> Scores:
        """Nats a token, and perplexity."""
        values, signature = compute_metrics(self.metrics, predictions, references)
        return Scores(values, signature)


def _score_tokens(
    model: PreTrainedModel, tokens: Tensor, streams: int, neural_cache: NeuralCache | None, progress: bool
) -> Tensor:
    """-log p of the tokens (N,) but the first, each given all before it: (N - 1,)."""
    predicted = len(tokens) - 1
    length, context = -(-predicted // streams), CONTEXT if streams > 1 else 0
    places = torch.arange(-context, length) + torch.arange(0, length * streams, length)[:, None]
    real = (places >= 0) & (places < predicted)
    places = places.clamp(0, predicted - 1)
    steps, cache, values = max(16, 2048 // streams), RnnCache(), []
    windows = list(zip(places.split(steps, dim=1), real.split(steps, dim=1), strict=True))
    for place, mask in tqdm(windows, desc="reading", unit="window", disable=not progress):
        targets, mask = tokens[place + 1].to(model.device), mask.to(model.device)
        found = model(
            input_ids=tokens[place].to(model.device),
            attention_mask=mask,
            past_key_values=cache,
            use_cache=True,
            output_hidden_states=neural_cache is not None,
        )
        scores = -F.cross_entropy(found.logits.mT.float(), targets, reduction="none")
        if neural_cache is not None:
            scores = neural_cache.mix(found.hidden_states[-1], scores, targets, mask)
        values.append(-scores.cpu())
    return torch.cat(values, dim=1)[:, context:].flatten()[:predicted].double()
