"""A namespace whose members hear each other, and a client in it that checks the order of what it gets."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from server.realtime import Connection, Namespace, frames
from tests.server.realtime.conftest import Market
from tests.server.realtime.wire import Wire

ROOM: Final = "/room"


class Room:
    """A namespace whose `say` is heard by all of its members, the speaker included, before the speaker has its ack."""

    def __init__(self, market: Market) -> None:
        self.members: list[Connection] = []
        self._last = 0
        namespace = Namespace(ROOM, anonymous=True)
        namespace.greeting = lambda connection, _auth: self.members.append(connection)
        namespace.raw("say", self._say)
        market.sockets.add(namespace)

    async def _say(self, _connection: Connection, arguments: list[Any]) -> list[Any]:
        return [self.tell(*arguments)]

    def tell(self, *arguments: Any) -> int:
        """Say something to all, encoded once; its number. Raises TypeError if it can't be encoded, and then nobody hears it."""
        frame = frames.raw_event(ROOM, ["said", self._last + 1, *arguments])
        self._last += 1
        self.members = [member for member in self.members if not member.closed]
        for member in self.members:
            member.write(frame)
        return self._last


class Member:
    """A client in the room that checks what it gets: each word once and in order, each ack after its own word."""

    def __init__(self, wire: Wire, way: str) -> None:
        self.wire = wire
        self.way = way
        self.heard: list[int] = []
        self.words: list[list[Any]] = []
        self.acked: list[int] = []

    async def say(self, times: int, *arguments: str) -> None:
        """Say something, given as JSON, again and again without waiting for acks; over polling, some at a time."""
        if self.way == "polling":
            for start in range(1, times + 1, 5):
                packets = [said(number, *arguments) for number in range(start, min(start + 5, times + 1))]
                assert await self.wire.post("\x1e".join(packets)) == (200, "ok")
        else:
            for number in range(1, times + 1):
                await self.wire.send(said(number, *arguments))

    async def listen(self, words: int, acks: int) -> None:
        """Take so many words and acks, those included that were taken before."""
        while len(self.heard) < words or len(self.acked) < acks:
            kind, where, payload = await self.wire.take()
            assert where == ROOM
            if kind == "42":
                event, number, *arguments = payload
                assert event == "said"
                assert number == (self.heard[-1] + 1 if self.heard else number)
                self.heard.append(number)
                self.words.append(arguments)
            else:
                assert kind == f"43:{len(self.acked) + 1}"
                assert payload in self.heard, "an ack overtook what was broadcast before it"
                assert payload > (self.acked[-1] if self.acked else 0)
                self.acked.append(payload)

    async def hear(self, number: int) -> None:
        """Take what comes, up to a word."""
        while not self.heard or self.heard[-1] < number:
            await self.listen(len(self.heard) + 1, 0)


def said(number: int, *arguments: str) -> str:
    """The packet by which a client says something, given as JSON."""
    return f'42{ROOM},{number}["say"{"".join(f",{argument}" for argument in arguments)}]'


async def enter(market: Market, way: str) -> Member:
    """A member; one that upgrades is on polling as yet."""
    wire = await market.wire("websocket" if way == "websocket" else "polling")
    assert "sid" in await wire.connect(ROOM)
    return Member(wire, way)


class Upgrade:
    """A member's upgrade between its probe and its end, while which others go on talking."""

    def __init__(self, member: Member) -> None:
        self._wire = member.wire

    async def begin(self) -> None:
        """Poll, and probe a WebSocket meanwhile."""
        self._poll = asyncio.ensure_future(self._wire.get())
        self._socket = await self._wire.probe()

    async def finish(self, *packets: str) -> None:
        """Go over to it, and send packets right behind."""
        self._wire.adopt(await self._poll)
        for packet in ("5", *packets):
            await self._socket.send_str(packet)
        self._wire.transport, self._wire._socket = "websocket", self._socket
