"""What the demos say about the text a visitor typed: why it cannot be used, or why the result may be poor."""

from __future__ import annotations

import re
from html import escape

from transformers import Pipeline

from rnn_hub.errors import RnnHubError

MAX_CHARACTERS = 1000
#: share of a text's tokens that the vocabulary spells in bytes, above which the text is none of its languages
FOREIGN = 0.3
_BYTE = re.compile(r"<0x[0-9A-F]{2}>|<unk>")


def clean(text: str | None) -> str:
    """One line, in characters that UTF-8 can say."""
    return " ".join((text or "").encode("utf-8", "replace").decode().split())


def check(text: str, action: str = "translate", limit: int = MAX_CHARACTERS) -> None:
    """Raise an RnnHubError that tells the visitor what is wrong with a text, if anything is."""
    if not text:
        raise RnnHubError(f"Type a sentence to {action}, or pick an example.")
    if len(text) > limit:
        raise RnnHubError(
            f"This text has {len(text):,} characters, and the demo takes at most {limit:,}. Give it a "
            "sentence at a time, or a whole file to the command rnn-hub predict."
        )
    if not any(character.isalnum() for character in text):
        raise RnnHubError(f"There is no word to {action} in this text.")


def check_length(text: str, pipe: Pipeline) -> None:
    """Raise an RnnHubError where the model would have to cut the text."""
    length, limit = len(pipe.tokenizer(text, verbose=False).input_ids), pipe.tokenizer.model_max_length
    if length > limit:
        raise RnnHubError(f"This text has {length} subwords, and the model takes at most {limit}. Shorten it.")


def is_foreign(text: str, pipe: Pipeline) -> bool:
    """Whether much of the text is written in signs that the model's vocabulary does not have."""
    tokens = pipe.tokenizer.convert_ids_to_tokens(pipe.tokenizer(text, verbose=False).input_ids)
    return sum(bool(_BYTE.fullmatch(token)) for token in tokens) > FOREIGN * len(tokens)


def notice(text: str) -> str:
    """A message as HTML, escaped; nothing for no message."""
    style = (
        "padding: 8px 12px; border-radius: 6px; border-left: 4px solid var(--primary-500); "
        "background: var(--background-fill-secondary); color: var(--body-text-color); overflow-wrap: anywhere"
    )
    return f'<p role="status" class="notice" style="{style}">{escape(text)}</p>' if text else ""
