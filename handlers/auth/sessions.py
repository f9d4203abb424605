"""Logins: begin, refresh with rotation, revoke."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any, Final

import structlog
from pymongo import ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession

from models.session import Session
from models.user import User
from server.auth.refresh import RefreshToken, RefreshTokens
from server.auth.revocation import Revocations
from server.auth.tokens import Tokens
from server.clock import Clock, new_id, new_salt, to_datetime
from server.errors import AppError

RETRY_MS: Final = 60_000
"""So long after a refresh its retry, recognised by the Idempotency-Key, gets the same tokens again."""

_LONGEST_DEVICE: Final = 200
_PURGE_AFTER: Final = timedelta(hours=1)

log = structlog.get_logger(__name__)


class Sessions:
    """The use cases of logins.

    Args:
        clock: the cluster's clock. tokens, refresh_tokens: make and check the two kinds of tokens.
        revocations: tells all instances. refresh_s: life of a refresh token.
    """

    def __init__(
        self, clock: Clock, tokens: Tokens, refresh_tokens: RefreshTokens, revocations: Revocations, refresh_s: int
    ) -> None:
        self._clock = clock
        self._tokens = tokens
        self._refresh_tokens = refresh_tokens
        self._revocations = revocations
        self._refresh_s = refresh_s

    async def begin(
        self, user: User, device: str, transaction: AsyncClientSession | None = None, *, announce: bool = False
    ) -> dict[str, Any]:
        """A new session: `{access_token, refresh_token, token_type, expires_in}`. `announce`: its user is to be told of it."""
        now = self._clock.now()
        session = Session(
            id=new_id(),
            user=user.id,
            salt=new_salt(),
            created_at=now,
            used_at=now,
            expires_at=now + self._refresh_s * 1000,
            device=device[:_LONGEST_DEVICE],
            unannounced=now if announce else None,
            purge_at=self._purge_at(now),
        )
        await session.insert(session=transaction)
        return self._pair(user, session)

    async def refresh(self, raw: str, key: str | None) -> tuple[User, dict[str, Any]]:
        """The next generation of a session's tokens, and whose they are.

        A refresh token is good once. Presented again it is taken for stolen and the whole session ends, unless it is the retry
        of a refresh whose answer was lost: the same Idempotency-Key within a minute gets the same tokens again.

        Raises:
            AppError: UNAUTHENTICATED.
        """
        token = self._refresh_tokens.parse(raw)
        session = await Session.get(token.session) if token else None
        if token is None or session is None or not self._refresh_tokens.genuine(token, session.salt):
            raise AppError("UNAUTHENTICATED", "The refresh token is not valid")
        digest = hashlib.sha256(key.encode()).hexdigest() if key else None
        rotated = await self._rotate(token, digest) or await self._retried(token, digest)
        if rotated is None:
            await self._judge_reuse(token)
            raise AppError("UNAUTHENTICATED", "The refresh token is not valid any more")
        user = await User.get(rotated.user)
        if user is None:
            raise AppError("UNAUTHENTICATED", "The account is gone")
        return user, self._pair(user, rotated)

    async def revoke(self, user: str, sessions: list[str], reason: str) -> list[str]:
        """End sessions of a user, on every instance; the ids of those that lived."""
        living = {"_id": {"$in": sessions}, "user": user, "revoked_at": None}
        ended = [session.id async for session in Session.find(living)]
        change = {"$set": {"revoked_at": self._clock.now(), "revoked_for": reason}}
        await Session.get_pymongo_collection().update_many({"_id": {"$in": ended}, "revoked_at": None}, change)
        # Also what another call revoked before: its announcement may have been lost with its process.
        await self._revocations.announce(*sessions)
        return ended

    async def living(self, user: str) -> list[Session]:
        """A user's sessions that can still be refreshed, newest first."""
        wanted = {"user": user, "revoked_at": None, "expires_at": {"$gt": self._clock.now()}}
        return await Session.find(wanted).sort("-created_at").limit(100).to_list()

    async def _rotate(self, token: RefreshToken, digest: str | None) -> Session | None:
        """Atomic: of two refreshes with one token at most one gets the session."""
        now = self._clock.now()
        change = {
            "generation": token.generation + 1,
            "rotated_at": now,
            "rotated_by": digest,
            "used_at": now,
            "expires_at": now + self._refresh_s * 1000,
            "purge_at": self._purge_at(now),
        }
        wanted = {
            "_id": token.session,
            "generation": token.generation,
            "revoked_at": None,
            "expires_at": {"$gt": now},
        }
        found = await Session.get_pymongo_collection().find_one_and_update(
            wanted, {"$set": change}, return_document=ReturnDocument.AFTER
        )
        return Session.model_validate(found) if found else None

    async def _retried(self, token: RefreshToken, digest: str | None) -> Session | None:
        if digest is None:
            return None
        return await Session.find_one(
            {
                "_id": token.session,
                "generation": token.generation + 1,
                "rotated_by": digest,
                "rotated_at": {"$gt": self._clock.now() - RETRY_MS},
                "revoked_at": None,
            }
        )

    async def _judge_reuse(self, token: RefreshToken) -> None:
        session = await Session.get(token.session)
        if session is not None and token.generation < session.generation and session.revoked_at is None:
            log.warning("session.refresh_token_reused", session=session.id, user_id=session.user)
            await self.revoke(session.user, [session.id], "reuse")

    def _pair(self, user: User, session: Session) -> dict[str, Any]:
        return {
            "access_token": self._tokens.issue(
                user.id, session.id, user.role, admin=user.admin, moderator=user.moderator
            ),
            "refresh_token": self._refresh_tokens.make(session.id, session.generation, session.salt),
            "token_type": "Bearer",
            "expires_in": self._tokens.lifetime_s,
        }

    def _purge_at(self, now: int) -> Any:
        lives_s = max(self._refresh_s, self._tokens.lifetime_s)
        return to_datetime(now + lives_s * 1000) + _PURGE_AFTER
