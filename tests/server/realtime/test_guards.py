"""What hostile or broken clients send: it ends their own connection or is answered, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
from collections.abc import Iterator

import pytest
import structlog
from aiohttp import ClientSession

from server.realtime.metrics import SLOW_CLIENTS
from server.realtime.peer import BACKLOG
from tests.server.realtime.conftest import Market, Open
from tests.server.realtime.wire import SEPARATOR, Closed, Wire
from tests.waiting import until

DEEP = "[" * 2_000 + "]" * 2_000

MALFORMED = {
    "no packet type": "4abc",
    "nothing": "4",
    "object for an event": "42/market,{}",
    "event without a name": "42/market,[]",
    "number for a name": "42/market,[7]",
    "reserved name": '42/market,["disconnect"]',
    "cut JSON": '42/market,["add",{"n":1}',
    "letters for an ack number": '42/market,abc["add",{}]',
    "endless ack number": "42/market," + "1" * 200 + '["add",{}]',
    "superscript ack number": '42/market,²["add",{}]',
    "too large for a float": '42/market,["add",{"n":1e400}]',
    "not a number": '42/market,["add",{"n":NaN}]',
    "infinity": '42/market,["add",{"n":Infinity}]',
    "nesting bomb": f'42/market,["add",{DEEP}]',
    "attachments on a plain event": '421-/market,["add",{}]',
    "too many attachments": '4517-/market,["add",{}]',
    "absurdly many attachments": '4599999999999-/market,["add",{}]',
    "text for auth": '40/members,"token"',
    "list for auth": "40/members,[1]",
    "another's namespace": '42/members,["note",{}]',
    "data with a disconnect": "41/market,{}",
    "connect error from a client": '44/market,{"message":"no"}',
    "unknown packet type": '47/market,["add"]',
    "engine.io open": "0{}",
    "engine.io ping": "2",
    "late upgrade": "5",
    "unknown engine.io type": "9",
    "not engine.io": "abc",
}


@pytest.fixture
def quiet_log() -> Iterator[None]:
    """Fails when anything is logged as an error: a client's mistake is none of ours."""
    with structlog.testing.capture_logs() as entries:
        yield
    assert [entry for entry in entries if entry["log_level"] in {"error", "critical"} or "exc_info" in entry] == []


@pytest.mark.parametrize("way", ["websocket", "polling"])
@pytest.mark.parametrize("field", [r'"\ud800"', r'"a\uDC00b"', r'{"\udbff": 1}', r'["\udc00\ud800"]'])
async def test_half_a_character_is_refused_and_no_more(market: Market, field: str, way: str) -> None:
    wire = await market.member(way)
    await wire.send(f'42/market,7["add",{{"stream":"tally:a","n":1,"note":{field}}}]')
    answer = await wire.ack(7)
    assert answer["error"]["code"] == "VALIDATION_FAILED"
    assert (await wire.command("sync_time", {"t0": 1}))["ok"]


@pytest.mark.parametrize("packet", MALFORMED.values(), ids=MALFORMED.keys())
@pytest.mark.parametrize("way", ["websocket", "polling"])
async def test_malformed_packet_ends_that_connection(market: Market, quiet_log: None, packet: str, way: str) -> None:
    neighbour = await market.member()
    await neighbour.start("sync_time", {"t0": 1})
    wire = await market.member(way)
    if way == "websocket":
        await wire.send(packet)
        await wire.closing()
    else:
        status, _ = await wire.post(packet)
        assert status in {200, 400}
        with pytest.raises(Closed):
            await wire.get()
    assert (await neighbour.ack(1))["ok"]
    assert (await neighbour.command("sync_time", {"t0": 1}))["ok"]
    assert market.sockets.open_transports == 1


@pytest.mark.parametrize("data", [b"", b"\x04\x00", b"\xff" * 100])
async def test_unexpected_binary_ends_that_connection(market: Market, quiet_log: None, data: bytes) -> None:
    wire = await market.member()
    await wire.send(data)
    await wire.closing()


async def test_text_that_is_not_utf8_ends_that_connection(market: Market, quiet_log: None) -> None:
    polling = await market.member("polling")
    assert (await polling.post(b'42/market,["\xff"]'))[0] == 400
    assert (await (await market.member("polling")).post("b*not base64*"))[0] == 400
    websocket = await market.member()
    assert websocket._socket is not None
    await websocket._socket.send_frame(b'42/market,["\xff"]', 1)
    await websocket.closing()


@pytest.mark.parametrize("way", ["websocket", "polling"])
async def test_binary_attachments_are_answered(market: Market, quiet_log: None, way: str) -> None:
    wire = await market.member(way)
    head = '452-/market,7["add",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'
    if way == "websocket":
        for part in (head, b"\x01", b"\x02"):
            await wire.send(part)
    else:
        assert await wire.post(f"{head}\x1ebAQ==\x1ebAg==") == (200, "ok")
    answer = await wire.ack(7)
    assert answer["error"]["code"] == "VALIDATION_FAILED"
    assert (await wire.command("sync_time", {"t0": 1}))["ok"]


