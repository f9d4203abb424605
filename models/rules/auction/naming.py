"""Names: of an auction's streams, and of its bidders."""

from __future__ import annotations

from typing import Final

PUBLIC_KIND: Final = "auction"
"""Streams that clients read."""

SEALED_KIND: Final = "sealed"
"""Streams of truth that nobody reads: those of the formats `sealed` and `proposal`."""

HIDDEN_FORMATS: Final = frozenset({"sealed", "proposal"})
"""Formats whose submissions are not public; the public stream is a projection of the stream of truth."""

_PSEUDONYM: Final = "Bidder "


def public_stream(auction_id: str) -> str:
    """The stream that clients subscribe to."""
    return f"{PUBLIC_KIND}:{auction_id}"


def truth_stream(auction_id: str, format: str) -> str:
    """The stream that takes the commands: the public one in open formats, else a private one."""
    return f"{SEALED_KIND if format in HIDDEN_FORMATS else PUBLIC_KIND}:{auction_id}"


def auction_id(stream: str) -> str:
    """The auction's id, from either of its streams' names."""
    return stream.partition(":")[2]


def pseudonym(number: int) -> str:
    """`Bidder 3` for the third person who placed a bid."""
    return f"{_PSEUDONYM}{number}"


def number_of(name: str) -> int:
    """The inverse of `pseudonym`; 0 when it isn't one."""
    digits = name.removeprefix(_PSEUDONYM)
    if digits == name or not (digits.isascii() and digits.isdigit()) or digits[0] == "0" or len(digits) > 9:
        return 0
    return int(digits)
