"""A stream as Server-Sent Events: `id:` is the seq, `data:` the event, `Last-Event-ID` resumes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiohttp import web

from server.realtime.metrics import SLOW_CLIENTS
from server.streams.event import Batch, PublicEvent, Signal

HEARTBEAT_S: Final = 15.0
BUFFER_LIMIT: Final = 1 << 20
"""Bytes waiting for a reader at most; beyond it the reader is cut off, and resumes when it comes back."""

_RETRY: Final = b"retry: 2000\n\n"
_HEARTBEAT: Final = b": still here\n\n"
_MEMO: Final = "sse"


def encode(events: Sequence[PublicEvent]) -> bytes:
    """The events in the form of `text/event-stream`. Without `event:`, so that plain `onmessage` gets them all."""
    return b"".join([b"id: %d\ndata: %b\n\n" % (event.seq, event.wire) for event in events])


class EventSource:
    """One open event stream: a sink of the hub on one side, a response on the other.

    Args:
        permitted: whether the reader may still read, see `server.streams.hub.Sink`.
        heartbeat_s: after how long a silence a comment is sent, which also finds out that a reader has gone.
        buffer_limit: bytes that may wait for the reader.
    """

    def __init__(
        self,
        request: web.Request,
        permitted: Callable[[], Awaitable[bool]],
        *,
        heartbeat_s: float = HEARTBEAT_S,
        buffer_limit: int = BUFFER_LIMIT,
    ) -> None:
        self._permitted = permitted
        self._request = request
        self._heartbeat_s = heartbeat_s
        self._buffer_limit = buffer_limit
        self._waiting: list[bytes] = []
        self._size = 0
        self._news = asyncio.Event()
        self._writing = False
        self.ended = False
        self.response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",  # nginx would otherwise collect events into its buffers
            }
        )

    def deliver(self, batch: Batch) -> None:
        """Take a batch from the hub; encoded once for all readers."""
        if self.ended:
            return
        chunk = batch.memo.get(_MEMO)
        if chunk is None:
            chunk = batch.memo[_MEMO] = encode(batch.events)
        self._waiting.append(chunk)
        self._size += len(chunk)
        if self._size > self._buffer_limit and self._writing:
            SLOW_CLIENTS.inc()
            self.close("slow client")
        else:
            self._news.set()

    def signal(self, signal: Signal) -> None:
        """What is ephemeral belongs to sockets."""

    async def permitted(self) -> bool:
        """See `server.streams.hub.Sink`."""
        return await self._permitted()

    def close(self, reason: str) -> None:
        """End the stream; a reader that isn't taking what was written is cut off. Idempotent."""
        self.ended = True
        self._news.set()
        if self._writing and self._request.transport is not None:
            self._request.transport.abort()

    async def open(self) -> None:
        """Send the head of the response."""
        await self.response.prepare(self._request)
        await self._write(_RETRY)

    async def send(self, events: Sequence[PublicEvent]) -> None:
        """Write events of the past."""
        if events:
            await self._write(encode(events))

    async def follow(self) -> None:
        """Write what the hub delivers, until the stream is closed or the reader has gone."""
        while not self.ended:
            try:
                async with asyncio.timeout(self._heartbeat_s):
                    await self._news.wait()
            except TimeoutError:
                await self._write(_HEARTBEAT)
                continue
            self._news.clear()
            chunks, self._waiting, self._size = self._waiting, [], 0
            if chunks:
                await self._write(b"".join(chunks))

    async def _write(self, chunk: bytes) -> None:
        self._writing = True
        try:
            await self.response.write(chunk)
        except ConnectionError:
            self.ended = True
        finally:
            self._writing = False
