"""What the pipelines that give labels share: batches of like length, and what is wrong with a text."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from tqdm.auto import tqdm
from transformers import BatchEncoding, Pipeline

from rnn_hub.data.label_collators import pad_ids
from rnn_hub.errors import RnnHubError

logger = logging.getLogger(__name__)


def classify(
    pipe: Pipeline,
    inputs: Sequence[Any],
    read: Callable[[Any, BatchEncoding, list[int]], list],
    batch_size: int,
    progress: bool = False,
    is_split_into_words: bool = False,
    max_length: int | None = None,
    **options: Any,
) -> list:
    """Run a pipeline's model on texts sorted by length.

    Args:
        pipe: whose model and tokenizer to use.
        inputs: texts, or lists of words.
        read: makes the results of a batch from the model's output, the encoded texts and their places in `inputs`.
        batch_size: texts of a batch.
        max_length: tokens that are read of a text; by default the tokenizer's limit.
        options: for the model's `forward`.

    Returns:
        the results in the order of the inputs.

    Raises:
        RnnHubError: a batch size or length below 1, an input of another type, or one without a word; the message says
            which.
    """
    if batch_size < 1:
        raise RnnHubError(f"batch_size must be at least 1, not {batch_size}")
    limit = _limit(pipe, max_length)
    if not inputs:
        return []
    encoded = _encode(pipe.tokenizer, inputs, is_split_into_words, limit)
    lengths = [len(ids) for ids in encoded["input_ids"]]
    order = sorted(range(len(inputs)), key=lambda index: -lengths[index])
    results: list = [None] * len(inputs)
    with tqdm(total=len(inputs), desc="reading", unit="text", disable=not progress) as bar:
        for chunk in _chunks(order, batch_size):
            batch = pad_ids([encoded["input_ids"][index] for index in chunk], pipe.tokenizer)
            with torch.inference_mode(), pipe.device_placement():
                output = pipe.model(**pipe.ensure_tensor_on_device(**batch), **options)
            for index, result in zip(chunk, read(output, encoded, chunk), strict=True):
                results[index] = result
            bar.update(len(chunk))
    return results


def _limit(pipe: Pipeline, wanted: int | None) -> int:
    """How many tokens are read of a text: a recurrent network has no limit of its own, another encoder may."""
    if wanted is None:
        return pipe.tokenizer.model_max_length
    if wanted < 1:
        raise RnnHubError(f"max_length must be at least 1, not {wanted}")
    positions = (pipe.model.config.encoder or {}).get("max_position_embeddings", wanted)
    if wanted > positions:
        raise RnnHubError(f"max_length {wanted} is beyond the {positions} positions that the model's encoder knows")
    return wanted


def _encode(tokenizer: Any, inputs: Sequence[Any], is_split_into_words: bool, limit: int) -> BatchEncoding:
    """Ids and places of the tokens of all inputs, cut to a limit."""
    wanted, name = (list, "lists of words") if is_split_into_words else (str, "texts")
    for number, text in enumerate(inputs, 1):
        if not isinstance(text, wanted):
            raise RnnHubError(f"the pipeline takes {name}, and input {number} is a {type(text).__name__}")
    encoded = tokenizer(
        list(inputs),
        is_split_into_words=is_split_into_words,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
        verbose=False,
    )
    unknown, doubtful = tokenizer.unk_token_id, 0
    for index, (ids, special) in enumerate(zip(encoded["input_ids"], encoded["special_tokens_mask"], strict=True)):
        words = [token for token, is_special in zip(ids, special, strict=True) if token == unknown or not is_special]
        if not words:
            raise RnnHubError(f"input {index + 1} holds no word, so there is nothing to say about it: leave it out")
        doubtful += all(token == unknown for token in words)
        if len(ids) > limit:
            logger.warning("input %d has %d tokens and is cut to the limit of %d", index + 1, len(ids), limit)
            encoded["input_ids"][index] = ids[:limit]
    if doubtful:
        logger.warning("%d of %d inputs hold only words that the model does not know: a guess", doubtful, len(inputs))
    return encoded


def _chunks(order: list[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(order), size):
        yield order[start : start + size]
