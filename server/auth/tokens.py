"""Access tokens: short-lived, stateless, signed with HS256.

Claims: `sub` (user), `sid` (session, the login), `jti`, `role`, `adm`, `mod` (if it is true), `iat`, `exp`. A token alone says who somebody was when
it was issued; whether the session has been revoked since is the denylist's to say. So the edges call
`await tokens.authenticate(token)`, which asks both.
"""

from __future__ import annotations

import hmac
from typing import Any, Final, Protocol

import jwt
import orjson
from jwt.utils import base64url_decode, base64url_encode

from server.auth.principal import Principal
from server.clock import Clock, new_id
from server.errors import AppError

ALGORITHM: Final = "HS256"
ROLES: Final = frozenset({"client", "freelancer", "both", "contractor", "subcontractor"})
LEAST_SECRET: Final = 32
"""Bytes of the signing key at least: RFC 7518 asks for the size of the hash."""

_REQUIRED: Final = ("sub", "sid", "jti", "role", "adm", "iat", "exp")
_LONGEST: Final = 4096
"""Characters of a token at most; anything longer is refused unread."""


class RevokedSessions(Protocol):
    """What `Tokens` asks of the denylist."""

    def remembers(self, session: str) -> bool:
        """Whether this process knows that the session is revoked."""
        ...

    async def denies(self, session: str) -> bool:
        """Whether the session is revoked, as far as Redis or this process knows."""
        ...


class Tokens:
    """Issues and checks access tokens.

    Args:
        secret: HS256 key of 32 bytes or more, shared by all instances.
        clock: the cluster's clock; `iat` and `exp` are taken from it.
        lifetime_s: seconds that a token is valid.
        denylist: knows the revoked sessions.

    Raises:
        ValueError: the secret is too short.
    """

    def __init__(self, secret: str | bytes, clock: Clock, lifetime_s: int, denylist: RevokedSessions) -> None:
        self._secret = secret.encode() if isinstance(secret, str) else secret
        if len(self._secret) < LEAST_SECRET:
            raise ValueError(f"RIALTO_TOKEN_SECRET must have {LEAST_SECRET} bytes or more")
        self._header = jwt.encode({}, self._secret, algorithm=ALGORITHM).partition(".")[0] + "."
        self._clock = clock
        self.lifetime_s = lifetime_s
        self._denylist = denylist

    def issue(self, user: str, session: str, role: str, *, admin: bool = False, moderator: bool = False) -> str:
        """A token for a user on one of its sessions, valid for `lifetime_s` from now."""
        now = self._clock.now() // 1000
        claims = {
            "sub": user,
            "sid": session,
            "jti": new_id(),
            "role": role,
            "adm": admin,
            "iat": now,
            "exp": now + self.lifetime_s,
        }
        if moderator:
            claims["mod"] = True
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM)

    def derived(self, purpose: str) -> bytes:
        """A key of 32 bytes for another purpose; it tells nothing of the tokens' own."""
        return hmac.digest(self._secret, purpose.encode(), "sha256")

    def verify(self, token: str) -> Principal:
        """The bearer of a token that is well signed, unexpired and not known here to be revoked. No I/O.

        Raises:
            AppError: UNAUTHENTICATED.
        """
        principal = self._principal(self._claims(token))
        if self._denylist.remembers(principal.session):
            raise AppError("UNAUTHENTICATED", "The session has ended")
        return principal

    async def authenticate(self, token: str) -> Principal:
        """`verify`, and the cluster's denylist besides. What HTTP requests and new sockets go through.

        Raises:
            AppError: UNAUTHENTICATED.
        """
        principal = self.verify(token)
        if await self._denylist.denies(principal.session):
            raise AppError("UNAUTHENTICATED", "The session has ended")
        return principal

    def revoked(self, session: str) -> bool:
        """Whether this process knows that the session is revoked: the last look after a slow handshake."""
        return self._denylist.remembers(session)

    def _claims(self, token: str) -> dict[str, Any]:
        if not isinstance(token, str) or not 0 < len(token) <= _LONGEST:
            raise AppError("UNAUTHENTICATED")
        try:
            if token.startswith(self._header):
                return self._own_claims(token)
            # Expiry is judged below, by the cluster's clock instead of the local one.
            return jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                options={"require": list(_REQUIRED), "verify_exp": False, "verify_iat": False},
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise AppError("UNAUTHENTICATED") from error

    def _own_claims(self, token: str) -> dict[str, Any]:
        """The claims of a token with the very header that `issue` writes. Every request brings one: this takes a tenth of the
        library's time, most of which goes into looking at the key again.

        Raises:
            ValueError: not signed with our key, or not claims of ours.
        """
        signed, _, signature = token.encode().rpartition(b".")
        expected = base64url_encode(hmac.digest(self._secret, signed, "sha256"))
        if not hmac.compare_digest(expected, signature):
            raise ValueError("not signed with this key")
        claims = orjson.loads(base64url_decode(signed[len(self._header) :]))
        if (
            not isinstance(claims, dict)
            or "aud" in claims
            or "nbf" in claims
            or any(name not in claims for name in _REQUIRED)
        ):
            raise ValueError("other claims than ours")
        return claims

    def _principal(self, claims: dict[str, Any]) -> Principal:
        user, session, role = claims["sub"], claims["sid"], claims["role"]
        admin, moderator, expires = claims["adm"], claims.get("mod", False), claims["exp"]
        if not all(isinstance(name, str) and name for name in (user, session, role)) or role not in ROLES:
            raise AppError("UNAUTHENTICATED")
        if type(admin) is not bool or type(moderator) is not bool or type(expires) is not int:
            raise AppError("UNAUTHENTICATED")
        if expires * 1000 <= self._clock.now():
            raise AppError("UNAUTHENTICATED", "The access token has expired")
        return Principal(user, session, role, admin=admin, moderator=moderator, expires_at=expires * 1000)
