"""A beam search that can be watched: its best hypothesis after each step, then its result."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import torch
from transformers import Pipeline, StoppingCriteria, StoppingCriteriaList


class SearchStream:
    """Runs a text pipeline on one input in a thread; iterating yields the text found so far, after each step.

    transformers' streamers accept only a search that never changes its mind (greedy or sampling). This one looks on as
    a stopping criterion, which every search calls with its hypotheses, the best first. When the iteration ends,
    ``result`` holds what the pipeline returned; an error of the search is raised in the reader. A reader who stops
    early stops the search.

    Args:
        pipe: a pipeline that takes ``stopping_criteria`` and has a tokenizer.
        text: the input.
        options: call arguments of the pipeline.
    """

    def __init__(self, pipe: Pipeline, text: str, **options: Any):
        self.result: Any = None
        self._pipe, self._text, self._options = pipe, text, options

    def __iter__(self) -> Iterator[str]:
        onlooker = _Onlooker(self._pipe.tokenizer.eos_token_id)
        thread = threading.Thread(target=self._search, args=(onlooker,), daemon=True)
        thread.start()
        try:
            while not isinstance(step := onlooker.steps.get(), _End):
                yield self._pipe.tokenizer.decode(step, skip_special_tokens=True).strip()
        finally:
            onlooker.stopped.set()
            thread.join()
        if step.error is not None:
            raise step.error
        self.result = step.result

    def _search(self, onlooker: _Onlooker) -> None:
        try:
            criteria = StoppingCriteriaList([onlooker])
            onlooker.steps.put(_End(result=self._pipe(self._text, stopping_criteria=criteria, **self._options)))
        except Exception as error:  # whatever it is, the reader must not wait for ever
            onlooker.steps.put(_End(error=error))


class _End:
    """The last thing in the queue."""

    def __init__(self, result: Any = None, error: Exception | None = None):
        self.result, self.error = result, error


class _Onlooker(StoppingCriteria):
    """Notes the best hypothesis of each step until one has ended: what a beam search goes on with is worse.

    Stops the search once ``stopped`` is set.
    """

    def __init__(self, end: int | None):
        self.end, self.ended = end, False
        self.steps: queue.SimpleQueue = queue.SimpleQueue()
        self.stopped = threading.Event()

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """input_ids: (hypotheses, length), the best first."""
        if not self.ended:
            self.steps.put(input_ids[0].tolist())
            self.ended = bool(input_ids[0, -1] == self.end)
        return torch.full((len(input_ids),), self.stopped.is_set(), device=input_ids.device)
