"""Connecting, commands, subscriptions and their order, over every transport."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from pymongo.errors import AutoReconnect

from server.streams.feed import Sink
from server.streams.hub import Opening
from tests.server.realtime.conftest import Market, Open
from tests.server.realtime.wire import Closed, Wire
from tests.waiting import until


async def enter(market: Market, transport: str, auth: Any = None) -> Wire:
    """A member over the given transport; `upgraded` started with polling."""
    wire = await market.member("polling" if transport == "upgraded" else transport, auth=auth)
    if transport == "upgraded":
        await wire.upgrade()
    return wire


def error_of(answer: dict[str, Any]) -> str:
    """The code of a negative ack, whose form is checked."""
    assert answer["ok"] is False
    error = answer["error"]
    assert {"code", "message", "retryable"} <= set(error) <= {"code", "message", "retryable", "details"}
    return str(error["code"])


# connecting


async def test_handshake_states_the_limits(market: Market, transport: str) -> None:
    wire = await market.wire("polling" if transport == "upgraded" else transport)
    assert wire.opening == {
        "sid": wire.opening["sid"],
        "upgrades": [] if transport == "websocket" else ["websocket"],
        "pingInterval": 25_000,
        "pingTimeout": 20_000,
        "maxPayload": 1_000_000,
    }


async def test_session_ids_begin_with_the_instance(open_market: Open) -> None:
    market = await open_market(edge={"instance": "web-7"})
    ids = [(await market.wire(transport)).opening["sid"] for transport in ("websocket", "polling")]
    assert all(re.fullmatch(r"web-7\.[A-Za-z0-9_-]{20,}", one) for one in ids)
    assert len(set(ids)) == 2


@pytest.mark.parametrize(
    "auth", [{"token": "bad"}, {"token": 7}, {"token": ""}, {"token": ["a"]}, {"token": "x" * 9_000}]
)
async def test_bad_token_is_refused_even_where_none_is_needed(market: Market, auth: Any) -> None:
    wire = await market.wire()
    assert await wire.connect("/market", auth) == {"message": "UNAUTHENTICATED"}


async def test_anonymous_may_enter_only_where_allowed(market: Market, transport: str) -> None:
    wire = await enter(market, transport)
    assert await wire.connect("/members") == {"message": "UNAUTHENTICATED"}
    assert await wire.connect("/members", {}) == {"message": "UNAUTHENTICATED"}
    assert "sid" in await wire.connect("/members", {"token": market.token()})


async def test_unknown_namespace_is_refused(market: Market) -> None:
    wire = await market.wire()
    assert await wire.connect("/nowhere") == {"message": "Invalid namespace"}
    await wire.send("40")
    assert await wire.receive() == '44{"message":"Invalid namespace"}'


async def test_refused_client_may_try_again_on_the_same_transport(market: Market) -> None:
    wire = await market.wire()
    assert await wire.connect("/members") == {"message": "UNAUTHENTICATED"}
    assert "sid" in await wire.connect("/members", {"token": market.token()})


async def test_connecting_again_replaces(market: Market) -> None:
    await market.add("tally:a")
    wire = await market.member()
    await wire.command("subscribe", {"stream": "tally:a"})
    assert "sid" in await wire.connect("/market", {"token": market.token()})
    assert market.streams.hub.watchers("tally:a") == 0
    assert (await wire.command("note", {}))["ok"]
    assert await wire.connect("/market", {"token": "bad"}) == {"message": "UNAUTHENTICATED"}
    assert market.sockets.close_session("s1") == 0


async def test_revoked_session_is_refused(market: Market) -> None:
    market.revoked.sessions.add("s1")
    wire = await market.wire()
    assert await wire.connect("/members", {"token": market.token()}) == {"message": "UNAUTHENTICATED"}
    assert market.sockets.close_session("s1") == 0


async def test_logout_during_the_handshake_is_noticed(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    async def passes_then_revokes(session: str) -> bool:
        market.revoked.sessions.add(session)
        return False

    monkeypatch.setattr(market.revoked, "denies", passes_then_revokes)
    wire = await market.wire()
    assert await wire.connect("/members", {"token": market.token()}) == {"message": "UNAUTHENTICATED"}
    assert market.sockets.close_user("ann") == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [(RuntimeError("an internal name"), "INTERNAL"), (AutoReconnect("an internal name"), "UNAVAILABLE")],
)
async def test_failing_token_check_refuses_without_internals(
    market: Market, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    async def fail(session: str) -> bool:
        raise error

    monkeypatch.setattr(market.revoked, "denies", fail)
    wire = await market.wire()
    assert await wire.connect("/members", {"token": market.token()}) == {"message": code}


async def test_transport_that_enters_nothing_is_closed(open_market: Open) -> None:
    market = await open_market(edge={"connect_timeout_s": 0.05})
    member = await market.member()
    idle = await market.wire()
    await idle.closing()
    assert (await member.command("sync_time", {"t0": 1}))["ok"]


async def test_client_that_answers_no_ping_is_closed(open_market: Open) -> None:
    market = await open_market(ping_interval_s=0.05, ping_timeout_s=0.05)
    wire = await market.member()
    await until(lambda: market.sockets.open_transports == 0)
    await wire.closing()


async def test_client_that_answers_pings_stays(open_market: Open, transport: str) -> None:
    market = await open_market(ping_interval_s=0.02, ping_timeout_s=30)
    wire = await enter(market, transport)
    for _ in range(5):
        while not wire.inbox:
            wire.inbox.extend(await wire._fetch())
        assert wire.inbox.popleft() == "2"
        await wire.send("3")
    assert (await wire.command("sync_time", {"t0": 1}))["ok"]


# commands


async def test_every_command_is_acknowledged(market: Market, transport: str) -> None:
    wire = await enter(market, transport, {"token": market.token()})
    assert await wire.command("add", {"stream": "tally:a", "n": 5}) == {"ok": True, "seq": 1, "total": 5}
    assert await wire.command("note", {}) == {"ok": True}
    assert await wire.event("noted") == {"by": "ann"}


async def test_refusals_are_typed(market: Market) -> None:
    wire = await market.member()
    refused = await wire.command("add", {"stream": "tally:a", "n": -5})
    assert error_of(refused) == "BID_TOO_WEAK"
    assert refused["error"]["details"] == {"min_next": 0}
    assert refused["error"]["retryable"] is False
    assert error_of(await wire.command("note", {})) == "UNAUTHENTICATED"
    assert error_of(await wire.command("bet", {})) == "UNKNOWN_COMMAND"
    assert error_of(await wire.command("add", {"stream": "nothing:a", "n": 1})) == "NOT_FOUND"


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        ([{"stream": "tally:a"}], ["n"]),
        ([{"stream": "tally:a", "n": "1"}], ["n"]),
        ([{"stream": "tally:a", "n": 1.5}], ["n"]),
        ([{"stream": "tally:a", "n": True}], ["n"]),
        ([{"stream": "tally:a", "n": None}], ["n"]),
        ([{"stream": 1, "n": 1}], ["stream"]),
        ([], []),
        ([{}, {}], []),
        ([None], []),
        (["text"], []),
        ([[1]], []),
    ],
)
async def test_bad_arguments_are_named(market: Market, arguments: list[Any], where: list[str]) -> None:
    wire = await market.member()
    answer = await wire.command("add", *arguments)
    assert error_of(answer) == "VALIDATION_FAILED"
    errors = answer["error"]["details"]["errors"]
    assert where in [error["loc"] for error in errors]
    assert all(error["msg"] for error in errors)
    assert error_of(await wire.command("subscribe", {"stream": "tally:a"})) == "NOT_FOUND"  # nothing was appended


async def test_integer_of_300_digits_is_no_amount(market: Market) -> None:
    wire = await market.member()
    await wire.send('42/market,1["add",{"stream":"tally:a","n":' + "9" * 300 + "}]")
    assert error_of(await wire.ack(1)) == "VALIDATION_FAILED"


async def test_defects_are_answered_without_internals(market: Market, caplog: pytest.LogCaptureFixture) -> None:
    wire = await market.member()
    for command in ("crash", "muddle"):
        answer = await wire.command(command, {})
        assert error_of(answer) == "INTERNAL"
        assert "internal name" not in str(answer)
    assert (await wire.command("add", {"stream": "tally:a", "n": 1}))["ok"]


async def test_absent_databases_are_worth_a_retry(market: Market) -> None:
    wire = await market.member()
    answer = await wire.command("dig", {})
    assert error_of(answer) == "UNAVAILABLE"
    assert answer["error"]["retryable"]
    assert "internal name" not in str(answer)


async def test_command_without_ack_is_executed(market: Market) -> None:
    wire = await market.member()
    await wire.send('42/market,["add",{"stream":"tally:a","n":3}]')
    assert await wire.command("add", {"stream": "tally:a", "n": 4}) == {"ok": True, "seq": 2, "total": 7}


async def test_commands_of_a_client_are_handled_in_order(market: Market, transport: str) -> None:
    wire = await enter(market, transport, {"token": market.token()})
    if transport == "polling":
        first, second = '42/market,101["wait",{}]', '42/market,102["note",{}]'
        sent = asyncio.ensure_future(wire.post(f"{first}\x1e{second}"))
    else:
        await wire.send('42/market,101["wait",{}]')
        await wire.send('42/market,102["note",{}]')
        sent = None
    other = await market.member(auth={"token": market.token("bob", "s2")})
    assert (await other.command("note", {}))["ok"]  # the others don't wait
    assert market.log == ["wait", "note"] or market.log == ["note", "wait"]
    await until(lambda: "wait" in market.log)
    market.hold.set()
    assert (await wire.ack(101))["ok"]
    assert (await wire.ack(102))["ok"]
    assert market.log[-2:] == ["done", "note"]
    if sent is not None:
        assert (await sent)[0] == 200


async def test_command_that_hangs_is_given_up(open_market: Open) -> None:
    market = await open_market(append_timeout_ms=10)
    wire = await market.member()
    answer = await wire.command("wait", {})
    assert error_of(answer) == "UNAVAILABLE"
    assert answer["error"]["retryable"] is True
    assert (await wire.command("sync_time", {"t0": 1}))["ok"]


async def test_command_sent_just_before_leaving_is_executed(market: Market, transport: str) -> None:
    wire = await enter(market, transport)
    if transport == "polling":
        await wire.post('42/market,["add",{"stream":"tally:a","n":3}]\x1e41/market,\x1e1')
    else:
        await wire.send('42/market,["add",{"stream":"tally:a","n":3}]')
        await wire.send("41/market,")
        await wire.send("1")
    await wire.closing()
    await until(lambda: market.sockets.open_transports == 0)
    assert (await market.streams.current("tally:a")).state.total == 3


async def test_time_is_the_clusters(market: Market, transport: str) -> None:
    wire = await enter(market, transport)
    before = market.clock.now()
    answer = await wire.command("sync_time", {"t0": 12.5})
    assert answer == {"ok": True, "t0": 12.5, "t1": answer["t1"], "t2": answer["t2"]}
    assert before <= answer["t1"] <= answer["t2"] <= market.clock.now()
    assert error_of(await wire.command("sync_time", {"t0": "now"})) == "VALIDATION_FAILED"


# subscriptions


async def test_subscription_from_now_on(market: Market, transport: str) -> None:
    await market.add("tally:a", 5)
    wire = await enter(market, transport, {"token": market.token()})
    assert await wire.command("subscribe", {"stream": "tally:a"}) == {
        "ok": True,
        "stream": "tally:a",
        "seq": 1,
        "state": {"total": 5, "reader": "ann"},
        "events": [],
        "more": False,
    }
    await market.add("tally:a", 2)
    news = await wire.event()
    assert (news["stream"], news["seq"]) == ("tally:a", 2)
    assert [(event["seq"], event["type"], event["n"]) for event in news["events"]] == [(2, "added", 2)]
    assert "secret" not in str(news)


async def test_subscription_after_a_seq(market: Market, transport: str) -> None:
    for n in range(5):
        await market.add("tally:a", n)
    wire = await enter(market, transport)
    answer = await wire.command("subscribe", {"stream": "tally:a", "after": 2})
    assert answer["ok"]
    assert answer["state"] is None
    assert [event["seq"] for event in answer["events"]] == [3, 4, 5]
    assert (answer["seq"], answer["more"]) == (5, False)
    await market.add("tally:a")
    assert (await wire.event())["seq"] == 6


async def test_long_history_comes_in_pages(market: Market) -> None:
    await asyncio.gather(*(market.add("tally:a") for _ in range(1_100)))
    wire = await market.member()
    first = await wire.command("subscribe", {"stream": "tally:a", "after": 0})
    assert (len(first["events"]), first["seq"], first["more"]) == (1_000, 1_000, True)
    await market.add("tally:a")  # not attached yet
    second = await wire.command("subscribe", {"stream": "tally:a", "after": first["seq"]})
    head = (await market.streams.current("tally:a")).seq
    assert (second["seq"], second["more"]) == (head, False)
    assert wire.events == []
    assert [event["seq"] for event in first["events"] + second["events"]] == list(range(1, head + 1))


@pytest.mark.parametrize("after", [-1, 1.0, "1", True, 2**53, 10, [1]])
async def test_impossible_after_is_refused(market: Market, after: Any) -> None:
    await market.add("tally:a")
    wire = await market.member()
    assert error_of(await wire.command("subscribe", {"stream": "tally:a", "after": after})) == "VALIDATION_FAILED"


async def test_subscriptions_are_authorised(market: Market) -> None:
    for stream in ("own:ann", "own:bob", "hidden:a"):
        await market.add(stream)
    anonymous = await market.member()
    assert error_of(await anonymous.command("subscribe", {"stream": "own:ann"})) == "UNAUTHENTICATED"
    ann = await market.member(auth={"token": market.token()})
    assert (await ann.command("subscribe", {"stream": "own:ann"}))["ok"]
    assert error_of(await ann.command("subscribe", {"stream": "own:bob"})) == "FORBIDDEN"
    for unknown in ("hidden:a", "tally:none", "what:a", "nocolon"):
        assert error_of(await ann.command("subscribe", {"stream": unknown})) == "NOT_FOUND"


async def test_no_event_overtakes_the_ack(market: Market, transport: str) -> None:
    """Events are appended all the time while a client subscribes again and again: each seq once, in order."""
    await market.add("tally:a")
    running = True

    async def keep_adding() -> None:
        while running:
            await market.add("tally:a")

    adding = asyncio.ensure_future(keep_adding())
    wire = await enter(market, transport)
    try:
        for _ in range(20):
            wire.events.clear()
            answer = await wire.command("subscribe", {"stream": "tally:a"})
            wire.events.clear()  # those of the subscription before
            seq = answer["seq"]
            for _ in range(3):
                news = await wire.event()
                assert [event["seq"] for event in news["events"]] == list(range(seq + 1, news["seq"] + 1))
                seq = news["seq"]
    finally:
        running = False
        await adding


async def test_subscribing_again_replaces(market: Market) -> None:
    await market.add("tally:a")
    wire = await market.member()
    await wire.command("subscribe", {"stream": "tally:a"})
    await wire.command("subscribe", {"stream": "tally:a", "after": 0})
    assert market.streams.hub.watchers("tally:a") == 1
    await market.add("tally:a")
    assert (await wire.event())["seq"] == 2
    assert (await wire.command("sync_time", {"t0": 1}))["ok"]
    assert wire.events == []


async def test_what_happens_while_a_subscription_is_replaced_comes_once(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    await market.add("tally:a")
    wire = await market.member()
    await wire.command("subscribe", {"stream": "tally:a"})
    subscribe = market.streams.hub.subscribe

    async def slowly(stream: str, after: int | None, sink: Sink) -> Opening:
        await market.add(stream)
        return await subscribe(stream, after, sink)

    monkeypatch.setattr(market.streams.hub, "subscribe", slowly)
    answer = await wire.command("subscribe", {"stream": "tally:a", "after": 1})
    assert [event["seq"] for event in answer["events"]] == [2]
    await market.add("tally:a")
    assert [event["seq"] for event in (await wire.event())["events"]] == [3]


async def test_failed_replacement_keeps_the_former(market: Market) -> None:
    await market.add("tally:a")
    wire = await market.member()
    await wire.command("subscribe", {"stream": "tally:a"})
    assert error_of(await wire.command("subscribe", {"stream": "tally:a", "after": 9})) == "VALIDATION_FAILED"
    await market.add("tally:a")
    assert (await wire.event())["seq"] == 2


async def test_unsubscribing_ends_delivery(market: Market) -> None:
    await market.add("tally:a")
    wire = await market.member()
    await wire.command("subscribe", {"stream": "tally:a"})
    assert await wire.command("unsubscribe", {"stream": "tally:a"}) == {"ok": True}
    assert await wire.command("unsubscribe", {"stream": "tally:a"}) == {"ok": True}
    await market.add("tally:a")
    await wire.command("sync_time", {"t0": 1})
    assert wire.events == []
    assert market.streams.hub.watchers("tally:a") == 0


async def test_subscriptions_are_bounded_over_all_namespaces(open_market: Open) -> None:
    market = await open_market(max_subscriptions=2)
    for name in "abc":
        await market.add(f"tally:{name}")
    wire = await market.member()
    await wire.connect("/members", {"token": market.token()})
    assert (await wire.command("subscribe", {"stream": "tally:a"}))["ok"]
    assert (await wire.command("subscribe", {"stream": "tally:b"}, namespace="/members"))["ok"]
    assert error_of(await wire.command("subscribe", {"stream": "tally:c"})) == "VALIDATION_FAILED"
    assert (await wire.command("subscribe", {"stream": "tally:a"}))["ok"]  # again is not one more
    await wire.command("unsubscribe", {"stream": "tally:a"})
    assert (await wire.command("subscribe", {"stream": "tally:c"}))["ok"]


async def test_one_stream_in_two_namespaces(market: Market) -> None:
    await market.add("tally:a")
    wire = await market.member()
    await wire.connect("/members", {"token": market.token()})
    for namespace in ("/market", "/members"):
        await wire.command("subscribe", {"stream": "tally:a"}, namespace=namespace)
    await market.add("tally:a")
    await wire.event()
    await wire.event()
    await wire.command("unsubscribe", {"stream": "tally:a"}, namespace="/market")
    await wire.send("41/members,")
    await until(lambda: market.streams.hub.watchers("tally:a") == 0)


async def test_departure_gives_everything_back(market: Market, transport: str) -> None:
    await market.add("tally:a")
    wire = await enter(market, transport, {"token": market.token()})
    await wire.command("subscribe", {"stream": "tally:a"})
    assert market.streams.hub.watchers("tally:a") == 1
    await wire.send("1")
    await until(lambda: market.streams.hub.watchers("tally:a") == 0)
    assert market.sockets.open_transports == 0
    assert market.sockets.close_session("s1") == 0


async def test_broken_connection_gives_everything_back(market: Market) -> None:
    await market.add("tally:a")
    wire = await market.member()
    await wire.command("subscribe", {"stream": "tally:a"})
    await wire._http.close()
    await until(lambda: market.streams.hub.watchers("tally:a") == 0)
    assert market.sockets.open_transports == 0


# ending from the server's side


async def test_logout_closes_the_transport(market: Market, transport: str) -> None:
    token = market.token()
    wire = await enter(market, transport, {"token": token})
    await wire.connect("/members", {"token": token})
    other = await market.member(auth={"token": market.token("ann", "s2")})
    market.revoked.sessions.add("s1")
    assert market.sockets.close_session("s1") == 1
    await wire.closing()
    assert (await other.command("note", {}))["ok"]
    assert market.sockets.close_user("ann") == 1
    await other.closing()
    assert market.sockets.open_transports == 0


async def test_logout_answers_a_waiting_poll(market: Market) -> None:
    wire = await market.member("polling", auth={"token": market.token()})
    poll = asyncio.ensure_future(wire.get())
    await until(lambda: market.sockets._peers[wire.opening["sid"]].session._poller is not None)
    market.sockets.close_session("s1")
    assert await poll == ["1"]
    with pytest.raises(Closed):
        await wire.get()


async def test_expired_token_closes_the_transport(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market.tokens, "lifetime_s", 2)  # whole seconds: one might be over at once
    wire = await market.member(auth={"token": market.token()})
    await wire.closing()
    assert market.sockets.open_transports == 0


async def test_stop_closes_all_and_leaves_no_task(open_market: Open) -> None:
    before = asyncio.all_tasks()
    market = await open_market()
    await market.add("tally:a")
    wires = [await market.member(transport) for transport in ("websocket", "polling", "polling")]
    await wires[2].upgrade()
    for wire in wires:
        await wire.command("subscribe", {"stream": "tally:a"})
    hanging = await market.member()
    await hanging.start("wait", {})
    await until(lambda: market.log == ["wait"])
    stopping = asyncio.ensure_future(market.sockets.stop())
    for wire in wires:
        await wire.closing()
    market.hold.set()
    await stopping
    assert market.sockets.open_transports == 0
    assert market.streams.hub.watchers("tally:a") == 0
    with pytest.raises(Closed):
        await market.wire("polling")
    leftover = {task for task in asyncio.all_tasks() - before if "realtime" in repr(task)}
    assert leftover == set()
