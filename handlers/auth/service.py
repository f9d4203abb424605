"""Accounts: the use cases. Knows no transport."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError, PyMongoError

from handlers.auth.sessions import Sessions
from handlers.auth.views import own_view, public_view, session_view
from models.mail import Mail
from models.place import Location, geo_point
from models.user import User
from server.auth.links import Links
from server.auth.passwords import Passwords
from server.auth.principal import Principal
from server.clock import Clock, new_id, to_datetime
from server.errors import AppError

VERIFY_EMAIL: Final = "verify-email"

_ATTEMPTS: Final = 5
_LINK_S: Final = 3 * 86_400
_RESEND_MS: Final = 60_000
_MAIL_KEPT: Final = timedelta(days=30)


class Accounts:
    """Everything people do with their accounts.

    Args:
        clock: the cluster's clock. passwords: hashes them. sessions: logins. links: signs what is sent by mail.
        public_url: where links lead, without a slash at the end.
    """

    def __init__(
        self,
        clock: Clock,
        passwords: Passwords,
        sessions: Sessions,
        links: Links,
        public_url: str,
    ) -> None:
        self._clock = clock
        self._passwords = passwords
        self._sessions = sessions
        self._links = links
        self._public_url = public_url

    async def register(
        self, *, email: str, password: str, name: str, role: str, device: str = "", key: str | None = None
    ) -> dict[str, Any]:
        """A new account with its first session, and a mail that asks to confirm the address.

        With the key of an earlier registration of the same address, and the same password, it is a retry: a login.

        Args:
            email: normalised.

        Returns:
            `LoggedIn` of schemas.py.

        Raises:
            AppError: EMAIL_TAKEN; VALIDATION_FAILED for a password that is the address itself.
        """
        _refuse_guessable(password, email, "password")
        user = User(
            id=new_id(),
            email=email,
            password_hash=await self._passwords.hash(password),
            name=name,
            role=role,
            created_at=self._clock.now(),
            registration=hashlib.sha256(key.encode()).hexdigest() if key else None,
        )
        try:
            pair = await self._create(user, device)
        except DuplicateKeyError:
            known = await User.find_one({"email": email})
            if known is None or user.registration is None or known.registration != user.registration:
                raise AppError("EMAIL_TAKEN") from None
            if not await self._passwords.verify(known.password_hash, password):
                raise AppError("EMAIL_TAKEN") from None
            user, pair = known, await self._sessions.begin(known, device)
        return {"user": own_view(user), **pair}

    async def login(self, *, email: str, password: str, device: str = "") -> dict[str, Any]:
        """A new session.

        Args:
            email: normalised; None matches nobody.

        Raises:
            AppError: UNAUTHENTICATED, the same and as slow for a wrong password and an unknown address.
        """
        user = await User.find_one({"email": email})
        if not await self._passwords.verify(user.password_hash if user else None, password) or user is None:
            raise AppError("UNAUTHENTICATED", "The e-mail address or the password is wrong")
        if self._passwords.outdated(user.password_hash):
            await self._replace_hash(user, await self._passwords.hash(password))
        return {"user": own_view(user), **await self._sessions.begin(user, device, announce=True)}

    async def refresh(self, token: str, key: str | None) -> dict[str, Any]:
        """Exchange a refresh token; see `Sessions.refresh`."""
        user, pair = await self._sessions.refresh(token, key)
        return {"user": own_view(user), **pair}

    async def logout(self, principal: Principal) -> None:
        """End the caller's session: its tokens die at once, its sockets are closed on every instance."""
        await self._sessions.revoke(principal.id, [principal.session], "logout")

    async def own(self, principal: Principal) -> dict[str, Any]:
        """The caller's account."""
        return own_view(await self._user(principal.id))

    async def public(self, user_id: str) -> dict[str, Any]:
        """Somebody's public profile.

        Raises:
            AppError: NOT_FOUND.
        """
        return public_view(await self._user(user_id))

    async def change_profile(self, principal: Principal, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Set the given fields of the caller's account; a changed role enters tokens at the next refresh."""
        fields = dict(changes)
        if "location" in fields:
            place = fields["location"]
            location = Location.model_validate(place) if place else None
            fields |= {"location": location.model_dump() if location else None, "point": geo_point(location)}
        present = {name: value for name, value in fields.items() if value is not None}
        cleared = {name: "" for name, value in fields.items() if value is None}
        change = ({"$set": present} if present else {}) | ({"$unset": cleared} if cleared else {})
        if change:
            await User.get_pymongo_collection().update_one({"_id": principal.id}, change)
        return await self.own(principal)

    async def change_password(self, principal: Principal, current: str, new: str) -> None:
        """Change the password; every other session of the user ends.

        Raises:
            AppError: FORBIDDEN, the current password is wrong; VALIDATION_FAILED.
        """
        user = await self._user(principal.id)
        if not await self._passwords.verify(user.password_hash, current):
            raise AppError("FORBIDDEN", "The current password is wrong")
        _refuse_guessable(new, user.email, "new_password")
        if not await self._replace_hash(user, await self._passwords.hash(new)):
            raise AppError("CONFLICT", "The password has been changed meanwhile")
        others = [session.id for session in await self._sessions.living(user.id) if session.id != principal.session]
        await self._sessions.revoke(user.id, others, "password")

    async def sessions(self, principal: Principal) -> list[dict[str, Any]]:
        """The caller's living sessions, newest first."""
        return [session_view(session, principal.session) for session in await self._sessions.living(principal.id)]

    async def end_session(self, principal: Principal, session_id: str) -> None:
        """End one of the caller's sessions.

        Raises:
            AppError: NOT_FOUND, none of the caller's living ones.
        """
        if session_id not in {session.id for session in await self._sessions.living(principal.id)}:
            raise AppError("NOT_FOUND")
        await self._sessions.revoke(principal.id, [session_id], "user")

    async def verify_email(self, token: str) -> None:
        """Confirm an address by the link that was sent there; again is fine.

        Raises:
            AppError: VALIDATION_FAILED, the link is not valid, or not for the account's address any more.
        """
        user_id, email = self._links.open(VERIFY_EMAIL, token)
        users = User.get_pymongo_collection()
        done = await users.update_one({"_id": user_id, "email": email}, {"$set": {"email_verified": True}})
        if not done.matched_count:
            raise AppError("VALIDATION_FAILED", errors=[{"loc": ["body", "token"], "msg": "is not valid any more"}])

    async def resend_verification(self, principal: Principal) -> None:
        """Send the link again, unless the address is confirmed.

        Raises:
            AppError: RATE_LIMITED, within a minute of the last one.
        """
        user = await self._user(principal.id)
        if user.email_verified:
            return
        since = self._clock.now() - _RESEND_MS
        last = await Mail.find({"user": user.id, "created_at": {"$gt": since}}).sort("-created_at").first_or_none()
        if last is not None:
            raise AppError("RATE_LIMITED", details={"retry_after_ms": last.created_at - since})
        await self._queue_verification(user)

    async def _create(self, user: User, device: str) -> dict[str, Any]:
        """The account, its first session and its mail: all or nothing."""
        for attempt in range(_ATTEMPTS):
            try:
                client = User.get_pymongo_collection().database.client
                async with client.start_session() as session, await session.start_transaction():
                    await user.insert(session=session)
                    await self._queue_verification(user, session)
                    return await self._sessions.begin(user, device, session)
            except PyMongoError as error:
                # Two registrations of one address at a time: the second finds the first's account when tried again.
                if attempt == _ATTEMPTS - 1 or not error.has_error_label("TransientTransactionError"):
                    raise
                await asyncio.sleep(random.uniform(0.005, 0.05))
        raise AssertionError("unreachable")

    async def _queue_verification(self, user: User, transaction: AsyncClientSession | None = None) -> None:
        token = self._links.sign(VERIFY_EMAIL, user.id, user.email, _LINK_S)
        now = self._clock.now()
        mail = Mail(
            id=new_id(),
            user=user.id,
            to=user.email,
            subject="Confirm your e-mail address",
            text=(
                f"Hello {user.name},\n\nplease confirm your e-mail address by opening this link within three days:\n\n"
                f"{self._public_url}/api/v1/auth/verify-email?token={token}\n\n"
                "If you have no account here, ignore this message.\n"
            ),
            created_at=now,
            next_at=now,
            purge_at=to_datetime(now) + _MAIL_KEPT,
        )
        await mail.insert(session=transaction)

    async def _replace_hash(self, user: User, encoded: str) -> bool:
        """Replace the hash that was verified, and no other."""
        done = await User.get_pymongo_collection().update_one(
            {"_id": user.id, "password_hash": user.password_hash}, {"$set": {"password_hash": encoded}}
        )
        return done.matched_count == 1

    async def _user(self, user_id: str) -> User:
        user = await User.get(user_id)
        if user is None:
            raise AppError("NOT_FOUND")
        return user


def _refuse_guessable(password: str, email: str, field: str) -> None:
    if password.strip().lower() in {email, email.partition("@")[0]} or len(set(password)) < 3:
        raise AppError("VALIDATION_FAILED", errors=[{"loc": ["body", field], "msg": "is too easy to guess"}])
