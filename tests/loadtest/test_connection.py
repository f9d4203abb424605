"""The client of the load against a server that keeps its promises, or breaks them, on demand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import gevent
import orjson
import pytest
from aiohttp import WSMsgType, web

from loadtest.wire.connection import Connection
from loadtest.wire.follow import Fault
from loadtest.wire.listener import Ack
from loadtest.wire.polling import Polling
from loadtest.wire.transport import Lost, Transport
from loadtest.wire.websocket import WebSocket

STREAM = "auction:one"
OPENING = '0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'


@dataclass
class Server:
    """Speaks just enough Socket.IO. `script`: what each connection is sent after its subscription, as lists of seqs.

    An empty list ends the connection. `rude`: goes on with events after `unsubscribe`. `asked` are the bodies of all subscriptions.
    """

    script: list[list[list[int]]] = field(default_factory=list)
    refuses: str = ""
    rude: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if request.query["transport"] != "websocket":
            return web.Response(status=400)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(OPENING)
        sends = self.script.pop(0) if self.script else []
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                break
            await self._answer(socket, message.data, sends)
        return socket

    async def _answer(self, socket: web.WebSocketResponse, packet: str, sends: list[list[int]]) -> None:
        if packet.startswith("40"):
            await socket.send_str(
                f'44/bidding,{{"message":"{self.refuses}"}}' if self.refuses else '40/bidding,{"sid":"x"}'
            )
            return
        if not packet.startswith("42"):
            return
        head, _, rest = packet.partition("[")
        event, body = orjson.loads(f"[{rest}")
        number = head.removeprefix("42/bidding,")
        if event == "mute":
            return
        if event == "subscribe":
            self.asked.append(body)
            seq = body.get("after", 10)
            await socket.send_str(f"43/bidding,{number}{orjson.dumps([_subscribed(body, seq)]).decode()}")
            for seqs in sends:
                if not seqs:
                    await socket.close()
                    return
                await _tell(socket, seqs)
            return
        await socket.send_str(f'43/bidding,{number}[{{"ok":true}}]')
        if event == "unsubscribe" and self.rude:
            await _tell(socket, [11])


async def _tell(socket: web.WebSocketResponse, seqs: list[int]) -> None:
    told = {"stream": STREAM, "events": [_event(seq) for seq in seqs], "seq": seqs[-1]}
    await socket.send_str(f"42/bidding,{orjson.dumps(['events', told]).decode()}")


def _event(seq: int) -> dict[str, Any]:
    return {"seq": seq, "type": "bid", "t": "2026-11-21T10:00:00.000Z"}


def _subscribed(body: dict[str, Any], seq: int) -> dict[str, Any]:
    return {"ok": True, "stream": body["stream"], "seq": seq, "state": {}, "events": [], "more": False}


@dataclass
class Ears:
    """A listener that keeps everything."""

    told: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    events: list[int] = field(default_factory=list)

    def opened(self, ms: float, again: bool) -> None:
        self.told.append("reconnected" if again else "connected")

    def closed(self) -> None:
        self.told.append("closed")

    def broken(self, what: str, ms: float, reason: str) -> None:
        self.told.append(f"broken: {what}")

    def turned_away(self, ms: float, reason: str) -> None:
        self.told.append(f"turned away: {reason}")

    def answered(self, name: str, ack: Ack) -> None:
        self.told.append(name)

    def delivered(self, namespace: str, events: list[dict[str, Any]], size: int) -> None:
        self.events += [event["seq"] for event in events]

    def fault(self, namespace: str, fault: Fault) -> None:
        self.faults.append(fault)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """On a port of its own."""
    server = Server()
    app = web.Application()
    app.router.add_route("*", "/socket.io/", server.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


async def in_gevent(
    server: Server, play: Callable[[Connection, Ears], None], reach: Callable[[str], Transport] = WebSocket
) -> Ears:
    """Let a connection to the server play its part, in a thread whose event loop is gevent's."""
    ears = Ears()

    def run() -> None:
        connection = Connection(lambda: reach(server.url), dict, ["/bidding"], ears, lambda *_: None)
        try:
            with gevent.Timeout(20):
                play(connection, ears)
        finally:
            connection.close()
            gevent.get_hub().destroy()

    await asyncio.to_thread(run)
    return ears


