"""Commands that a client sends without waiting for answers: they overlap, and yet keep their order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from models.rules.stream import Command
from server.auth.principal import Principal
from server.realtime import frames
from server.realtime.peer import BACKLOG, BACKLOG_SIZE, RUNNING, Peer
from server.realtime.websocket import TURN
from server.streams.event import StoredEvent
from server.streams.store import Appended
from tests.server.realtime.conftest import Market
from tests.server.realtime.test_sockets import enter
from tests.server.realtime.wire import Wire
from tests.waiting import until

ADD = {"stream": "tally:a", "n": 1}


def peer_of(market: Market, wire: Wire) -> Peer:
    return market.sockets._peers[wire.opening["sid"]]


@pytest.fixture
def held(market: Market, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """No write to the store succeeds before this is set."""
    released = asyncio.Event()
    append = market.streams._store.append

    async def slowly(events: Sequence[StoredEvent]) -> Appended:
        await released.wait()
        return await append(events)

    monkeypatch.setattr(market.streams._store, "append", slowly)
    return released


async def test_the_next_command_does_not_wait_for_a_commit(market: Market, held: asyncio.Event, transport: str) -> None:
    wire = await enter(market, transport)
    first = await wire.start("add", ADD)
    second = await wire.start("add", ADD)
    assert (await wire.command("sync_time", {"t0": 1}))["ok"]
    held.set()
    assert [(await wire.ack(number))["total"] for number in (first, second)] == [1, 2]


async def test_what_one_client_appends_keeps_its_order(market: Market, transport: str) -> None:
    wires = [await enter(market, transport) for _ in range(3)]

    async def hurry(who: int, wire: Wire) -> list[int]:
        numbers = [await wire.start("add", {**ADD, "key": f"{who} {each}"}) for each in range(150)]
        return [(await wire.ack(number))["seq"] for number in numbers]

    seqs = await asyncio.gather(*(hurry(who, wire) for who, wire in enumerate(wires)))
    assert all(sorted(each) == each for each in seqs)
    assert len({seq for each in seqs for seq in each}) == 450


async def test_a_command_that_appends_nothing_holds_up_what_follows(market: Market, transport: str) -> None:
    """Subscribing and unsubscribing, sent at once, happen one after the other."""
    await market.add("tally:a")
    wire = await enter(market, transport)
    orders = ["subscribe", "unsubscribe", "subscribe", "subscribe", "unsubscribe"]
    numbers = [await wire.start(order, {"stream": "tally:a"}) for order in orders]
    for number in numbers:
        assert (await wire.ack(number))["ok"]
    assert market.streams.hub.watchers("tally:a") == 0
    await market.add("tally:a")
    assert (await wire.command("sync_time", {"t0": 1}))["ok"]
    assert wire.events == []


async def test_who_subscribes_behind_its_own_command_misses_nothing(market: Market, transport: str) -> None:
    await market.add("tally:a")
    wire = await enter(market, transport)
    for _ in range(30):
        added = await wire.start("add", ADD)
        subscribed = await wire.start("subscribe", {"stream": "tally:a"})
        more = await wire.start("add", ADD)
        seq = (await wire.ack(subscribed))["seq"]
        assert (await wire.ack(added))["ok"]
        last = (await wire.ack(more))["seq"]
        while seq < last:
            told = await wire.event()
            assert [event["seq"] for event in told["events"]] == list(range(seq + 1, told["seq"] + 1))
            seq = told["seq"]
        assert (await wire.command("unsubscribe", {"stream": "tally:a"}))["ok"]


async def test_commits_under_way_are_bounded_and_so_is_the_backlog(market: Market, held: asyncio.Event) -> None:
    wire = await enter(market, "websocket")
    peer = peer_of(market, wire)
    count = 5 * (RUNNING + BACKLOG + TURN)
    numbers = [await wire.start("add", ADD) for _ in range(count)]
    await until(lambda: peer.session.held)
    await asyncio.sleep(0.1)
    assert peer._calls is not None
    assert peer._backlog is not None
    assert len(peer._calls) == RUNNING
    assert BACKLOG // 2 < len(peer._backlog) <= BACKLOG
    neighbour = await enter(market, "websocket")
    assert (await neighbour.command("sync_time", {"t0": 1}))["ok"]
    held.set()
    assert [(await wire.ack(number))["total"] for number in numbers] == list(range(1, count + 1))
    assert not peer.session.held


async def test_what_a_client_sent_before_it_left_is_executed(market: Market, held: asyncio.Event) -> None:
    """All of it, though most had not been begun; and then nothing of the client is left."""
    wire = await enter(market, "websocket")
    for _ in range(RUNNING + 50):
        await wire.start("add", ADD)
    await until(lambda: bool(peer_of(market, wire)._backlog) and len(peer_of(market, wire)._backlog or ()) == 50)
    await wire.__aexit__()
    await until(lambda: market.sockets.open_transports == 0)
    held.set()
    await until(lambda: len(market.streams._store._streams.get("tally:a", ())) >= RUNNING + 50)  # type: ignore[attr-defined]
    assert len(market.sockets._edge.calls) == 0


async def test_a_logout_drops_what_was_not_begun(market: Market, held: asyncio.Event) -> None:
    wire = await enter(market, "websocket", {"token": market.token()})
    for _ in range(RUNNING + 50):
        await wire.start("add", ADD)
    peer = peer_of(market, wire)
    await until(lambda: len(peer._backlog or ()) == 50)
    assert market.sockets.close_session("s1") == 1
    held.set()
    await wire.closing()
    await until(lambda: len(market.sockets._edge.calls) == 0)
    assert not peer._backlog
    head = await market.streams.current("tally:a")
    added = [event for event in await market.streams.read("tally:a") if event.type == "added"]
    assert len(added) == RUNNING
    assert head.seq >= RUNNING


async def test_a_namespace_may_be_left_and_entered_again_meanwhile(market: Market, held: asyncio.Event) -> None:
    wire = await enter(market, "websocket")
    first = await wire.start("add", ADD)
    await wire.send("41/market,")
    await wire.send("40/market,")
    again = await wire.start("add", ADD)
    await until(lambda: len(peer_of(market, wire)._calls or ()) == 2)
    held.set()
    assert (await wire.receive()).startswith("40/market,")
    assert (await wire.ack(again))["total"] == 2
    assert (f"43:{first}", "/market") not in wire.acks


async def test_a_first_subscription_that_appends_is_one_all_the_same(market: Market, transport: str) -> None:
    """Authorising may append, as it does for an inbox that nobody has opened yet; what follows waits all the same."""
    kind = market.streams._kinds["tally"]

    async def opens(principal: Principal | None, stream: str) -> None:
        await market.streams.append(stream, Command("add", "system", {"n": 1}))

    market.streams._kinds["tally"] = replace(kind, authorise=opens)
    wire = await enter(market, transport)
    orders = ["subscribe", "subscribe", "unsubscribe", "subscribe"]
    numbers = [await wire.start(order, {"stream": "tally:a"}) for order in orders]
    seq = [await wire.ack(number) for number in numbers][-1]["seq"]
    assert market.streams.hub.watchers("tally:a") == 1
    wire.events.clear()
    await market.add("tally:a")
    assert [event["seq"] for event in (await wire.event())["events"]] == [seq + 1]
    assert (await wire.command("unsubscribe", {"stream": "tally:a"}))["ok"]
    assert market.streams.hub.watchers("tally:a") == 0


async def test_the_backlog_is_bounded_in_bytes_too(market: Market) -> None:
    wire = await enter(market, "websocket")
    peer = peer_of(market, wire)
    await wire.start("wait", {})

    async def flood() -> None:
        for _ in range(30):
            await wire.start("nope", {"x": "y" * 400_000})

    flooding = asyncio.create_task(flood())
    await until(lambda: peer.session.held)
    await asyncio.sleep(0.1)
    assert sum(map(len, peer._backlog or ())) < BACKLOG_SIZE + 400_100
    market.hold.set()
    await flooding
    for number in range(2, 32):
        assert (await wire.ack(number))["error"]["code"] == "UNKNOWN_COMMAND"
    assert peer._backlog_size == 0


async def test_attachments_for_nobody_are_not_kept(market: Market) -> None:
    stranger = await market.wire()
    await stranger.send('4516-["x"]')
    await stranger.closing()
    wire = await enter(market, "websocket")
    await wire.send(
        '4516-/market,["x",' + ",".join(f'{{"_placeholder":true,"num":{each}}}' for each in range(16)) + "]"
    )
    for _ in range(3):
        await wire.send(b"x" * 400_000)
    await wire.closing()


async def test_a_long_backlog_lets_neighbours_in(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packets that take long are not all worked off in one turn of the loop; here each takes longer than a turn may."""
    monkeypatch.setattr("server.realtime.peer.TURN_S", 0.0)
    wire, neighbour = await enter(market, "websocket"), await enter(market, "websocket")
    await wire.start("wait", {})
    numbers = [await wire.start("nope", {}) for _ in range(15)]
    peer = peer_of(market, wire)
    await until(lambda: len(peer._backlog or ()) == 15)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while peer._backlog:
            turns += 1
            await asyncio.sleep(0)

    market.hold.set()
    await count()
    assert turns >= len(numbers) - 1
    assert (await neighbour.command("sync_time", {"t0": 1}))["ok"]
    for number in numbers:
        assert (await wire.ack(number))["error"]["code"] == "UNKNOWN_COMMAND"


async def test_long_names_of_namespaces_are_not_kept(market: Market) -> None:
    before = frames._address.cache_info().currsize
    wire = await market.wire()
    for number in range(3):
        name = f"/{number}" + "x" * 10_000
        await wire.send(f"40{name},")
        assert (await wire.receive()).startswith(f"44{name},")
    assert frames._address.cache_info().currsize == before
