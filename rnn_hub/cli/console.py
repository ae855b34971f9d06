"""What the commands share: a quiet standard output, the log on standard error."""

from __future__ import annotations

import logging
import os
import sys


def quiet() -> None:
    """Keep warnings of transformers and datasets, their progress bars and hints out of a command's output."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import datasets
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    datasets.disable_progress_bars()


def log_to_stderr(level: int = logging.INFO) -> None:
    """Show the package's own log on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("rnn_hub")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False
