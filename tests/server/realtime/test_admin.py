"""The Admin UI's namespace: who may enter it, what it shows, and that it isn't there unless it was asked for."""

from __future__ import annotations

import json
from typing import Any, Final

import orjson
import pytest
from argon2 import PasswordHasher

from server.realtime.admin import gate
from server.realtime.session import Session
from server.web.asyncapi import describe
from tests.contract import node
from tests.server.realtime.conftest import Market, Open
from tests.server.realtime.returning import Returning
from tests.server.realtime.wire import Closed, Wire
from tests.waiting import until

PASSWORD: Final = "what news on the bridge"
ACCOUNT: Final = {"username": "operator", "password": PASSWORD}
HASH: Final = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
SETTINGS: Final = {
    "admin_ui_username": "operator",
    "admin_ui_password_hash": HASH,
    "argon2_memory_kib": 64,
    "argon2_time": 1,
    "edge": {"instance": "web-7"},
}


async def admin(market: Market, **auth: Any) -> Wire:
    wire = await market.wire()
    assert set(await wire.connect("/admin", auth or ACCOUNT)) == {"sid"}
    return wire


async def told(wire: Wire, name: str) -> list[Any]:
    """The arguments of the next event of that name; what comes before it is dropped."""
    while True:
        kind, where, payload = await wire.take()
        if kind == "42" and where == "/admin" and payload[0] == name:
            return list(payload[1:])


def operator(market: Market) -> str:
    """The token of somebody who may all."""
    return market.tokens.issue("root", "session of root", "both", admin=True)


async def test_official_client(open_market: Open) -> None:
    market = await open_market(admin_ui="development", **SETTINGS)
    market.revoked.sessions.add("gone")
    tokens = {
        "ann": market.token(),
        "admin": operator(market),
        "revoked": market.tokens.issue("root", "gone", "both", admin=True),
    }
    await node.run(
        "admin.test.mjs",
        MARKET_URL=market.url,
        MARKET_TOKENS=json.dumps(tokens),
        ADMIN_USERNAME=ACCOUNT["username"],
        ADMIN_PASSWORD=PASSWORD,
    )
    await until(lambda: market.sockets.open_transports == 0)


# off


async def test_it_is_not_there_by_default(market: Market) -> None:
    wire = await market.wire()
    for auth in ({}, ACCOUNT, {"token": operator(market)}):
        assert await wire.connect("/admin", auth) == {"message": "Invalid namespace"}
    assert {type(peer.session) for peer in market.sockets._peers.values()} == {Session}
    assert all(namespace.observers == [] for namespace in market.sockets)
    assert market.sockets._server.eio.listener is market.sockets


async def test_it_is_in_no_document(open_market: Open) -> None:
    market = await open_market(admin_ui="development", **SETTINGS)
    assert set(describe(market.sockets, "1")["channels"]) == {"market", "members"}


# who may enter


async def test_without_a_password_only_tokens_open_it(open_market: Open) -> None:
    market = await open_market(admin_ui="production")
    wire = await market.wire()
    for auth in ({}, ACCOUNT, {"username": "", "password": ""}, {"sessionId": "0.0"}):
        assert await wire.connect("/admin", auth) == {"message": "invalid credentials"}
    assert await wire.connect("/admin", {"token": market.token()}) == {"message": "FORBIDDEN"}
    moderator = market.tokens.issue("mod", "s3", "both", moderator=True)
    assert await wire.connect("/admin", {"token": moderator}) == {"message": "FORBIDDEN"}
    assert "sid" in await wire.connect("/admin", {"token": operator(market)})


@pytest.mark.parametrize("end", ["logout", "expiry"])
async def test_an_admins_token_ends_it(open_market: Open, end: str) -> None:
    market = await open_market(admin_ui="production")
    wire = await admin(market, token=operator(market))
    if end == "logout":
        assert market.sockets.close_session("session of root") == 1
    else:
        market.clock._base_ms += market.settings.access_token_s * 1000
    await wire.closing()


