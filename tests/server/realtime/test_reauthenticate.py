"""A newer token on a live socket: what it prolongs, what it can't, and what ends it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from server.auth.principal import Principal
from server.errors import AppError
from server.streams.kinds import StreamKind
from server.streams.store import StoreUnavailable
from tests.contract import node
from tests.server.realtime.conftest import Market, Open
from tests.server.realtime.wire import Wire
from tests.server.streams.tally import TallyRules
from tests.waiting import until

LIFE_MS = 900_000
"""Of a token."""


async def enter(market: Market, transport: str, token: str) -> Wire:
    wire = await market.member("polling" if transport == "upgraded" else transport, auth={"token": token})
    if transport == "upgraded":
        await wire.upgrade()
    return wire


def pass_time(market: Market, ms: int) -> None:
    """Put the cluster's clock forward."""
    market.clock._base_ms += ms


async def refresh(wire: Wire, token: Any, namespace: str = "/market") -> str:
    """`ok` or the code of the refusal."""
    answer = await wire.command("reauthenticate", {"token": token}, namespace=namespace)
    if answer["ok"]:
        assert set(answer) == {"ok", "expires_in"}
        return "ok"
    return str(answer["error"]["code"])


async def alive(wire: Wire, namespace: str = "/market") -> bool:
    return bool((await wire.command("sync_time", {"t0": 1}, namespace=namespace))["ok"])


# the end of a token


async def test_expiry_closes_the_transport(market: Market, transport: str) -> None:
    wire = await enter(market, transport, market.token())
    pass_time(market, LIFE_MS)
    await wire.closing()
    await until(lambda: market.sockets.open_transports == 0)
    assert market.sockets.sessions.users == 0


