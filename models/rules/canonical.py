"""Canonical JSON and the chain of hashes over it (bidding.md, rule 4)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

GENESIS: Final = "00" * 32
"""What the first event links to: 32 zero bytes, in hex."""


def canonical_json(value: Any) -> bytes:
    """Sorted keys, no spaces, UTF-8, nothing escaped but what JSON demands.

    Raises:
        ValueError: NaN, an infinity, or text with a lone surrogate.
    """
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def chain_hash(previous: str, event: Mapping[str, Any]) -> str:
    """The link of an event: SHA256(the 32 bytes of the previous hash || canonical JSON of the event), in hex.

    Args:
        previous: the hash of the event before in hex, `GENESIS` for the first.
        event: the public event as clients see it, `{seq, t, type, ...}`, without `hash`.
    """
    return hashlib.sha256(bytes.fromhex(previous) + canonical_json(event)).hexdigest()