async def test_missing_attachment_ends_the_connection(market: Market, quiet_log: None) -> None:
    wire = await market.member()
    await wire.send('451-/market,7["add",{"_placeholder":true,"num":0}]')
    await wire.send('42/market,8["note",{}]')
    await wire.closing()


async def test_acks_nobody_asked_for_are_ignored(market: Market, quiet_log: None) -> None:
    wire = await market.member()
    await wire.send('43/market,5["late"]')
    await wire.send('461-/market,5[{"_placeholder":true,"num":0}]')
    await wire.send(b"\x01")
    assert (await wire.command("sync_time", {"t0": 1}))["ok"]


async def test_frame_beyond_the_limit_closes(market: Market, quiet_log: None) -> None:
    wire = await market.member()
    body = '42/market,1["add",{"stream":"' + "a" * 999_000 + '","n":1}]'
    await wire.send(body[:1_000] + "a" * (1_000_000 - len(body)) + body[1_000:])  # exactly the limit
    assert (await wire.ack(1))["error"]["code"] == "NOT_FOUND"
    with contextlib.suppress(Closed):  # it may be closed before all is sent
        await wire.send("4" + "x" * 1_100_000)
    await wire.closing()


async def test_large_body_is_read_to_its_end(market: Market, quiet_log: None) -> None:
    wire = await market.member("polling")
    padding = "x" * 900_000
    packet = f'42/market,1["add",{{"padding":"{padding}","stream":"tally:a","n":7}}]'
    assert await wire.post(packet) == (200, "ok")
    assert await wire.ack(1) == {"ok": True, "seq": 1, "total": 7}


@pytest.mark.parametrize("chunked", [False, True])
async def test_body_beyond_the_limit_is_refused(market: Market, quiet_log: None, chunked: bool) -> None:
    wire = await market.member("polling")

    async def pieces():  # type: ignore[no-untyped-def]
        for _ in range(12):
            yield b"4" * 100_000

    body = pieces() if chunked else io.BytesIO(b"4" * 1_200_000)
    with contextlib.suppress(ConnectionError):  # it may be refused before all is sent
        async with ClientSession() as http, http.post(wire.endpoint.with_query(wire.query()), data=body) as response:
            assert response.status == 413
    await until(lambda: market.sockets.open_transports == 0)


async def test_many_packets_in_one_payload(market: Market) -> None:
    wire = await market.member("polling")
    payload = "\x1e".join(f'42/market,{number}["add",{{"stream":"tally:a","n":1}}]' for number in range(1, 101))
    assert await wire.post(payload) == (200, "ok")
    totals = [(await wire.ack(number))["total"] for number in range(1, 101)]
    assert totals == list(range(1, 101))


async def test_flood_of_one_client_lets_others_have_a_turn(market: Market) -> None:
    hog = await market.member("polling", auth={"token": market.token("hog", "s1")})
    neighbour = await market.member(auth={"token": market.token("ann", "s2")})
    flood = asyncio.ensure_future(hog.post("\x1e".join(['42/market,["note",{}]'] * 5_000)))
    await until(lambda: market.log, pause_s=0)
    assert (await neighbour.command("note", {}))["ok"]
    assert len(market.log) < 5_001
    assert await flood == (200, "ok")


async def test_payload_of_absurdly_many_packets_is_refused(market: Market, quiet_log: None) -> None:
    wire = await market.member("polling")
    assert (await wire.post("\x1e".join("3" * 20_000)))[0] == 400


async def test_second_poll_closes_the_session(market: Market, quiet_log: None) -> None:
    wire = await market.member("polling")
    first = asyncio.ensure_future(wire.get())
    await until(lambda: market.sockets._peers[wire.opening["sid"]].session._poller is not None)
    with pytest.raises(Closed):
        await wire.get()
    assert await first == ["1"]
    with pytest.raises(Closed):
        await wire.get()


async def test_second_post_closes_the_session(market: Market, quiet_log: None) -> None:
    wire = await market.member("polling")
    # The first is under way while the client has more in the queue than is read from it.
    first = asyncio.ensure_future(wire.post(SEPARATOR.join(['42/market,1["wait",{}]'] * (BACKLOG + 2))))
    await until(lambda: market.sockets._peers[wire.opening["sid"]].session.held)
    assert (await wire.post("3"))[0] == 400
    market.hold.set()
    await first
    assert market.sockets.open_transports == 0


