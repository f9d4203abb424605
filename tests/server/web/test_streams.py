"""Streams over plain HTTP: state, pages, long polls, Server-Sent Events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient

from models.rules.stream import Command
from server.auth.principal import Principal
from server.clock import new_id
from server.errors import AppError
from server.realtime.metrics import SLOW_CLIENTS
from server.realtime.sessions import LiveSessions
from server.settings import Settings
from server.streams.bus import MemoryBus
from server.streams.kinds import StreamKind
from server.streams.memory import MemoryEventStore
from server.streams.streams import Streams
from server.web.router import Router
from server.web.streams import StreamRoutes
from tests.server.streams.tally import TallyRules
from tests.server.web.conftest import Serve
from tests.waiting import until

EVENTS = "/api/v1/streams/tally:a/events"
SSE = {"Accept": "text/event-stream"}


async def everyone(principal: Principal | None, stream: str) -> None:
    return None


async def owner(principal: Principal | None, stream: str) -> None:
    if principal is None:
        raise AppError("UNAUTHENTICATED")
    if principal.id != stream.partition(":")[2]:
        raise AppError("FORBIDDEN")


async def view(principal: Principal | None, stream: str, state: Any) -> dict[str, Any]:
    return {"total": state.total}


class Reading:
    """A server with streams, and what belongs to it."""

    def __init__(self, streams: Streams, sessions: LiveSessions, parts: Any) -> None:
        self.streams = streams
        self.sessions = sessions
        self.parts = parts
        self.http: TestClient[Any, Any]
        self.routes = StreamRoutes(streams, sessions, parts.tokens, parts.clock, heartbeat_s=0.05, buffer_limit=20_000)

    async def add(self, stream: str = "tally:a", n: int = 1) -> None:
        await self.streams.append(stream, Command("add", "system", {"n": n}))

    def watchers(self, stream: str = "tally:a") -> int:
        return self.streams.hub.watchers(stream)

    @asynccontextmanager
    async def source(self, headers: dict[str, str] | None = None, **query: Any) -> AsyncIterator[ClientResponse]:
        async with self.http.get(EVENTS, params=query, headers=SSE | (headers or {})) as response:
            assert response.status == 200
            assert response.content_type == "text/event-stream"
            yield response


@pytest.fixture
async def reading(parts: Any, serve: Serve) -> AsyncIterator[Reading]:
    streams = Streams(MemoryEventStore(), MemoryBus(MemoryBus.Exchange()), parts.clock, Settings(), source=new_id())
    streams.register(StreamKind("tally", TallyRules(), authorise=everyone, view=view))
    streams.register(StreamKind("own", TallyRules(), authorise=owner, view=view))
    streams.register(StreamKind("hidden", TallyRules()))
    await streams.start()
    made = Reading(streams, LiveSessions(), parts)
    router = Router()
    made.routes.register(router)
    made.http = await serve(router)
    yield made
    made.routes.stop()
    await until(lambda: not made.routes._open)
    await streams.stop()


async def next_event(response: ClientResponse) -> tuple[int, dict[str, Any]]:
    """The next event of an event source, heartbeats passed over."""
    number, data = None, None
    while True:
        line = (await response.content.readline()).decode()
        assert line, "the stream ended"
        if line.startswith("id: "):
            number = int(line[4:])
        elif line.startswith("data: "):
            data = orjson.loads(line[6:])
        elif line == "\n" and number is not None and data is not None:
            return number, data


# state and pages


async def test_state(reading: Reading) -> None:
    await reading.add(n=5)
    response = await reading.http.get("/api/v1/streams/tally:a")
    assert await response.json() == {"stream": "tally:a", "seq": 1, "state": {"total": 5}}
    response = await reading.http.get("/api/v1/streams/tally%3Aa")
    assert response.status == 200


async def test_pages(reading: Reading) -> None:
    for n in range(5):
        await reading.add(n=n)
    first = await (await reading.http.get(EVENTS, params={"limit": 2})).json()
    assert [event["seq"] for event in first["events"]] == [1, 2]
    assert (first["stream"], first["seq"], first["more"]) == ("tally:a", 2, True)
    assert "secret" not in str(first)
    second = await (await reading.http.get(EVENTS, params={"after": 2, "limit": 3})).json()
    assert [event["seq"] for event in second["events"]] == [3, 4, 5]
    assert (second["seq"], second["more"]) == (5, False)
    end = await (await reading.http.get(EVENTS, params={"after": 5})).json()
    assert end == {"stream": "tally:a", "events": [], "seq": 5, "more": False}


@pytest.mark.parametrize(
    "query",
    [
        {"after": "-1"},
        {"after": "x"},
        {"after": "1.5"},
        {"after": "9"},
        {"after": str(2**53)},
        {"limit": "0"},
        {"limit": "1001"},
        {"wait": "31"},
        {"wait": "-1"},
        {"wait": "nan"},
    ],
)
async def test_impossible_queries(reading: Reading, query: dict[str, str]) -> None:
    await reading.add()
    response = await reading.http.get(EVENTS, params=query)
    problem = await response.json()
    assert (response.status, problem["code"]) == (422, "VALIDATION_FAILED")
    assert problem["errors"][0]["loc"] == ["query", next(iter(query))]


@pytest.mark.parametrize("suffix", ["", "/events"])
async def test_permission(reading: Reading, bearer: Callable[..., dict[str, str]], suffix: str) -> None:
    for stream in ("own:ann", "own:bob", "hidden:a"):
        await reading.add(stream)

    async def status(stream: str, headers: dict[str, str] | None = None) -> int:
        return (await reading.http.get(f"/api/v1/streams/{stream}{suffix}", headers=headers)).status

    assert await status("own:ann") == 401
    assert await status("own:ann", {"Authorization": "Bearer bad"}) == 401
    assert await status("own:ann", bearer("ann")) == 200
    assert await status("own:bob", bearer("ann")) == 403
    for unknown in ("hidden:a", "tally:none", "what:a", "nocolon"):
        assert await status(unknown, bearer("ann")) == 404
    assert await status("own:bob", bearer("ann") | SSE) == 403
    assert await status("own:ann", SSE) == 401


# long polls


async def test_long_poll_returns_with_the_first_event(reading: Reading) -> None:
    await reading.add()
    poll = asyncio.ensure_future(reading.http.get(EVENTS, params={"after": 1, "wait": 30}))
    await until(lambda: reading.watchers() == 1)
    await reading.add(n=7)
    page = await (await poll).json()
    assert [(event["seq"], event["n"]) for event in page["events"]] == [(2, 7)]
    assert (page["seq"], page["more"]) == (2, False)
    await until(lambda: reading.watchers() == 0)


async def test_long_poll_that_waits_in_vain(reading: Reading) -> None:
    await reading.add()
    page = await (await reading.http.get(EVENTS, params={"after": 1, "wait": 0.05})).json()
    assert page == {"stream": "tally:a", "events": [], "seq": 1, "more": False}


async def test_long_poll_for_what_is_there_does_not_wait(reading: Reading) -> None:
    await reading.add()
    page = await (await reading.http.get(EVENTS, params={"wait": 30})).json()
    assert page["seq"] == 1


async def test_long_poll_ends_with_its_session(reading: Reading, bearer: Callable[..., dict[str, str]]) -> None:
    await reading.add()
    poll = asyncio.ensure_future(reading.http.get(EVENTS, params={"after": 1, "wait": 30}, headers=bearer("ann")))
    await until(lambda: reading.watchers() == 1)
    assert reading.sessions.close_session("s1") == 1
    assert (await poll).status == 401


async def test_long_poll_ends_when_the_server_stops(reading: Reading) -> None:
    await reading.add()
    poll = asyncio.ensure_future(reading.http.get(EVENTS, params={"after": 1, "wait": 30}))
    await until(lambda: reading.watchers() == 1)
    reading.routes.stop()
    assert (await (await poll).json())["events"] == []


# Server-Sent Events


async def test_events_arrive_in_order_from_the_past_into_the_present(reading: Reading) -> None:
    for _ in range(3):
        await reading.add()
    async with reading.source(after=1) as response:
        assert (await response.content.readline()).startswith(b"retry: ")
        for seq in (2, 3):
            number, data = await next_event(response)
            assert (number, data["seq"], data["type"]) == (seq, seq, "added")
        await reading.add(n=9)
        number, data = await next_event(response)
        assert (number, data["n"]) == (4, 9)
        assert "secret" not in data
    await until(lambda: reading.watchers() == 0)


async def test_last_event_id_wins_over_after(reading: Reading) -> None:
    for _ in range(3):
        await reading.add()
    async with reading.source({"Last-Event-ID": "2"}, after=0) as response:
        assert (await next_event(response))[0] == 3


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "9" * 20, "²", "9"])
async def test_impossible_last_event_id(reading: Reading, value: str) -> None:
    await reading.add()
    response = await reading.http.get(EVENTS, headers=SSE | {"Last-Event-ID": value})
    assert response.status == 422


async def test_long_past_comes_completely(reading: Reading) -> None:
    await asyncio.gather(*(reading.add() for _ in range(2_300)))
    last = (await reading.streams.current("tally:a")).seq
    async with reading.source() as response:
        seqs = [(await next_event(response))[0] for _ in range(last)]
    assert seqs == list(range(1, last + 1))


async def test_silence_is_broken_by_comments(reading: Reading) -> None:
    await reading.add()
    async with reading.source(after=1) as response:
        lines = [await response.content.readline() for _ in range(4)]
    assert lines[2].startswith(b": ")


async def test_reader_that_goes_away_is_forgotten(reading: Reading, bearer: Callable[..., dict[str, str]]) -> None:
    await reading.add()
    async with reading.source(bearer("ann"), after=0) as response:
        await next_event(response)
        assert reading.watchers() == 1
        response.close()
    await until(lambda: reading.watchers() == 0)
    assert reading.sessions.close_session("s1") == 0
    assert not reading.routes._open


async def test_logout_ends_the_event_stream(reading: Reading, bearer: Callable[..., dict[str, str]]) -> None:
    await reading.add()
    async with reading.source(bearer("ann")) as response:
        await next_event(response)
        assert reading.sessions.close_session("s1") == 1
        await response.content.read()
    await until(lambda: reading.watchers() == 0)


async def test_end_of_the_token_ends_the_event_stream(
    reading: Reading, bearer: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading.parts.tokens, "lifetime_s", 1)
    await reading.add()
    async with reading.source(bearer("ann")) as response:
        await response.content.read()
    assert reading.watchers() == 0


async def test_logout_that_passed_meanwhile_is_noticed(
    reading: Reading, bearer: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    await reading.add()
    monkeypatch.setattr(reading.parts.tokens, "revoked", lambda session: session == "s1")
    async with reading.source(bearer("ann")) as response:
        await response.content.read()


async def test_stopping_ends_event_streams(reading: Reading) -> None:
    await reading.add()
    async with reading.source() as response:
        await next_event(response)
        reading.routes.stop()
        await response.content.read()


async def test_slow_reader_is_cut_off(reading: Reading) -> None:
    await reading.add()
    before = SLOW_CLIENTS._value.get()
    async with reading.source() as response:
        await next_event(response)
        assert response.connection is not None
        transport = response.connection.transport
        assert transport is not None
        transport.pause_reading()
        while reading.watchers():
            await asyncio.gather(*(reading.add() for _ in range(500)))
        transport.resume_reading()
    assert SLOW_CLIENTS._value.get() == before + 1
    assert not reading.routes._open


async def test_head_does_not_stream(reading: Reading) -> None:
    await reading.add()
    response = await reading.http.head(EVENTS, headers=SSE)
    assert (response.status, response.content_type) == (200, "application/json")
