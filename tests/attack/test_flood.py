"""Floods on a market with its limits on: each is refused by name, what is refused leaves no trace, and neighbours go on talking."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import Any, Final

import pytest

from server.clock import new_id
from tests.attack.rooms import CHAT, ask, chatting, direct, log, said
from tests.attack.town import PASSWORD, Person, Town
from tests.server.realtime.wire import Wire
from tests.waiting import until

_SENDS: Final = 30
"""As many `send` has at once by default; three more a second."""

_FLOOD: Final = 1_000
_MEGABYTE: Final = 1_000_000


@pytest.fixture(autouse=True)
async def unharmed(strict: Town) -> AsyncIterator[None]:
    """After each flood everything runs and has logged no failure; in place of the fixture for the other town."""
    yield
    await strict.unharmed()


@pytest.fixture
async def room(strict: Town) -> tuple[Person, Person, str]:
    """Two people and their room."""
    client, other = await strict.person("client"), await strict.person("freelancer")
    return client, other, await direct(strict, client, other)


@asynccontextmanager
async def neighbours(town: Town, at: int = 0) -> AsyncIterator[None]:
    """Two others who talk at the same instance meanwhile: each word is taken, and heard once and in order."""
    client, other = await town.person("client"), await town.person("freelancer")
    room = await direct(town, client, other)
    async with chatting(town, client, at=at) as speaker, chatting(town, other, at=at) as listener:
        assert (await ask(listener, "subscribe", stream=f"room:{room}"))["ok"]

        async def talk() -> int:
            for number in range(20):
                ack = await ask(speaker, "send", room=room, text=f"{number}", key=town.key())
                assert ack["ok"], ack
                assert (await ask(listener, "sync_time", t0=1))["ok"]
            return 20

        talking = asyncio.ensure_future(talk())
        yield
        words = await talking
        heard: list[str] = []
        while len(heard) < words:
            heard += [event["text"] for event in (await listener.event())["events"]]
        assert heard == [str(number) for number in range(words)]


def limited_by(ack: dict[str, Any]) -> int:
    """The milliseconds after which a command that was one too many may be sent again."""
    assert ack["ok"] is False, ack
    error = ack["error"]
    assert (error["code"], error["retryable"]) == ("RATE_LIMITED", True), ack
    wait = error["details"]["retry_after_ms"]
    assert isinstance(wait, int)
    assert 0 < wait <= 60_000
    return wait


def _send(room: str, number: int, key: str, text: str = "Buy now") -> str:
    return f"42{CHAT},{number}" + json.dumps(["send", {"room": room, "text": text, "key": key}])


async def _flood(socket: Wire, packets: list[str]) -> list[dict[str, Any]]:
    """The acks of packets 1 to the last, which are sent without waiting for any."""

    async def send() -> None:
        if socket.transport == "polling":
            await socket.post("\x1e".join(packets))
        else:
            for packet in packets:
                await socket.send(packet)

    sending = asyncio.ensure_future(send())
    acks = [await socket.ack(number, namespace=CHAT) for number in range(1, len(packets) + 1)]
    await sending
    return acks


@pytest.mark.parametrize("way", ["websocket", "polling"])
async def test_a_thousand_sends(strict: Town, room: tuple[Person, Person, str], way: str) -> None:
    """Some are taken and stored once, the others refused and not stored; then the socket goes on where it may."""
    client, other, where = room
    keys = [strict.key() for _ in range(_FLOOD)]
    async with neighbours(strict), chatting(strict, client, way) as socket, chatting(strict, other) as listener:
        start = (await ask(listener, "subscribe", stream=f"room:{where}"))["seq"]
        acks = await _flood(socket, [_send(where, number, key) for number, key in enumerate(keys, 1)])
        taken = [ack for ack in acks if ack["ok"]]
        waits = [limited_by(ack) for ack in acks if not ack["ok"]]
        assert _SENDS <= len(taken) < _FLOOD
        assert [ack["seq"] for ack in taken] == list(range(start + 1, start + 1 + len(taken)))
        await asyncio.sleep(waits[-1] / 1000)
        await until(lambda: _goes_on(socket, where, strict.key()))
        # a refused command was not done, and can be with the same key; one that was taken is answered again
        await asyncio.sleep(waits[-1] / 1000)
        refused = next(key for key, ack in zip(keys, acks, strict=True) if not ack["ok"])
        await until(lambda: _goes_on(socket, where, refused))
        await until(lambda: _goes_on(socket, where, keys[0], replayed=True))
    events = [event for event in await log(strict, other, where) if event["type"] == "message"]
    assert len(events) == len(taken) + 2
    assert len({event["id"] for event in events}) == len(events)


async def _goes_on(socket: Wire, room: str, key: str, *, replayed: bool = False) -> bool:
    ack = await ask(socket, "send", room=room, text="Buy now", key=key)
    if not ack["ok"]:
        await asyncio.sleep(limited_by(ack) / 1000)
        return False
    assert ack.get("replayed", False) is replayed
    return True


async def test_megabytes_that_are_one_too_many(strict: Town, room: tuple[Person, Person, str]) -> None:
    """Refused without being looked at; they take neither the socket nor the neighbours along."""
    client, _, where = room
    large = "x" * (_MEGABYTE - 200)
    async with neighbours(strict), chatting(strict, client) as socket:
        packets = [_send(where, number, f"k{number}", large) for number in range(1, 101)]
        outcomes = Counter(ack["error"]["code"] for ack in await _flood(socket, packets))
        assert set(outcomes) == {"VALIDATION_FAILED", "RATE_LIMITED"}
        assert outcomes["RATE_LIMITED"] > outcomes["VALIDATION_FAILED"]
        assert (await ask(socket, "sync_time", t0=1))["ok"]
    types = [event["type"] for event in await log(strict, client, where)]
    assert types == ["opened", "member_added", "member_added"]


async def test_a_user_has_one_bucket_on_all_its_sockets(strict: Town, room: tuple[Person, Person, str]) -> None:
    client, _, where = room
    sockets = 5
    async with AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(chatting(strict, client)) for _ in range(sockets)]
        packets = [[_send(where, number, strict.key()) for number in range(1, 41)] for _ in wires]
        floods = await asyncio.gather(*[_flood(wire, sent) for wire, sent in zip(wires, packets, strict=True)])
        taken = sum(ack["ok"] for acks in floods for ack in acks)
        assert _SENDS <= taken < 2 * _SENDS
        # the limit is on sending: reading goes on, and so does the other user
        assert (await ask(wires[0], "read", room=where, seq=1))["ok"]
        await said(strict, room[1], where)


async def test_typing_on_and_off(strict: Town, room: tuple[Person, Person, str]) -> None:
    """A thousand times: whoever watches hears little of it."""
    client, other, where = room
    packets = [
        f"42{CHAT},{number}" + json.dumps(["typing", {"room": where, "on": bool(number % 2)}])
        for number in range(1, _FLOOD + 1)
    ]
    async with neighbours(strict), chatting(strict, client) as socket, chatting(strict, other, at=1) as listener:
        assert (await ask(listener, "subscribe", stream=f"room:{where}"))["ok"]
        acks = await _flood(socket, packets)
        for ack in acks:
            assert ack["ok"] or limited_by(ack)
        assert sum(ack["ok"] for ack in acks) < 200
        await said(strict, client, where, "Enough")
        while (await listener.event())["events"][-1].get("text") != "Enough":
            pass
        assert sum(event == "typing" for _, event, _ in listener.events) < 20


async def test_rooms_that_nobody_gave_out(strict: Town, room: tuple[Person, Person, str]) -> None:
    """By the thousand: the first are not there, the rest is not looked for."""
    client, _, where = room
    packets = [
        f"42{CHAT},{number}" + json.dumps(["subscribe", {"stream": f"room:{new_id()}"}])
        for number in range(1, _FLOOD + 1)
    ]
    async with neighbours(strict), chatting(strict, client) as socket:
        outcomes = Counter(ack["error"]["code"] for ack in await _flood(socket, packets))
        assert set(outcomes) == {"NOT_FOUND", "RATE_LIMITED"}
        assert 50 <= outcomes["NOT_FOUND"] < 60
        assert (await ask(socket, "send", room=where, text="Still here", key=strict.key()))["ok"]


async def test_entering_namespaces_again_and_again(strict: Town, room: tuple[Person, Person, str]) -> None:
    """On one transport: soon refused by name, and nobody else's matter."""
    client, other, where = room
    async with neighbours(strict), Wire(strict.urls[0], "websocket") as socket, chatting(strict, other) as listener:
        await ask(listener, "subscribe", stream=f"room:{where}")
        outcomes: Counter[str] = Counter()
        for _ in range(300):
            answer = await socket.connect(CHAT, {"token": client.token})
            outcomes[answer.get("message", "in")] += 1
        assert set(outcomes) == {"in", "RATE_LIMITED"}
        assert outcomes["in"] < 70
        await ask(listener, "sync_time", t0=1)
        shown = [
            payload for _, event, payload in listener.events if event == "presence" and payload["user"] == client.id
        ]
        assert len(shown) < 10


