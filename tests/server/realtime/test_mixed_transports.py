"""One room over WebSocket, polling and amid upgrades at once: what is broadcast and what is answered keeps one order for everybody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, Final

import pytest

from server.realtime import Connection, Namespace
from tests.server.realtime.conftest import Market, Open
from tests.server.realtime.wire import Wire
from tests.waiting import until

ROOM: Final = "/room"
WAYS: Final = ("websocket", "polling", "upgrading")


class Room:
    """A namespace whose `say` is heard by all of its members, the speaker included, before the speaker has its ack."""

    def __init__(self, market: Market) -> None:
        self.members: list[Connection] = []
        self._numbers = count(1)
        namespace = Namespace(ROOM, anonymous=True)
        namespace.greeting = lambda connection, _auth: self.members.append(connection)
        namespace.raw("say", self._say)
        market.sockets.add(namespace)

    async def _say(self, _connection: Connection, arguments: list[Any]) -> list[Any]:
        return [self.tell(*arguments)]

    def tell(self, *arguments: Any) -> int:
        """Say something to all; its number."""
        number = next(self._numbers)
        self.members = [member for member in self.members if not member.closed]
        for member in self.members:
            member.send("said", number, *arguments)
        return number


@pytest.fixture
async def rooms(open_market: Open) -> Callable[..., Awaitable[tuple[Market, Room]]]:
    """`await rooms(**options)`: a market and its room."""

    async def start(**options: Any) -> tuple[Market, Room]:
        made: list[Room] = []
        market = await open_market(prepare=lambda market: made.append(Room(market)), **options)
        return market, made[0]

    return start


Rooms = Callable[..., Awaitable[tuple[Market, Room]]]


class Member:
    """A client in the room that checks what it gets: each word once and in order, each ack after its own word."""

    def __init__(self, wire: Wire, way: str) -> None:
        self.wire = wire
        self.way = way
        self.heard: list[int] = []
        self.words: list[list[Any]] = []
        self.acked: list[int] = []

    async def say(self, times: int, *arguments: Any) -> None:
        """Say something again and again without waiting for acks; over polling, some at a time."""
        self.asked = times
        if self.wire.transport == "polling" and self.way == "polling":
            for start in range(1, times + 1, 5):
                packets = [_say(number, *arguments) for number in range(start, min(start + 5, times + 1))]
                assert await self.wire.post("\x1e".join(packets)) == (200, "ok")
        else:
            for number in range(1, times + 1):
                await self.wire.send(_say(number, *arguments))

    async def listen(self, words: int, acks: int) -> None:
        """Take so many words and acks."""
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


def _say(number: int, *arguments: Any) -> str:
    return f'42{ROOM},{number}["say"{"".join(f",{argument}" for argument in arguments)}]'


async def enter(market: Market, way: str) -> Member:
    """A member; one that upgrades is on polling as yet."""
    wire = await market.wire("websocket" if way == "websocket" else "polling")
    assert "sid" in await wire.connect(ROOM)
    return Member(wire, way)


async def upgrade(member: Member, room: Room, words: int) -> None:
    """Upgrade, and let some words pass between the probe and its end."""
    wire = member.wire
    poll = asyncio.ensure_future(wire.get())
    socket = await wire.probe()
    start = room.tell()
    await until(lambda: room.tell() > start + words, pause_s=0.001)
    wire.adopt(await poll)
    await socket.send_str("5")
    wire.transport, wire._socket = "websocket", socket


async def test_words_and_acks_keep_one_order_on_all_transports(rooms: Rooms) -> None:
    market, room = await rooms()
    members = [await enter(market, way) for way in WAYS * 5]
    speakers = members[:6]
    busy = True

    async def chatter() -> None:
        while busy:
            room.tell()
            await asyncio.sleep(0.001)

    chattering = asyncio.ensure_future(chatter())
    try:
        for round_, member in enumerate(member for member in members if member.way == "upgrading"):
            await upgrade(member, room, words=round_ * 3)
        speaking = [asyncio.ensure_future(member.say(40)) for member in speakers]
        listening = [asyncio.ensure_future(member.listen(0, 40 if member in speakers else 0)) for member in members]
        await asyncio.gather(*speaking, *listening)
    finally:
        busy = False
        await chattering
    last = room.tell()
    for member in members:
        while not member.heard or member.heard[-1] < last:
            await member.listen(len(member.heard) + 1, 0)
    assert {member.heard[-1] for member in members} == {last}
    websockets = [member for member in members if member.way == "websocket"]
    assert all(member.heard == list(range(member.heard[0], last + 1)) for member in members)
    assert all(len(member.acked) == 40 for member in speakers)
    assert len(websockets) == 5


async def test_acks_and_words_while_upgrading(rooms: Rooms) -> None:
    """Commands are sent by polling until the last moment, and answered on the other side of the upgrade, none twice."""
    market, room = await rooms()
    other = await enter(market, "websocket")
    for held in range(8):
        member = await enter(market, "upgrading")
        wire = member.wire
        poll = asyncio.ensure_future(wire.get())
        probe = await wire.probe()
        for number in range(1, held + 1):
            assert await wire.post(_say(number)) == (200, "ok")
        wire.adopt(await poll)
        await probe.send_str("5")
        await probe.send_str(_say(held + 1))
        wire.transport, wire._socket = "websocket", probe
        await member.listen(held + 1, held + 1)
        assert member.heard == member.acked
        await wire.send("1")
        await wire.closing()
    await other.listen(sum(range(1, 9)), 0)
    assert room.tell() == sum(range(1, 9)) + 1


BLOBS: Final = (b"", b"\x00", b"b", b"4[]", b"\x1e", bytes(range(256)), b"\xff" * 70_000)


async def test_binary_to_all_transports(rooms: Rooms) -> None:
    """Attachments follow their packet at once, whatever else is on the way, and arrive as they were."""
    market, room = await rooms()
    members = [await enter(market, way) for way in WAYS * 2]
    upgraders = [member for member in members if member.way == "upgrading"]
    polls = [asyncio.ensure_future(member.wire.get()) for member in upgraders]
    probes = [await member.wire.probe() for member in upgraders]
    speaker = members[0]
    speaking = asyncio.ensure_future(speaker.say(10, '"text"'))
    for number, blob in enumerate(BLOBS):
        room.tell("plain", number)
        room.tell(blob, {"deep": [blob, {"n": number}], "same": blob})
        await asyncio.sleep(0)
    for member, poll, probe in zip(upgraders, polls, probes, strict=True):
        member.wire.adopt(await poll)
        await probe.send_str("5")
        member.wire.transport, member.wire._socket = "websocket", probe
    await speaking
    total = 2 * len(BLOBS) + 10
    await asyncio.gather(*[member.listen(total, 10 if member is speaker else 0) for member in members])
    for member in members:
        words = [word for word in member.words if word != ["text"]]
        expected: list[list[Any]] = []
        for number, blob in enumerate(BLOBS):
            expected += [["plain", number], [blob, {"deep": [blob, {"n": number}], "same": blob}]]
        assert words == expected, member.way


@pytest.mark.parametrize("way", WAYS)
async def test_binary_is_answered_with_binary(rooms: Rooms, way: str) -> None:
    market, _ = await rooms()
    member = await enter(market, way)
    if way == "upgrading":
        await member.wire.upgrade()
    head = '452-/room,1["say",{"_placeholder":true,"num":1},[{"_placeholder":true,"num":0}]]'
    if way == "polling":
        assert await member.wire.post(f"{head}\x1ebAQ==\x1eb") == (200, "ok")
    else:
        for packet in (head, b"\x01", b""):
            await member.wire.send(packet)
    await member.listen(1, 1)
    assert member.words == [[b"", [b"\x01"]]]


async def test_bytes_of_every_kind_are_sent(rooms: Rooms) -> None:
    market, room = await rooms()
    members = [await enter(market, way) for way in ("websocket", "polling")]
    room.tell(b"\x01", bytearray(b"\x02"), memoryview(b"\x03"))
    for member in members:
        await member.listen(1, 0)
        assert member.words == [[b"\x01", b"\x02", b"\x03"]]


async def test_a_hundred_packets_for_one_poll(rooms: Rooms) -> None:
    market, room = await rooms()
    member = await enter(market, "polling")
    for number in range(50):
        room.tell(number)
        room.tell(bytes([number]))
    packets = await member.wire.get()
    assert len(packets) == 150
    member.wire.adopt(packets)
    await member.listen(100, 0)
    assert member.words == [[part] for number in range(50) for part in (number, bytes([number]))]


async def test_a_client_that_stops_amid_its_upgrade_is_cut_off(rooms: Rooms) -> None:
    """What waits for the end of an upgrade is bounded, attachments included; the room goes on."""
    market, room = await rooms(edge={"outbound_limit": 50_000})
    quick, slow = await enter(market, "websocket"), await enter(market, "upgrading")
    await slow.wire.probe()
    while slow.wire.opening["sid"] in market.sockets._peers:
        room.tell(bytes(5_000))
        await quick.listen(len(quick.heard) + 1, 0)
        assert len(quick.heard) < 30
    assert len(room.members) == 2
    room.tell()
    await quick.listen(len(quick.heard) + 1, 0)


async def test_a_poller_that_stops_is_cut_off_for_its_attachments(rooms: Rooms) -> None:
    market, room = await rooms(edge={"outbound_limit": 50_000})
    slow = await enter(market, "polling")
    for _ in range(30):
        room.tell(bytes(5_000))
    await until(lambda: slow.wire.opening["sid"] not in market.sockets._peers)


async def test_an_intruder_amid_an_upgrade_changes_nothing(rooms: Rooms) -> None:
    """A second WebSocket for a session that is upgrading is turned away; not a word is lost or said twice."""
    market, room = await rooms()
    member = await enter(market, "upgrading")
    wire = member.wire
    poll = asyncio.ensure_future(wire.get())
    probe = await wire.probe()
    room.tell("before")
    for late in range(3):
        intruder = await wire._http.ws_connect(wire.endpoint.with_query(wire.query(transport="websocket")))
        if late:
            await intruder.send_str("2probe")
        if late == 2:
            await intruder.send_str("5")
        await intruder.receive()
        assert intruder.closed
        room.tell("meanwhile")
    wire.adopt(await poll)
    await probe.send_str("5")
    wire.transport, wire._socket = "websocket", probe
    await wire.send(_say(1))
    await member.listen(5, 1)
    assert [word[:1] for word in member.words] == [["before"], *[["meanwhile"]] * 3, []]
