"""Salted commitments: what stays hidden enters the hash chain as SHA-256, and whoever gets the salt can check it.

Salts are 64 lower-case hexadecimal digits; the 32 bytes they stand for are hashed, not the digits. All results are hex.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from models.rules.canonical import canonical_json
from models.rules.stream import Rejected

_SALT: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


def _commit(salt: str, secret: bytes) -> str:
    return hashlib.sha256(bytes.fromhex(salt) + secret).hexdigest()


def salt_from(context: Mapping[str, Any]) -> str:
    """The salt that the service brought.

    Raises:
        Rejected: INTERNAL, the service brought none: a defect, not the caller's fault.
    """
    salt = context.get("salt")
    if type(salt) is not str or not _SALT.fullmatch(salt):
        raise Rejected("INTERNAL", "The command came without its salt")
    return salt


def reserve_salt(salt: str) -> str:
    """The salt of the reserve alone, which the close reveals: SHA256("reserve" || salt).

    It is derived because the salt itself also covers the owner and the invited, who must not be revealed with it.
    """
    return hashlib.sha256(b"reserve" + bytes.fromhex(salt)).hexdigest()


def reserve_commitment(revealed_salt: str, reserve: int) -> str:
    """SHA256(32 bytes of `reserve_salt` || the reserve in decimal ASCII digits), published in `opened`."""
    return _commit(revealed_salt, b"%d" % reserve)


def parties_commitment(salt: str, owner: str, invited: Iterable[str]) -> str:
    """SHA256(salt || canonical JSON of {"invited": [sorted user ids], "owner": user id})."""
    return _commit(salt, canonical_json({"owner": owner, "invited": sorted(invited)}))


def bidder_commitment(salt: str, user: str) -> str:
    """SHA256(salt || the bidder's user id in UTF-8); the salt is new for each bid, so that equal bidders don't show."""
    return _commit(salt, user.encode())


def limit_commitment(salt: str, limit: int) -> str:
    """SHA256(salt || the limit of an `auto` bid in decimal ASCII digits)."""
    return _commit(salt, b"%d" % limit)


def offer_commitment(salt: str, amount: int, delivery_days: int | None, cover_letter: str | None) -> str:
    """SHA256(salt || canonical JSON of {"amount", "cover_letter", "delivery_days"}) of a sealed bid or a proposal."""
    return _commit(
        salt, canonical_json({"amount": amount, "cover_letter": cover_letter, "delivery_days": delivery_days})
    )
