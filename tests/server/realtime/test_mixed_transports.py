"""One room over WebSocket, polling and amid upgrades at once: what is broadcast and what is answered keeps one order for everybody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any, Final

import pytest

from server.realtime import engine
from tests.contract import node
from tests.server.realtime.conftest import Market, Open
from tests.server.realtime.raw import RawSocket, close, raw_socket, text
from tests.server.realtime.room import ROOM, Room, Upgrade, enter, said
from tests.server.realtime.wire import Closed
from tests.waiting import until

WAYS: Final = ("websocket", "polling", "upgrading")


@pytest.fixture
async def rooms(open_market: Open) -> Callable[..., Awaitable[tuple[Market, Room]]]:
    """`await rooms(**options)`: a market and its room."""

    async def start(**options: Any) -> tuple[Market, Room]:
        made: list[Room] = []
        market = await open_market(prepare=lambda market: made.append(Room(market)), **options)
        return market, made[0]

    return start


Rooms = Callable[..., Awaitable[tuple[Market, Room]]]


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
        for held, member in enumerate(member for member in members if member.way == "upgrading"):
            upgrade = Upgrade(member)
            await upgrade.begin()
            start = room.tell()
            await until(lambda start=start, held=held: room.tell() > start + 3 * held, pause_s=0.001)  # type: ignore[misc]
            await upgrade.finish()
        speaking = [asyncio.ensure_future(member.say(40)) for member in speakers]
        listening = [asyncio.ensure_future(member.listen(0, 40 if member in speakers else 0)) for member in members]
        await asyncio.gather(*speaking, *listening)
    finally:
        busy = False
        await chattering
    last = room.tell()
    for member in members:
        await member.hear(last)
        assert member.heard == list(range(1, last + 1))
    assert all(len(member.acked) == 40 for member in speakers)


async def test_acks_and_words_while_upgrading(rooms: Rooms) -> None:
    """Commands are sent by polling until the last moment, and answered on the other side of the upgrade, none twice."""
    market, room = await rooms()
    other = await enter(market, "websocket")
    for held in range(8):
        member = await enter(market, "upgrading")
        upgrade = Upgrade(member)
        await upgrade.begin()
        for number in range(1, held + 1):
            assert await member.wire.post(said(number)) == (200, "ok")
        await upgrade.finish(said(held + 1))
        await member.listen(held + 1, held + 1)
        assert member.heard == member.acked
        await member.wire.send("1")
        await member.wire.closing()
    await other.listen(sum(range(1, 9)), 0)
    assert room.tell() == sum(range(1, 9)) + 1


BLOBS: Final = (b"", b"\x00", b"b", b"4[]", b"\x1e", bytes(range(256)), b"\xff" * 70_000)


async def test_binary_to_all_transports(rooms: Rooms) -> None:
    """Attachments follow their packet at once, whatever else is on the way, and arrive as they were."""
    market, room = await rooms()
    members = [await enter(market, way) for way in WAYS * 2]
    upgrades = [Upgrade(member) for member in members if member.way == "upgrading"]
    for upgrade in upgrades:
        await upgrade.begin()
    speaker = members[0]
    speaking = asyncio.ensure_future(speaker.say(10, '"text"'))
    for number, blob in enumerate(BLOBS):
        room.tell("plain", number)
        room.tell(blob, {"deep": [blob, {"n": number}], "same": blob})
        await asyncio.sleep(0)
    for upgrade in upgrades:
        await upgrade.finish()
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
    upgrade = Upgrade(member)
    await upgrade.begin()
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
    await upgrade.finish(said(1))
    await member.listen(5, 1)
    assert [word[:1] for word in member.words] == [["before"], *[["meanwhile"]] * 3, []]


VALUES: Final = {
    "not a number": "NaN",
    "infinity": "Infinity",
    "below infinity": "-Infinity",
    "beyond a float": "1e400",
    "beyond a float, below zero": "-1e400",
    "integer of 300 digits": "9" * 300,
    "integer of 400 digits": "9" * 400,
    "beyond 64 bits": "18446744073709551616",
    "high surrogate": r'"\ud800"',
    "low surrogate": r'"\udfff"',
    "surrogates in the wrong order": r'"\udc00\ud800"',
    "surrogate for a key": r'{"\udbff":1}',
    "control character": '"\x01"',
    "null character": '"\x00"',
    "line separators": '"\u2028\u2029"',
    "byte order mark": '"\ufeff"',
    "not a character": '"\uffff"',
    "key of prototypes": '{"__proto__":{"polluted":true},"constructor":{"prototype":1}}',
    "key twice": '{"a":1,"a":2}',
    "spoofed attachment": '{"_placeholder":true,"num":0}',
    "spoofed attachment far away": '{"_placeholder":true,"num":1e9}',
    "nested as deeply as it gets": "[" * 1_000 + "]" * 1_000,
    "nested too deeply": "[" * 100_000 + "]" * 100_000,
    "half a value": '{"a":',
    "two values": "1 2",
}
"""What one client says, as it stands in its packet."""

ATTACHMENTS: Final[dict[str, list[str | bytes]]] = {
    "one that nobody announced": [b"\x01"],
    "text in its place": ['451-/room,["say",{"_placeholder":true,"num":0}]', said(2)],
    "place that is not there": ['451-/room,["say",{"_placeholder":true,"num":1}]', b"\x01"],
    "negative place": ['451-/room,["say",{"_placeholder":true,"num":-1}]', b"\x01"],
    "place of another type": ['451-/room,["say",{"_placeholder":true,"num":"length"}]', b"\x01"],
    "fewer than announced": ['452-/room,["say",{"_placeholder":true,"num":0}]', b"\x01"],
    "nested deeply": ['451-/room,["say",' + "[" * 1_000 + "]" * 1_000 + "]", b"\x01"],
}


@pytest.mark.parametrize("way", ["websocket", "polling"])
async def test_what_one_client_sends_harms_nobody_in_its_room(
    rooms: Rooms, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be answered, dropped, or cut off. Neighbours hear what can be told, and every word after it.

    Among them are official JavaScript clients, which close their connection when they are sent what they can't parse.
    """
    monkeypatch.setattr(engine, "UPGRADE_TIMEOUT_S", 300.0)  # all attacks are made during one upgrade
    market, room = await rooms()
    attacks = [*([said(1, value)] for value in VALUES.values()), *ATTACHMENTS.values()]
    neighbours = [await enter(market, each) for each in WAYS]
    upgrade = Upgrade(neighbours[2])
    await upgrade.begin()
    official = asyncio.ensure_future(node.run("room.test.mjs", MARKET_URL=market.url, ROOM_WORDS=str(len(attacks))))
    try:
        await until(lambda: len(room.members) == 3 + 3 or official.done())
        for number, attack in enumerate(attacks):
            hostile = await enter(market, way)
            with suppress(Closed):
                for packet in attack:
                    await hostile.wire.send(packet)
            last = room.tell("word", number)
            for neighbour in neighbours[:2]:
                await neighbour.hear(last)
                assert neighbour.words[-1] == ["word", number]
            await hostile.wire.__aexit__()
        await upgrade.finish()
        await neighbours[2].hear(last)
        assert neighbours[0].words == neighbours[1].words == neighbours[2].words
        assert [word[1] for word in neighbours[2].words if word[:1] == ["word"]] == list(range(len(attacks)))
        await official
    finally:
        official.cancel()
        await asyncio.wait([official])


