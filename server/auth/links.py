"""Signed words for links that are sent to people: they say one thing about one user, until a time."""

from __future__ import annotations

from typing import Any

import jwt

from server.auth.tokens import ALGORITHM
from server.clock import Clock
from server.errors import AppError


class Links:
    """Signs and opens what goes into a link.

    Args:
        secret: shared by all instances. clock: the cluster's clock.
    """

    def __init__(self, secret: str | bytes, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock

    def sign(self, purpose: str, user: str, fact: str, lifetime_s: int) -> str:
        """A token that states `fact` about `user`, for one purpose only."""
        expires = self._clock.now() // 1000 + lifetime_s
        # `aud` keeps it apart from access tokens: those are refused with one, this is refused without.
        claims = {"aud": f"link:{purpose}", "sub": user, "fact": fact, "exp": expires}
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM)

    def open(self, purpose: str, token: str) -> tuple[str, str]:
        """`(user, fact)` of a token signed for this purpose.

        Raises:
            AppError: VALIDATION_FAILED, it is not such a token or has expired.
        """
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                audience=f"link:{purpose}",
                options={"require": ["sub", "aud", "exp", "fact"], "verify_exp": False},
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise _bad_link() from None
        if not isinstance(claims["exp"], int) or claims["exp"] * 1000 <= self._clock.now():
            raise _bad_link()
        return claims["sub"], str(claims["fact"])


def _bad_link() -> AppError:
    return AppError("VALIDATION_FAILED", errors=[{"loc": ["body", "token"], "msg": "is not valid, or has expired"}])
