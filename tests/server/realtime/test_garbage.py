"""What a client leaves behind when it goes is freed at once: the collector of cycles is tuned to look seldom."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from tests.server.realtime.conftest import Market
from tests.server.realtime.test_sockets import enter
from tests.server.realtime.wire import Wire
from tests.waiting import until


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def _leave(wire: Wire, way: str) -> None:
    if way == "closing":
        await wire.__aexit__()
    elif way == "leaving":
        await wire.send("41/market,")
        await wire.send("1")
    else:
        await wire.send("4nonsense")


WAYS = [
    *((transport, way) for transport in ("websocket", "upgraded") for way in ("closing", "leaving", "offending")),
    ("polling", "leaving"),
    ("polling", "offending"),
]


@pytest.mark.parametrize(("transport", "way"), WAYS)
async def test_nothing_of_a_client_waits_for_the_collector(
    market: Market, transport: str, way: str, no_collector: None
) -> None:
    wire = await enter(market, transport, {"token": market.token()})
    await market.add("tally:a")
    assert (await wire.command("subscribe", {"stream": "tally:a"}))["ok"]
    peer = market.sockets._peers[wire.opening["sid"]]
    left = [weakref.ref(peer)]
    del peer
    await _leave(wire, way)
    await until(lambda: market.sockets.open_transports == 0)
    await until(lambda: left[0]() is None)