def _addresses() -> Iterator[str]:
    """Addresses that nobody had before."""
    return (f"198.51.{number // 200}.{number % 200 + 1}" for number in count(1))


ADDRESSES: Final = _addresses()


async def _login(town: Town, at: int, *forwarded: str) -> int:
    """The status of a guess at a password, by somebody behind a proxy."""
    body = {"email": "nobody@example.com", "password": PASSWORD}
    headers = {"X-Forwarded-For": ", ".join(forwarded)}
    reply = await town.call("POST", "/auth/login", json=body, headers=headers, at=at)
    if reply.status == 429:
        problem = reply.refused("RATE_LIMITED")
        assert int(reply.headers["Retry-After"]) >= 1
        assert problem["details"]["retry_after_ms"] > 0
    return reply.status


async def test_a_hundred_guesses_at_passwords(strict: Town) -> None:
    """On all instances together; whoever writes an address differently, or others before it, is still the same."""
    address = next(ADDRESSES)
    guesses = [await _login(strict, number % 2, address) for number in range(110)]
    assert Counter(guesses) == {401: 100, 429: 10} or guesses.count(401) == 101
    spellings = [(f"{address}:4711",), (f"::ffff:{address}",), (f"[::ffff:{address}]:1",), (next(ADDRESSES), address)]
    spellings += [("127.0.0.1", address), (f" {address} ",), ("unknown", address), ("x" * 5_000, address)]
    spellings += [(address, "127.0.0.1"), (address, "::1"), (address, "127.8.9.10")]
    for spelling in spellings:
        assert await _login(strict, 0, *spelling) == 429, spelling
    assert await _login(strict, 0, next(ADDRESSES)) == 401
    # of IPv6 the network counts, whose owner has all of its addresses
    guesses = [await _login(strict, 0, f"2001:db8:7:7::{number:x}") for number in range(1, 111)]
    assert guesses.count(429) >= 9
    assert await _login(strict, 1, "2001:0DB8:0007:0007:ffff::") == 429
    assert await _login(strict, 1, "2001:db8:7:8::1") == 401


async def test_sockets_opened_again_and_again(strict: Town) -> None:
    """Refused for that address alone, before anything is kept of them."""
    address = next(ADDRESSES)

    async def opened(transport: str, forwarded: str) -> int:
        headers = {"X-Forwarded-For": forwarded}
        if transport == "websocket":
            headers |= {
                "Upgrade": "websocket",
                "Connection": "Upgrade",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
            }
        query = {"EIO": "4", "transport": transport}
        async with strict.http.get(f"{strict.urls[0]}/socket.io/", params=query, headers=headers) as answer:
            if answer.status == 429:
                assert int(answer.headers["Retry-After"]) >= 1
            return answer.status

    async with neighbours(strict):
        statuses = [await opened("polling", address) for _ in range(300)]
        assert set(statuses) == {200, 429}
        assert 200 <= statuses.count(200) < 220
        assert await opened("websocket", address) == 429
        assert await opened("polling", next(ADDRESSES)) == 200
