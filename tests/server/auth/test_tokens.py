"""Access tokens: what is issued is accepted, and nothing else is."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest

from server.auth.links import Links
from server.auth.refresh import RefreshTokens
from server.auth.tokens import Tokens
from server.clock import Clock
from server.errors import AppError

SECRET = "a secret of more than sixty-four bytes, so that it would do for every algorithm"


class FixedClock(Clock):
    """A clock that stands where it is put."""

    ms = 1_800_000_000_000

    def now(self) -> int:
        return self.ms


class Revoked:
    """A denylist of one session per place."""

    def remembers(self, session: str) -> bool:
        return session == "known-here"

    async def denies(self, session: str) -> bool:
        return session in {"known-here", "known-elsewhere"}


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def tokens(clock: FixedClock) -> Tokens:
    return Tokens(SECRET, clock, 900, Revoked())


def claims(clock: FixedClock, **changes: Any) -> dict[str, Any]:
    now = clock.ms // 1000
    whole = {"sub": "ann", "sid": "s", "jti": "j", "role": "client", "adm": False, "iat": now, "exp": now + 900}
    return {name: value for name, value in (whole | changes).items() if value is not None}


async def test_what_is_issued_is_accepted_until_it_expires(tokens: Tokens, clock: FixedClock) -> None:
    token = tokens.issue("ann", "s", "both", admin=True)
    principal = await tokens.authenticate(token)
    assert (principal.id, principal.session, principal.role, principal.admin) == ("ann", "s", "both", True)
    assert principal.expires_at == clock.ms + 900_000
    clock.ms += 899_999
    assert tokens.verify(token) == principal
    clock.ms += 1
    with pytest.raises(AppError, match="expired"):
        tokens.verify(token)


async def test_revoked_sessions_are_refused(tokens: Tokens) -> None:
    here, elsewhere = (tokens.issue("ann", session, "client") for session in ("known-here", "known-elsewhere"))
    with pytest.raises(AppError, match="ended"):
        tokens.verify(here)
    assert tokens.verify(elsewhere).id == "ann"
    with pytest.raises(AppError, match="ended"):
        await tokens.authenticate(elsewhere)
    assert tokens.revoked("known-here")
    assert not tokens.revoked("known-elsewhere")


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": None},
        {"sid": None},
        {"jti": None},
        {"role": None},
        {"adm": None},
        {"iat": None},
        {"exp": None},
        {"sub": ""},
        {"sub": 7},
        {"sid": {"$gt": ""}},
        {"role": "root"},
        {"role": ["client"]},
        {"adm": 1},
        {"adm": "true"},
        {"exp": 1},
        {"exp": 1e300},
        {"exp": True},
        {"aud": "link:verify-email"},
    ],
)
def test_tokens_with_other_claims_are_refused(tokens: Tokens, clock: FixedClock, changes: dict[str, Any]) -> None:
    assert tokens.verify(jwt.encode(claims(clock), SECRET, algorithm="HS256")).id == "ann"
    with pytest.raises(AppError) as caught:
        tokens.verify(jwt.encode(claims(clock, **changes), SECRET, algorithm="HS256"))
    assert caught.value.code == "UNAUTHENTICATED"


def test_tokens_signed_otherwise_are_refused(tokens: Tokens, clock: FixedClock) -> None:
    good = claims(clock)
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).decode().rstrip("=")
    body = base64.urlsafe_b64encode(json.dumps(good).encode()).decode().rstrip("=")
    strangers = [
        f"{head}.{body}.",
        jwt.encode(good, SECRET, algorithm="HS512"),
        jwt.encode(good, SECRET + "x", algorithm="HS256"),
        jwt.encode(good, SECRET, algorithm="HS256")[:-2] + "AA",
        "",
        "a.b.c",
        "é" * 10,
        "x" * 10_000,
    ]
    for stranger in strangers:
        with pytest.raises(AppError) as caught:
            tokens.verify(stranger)
        assert caught.value.code == "UNAUTHENTICATED"


def test_a_short_secret_is_refused(clock: FixedClock) -> None:
    with pytest.raises(ValueError, match="32"):
        Tokens("short", clock, 900, Revoked())


def test_links_say_one_thing_for_one_purpose_until_a_time(tokens: Tokens, clock: FixedClock) -> None:
    links = Links(SECRET, clock)
    token = links.sign("verify-email", "ann", "ann@example.com", 60)
    assert links.open("verify-email", token) == ("ann", "ann@example.com")
    for purpose, word in (("reset", token), ("verify-email", tokens.issue("ann", "s", "both")), ("verify-email", "x")):
        with pytest.raises(AppError):
            links.open(purpose, word)
    with pytest.raises(AppError):
        tokens.verify(token)
    clock.ms += 60_000
    with pytest.raises(AppError):
        links.open("verify-email", token)


def test_refresh_tokens_are_recognised_by_generation_and_salt() -> None:
    made = RefreshTokens(SECRET)
    session = "0" * 22
    token = made.parse(made.make(session, 3, "salt"))
    assert token is not None
    assert (token.session, token.generation) == (session, 3)
    assert made.genuine(token, "salt")
    assert not made.genuine(token, "other")
    assert not made.genuine(token._replace(generation=4), "salt")
    assert not RefreshTokens(SECRET + "x").genuine(token, "salt")
    for noise in ("", "a.b.c", f"{session}.0.{'A' * 43}", f"{session}.1.{'A' * 44}", f"{session}.１.{'A' * 43}"):
        assert made.parse(noise) is None
