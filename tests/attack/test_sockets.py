"""Hostile and broken clients on sockets: each harms itself at most, and others bid on as if nothing were."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final

import aiohttp
import psutil
import pytest

from server.clock import new_id
from tests.attack.test_access import _forged
from tests.attack.test_values import BIDS, INTEGERS
from tests.attack.town import Person, Town
from tests.server.realtime.wire import Closed, Wire
from tests.waiting import until

NAMESPACE: Final = "/bidding"
WAYS: Final = ("websocket", "polling")

_UPGRADE: Final = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
_MEGABYTE: Final = 1_000_000
_PATIENCE_S: Final = 20.0
"""Far beyond what an answer takes on a machine that is busy with tests."""


@asynccontextmanager
async def wire(town: Town, who: Person | None = None, way: str = "websocket", at: int = 0) -> AsyncIterator[Wire]:
    """A client in /bidding."""
    async with Wire(town.urls[at], way) as opened:
        answer = await opened.connect(NAMESPACE, {"token": who.token} if who else None)
        assert "sid" in answer, answer
        yield opened


async def ask(client: Wire, event: str, **fields: Any) -> Any:
    """The ack of a command."""
    async with asyncio.timeout(_PATIENCE_S):
        return await client.command(event, fields, namespace=NAMESPACE)


def refusal(ack: dict[str, Any]) -> str:
    """The code of a negative ack, which must be whole."""
    assert ack["ok"] is False, ack
    error = ack["error"]
    assert {"code", "message", "retryable"} <= set(error), ack
    assert "Traceback" not in str(ack)
    assert "instance of" not in str(ack)
    return str(error["code"])


@pytest.fixture(scope="module")
async def auction(town: Town, client: Person, ann: Person) -> str:
    """A running auction, led by Ann with a limit."""
    job = await town.post(client, auction=town.terms(confirm_jump_percent=50))
    found: str = job["auction"]["id"]
    await town.bid(ann, found, 90_000, kind="auto")
    return found


@pytest.fixture
async def busy(town: Town, client: Person) -> str:
    """An auction for many bids."""
    job = await town.post(client, auction=town.terms(increments=[{"from": 0, "step": 1}], reserve_amount=None))
    found: str = job["auction"]["id"]
    return found


class Rivals:
    """Two honest bidders at the other instance who outbid each other, and are answered."""

    def __init__(self, town: Town, auction: str, ann: Wire, bob: Wire) -> None:
        self._town = town
        self._auction = auction
        self._wires = (ann, bob)
        self._amount = 99_000

    async def bid(self, times: int = 1) -> None:
        """Place bids; each is accepted."""
        for _ in range(times):
            self._amount -= 1
            bidder = self._wires[self._amount % 2]
            ack = await ask(bidder, "bid", auction=self._auction, amount=self._amount, key=self._town.key())
            assert (ack["ok"], ack["leading"]) == (True, True), ack


@pytest.fixture
async def rivals(town: Town, busy: str, ann: Person, bob: Person) -> AsyncIterator[Rivals]:
    """One of them on each instance."""
    async with wire(town, ann, at=0) as first, wire(town, bob, at=1) as second:
        yield Rivals(town, busy, first, second)


# values


@pytest.mark.parametrize("way", WAYS)
async def test_bids_of_bad_values(town: Town, auction: str, bob: Person, way: str) -> None:
    async with wire(town, bob, way) as socket, town.unchanged():
        for name, amount in INTEGERS.items():
            bid = json.dumps(["bid", {"auction": auction, "amount": amount, "key": town.key()}])
            await socket.send(f"42{NAMESPACE},77{bid}")
            typed = isinstance(amount, int) and not isinstance(amount, bool) and amount < 2**64
            code = refusal(await socket.ack(77, namespace=NAMESPACE))
            assert code == ("AMOUNT_INVALID" if typed else "VALIDATION_FAILED"), name
        for name, (fields, code) in BIDS.items():
            ack = await ask(socket, "bid", auction=auction, key=town.key(), **fields)
            assert refusal(ack) == code, name


KEYS: Final = ("", " ", "a b", "k" * 201, "é", "a\tb", "a\n", "\x00", 7, None, {"$gt": ""}, ["k"], True)
IDS: Final = ("", "a b", "../x", "a:b", "$gt", "x" * 65, "\x00", "é", 7, None, {"$gt": ""}, ["x"], True)


async def test_keys_and_ids_of_the_wrong_form(town: Town, auction: str, bob: Person) -> None:
    async with wire(town, bob) as socket, town.unchanged():
        for key in KEYS:
            ack = await ask(socket, "bid", auction=auction, amount=80_000, key=key)
            assert refusal(ack) == "VALIDATION_FAILED", key
            assert ack["error"]["details"]["errors"][0]["loc"] == ["key"]
            ack = await ask(socket, "retract", auction=auction, seq=2, reason="typo", key=key)
            assert refusal(ack) == "VALIDATION_FAILED", key
        for odd in IDS:
            ack = await ask(socket, "bid", auction=odd, amount=80_000, key=town.key())
            assert refusal(ack) == "VALIDATION_FAILED", odd
        assert refusal(await ask(socket, "bid", auction=auction, amount=80_000)) == "VALIDATION_FAILED"
        ack = await ask(socket, "bid", auction=new_id(), amount=80_000, key=town.key())
        assert refusal(ack) == "AUCTION_NOT_FOUND"
        for seq in (0, -1, 2**53, 2**64, 1.5, "2", None, {"$gt": 0}):
            fields = json.dumps(["retract", {"auction": auction, "seq": seq, "reason": "typo", "key": "k"}])
            await socket.send(f"42{NAMESPACE},78{fields}")
            assert refusal(await socket.ack(78, namespace=NAMESPACE)) == "VALIDATION_FAILED", seq
        ack = await ask(socket, "retract", auction=auction, seq=2, reason="typo", key=town.key())
        assert refusal(ack) == "RETRACT_NOT_ALLOWED"


async def test_who_may_bid(town: Town, auction: str, client: Person, rival: Person) -> None:
    async with town.unchanged():
        for who, code in ((None, "UNAUTHENTICATED"), (client, "SELF_BID"), (rival, "FORBIDDEN")):
            async with wire(town, who) as socket:
                ack = await ask(socket, "bid", auction=auction, amount=80_000, key=town.key())
                assert refusal(ack) == code


async def test_a_key_is_good_for_one_bid_on_any_way(town: Town, busy: str, ann: Person) -> None:
    key = town.key()
    async with wire(town, ann) as socket, wire(town, ann, "polling", at=1) as other:
        first = await ask(socket, "bid", auction=busy, amount=90_000, key=key)
        assert first["ok"]
        async with town.unchanged():
            assert await ask(other, "bid", auction=busy, amount=90_000, key=key) == {**first, "replayed": True}
            assert refusal(await ask(other, "bid", auction=busy, amount=80_000, key=key)) == "IDEMPOTENCY_MISMATCH"
            path = f"/auctions/{busy}/bids"
            reply = await town.call("POST", path, ann, json={"amount": 70_000}, key=key)
            reply.refused("IDEMPOTENCY_MISMATCH")


# tokens and streams


@pytest.mark.parametrize("way", WAYS)
async def test_tokens_that_are_none(town: Town, ann: Person, way: str) -> None:
    """Refused by that one word; a connection without a token would have been let in."""
    tokens: list[Any] = [*_forged(town, ann).values(), 7, True, {}, {"$ne": ""}, [], [ann.token], "\x00"]
    for token in tokens:
        async with Wire(town.urls[0], way) as socket:
            assert await socket.connect(NAMESPACE, {"token": token}) == {"message": "UNAUTHENTICATED"}, token
            with suppress(Closed):
                await socket.send(f'42{NAMESPACE},1["sync_time",{{"t0":1}}]')
                await socket.closing()


async def test_a_login_that_ends_takes_its_sockets_along(town: Town, busy: str, ann: Person) -> None:
    mine = await town.login(ann.email)
    async with wire(town, mine, at=0) as first, wire(town, mine, "polling", at=1) as second, wire(town, ann) as other:
        assert (await town.call("POST", "/auth/logout", mine)).status == 204
        await first.closing()
        await second.closing()
        assert (await ask(other, "sync_time", t0=1))["ok"]
        async with Wire(town.urls[1], "websocket") as again:
            assert await again.connect(NAMESPACE, {"token": mine.token}) == {"message": "UNAUTHENTICATED"}


async def test_streams_that_are_not_for_everybody(
    town: Town, client: Person, rival: Person, ann: Person, bob: Person
) -> None:
    """By whatever way: the streams of truth for nobody, the rest for those it is for; to all others there is no such stream."""
    sealed = await town.post(client, auction=town.terms(format="sealed"))
    invited = await town.post(client, auction=town.terms(), visibility="invited", invited=[ann.id])
    await town.bid(ann, sealed["auction"]["id"], 90_000)
    truth = f"sealed:{sealed['auction']['id']}"
    hidden = f"auction:{invited['auction']['id']}"
    nobody = [
        truth,
        f"sealed:{new_id()}",
        f"user:{rival.id}",
        f"user:{new_id()}",
        f"room:{new_id()}",
        f"auction:{new_id()}",
    ]
    nobody += [
        "auction:",
        ":::",
        ":xx",
        "AUCTION:x",
        "auction:a:b",
        f"auction:{sealed['auction']['id']} ",
        "auction:\u0000",
    ]
    nobody += ["events:x", "_id:x", "auction:$gt", "auction:../x", "x" * 200]
    for who in (None, client, ann, bob):
        allowed = who is client or who is ann
        async with wire(town, who) as socket:
            for stream in [*nobody, *([] if allowed else [hidden])]:
                for after in ({}, {"after": 0}):
                    code = refusal(await ask(socket, "subscribe", stream=stream, **after))
                    assert code == _denial(stream, who), stream
            if allowed:
                assert (await ask(socket, "subscribe", stream=hidden))["ok"]
            for odd in ("", ":", "x", "x" * 201, 7, None, {"$gt": ""}, ["auction:x"]):
                assert refusal(await ask(socket, "subscribe", stream=odd)) == "VALIDATION_FAILED"
        for stream in (truth, *([] if allowed else [hidden])):
            for accept in ("application/json", "text/event-stream"):
                headers = {"Accept": accept}
                for path in (f"/streams/{stream}", f"/streams/{stream}/events", f"/streams/{stream}/events?wait=1"):
                    (await town.call("GET", path, who, headers=headers)).refused("NOT_FOUND")


def _denial(stream: str, who: Person | None) -> str:
    """What somebody is told who asks for a stream of others: of inboxes and rooms not even to whom there is one."""
    kind = stream.partition(":")[0]
    if who is None and kind in ("user", "room"):
        return "UNAUTHENTICATED"
    return "FORBIDDEN" if kind == "user" else "NOT_FOUND"


# floods


async def test_ten_thousand_subscriptions(town: Town, busy: str, rivals: Rivals) -> None:
    """A thousand are granted, the rest refused one by one, and bidders hardly notice."""
    await rivals.bid()
    template = await town.db["events"].find_one({"stream": f"auction:{busy}", "seq": 1})
    assert template is not None
    names = [f"auction:{new_id()}" for _ in range(1_000)]
    await town.db["events"].insert_many([{**template, "_id": new_id(), "stream": name} for name in names])
    try:
        async with wire(town) as socket:
            flood = asyncio.ensure_future(_subscribe(socket, [*names, *(f"auction:{n}" for n in range(9_000))]))
            await rivals.bid(20)
            assert await flood == {"ok": 1_000, "VALIDATION_FAILED": 9_000}
            await rivals.bid(20)
            assert (await ask(socket, "unsubscribe", stream=names[0]))["ok"]
            assert (await ask(socket, "subscribe", stream=f"auction:{busy}"))["ok"]
            await rivals.bid()
            assert (await socket.event())["stream"] == f"auction:{busy}"
    finally:
        for collection, field in (("events", "stream"), ("auctions", "stream")):
            await town.db[collection].delete_many({field: {"$in": names}})


async def _subscribe(socket: Wire, names: list[str]) -> Counter[str]:
    """Subscribe to all without waiting; how the answers were."""
    numbers = {}

    async def send() -> None:
        for name in names:
            numbers[await socket.start("subscribe", {"stream": name}, namespace=NAMESPACE)] = name

    sending = asyncio.ensure_future(send())
    outcomes: Counter[str] = Counter()
    for number in range(1, len(names) + 1):
        ack = await socket.ack(number, namespace=NAMESPACE)
        outcomes["ok" if ack["ok"] else refusal(ack)] += 1
    await sending
    return outcomes


@pytest.mark.parametrize("way", WAYS)
async def test_ten_thousand_unknown_commands(town: Town, rivals: Rivals, way: str) -> None:
    async with wire(town, way=way) as socket:
        packets = [f'42{NAMESPACE},{number}["no_such_command_{number}",{{"x":1}}]' for number in range(1, 10_001)]
        if way == "polling":
            sending = asyncio.ensure_future(socket.post("\x1e".join(packets)))
        else:
            sending = asyncio.ensure_future(_send_all(socket, packets))
        answers = asyncio.ensure_future(_refusals(socket, len(packets)))
        await rivals.bid(20)
        assert await answers == {"UNKNOWN_COMMAND": len(packets)}
        await sending
        await rivals.bid(20)
    assert "no_such_command" not in await _metrics(town)  # a label for each would fill the memory


async def _refusals(socket: Wire, count: int) -> Counter[str]:
    """The answers to commands 1 to `count`."""
    return Counter([refusal(await socket.ack(number, namespace=NAMESPACE)) for number in range(1, count + 1)])


async def _send_all(socket: Wire, packets: list[str]) -> None:
    for packet in packets:
        await socket.send(packet)


async def _metrics(town: Town, at: int = 0) -> str:
    async with town.http.get(f"{town.urls[at]}/metrics") as answer:
        return await answer.text()


async def _metric(town: Town, name: str, at: int = 0) -> float:
    lines = [line for line in (await _metrics(town, at)).splitlines() if line.startswith(name)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


@pytest.mark.parametrize("way", WAYS)
async def test_one_byte_too_many(town: Town, rivals: Rivals, way: str) -> None:
    """A message of a million bytes is read, one of a byte more ends the connection."""
    for size in (_MEGABYTE, _MEGABYTE + 1):
        async with wire(town, way=way) as socket:
            head, tail = f'42{NAMESPACE},1["sync_time",{{"t0":1,"x":"', '"}]'
            packet = head + "x" * (size - len(head) - len(tail)) + tail
            if size == _MEGABYTE:
                await socket.send(packet)
                assert (await socket.ack(1, namespace=NAMESPACE))["ok"]
            elif way == "polling":
                assert (await socket.post(packet))[0] == 413
            else:
                with suppress(Closed):
                    await socket.send(packet)
                await socket.closing()
    await rivals.bid()


async def test_two_hundred_sockets_dropped_half_way(town: Town, busy: str, rivals: Rivals, ann: Person) -> None:
    """At every step of the way; nothing of them remains."""
    before = await _metric(town, "websocket_active_connections")
    await asyncio.gather(*[_begin_and_drop(town, busy, ann, number % 8) for number in range(200)])
    await rivals.bid(10)

    async def forgotten() -> bool:
        # fewer, if some that were there before are gone by now
        return await _metric(town, "websocket_active_connections") <= before

    await until(forgotten)


async def _begin_and_drop(town: Town, auction: str, who: Person, step: int) -> None:
    way = "polling" if step in (1, 2) else "websocket"
    query = "EIO=4&transport=websocket"
    if step == 0:
        await town.drop(f"GET /socket.io/?{query} HTTP/1.1\r\nHost: x\r\n{_UPGRADE}\r\n".encode())
        return
    socket = Wire(town.urls[0], way)
    await socket.open()
    if step == 2:
        probe = await socket.probe()
        _abort(probe)
    elif step >= 4:
        await socket.send(f"40{NAMESPACE},{json.dumps({'token': who.token})}")
        if step >= 5:
            await socket.receive()
        if step >= 6:
            await socket.start("subscribe", {"stream": f"auction:{auction}"}, namespace=NAMESPACE)
        if step >= 7:
            await socket.receive()
    if socket._socket is not None:
        _abort(socket._socket)
    await socket._http.close()


def _abort(socket: aiohttp.ClientWebSocketResponse) -> None:
    transport = socket._writer.transport
    assert transport is not None
    transport.abort()


# broken frames, and clients that don't read


class Raw:
    """A WebSocket in /bidding, frame by frame and byte by byte. It reads nothing unless it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, packet: str) -> None:
        """One Engine.IO packet. Raises ConnectionError once the server has cut the connection."""
        await self.write(frame(0x81, packet.encode()))

    async def write(self, raw: bytes) -> None:
        """Any bytes at all."""
        self._writer.write(raw)
        await self._writer.drain()

    async def closing(self) -> None:
        """Return when the server has closed the connection."""
        with suppress(ConnectionError):
            while await self._reader.read(65_536):
                pass