def until(condition: Callable[[], bool]) -> None:
    while not condition():
        gevent.sleep(0.01)


async def test_what_is_dense_is_fine(server: Server) -> None:
    server.script = [[[11], [12, 13]]]

    def play(connection: Connection, ears: Ears) -> None:
        connection.start()
        assert connection.follow("/bidding", STREAM).code == ""
        assert connection.call("/bidding", "bid", {}).body == {"ok": True}
        until(lambda: len(ears.events) == 3)

    ears = await in_gevent(server, play)
    assert ears.told == ["connected", "/bidding subscribe", "/bidding bid", "closed"]
    assert (ears.events, ears.faults) == ([11, 12, 13], [])


@pytest.mark.parametrize(("seqs", "kind"), [([11, 13], "gap"), ([11, 11], "repeat")])
async def test_broken_promises_are_told(server: Server, seqs: list[int], kind: str) -> None:
    server.script = [[seqs]]

    def play(connection: Connection, ears: Ears) -> None:
        connection.start()
        connection.follow("/bidding", STREAM)
        until(lambda: len(ears.events) == 2)

    ears = await in_gevent(server, play)
    assert [fault.kind for fault in ears.faults] == [kind]


async def test_events_of_a_stream_that_is_not_watched_any_more_are_told(server: Server) -> None:
    server.rude = True

    def play(connection: Connection, ears: Ears) -> None:
        connection.start()
        connection.follow("/bidding", STREAM)
        connection.unfollow("/bidding", STREAM)
        until(lambda: bool(ears.events))

    assert [fault.kind for fault in (await in_gevent(server, play)).faults] == ["stray"]


async def test_a_lost_connection_comes_back_and_resumes_from_the_last_event(server: Server) -> None:
    server.script = [[[11, 12], []], [[13]]]

    def play(connection: Connection, ears: Ears) -> None:
        connection.start()
        connection.follow("/bidding", STREAM)
        until(lambda: ears.events == [11, 12, 13])

    ears = await in_gevent(server, play)
    assert [asked.get("after") for asked in server.asked] == [None, 12]
    assert ears.faults == []
    assert [told for told in ears.told if not told.startswith("/")] == [
        "connected", "closed", "broken: connection", "reconnected", "closed",
    ]  # fmt: skip


async def test_what_one_drops_oneself_is_no_failure(server: Server) -> None:
    def play(connection: Connection, ears: Ears) -> None:
        connection.start()
        connection.follow("/bidding", STREAM)
        connection.drop()
        until(lambda: "reconnected" in ears.told)
        assert connection.call("/bidding", "bid", {}).code == ""

    ears = await in_gevent(server, play)
    assert not [told for told in ears.told if told.startswith("broken")]
    assert len(server.asked) == 2


async def test_a_command_is_told_that_its_connection_was_lost(server: Server) -> None:
    def play(connection: Connection, ears: Ears) -> None:
        connection.start()
        gevent.spawn_later(0.1, connection.drop)
        with pytest.raises(Lost):
            connection.call("/bidding", "mute", {})

    await in_gevent(server, play)


async def test_who_is_not_known_does_not_come_again(server: Server) -> None:
    server.refuses = "UNAUTHENTICATED"

    def play(connection: Connection, ears: Ears) -> None:
        with pytest.raises(Lost, match="UNAUTHENTICATED"):
            connection.start()
        assert connection.refused == "UNAUTHENTICATED"

    assert (await in_gevent(server, play)).told == ["turned away: UNAUTHENTICATED"]


async def test_a_server_that_is_not_there_is_told(server: Server) -> None:
    def play(connection: Connection, ears: Ears) -> None:
        with pytest.raises(Lost, match="not open in time"):
            connection.start(patience_s=0.2)

    def reach(url: str) -> Transport:
        return Polling(url)  # the server refuses polling

    ears = await in_gevent(server, play, reach)
    assert set(ears.told) == {"broken: connect"}
