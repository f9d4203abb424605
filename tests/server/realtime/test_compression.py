"""Per-message deflate (RFC 7692): off unless a setting says otherwise, without contexts, and no way to blow up the server."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.server.realtime.conftest import Market, Open
from tests.server.realtime.raw import CLOSE, TEXT, RawSocket, dial, frame, request
from tests.waiting import until

OFFER = "permessage-deflate; client_max_window_bits"


def _deflated(data: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


@asynccontextmanager
async def _client(market: Market, offer: str = OFFER) -> AsyncIterator[RawSocket]:
    """A client that has offered compression; what was agreed upon is its own business."""
    async with dial(market.url) as (reader, writer):
        path = "/socket.io/?EIO=4&transport=websocket"
        writer.write(request(market.url, path, headers={"Sec-WebSocket-Extensions": offer}))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        yield RawSocket(reader, writer)


async def _agreed(market: Market, offer: str) -> str | None:
    """What is answered to an offer."""
    headers = {"Sec-WebSocket-Extensions": offer}
    url = f"{market.url}/socket.io/?EIO=4&transport=websocket"
    key = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    async with (
        aiohttp.ClientSession() as http,
        http.get(url, headers={**headers, **key, "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}) as response,
    ):
        assert response.status == 101
        return response.headers.get("Sec-WebSocket-Extensions")


async def test_nothing_is_compressed_by_default(market: Market) -> None:
    assert await _agreed(market, OFFER) is None


@pytest.mark.parametrize(
    ("offer", "taken"),
    [
        (OFFER, True),
        ("permessage-deflate", True),
        ("x-other, permessage-deflate; client_no_context_takeover", True),
        ("permessage-deflate; server_max_window_bits=10, permessage-deflate", True),
        ("permessage-deflate; server_max_window_bits=10", False),
        ("permessage-deflated", False),
        ("x-webkit-deflate-frame", False),
    ],
)
async def test_what_is_agreed_upon(open_market: Open, offer: str, taken: bool) -> None:
    agreed = await _agreed(await open_market(socket_compression=True), offer)
    if taken:
        assert agreed == "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    else:
        assert agreed is None


async def test_long_packets_are_compressed_and_short_ones_are_not(open_market: Open) -> None:
    market = await open_market(socket_compression=True)
    for _ in range(100):
        await market.add("tally:a")
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{market.url}/socket.io/?EIO=4&transport=websocket", compress=15) as socket,
    ):
        assert socket.compress
        assert (await socket.receive_str()).startswith("0{")
        await socket.send_str("40/market,")
        assert (await socket.receive_str()).startswith("40/market,")
        await socket.send_str('42/market,1["subscribe",{"stream":"tally:a","after":0}]')
        answer = await socket.receive_str()
        assert len(answer) > 5_000
        assert answer.startswith('43/market,1[{"ok":true')
        await market.add("tally:a")
        assert (await socket.receive_str()).startswith('42/market,["events"')


async def test_a_bomb_is_refused(open_market: Open) -> None:
    market = await open_market(socket_compression=True)
    async with _client(market) as client:
        await client.frame()
        await client.write(frame(TEXT, _deflated(b'4["' + b"x" * 50_000_000 + b'"]'), reserved=4))
        assert (await client.frame()).opcode == CLOSE
    await until(lambda: market.sockets.open_transports == 0)


@pytest.mark.parametrize("payload", [b"\xff\xff\xff", b"\x00", b""])
async def test_what_cannot_be_inflated_ends_the_connection(open_market: Open, payload: bytes) -> None:
    market = await open_market(socket_compression=True)
    async with _client(market) as client:
        await client.frame()
        await client.write(frame(TEXT, payload, reserved=4))
        assert (await client.frame()).opcode == CLOSE
    await until(lambda: market.sockets.open_transports == 0)


async def test_compressed_frames_without_agreement_end_the_connection(market: Market) -> None:
    async with _client(market) as client:
        await client.frame()
        await client.write(frame(TEXT, _deflated(b"40/market,"), reserved=4))
        assert (await client.frame()).code == 1002
    await until(lambda: market.sockets.open_transports == 0)
