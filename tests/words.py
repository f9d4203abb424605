"""Looking for what a text must not say."""

from __future__ import annotations

import re


def mentions(text: str, words: str) -> bool:
    """Whether a text has these words whole: four digits of an amount are, one day, part of some hash or id."""
    return re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text) is not None
