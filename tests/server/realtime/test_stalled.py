"""A thousand clients that stop reading on a busy stream: they are cut off, and cost no more than one of them."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Final

from server.realtime.metrics import SLOW_CLIENTS
from tests.server.realtime.conftest import Market, Open
from tests.server.realtime.raw import TEXT, RawSocket, frame, raw_socket
from tests.waiting import until

STALLED: Final = 1_000
BUFFER: Final = 65_536
GROWTH: Final = 64 << 20
"""What each of them holds back is the same frames; were they copies, it would be ten times as much."""


def resident() -> int:
    """Bytes of memory that this process, the server's, has in use."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def stalled(stack: AsyncExitStack, market: Market) -> RawSocket:
    """A client that subscribes and then reads no more."""
    client = await stack.enter_async_context(raw_socket(market.url))
    await client.frame()
    await client.write(frame(TEXT, b"40/market,"))
    await client.frame()
    await client.write(frame(TEXT, b'42/market,1["subscribe",{"stream":"tally:a"}]'))
    await client.frame()
    client.deafen()
    return client


async def test_memory_stays_flat(open_market: Open) -> None:
    market = await open_market(edge={"outbound_limit": BUFFER})
    await market.add("tally:a")
    cut = SLOW_CLIENTS._value.get()
    async with AsyncExitStack() as stack:
        for _ in range(STALLED):
            await stalled(stack, market)
        for peer in market.sockets._peers.values():
            assert peer.session._transport is not None
            outgoing = peer.session._transport.get_extra_info("socket")
            outgoing.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        reader = await market.member()
        opening = await reader.command("subscribe", {"stream": "tally:a"})
        before = peak = resident()
        seqs: list[int] = []

        async def read_on() -> None:
            while True:
                seqs.extend(event["seq"] for event in (await reader.event())["events"])

        reading = asyncio.create_task(read_on())
        while SLOW_CLIENTS._value.get() < cut + STALLED:
            await asyncio.gather(*(market.add("tally:a") for _ in range(50)))
            peak = max(peak, resident())
        last = (await market.streams.current("tally:a")).seq
        await until(lambda: seqs[-1:] == [last])
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
        assert seqs == list(range(opening["seq"] + 1, last + 1))
        assert market.streams.hub.watchers("tally:a") == 1
        assert peak - before < GROWTH