@pytest.mark.parametrize(
    ("method", "query", "code"),
    [
        ("GET", "EIO=4", 0),
        ("GET", "EIO=4&transport=carrier-pigeon", 0),
        ("GET", "EIO=4&transport=polling&j=1", 0),
        ("GET", "EIO=4&transport=polling&sid=unknown", 1),
        ("POST", "EIO=4&transport=polling&sid=unknown", 1),
        ("POST", "EIO=4&transport=polling", 2),
        ("PUT", "EIO=4&transport=polling", 2),
        ("DELETE", "EIO=4&transport=polling", 2),
        ("GET", "EIO=4&transport=websocket", 3),
        ("GET", "EIO=3&transport=polling", 5),
        ("GET", "transport=polling", 5),
    ],
)
async def test_impossible_requests_are_refused(
    market: Market, quiet_log: None, method: str, query: str, code: int
) -> None:
    async with ClientSession() as http, http.request(method, f"{market.url}/socket.io/?{query}") as response:
        assert response.status == 400
        assert (await response.json())["code"] == code
    assert market.sockets.open_transports == 0


async def test_wrong_method_on_a_session(market: Market, quiet_log: None) -> None:
    wire = await market.member("polling")
    async with ClientSession() as http, http.put(wire.endpoint.with_query(wire.query())) as response:
        assert response.status == 400


# upgrades


async def test_dropped_probe_leaves_the_session_on_polling(market: Market) -> None:
    wire = await market.member("polling")
    probe = await wire.probe()
    await probe.close()
    await until(lambda: not market.sockets._peers[wire.opening["sid"]].session.upgrading)
    assert (await wire.command("sync_time", {"t0": 1}))["ok"]
    await wire.upgrade()
    assert (await wire.command("sync_time", {"t0": 1}))["ok"]


@pytest.mark.parametrize("step", ["first", "second"])
async def test_wrong_probe_leaves_the_session_on_polling(market: Market, step: str) -> None:
    wire = await market.member("polling")
    if step == "first":
        socket_ = await wire._http.ws_connect(wire.endpoint.with_query(wire.query(transport="websocket")))
        await socket_.send_str("2hello")
    else:
        socket_ = await wire.probe()
        await socket_.send_str('42/market,["note",{}]')
    await socket_.receive()
    assert socket_.closed
    assert (await wire.command("sync_time", {"t0": 1}))["ok"]


async def test_stalled_probe_is_given_up(market: Market) -> None:
    market.sockets._server.eio.upgrades.delay_s = 0.05
    wire = await market.member("polling")
    stalled = await wire.probe()
    await stalled.receive()
    assert stalled.closed
    assert (await wire.command("sync_time", {"t0": 1}))["ok"]


async def test_second_websocket_is_turned_away(market: Market) -> None:
    wire = await market.member("polling")
    probing = await wire.probe()
    during = await wire._http.ws_connect(wire.endpoint.with_query(wire.query(transport="websocket")))
    await during.receive()
    assert during.closed
    await probing.send_str("5")
    await until(lambda: market.sockets._peers[wire.opening["sid"]].session.upgraded)
    after = await wire._http.ws_connect(wire.endpoint.with_query(wire.query(transport="websocket")))
    await after.receive()
    assert after.closed
    with pytest.raises(Closed):
        await wire.get()
    await probing.send_str('42/market,1["sync_time",{"t0":1}]')
    assert (await probing.receive()).data.startswith("43/market,1[")


async def test_nothing_is_lost_in_an_upgrade(market: Market) -> None:
    await market.add("tally:a")
    wire = await market.member("polling")
    await wire.command("subscribe", {"stream": "tally:a"})
    probe = await wire.probe()
    for _ in range(5):
        await market.add("tally:a")
    await probe.send_str("5")
    wire.transport, wire._socket = "websocket", probe
    seqs: list[int] = []
    while len(seqs) < 5:
        seqs += [event["seq"] for event in (await wire.event())["events"]]
    assert seqs == [2, 3, 4, 5, 6]


async def test_session_that_ends_during_its_upgrade(market: Market) -> None:
    wire = await market.member("polling", auth={"token": market.token()})
    probe = await wire.probe()
    market.sockets.close_session("s1")
    await probe.receive()
    assert probe.closed
    assert market.sockets.open_transports == 0


# origins


@pytest.mark.parametrize(
    ("settings", "origin", "allowed"),
    [
        ((), None, True),
        ((), "same", True),
        ((), "https://elsewhere.example", False),
        ((), "null", False),
        (("https://app.example",), "https://app.example", True),
        (("https://app.example",), "same", True),
        (("https://app.example",), "https://app.example.evil.example", False),
        (("*",), "https://anywhere.example", True),
    ],
)
@pytest.mark.parametrize("way", ["websocket", "polling"])
async def test_origins(
    open_market: Open, settings: tuple[str, ...], origin: str | None, allowed: bool, way: str
) -> None:
    market = await open_market(cors_origins=settings)
    headers = {} if origin is None else {"Origin": market.url if origin == "same" else origin}
    if allowed:
        wire = await market.wire(way, headers=headers)
        assert "sid" in await wire.connect()
    else:
        url = f"{market.url}/socket.io/?EIO=4&transport={way}"
        async with ClientSession(headers=headers) as http, http.get(url) as response:
            assert response.status == 403
            assert "Access-Control-Allow-Origin" not in response.headers
        assert market.sockets.open_transports == 0


