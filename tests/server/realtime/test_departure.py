"""A drain at the socket edge: no new clients, those that are here are asked to leave, and answered before they go."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import ClientSession

from server.realtime.departure import pace
from server.realtime.metrics import DISMISSED
from tests.server.realtime.conftest import Market
from tests.server.realtime.wire import Closed
from tests.waiting import until


@pytest.mark.parametrize("count", [1, 10, 500, 10_000, 1_000_000])
@pytest.mark.parametrize("limit_s", [0.5, 16.0, 480.0])
def test_everybody_is_asked_and_gone_within_the_limit(count: int, limit_s: float) -> None:
    pacing = pace(count, 100, limit_s)
    assert sum(pacing) <= limit_s
    assert pacing.asking <= count / 100
    assert pacing.delay <= count / 100


async def handshake(market: Market, transport: str) -> int:
    """The status of an attempt to open one more session."""
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    url = f"{market.url}/socket.io/?EIO=4&transport={transport}"
    async with (
        ClientSession(headers=upgrade if transport == "websocket" else {}) as http,
        http.get(url) as response,
    ):
        return response.status


async def test_new_clients_are_refused_and_the_others_asked_in_every_namespace(market: Market) -> None:
    auth = {"token": market.token()}
    asked = await market.member(auth=auth)
    assert "sid" in await asked.connect("/members", auth)
    draining = asyncio.create_task(market.sockets.drain(0.01, 60))  # one client may take its time
    news: dict[str, Any] = {}
    while len(news) < 2:
        _, namespace, (event, payload) = await asked.take()
        assert event == "reconnect"
        news[namespace] = payload["delay_ms"]
    assert set(news) == {"/market", "/members"}
    assert len(set(news.values())) == 1
    assert all(0 <= delay <= 2_000 for delay in news.values())
    assert [await handshake(market, transport) for transport in ("polling", "websocket")] == [503, 503]
    assert (await asked.command("add", {"stream": "tally:a", "n": 1}))["ok"]
    before = DISMISSED._value.get()
    await asked._socket.close()  # type: ignore[union-attr]  # the client does as it was asked
    await draining
    assert DISMISSED._value.get() == before


async def test_sessions_that_exist_may_still_upgrade(market: Market) -> None:
    wire = await market.member("polling")
    draining = asyncio.create_task(market.sockets.drain(0.01, 60))
    assert (await wire.event("reconnect"))["delay_ms"] >= 0
    await wire.upgrade()
    assert (await wire.command("sync_time", {"t0": 1}))["ok"]
    await wire.closing()
    await draining


async def test_clients_that_stay_are_closed(market: Market, transport: str) -> None:
    wires = [await market.member("polling" if transport == "upgraded" else transport) for _ in range(5)]
    idle = await market.wire()  # in no namespace
    if transport == "upgraded":
        for wire in wires:
            await wire.upgrade()
    before = DISMISSED._value.get()
    _, *events = await asyncio.gather(market.sockets.drain(100, 60), *(wire.event("reconnect") for wire in wires))
    for wire in (*wires, idle):
        await wire.closing()
    assert all(event["delay_ms"] >= 0 for event in events)
    assert DISMISSED._value.get() == before + 6
    assert market.sockets.open_transports == 0


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_a_command_in_flight_is_answered_first(market: Market, transport: str) -> None:
    wire = await market.member(transport)
    sending = asyncio.create_task(wire.start("wait", {}))
    await until(lambda: market.log == ["wait"])
    draining = asyncio.create_task(market.sockets.drain(100, 60))
    await wire.event("reconnect")
    await until(lambda: market.sockets._peers[wire.opening["sid"]]._dismissed)
    market.hold.set()
    assert (await wire.ack(await sending))["ok"]
    with pytest.raises(Closed):
        await wire.receive()
    await draining


async def test_an_answer_waits_for_the_next_poll(market: Market) -> None:
    wire = await market.member("polling")
    number = await wire.start("sync_time", {"t0": 1})
    draining = asyncio.create_task(market.sockets.drain(100, 60))
    await asyncio.sleep(1)  # longer than the client was given
    assert market.sockets.open_transports == 1
    assert (await wire.ack(number))["ok"]
    await draining


async def test_a_polling_client_that_is_gone_is_not_waited_for(market: Market) -> None:
    await market.member("polling")
    before = DISMISSED._value.get()
    await market.sockets.drain(100, 60)
    assert market.sockets.open_transports == 0
    assert DISMISSED._value.get() == before + 1


async def test_a_command_that_hangs_does_not_hold_up_the_end(market: Market) -> None:
    wire = await market.member()
    await wire.start("wait", {})
    await until(lambda: market.log == ["wait"])
    await market.sockets.drain(100, 0.5)
    assert market.sockets.open_transports == 1


async def test_nobody_is_here(market: Market) -> None:
    await market.sockets.drain(100, 60)
    assert await handshake(market, "polling") == 503