def frame(head: int, payload: bytes) -> bytes:
    """A masked frame; `head` holds the bits and the opcode."""
    if len(payload) < 126:
        size = bytes((0x80 | len(payload),))
    elif len(payload) < 65_536:
        size = bytes((0x80 | 126,)) + len(payload).to_bytes(2, "big")
    else:
        size = bytes((0x80 | 127,)) + len(payload).to_bytes(8, "big")
    return bytes((head,)) + size + bytes(4) + payload


@asynccontextmanager
async def raw(town: Town, at: int = 0) -> AsyncIterator[Raw]:
    """Such a client."""
    url = town.urls[at].removeprefix("http://")
    host, _, port = url.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1_024)
    head = f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {url}\r\n{_UPGRADE}\r\n"
    writer.write(head.encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 101 "), answer
    client = Raw(reader, writer)
    await client.send(f"40{NAMESPACE},")
    try:
        yield client
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


FRAMES: Final = {
    "unmasked": b"\x81\x02hi",
    "reserved bit": frame(0xC1, b"hi"),
    "unknown opcode": frame(0x83, b"hi"),
    "continuation of nothing": frame(0x80, b"hi"),
    "message within a message": frame(0x01, b"4") + frame(0x81, b"3"),
    "ping in two parts": frame(0x09, b"hi"),
    "long ping": frame(0x89, b"x" * 126),
    "half a close code": frame(0x88, b"\x03"),
    "impossible close code": frame(0x88, b"\x00\x01"),
    "close": frame(0x88, b""),
    "absurd length": b"\x81\xff" + (2**62).to_bytes(8, "big") + bytes(4),
    "negative length": b"\x81\xff" + b"\xff" * 8 + bytes(4),
    "a byte too many in parts": frame(0x01, b"4" * 100_000)
    + frame(0x00, b"x" * 100_000) * 8
    + frame(0x80, b"x" * 100_001),
    "noise": bytes(range(256)) * 10,
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("sent", FRAMES.values(), ids=FRAMES.keys())
async def test_frames_that_are_none(town: Town, rivals: Rivals, sent: bytes) -> None:
    async with raw(town) as client, asyncio.timeout(_PATIENCE_S):
        with suppress(ConnectionError):
            await client.write(sent)
        await client.closing()
    await rivals.bid()


async def test_a_deaf_client_that_keeps_asking_is_cut_off(town: Town, busy: str, rivals: Rivals) -> None:
    """The history of an auction, asked for again and again and never read, does not pile up in the process."""
    await rivals.bid(150)
    process = psutil.Process(town.children["a"].pid)
    before = process.memory_info().rss
    cut = await _metric(town, "socket_slow_clients_total")
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(raw(town)) for _ in range(3)]
        await asyncio.gather(*[_ask_until_cut(client, busy) for client in clients])
        await rivals.bid(10)
    assert await _metric(town, "socket_slow_clients_total") == cut + 3
    assert process.memory_info().rss - before < 60 * _MEGABYTE


async def _ask_until_cut(client: Raw, auction: str) -> None:
    with suppress(ConnectionError):
        while True:
            await client.send(f'42{NAMESPACE},1["subscribe",{{"stream":"auction:{auction}","after":0}}]')
            await asyncio.sleep(0)


async def test_deaf_watchers_hold_nobody_up(town: Town, busy: str, rivals: Rivals) -> None:
    """A hundred of them watch while an auction is busy; a watcher that reads gets every event."""
    process = psutil.Process(town.children["a"].pid)
    before = process.memory_info().rss
    async with AsyncExitStack() as stack, wire(town) as watcher:
        start = (await ask(watcher, "subscribe", stream=f"auction:{busy}"))["seq"]
        for _ in range(100):
            client = await stack.enter_async_context(raw(town))
            await client.send(f'42{NAMESPACE},1["subscribe",{{"stream":"auction:{busy}"}}]')
        await rivals.bid(200)
        seqs: list[int] = []
        while len(seqs) < 200:
            seqs += [event["seq"] for event in (await watcher.event())["events"]]
        assert seqs == list(range(start + 1, start + 201))
    assert process.memory_info().rss - before < 100 * 1.5 * _MEGABYTE
