"""Engine.IO v4, on the raw echo and below Socket.IO: the ground of the official suite, and what it does not look at.

Pings are 25 s apart but for the heartbeat's own tests, so a session that is closed is closed for what it was sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import orjson
import pytest

from tests.conformance.conftest import Harness
from tests.server.realtime import raw
from tests.server.realtime.raw import raw_socket, text
from tests.server.realtime.wire import Wire
from tests.waiting import until

PATHS: Final = ("engine.io/", "socket.io/")
LIMIT: Final = 1_000_000

paths = pytest.mark.parametrize("path", PATHS)
ways = pytest.mark.parametrize("way", ["websocket", "polling"])


@asynccontextmanager
async def echo(harness: Harness, way: str = "polling") -> AsyncIterator[Wire]:
    """A session of the raw echo; `upgraded` began with polling."""
    async with Wire(harness.url, "polling" if way == "upgraded" else way, path="engine.io/") as wire:
        if way == "upgraded":
            await wire.upgrade()
        yield wire


async def closed(wire: Wire) -> None:
    """A polling session is gone: neither GET nor POST find it."""
    async with wire._http.get(wire.endpoint.with_query(wire.query())) as response:
        assert response.status == 400
        assert await response.json() == {"code": 1, "message": "Session ID unknown"}
    assert (await wire.post("4hello"))[0] == 400


# handshake


@paths
@ways
async def test_handshake(harness: Harness, path: str, way: str) -> None:
    async with Wire(harness.url, way, path=path) as one, Wire(harness.url, way, path=path) as other:
        sid = one.opening.pop("sid")
        assert isinstance(sid, str)
        assert sid != other.opening["sid"]
        assert one.opening == {
            "upgrades": ["websocket"] if way == "polling" else [],
            "pingInterval": 25_000,
            "pingTimeout": 20_000,
            "maxPayload": LIMIT,
        }


async def test_form_of_answers_over_polling(harness: Harness, http: aiohttp.ClientSession) -> None:
    endpoint = f"{harness.url}/engine.io/?EIO=4&transport=polling"
    headers = {"Origin": "https://anywhere.example"}
    async with http.get(endpoint, headers=headers) as response:
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert response.headers["Access-Control-Allow-Origin"] in {"*", "https://anywhere.example"}
        assert "no-store" in response.headers["Cache-Control"]
        sid = orjson.loads((await response.text())[1:])["sid"]
    async with http.post(f"{endpoint}&sid={sid}&t=abc", data="4é", headers=headers) as response:
        assert (response.status, await response.text()) == (200, "ok")
        assert response.headers["Access-Control-Allow-Origin"] in {"*", "https://anywhere.example"}
    async with http.get(f"{endpoint}&sid={sid}&t=abd") as response:
        assert await response.read() == "4é".encode()


QUERIES: Final = {
    "": 0,
    "EIO=4": 0,
    "EIO=4&transport=": 0,
    "EIO=4&transport=abc": 0,
    "EIO=4&transport=Polling": 0,
    "transport={way}": 5,
    "EIO=&transport={way}": 5,
    "EIO=abc&transport={way}": 5,
    "EIO=3&transport={way}": 5,
    "EIO=4.0&transport={way}": 5,
    "EIO=4&transport={way}&sid=": 1,
    "EIO=4&transport={way}&sid=unknown": 1,
}


@paths
@ways
@pytest.mark.parametrize("query", QUERIES)
async def test_handshakes_that_are_refused(
    harness: Harness, http: aiohttp.ClientSession, path: str, way: str, query: str
) -> None:
    url = f"{harness.url}/{path}?{query.format(way=way)}"
    if way == "websocket":
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(url)
        assert refused.value.status == 400
    else:
        async with http.get(url) as response:
            assert response.status == 400
            assert (await response.json())["code"] == QUERIES[query]
    await harness.empty()


@paths
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD"])
async def test_methods_that_open_nothing(harness: Harness, http: aiohttp.ClientSession, path: str, method: str) -> None:
    async with http.request(method, f"{harness.url}/{path}?EIO=4&transport=polling") as response:
        assert response.status == 400
    await harness.empty()


# messages


PAYLOADS: Final = {
    "one": ["4hello"],
    "empty": ["4"],
    "several": ["4test1", "4test2", "4test3"],
    "binary": ["bAQIDBA=="],
    "text and binary": ["4hello", "bAQIDBA==", "4", "b", "4é日\U0001f600", "bAA=="],
    "what looks like packets": ["41", "42", "43probe", "4b", "4[]"],
    "a hundred": [f"4{number}" if number % 3 else "bAA==" for number in range(100)],
    "a thousand": [f"4{number}" for number in range(1_000)],
}


@pytest.mark.parametrize("packets", PAYLOADS.values(), ids=PAYLOADS.keys())
async def test_payloads_come_back_as_one(harness: Harness, packets: list[str]) -> None:
    async with echo(harness) as wire:
        assert await wire.post("\x1e".join(packets)) == (200, "ok")
        assert await wire.get() == packets


@pytest.mark.parametrize("way", ["websocket", "polling", "upgraded"])
async def test_text_and_binary_keep_their_order(harness: Harness, way: str) -> None:
    sent: list[Any] = ["4a", b"\x00", "4b", b"", b"4", "4", bytes(range(256)), "4\x1f"]
    async with echo(harness, way) as wire:
        for packet in sent:
            await wire.send(packet)
        assert [await wire.receive() for _ in sent] == sent


BODIES: Final = {
    "text": "4" + "x" * 900_000,
    "up to the limit": "4" + "x" * (LIMIT - 1),
    "characters of several bytes": "4" + "é日\U0001f600" * 100_000,
    "binary": "b" + "A" * 900_000,
    "many packets": "\x1e".join(["4" + "y" * 99] * 9_000),
}


@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "chunked"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_posts_of_900_kilobytes(harness: Harness, body: str, chunked: bool) -> None:
    data = body.encode()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(data), 50_021):  # amid characters, too
            yield data[start : start + 50_021]

    async with echo(harness) as wire:
        endpoint = wire.endpoint.with_query(wire.query())
        async with wire._http.post(endpoint, data=pieces() if chunked else data) as response:
            assert (response.status, await response.text()) == (200, "ok")
        assert "\x1e".join(await wire.get()) == body


async def test_bodies_byte_by_byte(harness: Harness) -> None:
    """The end of a segment may be anywhere, within a character as within the separator's neighbours."""
    body = "4é\x1ebAQ==\x1e4日".encode()
    async with echo(harness) as wire, raw.dial(harness.url) as (reader, writer):
        path = wire.endpoint.with_query(wire.query()).raw_path_qs
        writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        for index in range(len(body)):
            writer.write(body[index : index + 1])
            await asyncio.sleep(0.001)
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200 ")
        assert "\x1e".join(await wire.get()).encode() == body


