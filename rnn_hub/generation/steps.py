"""What the loops share: a step, the choice of rows, and the greedy loop itself."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessorList

from rnn_hub.layers.attention import Memory

States = Sequence[tuple[Tensor, ...]]
Step = Callable[[Tensor, Memory | None, States], tuple[Tensor, States]]
"""Tokens (R,), memory and state -> logits (R, V) in float32 and the next state; R is a multiple of the sources M."""


def select(state: States, rows: Tensor) -> States:
    """The rows of a state, in any order and number."""
    return tuple(tuple(part.index_select(0, rows) for part in layer) for layer in state)


def choose_tokens(
    step: Step,
    logits: Tensor,
    memory: Memory | None,
    state: States,
    prompt: Tensor,
    config: GenerationConfig,
    process: LogitsProcessorList,
    streamer: Any = None,
    drop: bool = False,
) -> tuple[Tensor, States]:
    """Greedy search or sampling.

    Args:
        step, logits, memory, state: how to go on, and the logits (B, V) and what else is known after the prompt.
        prompt: (B, T).
        config: `do_sample`, `max_length` and the special tokens are read from it.
        process: changes the logits before a token is chosen.
        streamer: gets every token.
        drop: whether sentences that have ended leave the batch; the returned state is then that of those left.

    Returns:
        the new tokens (B, N), padded behind the end of a sentence, and the state before the last of them.
    """
    ends, pad = config._eos_token_tensor, config._pad_token_tensor
    last = frozenset(() if ends is None else ends.tolist())
    rows = torch.arange(len(prompt), device=prompt.device)
    running, all_run = torch.ones_like(rows, dtype=torch.bool), True
    sequences, columns, steps = prompt, [], config.max_length - prompt.shape[1]
    while True:
        scores = process(sequences, logits) if process else logits
        if config.do_sample:
            tokens = torch.multinomial(torch.softmax(scores, dim=-1), num_samples=1)[:, 0]
        else:
            tokens = scores.argmax(dim=-1)
        if not all_run:
            tokens = torch.where(running, tokens, pad)
        if last and not last.isdisjoint(tokens.tolist()):
            running = running & ~torch.isin(tokens, ends)
            all_run = bool(running.all())
        whole = len(rows) == len(prompt)
        columns.append(tokens if whole else pad.expand(len(prompt)).scatter(0, rows, tokens))
        if streamer is not None:
            streamer.put(columns[-1].cpu())
        if len(columns) == steps or not (all_run or running.any()):
            return torch.stack(columns, dim=1), state
        if process:
            sequences = torch.cat([sequences, tokens[:, None]], dim=1)
        if drop and not all_run:
            rows, tokens, left = rows[running], tokens[running], running.nonzero()[:, 0]
            memory, state = None if memory is None else memory.select(left), select(state, left)
            running, all_run = running[left], True
        logits, state = step(tokens, memory, state)