async def test_a_session_ends(open_market: Open) -> None:
    market = await open_market(admin_ui="production", **SETTINGS)
    wire = await admin(market)
    (session,) = await told(wire, "session")
    await admin(market, sessionId=session)
    market.clock._base_ms += gate.SESSION_S * 1000 + 1_000
    late = await market.wire()
    assert await late.connect("/admin", {"sessionId": session}) == {"message": "invalid credentials"}


async def test_a_session_ends_with_its_password_and_holds_everywhere(open_market: Open) -> None:
    first = await open_market(admin_ui="production", **SETTINGS)
    (session,) = await told(await admin(first), "session")
    second = await open_market(admin_ui="production", **SETTINGS)
    await admin(second, sessionId=session)
    changed = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("another")
    third = await open_market(admin_ui="production", **{**SETTINGS, "admin_ui_password_hash": changed})
    wire = await third.wire()
    assert await wire.connect("/admin", {"sessionId": session}) == {"message": "invalid credentials"}


async def test_guesses_are_limited_like_those_at_accounts(open_market: Open) -> None:
    market = await open_market(admin_ui="production", rate_limits=True, rate_auth="3/h", **SETTINGS)
    wire = await market.wire()
    answers = [await wire.connect("/admin", {**ACCOUNT, "password": str(guess)}) for guess in range(4)]
    assert [answer["message"] for answer in answers] == ["invalid credentials"] * 3 + ["RATE_LIMITED"]
    assert await wire.connect("/admin", ACCOUNT) == {"message": "RATE_LIMITED"}
    assert "sid" in await wire.connect("/admin", {"token": operator(market)})


@pytest.mark.parametrize("password", ["", "x" * 100_000, PASSWORD + " ", PASSWORD.upper(), PASSWORD * 100])
async def test_wrong_passwords(open_market: Open, password: str) -> None:
    market = await open_market(admin_ui="production", **SETTINGS)
    wire = await market.wire()
    assert await wire.connect("/admin", {**ACCOUNT, "password": password}) == {"message": "invalid credentials"}


@pytest.mark.parametrize("encoded", ["password", "$2b$10$abcdefghijklmnopqrstuu", "$argon2id$v=19"])
async def test_a_hash_that_is_none_is_a_mistake(open_market: Open, encoded: str) -> None:
    with pytest.raises(ValueError, match="ADMIN_UI_PASSWORD_HASH"):
        await open_market(admin_ui="production", **{**SETTINGS, "admin_ui_password_hash": encoded})


# what it shows


async def test_in_production_it_shows_numbers_alone(open_market: Open) -> None:
    market = await open_market(admin_ui="production", **SETTINGS)
    wire = await admin(market)
    assert (await told(wire, "config"))[0]["supportedFeatures"] == [
        "AGGREGATED_EVENTS",
        "EMIT",
        "DISCONNECT",
        "MDISCONNECT",
    ]
    member = await market.member(auth={"token": market.token()})
    await market.add("tally:a")
    await member.command("subscribe", {"stream": "tally:a"})
    await member.__aexit__()
    names, kinds = set(), set()
    while "rawDisconnection" not in kinds:
        _, _, (name, *payload) = await wire.take()
        names.add(name)
        if name == "server_stats":
            kinds |= {event["type"] for event in payload[0]["aggregatedEvents"]}
    assert names == {"server_stats"}
    assert payload[0]["clientsCount"] == 1


async def test_read_only(open_market: Open) -> None:
    market = await open_market(admin_ui="development", admin_ui_read_only=True, **SETTINGS)
    wire = await admin(market)
    assert (await told(wire, "config"))[0]["supportedFeatures"] == ["AGGREGATED_EVENTS", "ALL_EVENTS"]
    member = await market.member()
    for command in (["_disconnect", "/market", True], ["emit", "/market", None, "noted", {}]):
        number = await wire.start(*command, namespace="/admin")
        while True:
            kind, _, payload = await wire.take()
            if kind == f"43:{number}":
                assert payload["error"]["code"] == "UNKNOWN_COMMAND"
                break
    assert (await member.command("sync_time", {"t0": 1}))["ok"]
    assert not member.events