async def test_a_thousand_clients_leave_at_once(rooms: Rooms) -> None:
    """In every way of leaving, amid what they are told; nothing of them remains, and those who stay miss nothing."""
    market, room = await rooms()
    await market.add("tally:a")
    staying = [await enter(market, way) for way in ("websocket", "polling")]
    watcher = await market.member()
    await watcher.command("subscribe", {"stream": "tally:a"})
    leaving = 1_000
    async with AsyncExitStack() as stack:
        clients = []
        for number in range(leaving):
            behind = text(f"40{ROOM},") + text("40/market,") + text('42/market,1["subscribe",{"stream":"tally:a"}]')
            clients.append(await stack.enter_async_context(raw_socket(market.url, behind=behind)))
            if number % 100 == 0:
                room.tell()
        await until(lambda: market.streams.hub.watchers("tally:a") == leaving + 1)
        assert len(room.members) == leaving + 2
        for number, client in enumerate(clients):
            await _leave(client, number)
            if number % 20 == 0:
                await market.add("tally:a")
                room.tell("somebody leaves")
        await until(lambda: market.sockets.open_transports == 3)
    last = room.tell("all are gone")
    for member in staying:
        await member.hear(last)
        assert member.heard == list(range(1, last + 1))
    assert market.streams.hub.watchers("tally:a") == 1
    assert len(room.members) == 2
    seqs: list[int] = []
    while len(seqs) < leaving // 20:
        seqs += [event["seq"] for event in (await watcher.event())["events"]]
    assert seqs == list(range(2, 2 + leaving // 20))


async def _leave(client: RawSocket, number: int) -> None:
    way = number % 5
    if way == 0:
        client.abort()
    elif way == 1:
        client.finish()
    elif way == 2:
        await client.write(close())
    elif way == 3:
        await client.write(text("1"))
    else:
        await client.write(text(f"41{ROOM},"), text("41/market,"), text("4malformed"))
