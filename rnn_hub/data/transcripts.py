"""Texts as they are spoken: lower-case words without punctuation, digits and keys spelled out."""

from __future__ import annotations

import re

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
KEYS = {"#": "pound", "*": "star", "%": "percent", "&": "and", "@": "at", "+": "plus"}


def spoken(text: str) -> str:
    """A text in lower case, its digits one by one and the keys of a telephone as words, without punctuation."""
    text = re.sub(r"(?<=\d)\.(?=\d)", " point ", text.replace("’", "'"))
    text = re.sub(r"\d", lambda digit: f" {DIGITS[int(digit[0])]} ", text)
    text = re.sub(r"[#*%&@+]", lambda key: f" {KEYS[key[0]]} ", text).lower()
    words = (word.strip("'") for word in re.sub(r"[^a-z' ]", " ", text).split())
    return " ".join(word for word in words if word)
