"""Refresh tokens: `<session>.<generation>.<mac>`.

The MAC makes every token that was ever given out recognisable without storing any: a genuine token of an older generation is a
reuse, anything else is noise. It is keyed with the signing secret and salted per session, so neither a copy of the database nor
a copy of the secret alone makes a token.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import NamedTuple

_FORM = re.compile(r"([0-9a-z]{22})\.([1-9][0-9]{0,9})\.([A-Za-z0-9_-]{43})", re.ASCII)


class RefreshToken(NamedTuple):
    """A token's parts; genuine only if `RefreshTokens.genuine` says so."""

    session: str
    generation: int
    mac: str


class RefreshTokens:
    """Makes and recognises refresh tokens.

    Args:
        secret: shared by all instances.
    """

    def __init__(self, secret: str | bytes) -> None:
        master = secret.encode() if isinstance(secret, str) else secret
        self._key = hmac.digest(master, b"rialto refresh tokens", hashlib.sha256)

    def make(self, session: str, generation: int, salt: str) -> str:
        """The token of one generation of a session."""
        return f"{session}.{generation}.{self._mac(session, generation, salt)}"

    def parse(self, token: str) -> RefreshToken | None:
        """The parts of a token; None if it has another form."""
        match = _FORM.fullmatch(token)
        return RefreshToken(match[1], int(match[2]), match[3]) if match else None

    def genuine(self, token: RefreshToken, salt: str) -> bool:
        """Whether the token was made by `make` with this salt."""
        return hmac.compare_digest(token.mac, self._mac(token.session, token.generation, salt))

    def _mac(self, session: str, generation: int, salt: str) -> str:
        message = f"{session}\x00{generation}\x00{salt}".encode()
        return base64.urlsafe_b64encode(hmac.digest(self._key, message, hashlib.sha256)).decode().rstrip("=")