MALFORMED: Final = {
    "unknown type": "abc",
    "number beyond the types": "7",
    "empty": "",
    "only a separator": "\x1e",
    "an empty packet among others": "4a\x1e\x1e4b",
    "separator at the end": "4a\x1e",
    "separator at the beginning": "\x1e4a",
    "a good packet, then none": "4a\x1eabc",
    "open": "0{}",
    "ping": "2",
    "upgrade": "5",
    "noop": "6",
    "no base64": "b!!!!",
    "base64 without padding": "bAQI",
    "base64 with too much padding": "bAQ===",
    "base64 of another alphabet": "b__8=",
    "base64 of other letters": "bAQIDé===",
    "base64 with a line break": "bAQ\n==",
    "form of JSONP": "d=4a",
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
async def test_malformed_payloads_close_the_session(harness: Harness, body: str) -> None:
    async with echo(harness) as wire:
        assert (await wire.post(body))[0] == 400
        await closed(wire)


@pytest.mark.parametrize("body", [b"4\xff", b"4\xc3", b"4\xed\xa0\x80", b"\xff4"])
async def test_payloads_that_are_no_text_close_the_session(harness: Harness, body: bytes) -> None:
    async with echo(harness) as wire:
        assert (await wire.post(body))[0] == 400
        await closed(wire)


@pytest.mark.parametrize("packet", ["abc", "", "7", "0", "2", "5", "6", "b", "bAQIDBA=="])
@pytest.mark.parametrize("way", ["websocket", "upgraded"])
async def test_malformed_packets_close_the_websocket(harness: Harness, packet: str, way: str) -> None:
    """Base64 is polling's alone."""
    async with echo(harness, way) as wire, echo(harness, "websocket") as neighbour:
        await wire.send(packet)
        await wire.closing()
        await neighbour.send("4hello")
        assert await neighbour.receive() == "4hello"


async def test_a_malformed_payload_answers_a_waiting_poll(harness: Harness) -> None:
    async with echo(harness) as wire:
        poll = await waiting(harness, wire)
        assert (await wire.post("abc"))[0] == 400
        assert await poll == ["1"]
        await closed(wire)


async def waiting(harness: Harness, wire: Wire) -> asyncio.Task[list[str]]:
    """A poll that the server holds."""
    poll = asyncio.ensure_future(wire.get())
    session = harness.served.echo.sockets[wire.opening["sid"]]
    await until(lambda: session._poller is not None)
    return poll


@paths
async def test_a_second_poll_closes_the_session(harness: Harness, path: str) -> None:
    async with Wire(harness.url, "polling", path=path) as wire:
        endpoint = wire.endpoint.with_query(wire.query())

        async def get() -> tuple[int, str]:
            async with wire._http.get(endpoint) as response:
                return response.status, await response.text()

        answers = await asyncio.gather(get(), get())
        assert (200, "1") in answers
        assert 400 in {status for status, _ in answers}
        await closed(wire)


async def test_a_poll_that_is_given_up_closes_the_session(harness: Harness) -> None:
    """Whoever gave up will not know what the answer held, so nothing may be answered to it and be lost."""
    for _ in range(5):
        async with echo(harness) as wire:
            async with raw.dial(harness.url) as (_, writer):
                path = wire.endpoint.with_query(wire.query()).raw_path_qs
                writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                session = harness.served.echo.sockets[wire.opening["sid"]]
                await until(lambda session=session: session._poller is not None)  # type: ignore[misc]
            await until(lambda session=session: session.closed)  # type: ignore[misc]
            await closed(wire)


async def test_a_poll_that_is_given_up_at_once_loses_nothing(harness: Harness) -> None:
    """The server may never have begun with it; then the session goes on as if it had not been sent."""
    for _ in range(20):
        async with echo(harness) as wire:
            async with raw.dial(harness.url) as (_, writer):
                path = wire.endpoint.with_query(wire.query()).raw_path_qs
                writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                writer.write_eof()
                writer.close()
            if (await wire.post("4hello"))[0] == 200:
                assert await wire.get() == ["4hello"]
            else:
                await closed(wire)


# heartbeat


@paths
async def test_heartbeat_over_polling(patient: Harness, path: str) -> None:
    async with Wire(patient.url, "polling", path=path) as wire:
        for _ in range(3):
            assert await wire.get() == ["2"]
            assert await wire.post("3") == (200, "ok")


@paths
async def test_heartbeat_over_websocket(patient: Harness, path: str) -> None:
    async with raw_socket(patient.url, f"/{path}") as client:
        await client.message()
        for _ in range(3):
            assert await client.message() == "2"
            await client.write(text("3"))


@paths
@ways
async def test_a_ping_without_an_answer_closes(quick: Harness, path: str, way: str) -> None:
    async with Wire(quick.url, way, path=path) as wire:
        assert await wire._fetch() == ["2"]
        await quick.empty()
        if way == "polling":
            await closed(wire)
        else:
            await wire.closing()


async def test_messages_are_no_answer_to_a_ping(quick: Harness) -> None:
    async with raw_socket(quick.url, "/engine.io/") as client:
        await client.message()
        while (message := await client.message()) != "2":
            assert message == "4x"
        await client.write(text("4x"), raw.frame(raw.PONG, b""))
        assert await client.closing() == 1000


async def test_pongs_that_nobody_asked_for_change_nothing(harness: Harness) -> None:
    for way in ("websocket", "polling"):
        async with echo(harness, way) as wire:
            for packet in ("3", "3probe", "3", "4still here"):
                await wire.send(packet)
            assert await wire.receive() == "4still here"


# close


@paths
async def test_close_over_polling(harness: Harness, path: str) -> None:
    async with Wire(harness.url, "polling", path=path) as wire:
        poll = asyncio.ensure_future(wire.get())
        await asyncio.sleep(0)
        assert await wire.post("1") == (200, "ok")
        assert (await asyncio.gather(poll, return_exceptions=True))[0] in (["6"],)
        await closed(wire)
    await harness.empty()


async def test_close_among_other_packets(harness: Harness) -> None:
    async with echo(harness) as wire:
        poll = await waiting(harness, wire)
        assert await wire.post("4a\x1e1\x1e4b") == (200, "ok")
        assert (await poll)[0] == "4a"
        await closed(wire)


@paths
async def test_close_over_websocket(harness: Harness, path: str) -> None:
    async with raw_socket(harness.url, f"/{path}") as client:
        await client.message()
        await client.write(text("1"))
        assert await client.closing() == 1000
    await harness.empty()


# upgrade


async def test_upgrade(harness: Harness) -> None:
    async with echo(harness) as wire:
        poll = await waiting(harness, wire)
        async with raw_socket(harness.url, "/engine.io/", sid=wire.opening["sid"]) as client:
            await client.write(text("2probe"))
            assert await client.message() == "3probe"
            assert await poll == ["6"]
            assert await wire.get() == ["6"]  # those that come meanwhile are not held, either
            await wire.post("4by polling")
            await client.write(text("5"), text("4hello"))
            assert await client.message() == "4by polling"
            assert await client.message() == "4hello"
            await closed_to_polling(wire)
            await client.write(text("4still here"))
            assert await client.message() == "4still here"


async def closed_to_polling(wire: Wire) -> None:
    """The session has a WebSocket and is not to be had by polling."""
    for method in ("GET", "POST"):
        async with wire._http.request(method, wire.endpoint.with_query(wire.query()), data="4x") as response:
            assert response.status == 400


async def test_polling_finds_no_session_of_a_websocket(harness: Harness) -> None:
    async with echo(harness, "websocket") as wire:
        wire.transport = "polling"
        await closed_to_polling(wire)
        async with raw_socket(harness.url, "/engine.io/", sid=wire.opening["sid"]) as second:
            assert await second.closing() is not None
        await wire._socket.send_str("4still here")  # type: ignore[union-attr]
        assert await wire.receive() == "4still here"


async def test_websockets_for_an_upgraded_session_are_turned_away(harness: Harness) -> None:
    async with echo(harness, "upgraded") as wire:
        for behind in (b"", text("2probe"), text("2probe") + text("5") + text("4x")):
            async with raw_socket(harness.url, "/engine.io/", sid=wire.opening["sid"], behind=behind) as second:
                assert await second.closing() is not None
        await wire.send("4still here")
        assert await wire.receive() == "4still here"


STEPS: Final = {
    "nothing": b"",
    "part of a frame": text("2probe")[:3],
    "probe": text("2probe"),
    "probe and part of the end": text("2probe") + text("5")[:4],
}

WRONG_STEPS: Final = {
    "other probe": text("2hello"),
    "no probe": text("4hello"),
    "close": raw.close(),
    "probe and close": text("2probe") + raw.close(),
    "unmasked": text("2probe", mask=None),
    "binary": raw.frame(raw.BINARY, b"2probe"),
}


@pytest.mark.parametrize("how", ["reset", "end"])
@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())
async def test_probes_dropped_half_way(harness: Harness, step: bytes, how: str) -> None:
    """The session goes on by polling as if there had been none, nothing is lost, and the next upgrade succeeds."""
    async with echo(harness) as wire:
        async with probing(harness, wire, step) as client:
            await wire.post("4meanwhile")
            if how == "end":
                client.finish()
                await client.ended()
        await goes_on(harness, wire)