@pytest.mark.parametrize(
    ("origin", "host", "forwarded", "trusted", "allowed"),
    [
        ("https://market.example", "market.example", None, True, True),
        ("https://market.example", "MARKET.example:443", None, True, True),
        ("http://market.example:80", "market.example", None, True, True),
        ("https://market.example:8443", "market.example:8443", None, True, True),
        ("https://market.example:8443", "market.example", None, True, False),
        ("https://market.example", "market.example:80", None, True, False),
        ("https://evil.example", "market.example", None, True, False),
        ("https://market.example", "web-1:8080", "market.example", True, True),
        ("https://market.example", "web-1:8080", "market.example", False, False),  # anybody may write that header
        ("https://evil.example", "market.example", "evil.example", False, False),
        ("https://evil.example", "web-1:8080", "evil.example, market.example", True, False),
        ("https://market.example", "web-1:8080", "evil.example, market.example", True, True),
        ("null", "", None, True, False),
        ("https://", "", None, True, False),
        ("", "", None, True, False),
        ("file://", "market.example", None, True, False),
        ("https://market.example/path", "market.example/path", None, True, False),
        ("https://market.example@evil.example", "market.example", None, True, False),
        ("ftp://market.example", "market.example", None, True, False),
    ],
)
async def test_the_origin_is_compared_with_where_the_request_was_sent(
    open_market: Open, origin: str, host: str, forwarded: str | None, trusted: bool, allowed: bool
) -> None:
    market = await open_market(trusted_proxies=("127.0.0.1/32",) if trusted else ())
    headers = {"Origin": origin, "Host": host} | ({"X-Forwarded-Host": forwarded} if forwarded else {})
    url = f"{market.url}/socket.io/?EIO=4&transport=polling"
    async with ClientSession(headers=headers) as http, http.get(url) as response:
        assert response.status == (200 if allowed else 403)


async def test_preflight(open_market: Open) -> None:
    market = await open_market(cors_origins=("https://app.example",))
    url = f"{market.url}/socket.io/?EIO=4&transport=polling"
    async with ClientSession(headers={"Origin": "https://app.example"}) as http, http.options(url) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == "https://app.example"
        assert "POST" in response.headers["Access-Control-Allow-Methods"]


# slow clients


async def test_slow_websocket_is_cut_off_and_others_are_served(open_market: Open) -> None:
    """A client that stops reading is aborted when its buffer is full; a neighbour gets every event meanwhile."""
    market = await open_market(edge={"outbound_limit": 20_000})
    await market.add("tally:a")
    slow, quick = await market.member(), await market.member()
    for wire in (slow, quick):
        await wire.command("subscribe", {"stream": "tally:a"})
    session = market.sockets._peers[slow.opening["sid"]].session
    assert session._transport is not None
    server_side = session._transport.get_extra_info("socket")
    server_side.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
    assert slow._socket is not None
    client_transport = slow._socket._writer.transport
    assert client_transport is not None
    client_transport.pause_reading()
    before = SLOW_CLIENTS._value.get()
    seen: list[int] = []
    while slow.opening["sid"] in market.sockets._peers:
        await market.add("tally:a")
        seen += [event["seq"] for event in (await quick.event())["events"]]
    assert SLOW_CLIENTS._value.get() == before + 1
    assert seen == list(range(2, len(seen) + 2))
    assert market.streams.hub.watchers("tally:a") == 1
    client_transport.resume_reading()


async def test_poller_that_never_polls_is_cut_off(open_market: Open) -> None:
    market = await open_market(edge={"outbound_limit": 2_000})
    await market.add("tally:a")
    wire = await market.member("polling")
    await wire.command("subscribe", {"stream": "tally:a"})
    while market.sockets.open_transports:
        await market.add("tally:a")
    with pytest.raises(Closed):
        await wire.get()
    assert market.streams.hub.watchers("tally:a") == 0


async def test_one_large_answer_is_no_reason_to_cut_off(open_market: Open) -> None:
    market = await open_market(edge={"outbound_limit": 2_000})
    await asyncio.gather(*(market.add("tally:a") for _ in range(500)))
    for way in ("websocket", "polling"):
        wire: Wire = await market.member(way)
        answer = await wire.command("subscribe", {"stream": "tally:a", "after": 0})
        assert len(answer["events"]) >= 500
        assert (await wire.command("sync_time", {"t0": 1}))["ok"]
