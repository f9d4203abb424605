"""The property of the whole server: whatever a client says, it is answered or closed, and its neighbour notices nothing."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from hypothesis import strategies as st

from tests.conformance.frames_fuzz import STREAMS
from tests.conformance.packets_fuzz import PACKETS, PAYLOADS
from tests.server.realtime.raw import BINARY, frame, raw_socket, text
from tests.server.realtime.wire import Closed, Wire

TALKS: Final = st.lists(
    PACKETS.map(lambda packet: "4" + packet) | st.text(max_size=6) | st.binary(max_size=6), max_size=6
)
"""What a client of Socket.IO sends, once it has entered."""

BODIES: Final = st.lists(
    PAYLOADS | st.lists(PACKETS.map(lambda packet: "4" + packet), max_size=4).map("\x1e".join), max_size=3
)
"""What a polling client sends, body by body."""

BYTES: Final = STREAMS
"""What a client sends after its handshake."""

_LAST: Final = '42999["message-with-ack","last"]'
_ANSWER: Final = '43999["last"]'


class Neighbour:
    """A client that talks to the same server all the time."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._number = 0

    async def enter(self) -> None:
        """Enter `/`."""
        assert "sid" in await self._wire.connect("/")
        assert await self._wire.receive() == '42["auth",{}]'

    async def unharmed(self) -> None:
        """It is answered, and is told nothing else."""
        self._number += 1
        await self._wire.send(f'42{self._number}["message-with-ack",{self._number}]')
        assert await self._wire.receive() == f"43{self._number}[{self._number}]"


async def check_talk(url: str, neighbour: Neighbour, talk: list[str | bytes]) -> None:
    """Over WebSocket: the last command is answered, unless the connection is closed."""
    async with raw_socket(url) as client:
        with suppress(ConnectionError, EOFError):
            sent = [text(part) if isinstance(part, str) else frame(BINARY, part) for part in talk]
            await client.write(text("40"), *sent, text(_LAST))
            while (received := await client.frame()).opcode < 8 and received.payload != _ANSWER.encode():
                pass
    await neighbour.unharmed()


async def check_bodies(url: str, neighbour: Neighbour, bodies: list[str]) -> None:
    """Over polling: the last command is answered, unless the session is closed."""
    async with Wire(url, "polling") as wire:
        with suppress(Closed):
            for body in ("40", *bodies, "4" + _LAST[1:]):
                status, answer = await wire.post(body)
                if status != 200:
                    assert status == 400, answer
                    raise Closed(status)
            while await wire.receive() != _ANSWER:
                pass
            assert await wire.post("1") == (200, "ok")
    await neighbour.unharmed()


async def check_bytes(url: str, neighbour: Neighbour, stream: bytes) -> None:
    """Below the packets: when the client has sent its last byte, the server ends the connection as well."""
    async with raw_socket(url, "/engine.io/") as client:
        with suppress(ConnectionError):
            await client.write(stream)
            client.finish()
        await client.ended()
    await neighbour.unharmed()