async def test_a_newer_token_keeps_it_open(market: Market, transport: str) -> None:
    careless = await market.member(auth={"token": market.token("bob", "s2")})
    wire = await enter(market, transport, market.token())
    pass_time(market, LIFE_MS // 2)
    answer = await wire.command("reauthenticate", {"token": market.token()})
    assert answer["ok"]
    assert LIFE_MS // 1000 - 2 <= answer["expires_in"] <= LIFE_MS // 1000
    pass_time(market, LIFE_MS // 2)
    await careless.closing()  # whose token is no older than the first of the other
    assert await alive(wire)
    pass_time(market, LIFE_MS // 2)
    await wire.closing()


async def test_it_holds_for_all_namespaces(market: Market) -> None:
    careless = await market.member(auth={"token": market.token("bob", "s2")})
    wire = await market.member(auth={"token": market.token()})
    assert "sid" in await wire.connect("/members", {"token": market.token()})
    pass_time(market, LIFE_MS // 2)
    assert await refresh(wire, market.token(), "/members") == "ok"
    pass_time(market, LIFE_MS // 2)
    await careless.closing()
    assert await alive(wire)
    assert await alive(wire, "/members")


async def test_it_does_not_hold_for_somebody_else_on_the_transport(market: Market) -> None:
    wire = await market.member(auth={"token": market.token("ann", "s1")})
    assert "sid" in await wire.connect("/members", {"token": market.token("bob", "s2")})
    pass_time(market, LIFE_MS // 2)
    assert await refresh(wire, market.token("ann", "s1")) == "ok"
    pass_time(market, LIFE_MS // 2)
    await wire.closing()


async def test_subscriptions_go_on(market: Market) -> None:
    await market.add("own:ann")
    wire = await market.member(auth={"token": market.token()})
    await wire.command("subscribe", {"stream": "own:ann"})
    assert await refresh(wire, market.token("ann", "s2")) == "ok"
    await market.add("own:ann")
    assert (await wire.event())["seq"] == 2


# tokens that are none


async def test_another_users_token_is_forbidden(market: Market) -> None:
    wire = await market.member(auth={"token": market.token()})
    assert await refresh(wire, market.token("bob", "s2")) == "FORBIDDEN"
    await still_anns(market, wire)


@pytest.mark.parametrize("token", ["bad", "a.b.c", "x" * 4096, "é", " "])
async def test_a_bad_token_changes_nothing(market: Market, token: str) -> None:
    wire = await market.member(auth={"token": market.token()})
    assert await refresh(wire, token) == "UNAUTHENTICATED"
    await still_anns(market, wire)


async def test_a_forged_token_changes_nothing(market: Market) -> None:
    wire = await market.member(auth={"token": market.token()})
    head, body, signature = market.token("ann", "s2").split(".")
    assert await refresh(wire, f"{head}.{body}.{signature[::-1]}") == "UNAUTHENTICATED"
    await still_anns(market, wire)


async def test_an_expired_token_changes_nothing(market: Market) -> None:
    old = market.token("ann", "s0")
    pass_time(market, LIFE_MS)
    wire = await market.member(auth={"token": market.token()})
    assert await refresh(wire, old) == "UNAUTHENTICATED"
    await still_anns(market, wire)


async def test_a_revoked_token_changes_nothing(market: Market) -> None:
    wire = await market.member(auth={"token": market.token()})
    market.revoked.sessions.add("s2")
    assert await refresh(wire, market.token("ann", "s2")) == "UNAUTHENTICATED"
    assert market.sockets.close_session("s2") == 0
    await still_anns(market, wire)


@pytest.mark.parametrize(
    "body", [{}, {"token": ""}, {"token": None}, {"token": 7}, {"token": ["x"]}, {"token": "x" * 4097}, None, "x", []]
)
async def test_bad_bodies(market: Market, body: Any) -> None:
    wire = await market.member(auth={"token": market.token()})
    answer = await wire.command("reauthenticate", body)
    assert answer["error"]["code"] == "VALIDATION_FAILED"
    await still_anns(market, wire)


async def test_anonymous_clients_stay_anonymous(market: Market) -> None:
    wire = await market.member()
    assert await refresh(wire, market.token()) == "UNAUTHENTICATED"
    assert (await wire.command("note", {}))["error"]["code"] == "UNAUTHENTICATED"
    assert market.sockets.close_user("ann") == 0
    assert await alive(wire)


async def test_an_anonymous_namespace_beside_it_stays_anonymous(market: Market) -> None:
    wire = await market.member()
    assert "sid" in await wire.connect("/members", {"token": market.token()})
    assert await refresh(wire, market.token("ann", "s2"), "/members") == "ok"
    assert (await wire.command("note", {}))["error"]["code"] == "UNAUTHENTICATED"


async def still_anns(market: Market, wire: Wire) -> None:
    """Asserts that the connection is what it was, down to the login that ends it."""
    assert (await wire.command("note", {}))["ok"]
    assert (await wire.event("noted"))["by"] == "ann"
    assert market.sockets.sessions.users == 1
    assert market.sockets.close_session("s1") == 1
    await wire.closing()


# the end of a login


@pytest.mark.parametrize(
    ("session", "closes"), [("s1", 0), ("s2", 1)], ids=["the login before", "the login of the newer token"]
)
async def test_the_newer_login_ends_it(market: Market, session: str, closes: int) -> None:
    wire = await market.member(auth={"token": market.token("ann", "s1")})
    assert "sid" in await wire.connect("/members", {"token": market.token("ann", "s1")})
    assert await refresh(wire, market.token("ann", "s2")) == "ok"
    assert market.sockets.close_session(session) == closes
    if closes:
        await wire.closing()
    else:
        assert await alive(wire)
        assert market.sockets.close_user("ann") == 1
        await wire.closing()
    assert market.sockets.sessions.users == 0


async def test_the_user_ends_it(market: Market) -> None:
    wire = await market.member(auth={"token": market.token()})
    for session in ("s1", "s2", "s1"):
        assert await refresh(wire, market.token("ann", session)) == "ok"
    assert market.sockets.close_user("ann") == 1
    await wire.closing()


async def test_a_logout_meanwhile_ends_it(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = await market.member(auth={"token": market.token()})

    async def passes_then_revokes(session: str) -> bool:
        market.revoked.sessions.add(session)
        return False

    monkeypatch.setattr(market.revoked, "denies", passes_then_revokes)
    await wire.start("reauthenticate", {"token": market.token("ann", "s2")})
    await wire.closing()
    assert market.sockets.sessions.users == 0


async def test_the_end_of_the_first_token_meanwhile(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """The transport is closed while the newer one is looked up: nothing of it is left."""
    wire = await market.member(auth={"token": market.token()})

    async def slowly(session: str) -> bool:
        assert market.sockets.close_session("s1") == 1
        return False

    monkeypatch.setattr(market.revoked, "denies", slowly)
    await wire.start("reauthenticate", {"token": market.token("ann", "s2")})
    await wire.closing()
    await until(lambda: not market.sockets._edge.calls)
    assert market.sockets.sessions.users == 0
    assert not market.sockets._edge.expiries._seconds


# rights that the newer token gives no more


@pytest.fixture
async def guarded(open_market: Open) -> Market:
    """An instance with streams that moderators read."""

    async def moderators(principal: Principal | None, stream: str) -> None:
        if stream == "report:away" and principal is not None and not principal.may_moderate:
            raise AppError("UNAVAILABLE") from StoreUnavailable("away")
        if principal is None or not principal.may_moderate:
            raise AppError("FORBIDDEN")

    def prepare(market: Market) -> None:
        market.streams.register(StreamKind("report", TallyRules(), authorise=moderators))

    return await open_market(prepare=prepare)


async def moderator(market: Market, *streams: str) -> Wire:
    """Ann, who keeps order, watching streams."""
    wire = await market.member(auth={"token": market.tokens.issue("ann", "s1", "both", moderator=True)})
    for stream in streams:
        await market.add(stream)
        assert (await wire.command("subscribe", {"stream": stream}))["ok"]
    return wire


async def test_who_is_moderator_no_more_reads_no_more(guarded: Market) -> None:
    wire = await moderator(guarded, "report:x", "tally:a")
    assert "sid" in await wire.connect("/members", {"token": guarded.tokens.issue("ann", "s1", "both", moderator=True)})
    await wire.command("subscribe", {"stream": "report:x"}, namespace="/members")
    assert await refresh(wire, guarded.token()) == "ok"
    assert guarded.streams.hub.watchers("report:x") == 0
    await guarded.add("report:x")
    await guarded.add("tally:a")
    assert (await wire.event())["stream"] == "tally:a"


async def test_who_is_moderator_still_reads_on(guarded: Market) -> None:
    wire = await moderator(guarded, "report:x")
    assert await refresh(wire, guarded.tokens.issue("ann", "s2", "both", moderator=True)) == "ok"
    assert await refresh(wire, guarded.tokens.issue("ann", "s2", "both", admin=True)) == "ok"
    await guarded.add("report:x")
    assert (await wire.event())["seq"] == 2


async def test_what_cannot_be_told_now_changes_nothing(guarded: Market) -> None:
    wire = await moderator(guarded, "report:x", "report:away")
    assert await refresh(wire, guarded.token("ann", "s2")) == "UNAVAILABLE"
    assert guarded.streams.hub.watchers("report:x") == 1
    await still_anns(guarded, wire)


# limits, and the official client


async def test_it_has_a_limit_of_its_own(open_market: Open) -> None:
    market = await open_market(rate_limits=True, rate_commands={"reauthenticate": "3/h"})
    wire = await market.member(auth={"token": market.token()})
    assert [await refresh(wire, "bad") for _ in range(4)] == ["UNAUTHENTICATED"] * 3 + ["RATE_LIMITED"]
    assert await alive(wire)


def test_by_default_it_is_as_rare_as_entering(market: Market) -> None:
    assert market.settings.rate_commands["reauthenticate"] == market.settings.rate_commands["connect"]


async def test_official_client(market: Market) -> None:
    long = {"next": market.token("ann", "s2"), "bob": market.token("bob", "s3")}
    market.tokens.lifetime_s = 5
    short = {"first": market.token("ann", "s1")}
    await node.run("reauthenticate.test.mjs", MARKET_URL=market.url, MARKET_TOKENS=json.dumps({**long, **short}))
    await until(lambda: market.sockets.open_transports == 0)
