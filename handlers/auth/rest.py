"""Accounts over HTTP: parse, authorise, call the service, render."""

from __future__ import annotations

from typing import Any, Final

from handlers.auth.schemas import (
    Credentials,
    LoggedIn,
    OwnSessions,
    OwnUser,
    PasswordChange,
    ProfileChanges,
    PublicUser,
    Refresh,
    Registration,
    Verification,
    Verified,
    normal_email,
)
from handlers.auth.service import Accounts
from server.web.fields import Query
from server.web.router import Call, Router

_AUTH: Final = ("auth",)
_USERS: Final = ("users",)


class VerificationQuery(Query):
    """What the link in the mail carries."""

    token: str


def add_routes(router: Router, accounts: Accounts) -> None:
    """Add the routes of accounts."""
    rest = _Rest(accounts)
    _add_login_routes(router, rest)
    _add_account_routes(router, rest)


def _add_login_routes(router: Router, rest: _Rest) -> None:
    router.add(
        "POST",
        "/auth/register",
        rest.register,
        summary="Create an account",
        tags=_AUTH,
        body=Registration,
        answer=LoggedIn,
        status=201,
        auth="none",
        errors=("EMAIL_TAKEN",),
        own_key=True,
        description="Sent again with the same Idempotency-Key and password it logs in instead of answering EMAIL_TAKEN.",
    )
    router.add(
        "POST",
        "/auth/login",
        rest.login,
        summary="Log in",
        tags=_AUTH,
        body=Credentials,
        answer=LoggedIn,
        auth="none",
        errors=("UNAUTHENTICATED",),
    )
    router.add(
        "POST",
        "/auth/refresh",
        rest.refresh,
        summary="Exchange a refresh token for new tokens",
        tags=_AUTH,
        body=Refresh,
        answer=LoggedIn,
        auth="none",
        errors=("UNAUTHENTICATED",),
        own_key=True,
        description="A refresh token is good once; used again, its whole session ends. Only a retry with the same "
        "Idempotency-Key within a minute gets the same tokens again.",
    )
    router.add(
        "POST",
        "/auth/logout",
        rest.logout,
        summary="End this session everywhere",
        tags=_AUTH,
        own_key=True,
        description="Its tokens die at once and its sockets are closed on every instance.",
    )
    router.add(
        "POST",
        "/auth/verify-email",
        rest.verify_email,
        summary="Confirm an e-mail address",
        tags=_AUTH,
        body=Verification,
        answer=Verified,
        auth="none",
    )
    router.add(
        "GET",
        "/auth/verify-email",
        rest.follow_link,
        summary="Confirm an e-mail address by following the link in the mail",
        tags=_AUTH,
        query=VerificationQuery,
        answer=Verified,
        auth="none",
    )
    router.add(
        "POST",
        "/auth/resend-verification",
        rest.resend_verification,
        summary="Send the confirmation mail again",
        tags=_AUTH,
        errors=("RATE_LIMITED",),
    )


def _add_account_routes(router: Router, rest: _Rest) -> None:
    router.add(
        "POST",
        "/auth/password",
        rest.change_password,
        summary="Change the password; all other sessions end",
        tags=_AUTH,
        body=PasswordChange,
        errors=("FORBIDDEN", "CONFLICT"),
    )
    router.add("GET", "/auth/sessions", rest.sessions, summary="The caller's logins", tags=_AUTH, answer=OwnSessions)
    router.add("DELETE", "/auth/sessions/{id}", rest.end_session, summary="End one of the caller's logins", tags=_AUTH)
    router.add("GET", "/users/me", rest.own, summary="The caller's account", tags=_USERS, answer=OwnUser)
    router.add(
        "PATCH",
        "/users/me",
        rest.change_profile,
        summary="Change the caller's profile",
        tags=_USERS,
        body=ProfileChanges,
        answer=OwnUser,
        description="A changed role enters access tokens at the next refresh.",
    )
    router.add(
        "GET", "/users/{id}", rest.public, summary="A public profile", tags=_USERS, answer=PublicUser, auth="optional"
    )


class _Rest:
    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def register(self, call: Call) -> Any:
        body: Registration = call.body
        return await self._accounts.register(
            email=body.email,
            password=body.password,
            name=body.name,
            role=body.role,
            device=_device(call),
            key=call.key,
        )

    async def login(self, call: Call) -> Any:
        body: Credentials = call.body
        try:
            email = normal_email(body.email)
        except ValueError:
            email = ""  # matches nobody, and takes as long
        return await self._accounts.login(email=email, password=body.password, device=_device(call))

    async def refresh(self, call: Call) -> Any:
        return await self._accounts.refresh(call.body.refresh_token, call.key)

    async def logout(self, call: Call) -> None:
        await self._accounts.logout(call.user)

    async def verify_email(self, call: Call) -> Any:
        await self._accounts.verify_email(call.body.token)
        return {"email_verified": True}

    async def follow_link(self, call: Call) -> Any:
        await self._accounts.verify_email(call.query.token)
        return {"email_verified": True}

    async def resend_verification(self, call: Call) -> None:
        await self._accounts.resend_verification(call.user)

    async def change_password(self, call: Call) -> None:
        await self._accounts.change_password(call.user, call.body.current_password, call.body.new_password)

    async def sessions(self, call: Call) -> Any:
        return {"items": await self._accounts.sessions(call.user)}

    async def end_session(self, call: Call) -> None:
        await self._accounts.end_session(call.user, call.path["id"])

    async def own(self, call: Call) -> Any:
        return await self._accounts.own(call.user)

    async def change_profile(self, call: Call) -> Any:
        return await self._accounts.change_profile(call.user, call.body.model_dump(exclude_unset=True))

    async def public(self, call: Call) -> Any:
        return await self._accounts.public(call.path["id"])


def _device(call: Call) -> str:
    return "".join(sign for sign in call.request.headers.get("User-Agent", "") if sign.isprintable())
