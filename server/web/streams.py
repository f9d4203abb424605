"""The same streams over plain HTTP: their state, their events by page or long poll, and as Server-Sent Events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any, Final

import orjson
from aiohttp import web
from pydantic import Field

from server.auth.principal import Principal
from server.auth.tokens import Tokens
from server.clock import Clock
from server.drain import paced
from server.errors import AppError
from server.realtime.sessions import Closable, LiveSessions
from server.streams.event import Batch, PublicEvent, Signal
from server.streams.streams import Streams
from server.web.described import carrying
from server.web.fields import MOST_MINOR_UNITS, Answer, Query
from server.web.router import Call, Router
from server.web.sse import BUFFER_LIMIT, HEARTBEAT_S, EventSource

PAGE: Final = 1_000
LONGEST_WAIT_S: Final = 30

_TAGS: Final = ("streams",)
_READABLE: Final = ("FORBIDDEN", "NOT_FOUND", "VALIDATION_FAILED")

_SSE: Final = """\
With `wait`, an answer without events is held back until there is one, `wait` seconds at most.
With `Accept: text/event-stream` the answer is a stream of Server-Sent Events without end: `id` is the seq, `data` the event.
`Last-Event-ID`, which browsers send when they reconnect, takes precedence over `after`."""


class EventsQuery(Query):
    """Which events."""

    after: Annotated[int, Field(ge=0, le=MOST_MINOR_UNITS)] = Field(0, description="the last seq that the client has")
    limit: Annotated[int, Field(ge=1, le=PAGE)] = Field(PAGE, description="events in one answer")
    wait: Annotated[float, Field(ge=0, le=LONGEST_WAIT_S, allow_inf_nan=False)] = Field(
        0, description="seconds to wait for the first event"
    )


class StreamState(Answer):
    """A stream as it stands."""

    stream: str
    seq: int = Field(description="of the last event in `state`")
    state: dict[str, Any]


class StreamPage(Answer):
    """Events of a stream, in order."""

    stream: str
    events: list[dict[str, Any]] = Field(description="`{seq, t, type, ...}`")
    seq: int = Field(description="of the last of them, or `after`: ask again from here")
    more: bool = Field(description="whether there were more at once")


class _Arrival:
    """A sink that wakes a long poll."""

    def __init__(self, permitted: Callable[[], Awaitable[bool]]) -> None:
        self._permitted = permitted
        self.events: Sequence[PublicEvent] = ()
        self.ended = False
        self.happened = asyncio.Event()

    def deliver(self, batch: Batch) -> None:
        """The first batch counts; what follows is read with the next poll."""
        self.events = self.events or batch.events
        self.happened.set()

    def signal(self, signal: Signal) -> None:
        """What is ephemeral belongs to sockets."""

    async def permitted(self) -> bool:
        """See `server.streams.hub.Sink`."""
        return await self._permitted()

    def close(self, reason: str) -> None:
        """The caller's login ended, or the server stops."""
        self.ended = True
        self.happened.set()


