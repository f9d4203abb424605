"""What may be said: the text of a message as it was typed, or a reason why not."""

from __future__ import annotations

import unicodedata
from typing import Final

LONGEST_TEXT: Final = 4_000
"""Characters (code points)."""

_BLANK_LETTERS: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols, as Unicode has it, that show nothing."""


def text_problem(text: str) -> str | None:
    """Why a text can't be a message, as a phrase; None when it can.

    It has 1 to `LONGEST_TEXT` characters, no control characters but line feeds and tabs, nothing that UTF-8 can't carry, and
    something to see. Nothing is stripped: what is accepted is kept as it is.
    """
    if not text:
        return "must not be empty"
    if len(text) > LONGEST_TEXT:
        return f"must have at most {LONGEST_TEXT} characters"
    if text.isascii() and text.isprintable():  # most are
        return "must not be blank" if text.isspace() else None
    visible = False
    for character in text:
        category = unicodedata.category(character)
        if category == "Cs":
            return "must be valid Unicode"
        if category == "Cc" and character not in "\n\t":
            return "must not contain control characters"
        visible = visible or not (category[0] in "ZC" or character in _BLANK_LETTERS)
    return None if visible else "must not be blank"