async def test_nobody_else_can_command(open_market: Open) -> None:
    market = await open_market(admin_ui="development", **SETTINGS)
    victim = await market.member()
    wire = await market.wire()
    assert await wire.connect("/admin", {"token": market.token()}) == {"message": "FORBIDDEN"}
    await wire.send('42/admin,["_disconnect","/market",true]')
    with pytest.raises(Closed):
        await wire.receive()
    member = await market.member(auth={"token": market.token()})
    answer = await member.command("_disconnect", "/market", True)
    assert answer["error"]["code"] in {"UNKNOWN_COMMAND", "VALIDATION_FAILED"}
    assert (await victim.command("sync_time", {"t0": 1}))["ok"]


async def test_commands_of_other_namespaces_are_not_there(open_market: Open) -> None:
    market = await open_market(admin_ui="production", **SETTINGS)
    wire = await admin(market)
    answer = await wire.command("subscribe", {"stream": "tally:a"}, namespace="/admin")
    assert answer["error"]["code"] == "UNKNOWN_COMMAND"


async def test_a_client_that_recovered_is_shown_by_its_id(open_market: Open) -> None:
    market = await open_market(admin_ui="development", socket_recovery=("/market",), **SETTINGS)
    wire = await admin(market)
    client = await Returning(market.token()).enter(market)
    await market.add("tally:a")
    await client.subscribe("tally:a")
    await client.leave()
    while (await told(wire, "socket_disconnected"))[1] != client.sid:
        pass
    await client.enter(market)
    assert client.recovered
    assert (await told(wire, "socket_disconnected"))[2] == "recovered"
    assert (await told(wire, "socket_connected"))[0]["id"] == client.sid
    assert (await told(wire, "room_joined"))[:3] == ["/market", "tally:a", client.sid]


async def test_what_is_emitted_to_a_recovering_client_does_not_pass_for_an_offset(open_market: Open) -> None:
    market = await open_market(admin_ui="development", socket_recovery=("/market",), **SETTINGS)
    wire = await admin(market)
    client = await Returning(market.token()).enter(market)
    await market.add("tally:a")
    await client.subscribe("tally:a")
    await wire.start("emit", "/market", None, "notice", "a text at the end", namespace="/admin")
    await client.until("notice", "offset")
    await client.leave()
    await client.enter(market)
    assert client.recovered


async def test_malformed_packets_do_no_harm(open_market: Open) -> None:
    market = await open_market(admin_ui="development", **SETTINGS)
    wire = await admin(market)
    for packet in ('42/market,["note",', '42/market,["note",1e400]', "4abc", '42/nowhere,["x"]'):
        member = await market.member()
        await member.send(packet)
        await member.closing()
    member = await market.member()
    for depth in (200, 300, 900):
        await member.send('42/market,["note",' + '{"a":' * depth + "1" + "}" * depth + "]")
    await member.send('451-/market,1["note",{"_placeholder":true,"num":0}]')
    await member.send(b"x")
    await member.command("sync_time", {"t0": 1})
    assert orjson.dumps(await told(wire, "event_received"))
    assert "nested too deeply to be shown" in str([await told(wire, "event_received") for _ in range(2)])


async def test_admins_leave(open_market: Open) -> None:
    market = await open_market(admin_ui="development", **SETTINGS)
    wire = await admin(market)
    await told(wire, "server_stats")
    await wire.__aexit__()
    await until(lambda: market.sockets.open_transports == 0)
    ui = market.sockets._admin
    assert ui is not None
    assert not ui._admins
    assert not ui._shown
    member = await market.member()
    assert (await member.command("sync_time", {"t0": 1}))["ok"]
    again = await admin(market)
    await told(again, "server_stats")