class StreamRoutes:
    """The routes of streams.

    Args:
        streams: what is read.
        sessions: where open reads are entered, so that a logout ends them.
        tokens: knows logouts that happened before that.
        clock: judges when a token ends.
        heartbeat_s, buffer_limit: of `EventSource`.
    """

    def __init__(
        self,
        streams: Streams,
        sessions: LiveSessions,
        tokens: Tokens,
        clock: Clock,
        *,
        heartbeat_s: float = HEARTBEAT_S,
        buffer_limit: int = BUFFER_LIMIT,
    ) -> None:
        self._streams = streams
        self._sessions = sessions
        self._tokens = tokens
        self._clock = clock
        self._heartbeat_s = heartbeat_s
        self._buffer_limit = buffer_limit
        self._open: set[Closable] = set()
        self._stopping = False

    def register(self, router: Router, carries: Iterable[Any] = ()) -> None:
        """Add the routes. `carries`: as of `server.realtime.Namespace`, the events of all streams that can be read."""
        router.add(
            "GET",
            "/streams/{stream}",
            self.state,
            summary="The state of a stream",
            tags=_TAGS,
            answer=StreamState,
            auth="optional",
            errors=_READABLE,
        )
        router.add(
            "GET",
            "/streams/{stream}/events",
            self.events,
            summary="The events of a stream",
            description=_SSE,
            tags=_TAGS,
            query=EventsQuery,
            answer=carrying(StreamPage, carries),
            media=("text/event-stream",),
            auth="optional",
            errors=_READABLE,
        )

    async def drain(self, rate: float, limit_s: float) -> None:
        """End open reads, `rate` a second but all within `limit_s`, since readers come back at once; refuse new ones."""
        self._stopping = True
        readers = list(self._open)
        async for some in paced(readers, min(len(readers) / rate, limit_s)):
            for reader in some:
                reader.close("shutting down")

    def stop(self) -> None:
        """End all open reads and refuse new ones."""
        self._stopping = True
        for reader in list(self._open):
            reader.close("shutting down")

    async def state(self, call: Call) -> dict[str, Any]:
        """`GET /streams/{stream}`."""
        stream = call.path["stream"]
        await self._streams.authorise(call.principal, stream)
        head = await self._streams.current(stream)
        if head.seq == 0:
            raise AppError("NOT_FOUND", "No such stream")
        seq = head.seq
        view = await self._streams.view(call.principal, stream, head.state)
        await self._still_permitted(call, stream)
        return {"stream": stream, "seq": seq, "state": view}

    async def events(self, call: Call) -> dict[str, Any] | web.StreamResponse:
        """`GET /streams/{stream}/events`, in whichever form was asked for."""
        stream = call.path["stream"]
        await self._streams.authorise(call.principal, stream)
        if "text/event-stream" in call.request.headers.get("Accept", "") and call.request.method == "GET":
            return await self._event_source(call, stream)
        query: EventsQuery = call.query
        found: Sequence[PublicEvent] = await self._streams.read(stream, query.after, query.limit + 1)
        await self._still_permitted(call, stream)
        if not found:
            await self._require_end(stream, query.after)
            if query.wait:
                self._require_open()
                found = await self._wait(call, stream, query)
        page = found[: query.limit]
        return {
            "stream": stream,
            "events": [orjson.Fragment(event.wire) for event in page],
            "seq": page[-1].seq if page else query.after,
            "more": len(found) > len(page),
        }

    def _require_open(self) -> None:
        """An empty answer in place of a wait would be followed by the next request at once."""
        if self._stopping:
            raise AppError("UNAVAILABLE", "This instance is about to end; ask again")

    async def _require_end(self, stream: str, after: int) -> None:
        """There is nothing after `after`: is that because it is the end?"""
        seq = (await self._streams.current(stream)).seq
        if seq == 0:
            raise AppError("NOT_FOUND", "No such stream")
        if after > seq:
            raise AppError(
                "VALIDATION_FAILED", errors=[{"loc": ["query", "after"], "msg": f"beyond the stream's end, {seq}"}]
            )

    async def _wait(self, call: Call, stream: str, query: EventsQuery) -> Sequence[PublicEvent]:
        arrival = _Arrival(self._permitted(call, stream))
        hub = self._streams.hub
        with self._reading(call.principal, arrival):
            try:
                opening = await hub.subscribe(stream, query.after, arrival)
                await self._still_permitted(call, stream)
                if opening.events:
                    return opening.events
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(query.wait):
                        await arrival.happened.wait()
            finally:
                hub.unsubscribe(stream, arrival)
        if arrival.ended and not arrival.events and not self._stopping:
            raise AppError("UNAUTHENTICATED", "The session has ended")
        return arrival.events

    async def _event_source(self, call: Call, stream: str) -> web.StreamResponse:
        self._require_open()
        source = EventSource(
            call.request, self._permitted(call, stream), heartbeat_s=self._heartbeat_s, buffer_limit=self._buffer_limit
        )
        after = _last_event_id(call)
        hub = self._streams.hub
        with self._reading(call.principal, source):
            try:
                # Before the response begins, so that a refusal is a proper problem.
                opening = await hub.subscribe(stream, after, source)
                await self._still_permitted(call, stream)
                await source.open()
                await source.send(opening.events)
                while opening.more and not source.ended:
                    opening = await hub.subscribe(stream, opening.seq, source)
                    await self._still_permitted(call, stream)  # a slow reader can make a page last for ever
                    await source.send(opening.events)
                await source.follow()
            finally:
                hub.unsubscribe(stream, source)
        return source.response

    def _permitted(self, call: Call, stream: str) -> Callable[[], Awaitable[bool]]:
        return partial(self._streams.permitted, call.principal, stream)

    async def _still_permitted(self, call: Call, stream: str) -> None:
        """The right to read may have been lost between the look at it and the reading."""
        if self._streams.guarded(stream):
            await self._streams.authorise(call.principal, stream)

    @contextmanager
    def _reading(self, principal: Principal | None, reader: Closable) -> Iterator[None]:
        """Have the reader closed by a logout, by the end of its token, and by `stop`."""
        self._open.add(reader)
        if self._stopping:
            reader.close("shutting down")
        expiry = None
        if principal is not None:
            self._sessions.add(principal, reader)
            if self._tokens.revoked(principal.session):  # between the authentication and this line
                reader.close("session revoked")
            left_s = max(0, principal.expires_at - self._clock.now()) / 1000
            expiry = asyncio.get_running_loop().call_later(left_s, reader.close, "token expired")
        try:
            yield
        finally:
            self._open.discard(reader)
            if principal is not None:
                self._sessions.remove(principal, reader)
            if expiry is not None:
                expiry.cancel()


def _last_event_id(call: Call) -> int:
    """Where an event source goes on: the header of a reconnecting browser, else the query."""
    query: EventsQuery = call.query
    text = call.request.headers.get("Last-Event-ID", "").strip()
    if not text:
        return query.after
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and int(text) <= MOST_MINOR_UNITS):
        raise AppError("VALIDATION_FAILED", errors=[{"loc": ["header", "Last-Event-ID"], "msg": "must be a seq"}])
    return int(text)
