"""SpeechPipeline: recordings of any kind in, what is said in them out, word by word with times if wanted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tqdm.auto import tqdm
from transformers import PreTrainedModel


@dataclass
class Transcript:
    """What was said in a recording, how many seconds it lasts, and how many it took to find that out."""

    text: str
    duration: float
    seconds: float

    def __str__(self) -> str:
        return self.text


@torch.inference_mode()
def recognize(
    model: PreTrainedModel,
    processor: Any,
    inputs: Sequence[Any],
    batch_size: int = 16,
    progress: bool = False,
    num_beams: int = 1,
) -> list[Transcript]:
    """The texts of recordings, each samples (N,) or features (T, D) as the processor's extractor takes them."""
    extractor, found = processor.feature_extractor, []
    for start in tqdm(range(0, len(inputs), batch_size), desc="listening", unit="batch", disable=not progress):
        chunk, started = list(inputs[start : start + batch_size]), time.perf_counter()
        batch = extractor(chunk).to(model.device)
        ids = model(**batch).logits.argmax(dim=-1)
        texts = [processor.decode(row) for row in ids]
        spent = (time.perf_counter() - started) / len(chunk)
        hop = extractor.hop_length if extractor.kind == "given" else 1
        found += [
            Transcript(text, len(one) * hop / extractor.sampling_rate, spent)
            for text, one in zip(texts, chunk, strict=True)
        ]
    return found