@pytest.mark.parametrize("step", WRONG_STEPS.values(), ids=WRONG_STEPS.keys())
async def test_wrong_probes_are_closed(harness: Harness, step: bytes) -> None:
    """By the server, and the session goes on just the same."""
    async with echo(harness) as wire:
        async with probing(harness, wire, step) as client:
            await wire.post("4meanwhile")
            assert await client.closing() in {1000, 1002}
        await goes_on(harness, wire)


@asynccontextmanager
async def probing(harness: Harness, wire: Wire, step: bytes) -> AsyncIterator[raw.RawSocket]:
    """A WebSocket for a session that has polled, up to some step; its probe, if it is one, was answered."""
    async with raw_socket(harness.url, "/engine.io/", sid=wire.opening["sid"], behind=step) as client:
        if step.startswith(text("2probe")):
            assert await client.message() == "3probe"
        yield client


async def goes_on(harness: Harness, wire: Wire) -> None:
    """What was sent meanwhile is there, and the next upgrade succeeds."""
    session = harness.served.echo.sockets[wire.opening["sid"]]
    await until(lambda: not session.upgrading)
    assert await wire.get() == ["4meanwhile"]
    await wire.upgrade()
    await wire.send("4still here")
    assert await wire.receive() == "4still here"


async def test_a_whole_upgrade_in_one_segment(harness: Harness) -> None:
    async with echo(harness) as wire:
        await wire.post("4before")
        sent = text("2probe") + text("5") + text("4hello")
        async with raw_socket(harness.url, "/engine.io/", sid=wire.opening["sid"], behind=sent) as client:
            assert [await client.message() for _ in range(3)] == ["3probe", "4before", "4hello"]


async def test_healthz_names_what_is_in_use(harness: Harness, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{harness.url}/healthz") as response:
        assert response.status == 200
        assert await response.json() == {
            "status": "ok",
            "server": "server.realtime.engine",
            "session": "server.realtime.session",
            "json": "orjson",
        }
