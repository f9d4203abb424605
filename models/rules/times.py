"""Times as events carry them: RFC 3339, UTC, milliseconds; inside the rules they are integers, ms since the epoch."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

LATEST: Final = 253_402_300_799_999
"""The last millisecond of the year 9999; a later one has no RFC 3339 form."""

_FORM: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=4096)
def to_rfc3339(ms: int) -> str:
    """`2026-11-21T10:00:00.000Z` for milliseconds since the epoch (0 to `LATEST`)."""
    seconds, millis = divmod(ms, 1000)
    parts = time.gmtime(seconds)
    return (
        f"{parts.tm_year:04}-{parts.tm_mon:02}-{parts.tm_mday:02}"
        f"T{parts.tm_hour:02}:{parts.tm_min:02}:{parts.tm_sec:02}.{millis:03}Z"
    )


@lru_cache(maxsize=4096)
def from_rfc3339(text: str) -> int:
    """The inverse of `to_rfc3339`; takes that one form only.

    Raises:
        ValueError: another form, or no such moment.
    """
    if not _FORM.fullmatch(text):
        raise ValueError(f"not a time of the form 2026-11-21T10:00:00.000Z: {text!r}")
    moment = datetime.fromisoformat(text)
    return (moment - _EPOCH) // timedelta(milliseconds=1)
