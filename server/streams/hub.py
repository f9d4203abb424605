"""Delivery on this instance: each watched stream has a feed that knows the last seq it took in.

Events reach a feed from local commits, from the bus, and from reads of the store; whichever is first wins, the others are
dropped by seq, and a jump is filled from the store. So subscribers see every seq once, in order, whatever the bus loses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson
import structlog

from server.background import end, run_for_ever
from server.clock import new_id
from server.errors import AppError
from server.settings import Settings
from server.streams import metrics
from server.streams.bus import Bus
from server.streams.event import PublicEvent, Signal, is_signal, unpack
from server.streams.feed import RECENT, Feed, Sink
from server.streams.kinds import StreamKind
from server.streams.store import EventStore, StoreUnavailable

log = structlog.get_logger(__name__)

PAGE: Final = 1_000
"""Events in one answer to `subscribe` at most (contract.md)."""

PAGE_BYTES: Final = 512 * 1024
"""Of them together, but always one: a frame much larger would count as the backlog of a slow client while it is on its way, and
whoever is cut off for that would come back for the very same page.
"""

_POLL_SLICE: Final = 2_000
_LINGER_S: Final = 2.0
"""How long a feed without subscribers is kept: people reload pages, and a subscription at Redis costs a round trip."""


class Current(Protocol):
    """How the hub asks for a folded state that includes every durable event."""

    async def __call__(self, stream: str) -> tuple[int, Any]:
        """(seq, state)."""
        ...


@dataclass(frozen=True, slots=True)
class Opening:
    """What a subscriber starts from.

    Attributes:
        seq: the last seq that `events` or `state` covers; live delivery goes on after it.
        events: what was missed, when `after` was given.
        more: the page is full and nothing was attached: subscribe again after `seq`.
        state: the folded state, when `after` wasn't given. A live object: read it before the next await.
    """

    seq: int
    events: Sequence[PublicEvent] = ()
    more: bool = False
    state: Any = None


class Hub:
    """All feeds of one instance."""

    def __init__(
        self,
        store: EventStore,
        bus: Bus,
        settings: Settings,
        current: Current,
        kind_of: Callable[[str], StreamKind | None] = lambda _stream: None,
    ) -> None:
        self._store = store
        self._bus = bus
        self._settings = settings
        self._current = current
        self._kind_of = kind_of
        self._name = new_id()
        self._feeds: dict[str, Feed] = {}
        self._poller: asyncio.Task[None] | None = None
        self._poll_now = asyncio.Event()
        self._cursor = 0

    async def start(self) -> None:
        """Begin the anti-entropy reads."""
        self._poller = run_for_ever(self._poll_for_ever, "hub poll")

    async def stop(self) -> None:
        """End all background work; subscribers are simply not called any more."""
        tasks = [task for feed in self._feeds.values() for task in feed.tasks]
        if self._poller is not None:
            tasks.append(self._poller)
        for feed in self._feeds.values():
            feed.stop()
        await end(tasks)
        self._feeds.clear()

    # -- subscribers --------------------------------------------------------------------------------------------------

    async def subscribe(self, stream: str, after: int | None, sink: Sink) -> Opening:
        """Attach a sink so that it misses nothing after the returned opening, and gets nothing twice.

        The caller has authorised the stream. A sink may be attached to one stream once; the sink's `deliver` can be
        called as soon as this returns, and not before.

        Raises:
            AppError: NOT_FOUND for a stream without events, VALIDATION_FAILED when `after` lies beyond its end,
                UNAVAILABLE when the store doesn't answer.
        """
        feed = self._hold(stream)
        try:
            async with asyncio.timeout(self._settings.append_timeout_ms / 1000):
                await self._opened(feed)
                if feed.seq == 0:
                    await self._refresh(feed)
                if feed.seq == 0:
                    raise AppError("NOT_FOUND", "No such stream")
                await self._certain(feed)
                if after is None:
                    return await self._join_at_state(feed, sink)
                return await self._join_after(feed, after, sink)
        except (StoreUnavailable, TimeoutError) as error:
            raise AppError("UNAVAILABLE") from error
        finally:
            self._release(feed)

    def unsubscribe(self, stream: str, sink: Sink) -> None:
        """Detach a sink; unknown ones are ignored."""
        feed = self._feeds.get(stream)
        if feed is not None and feed.sinks.pop(sink, None) is not None:
            self._release_if_unused(feed)

    def watchers(self, stream: str) -> int:
        """How many sinks watch the stream on this instance."""
        feed = self._feeds.get(stream)
        return len(feed.sinks) if feed else 0

    @property
    def subscriptions(self) -> int:
        """How many sinks watch streams on this instance, each stream counted."""
        return sum(len(feed.sinks) for feed in self._feeds.values())

    async def _join_at_state(self, feed: Feed, sink: Sink) -> Opening:
        while True:
            seq, state = await self._current(feed.stream)
            # no await from here on: what the state covers and what the feed will deliver must meet exactly
            if seq > feed.seq:
                await self._refresh(feed)
                await self._certain(feed)
            elif seq == feed.seq:
                feed.sinks[sink] = seq
                return Opening(seq, state=state)

    async def _join_after(self, feed: Feed, after: int, sink: Sink) -> Opening:
        if after > feed.seq:
            await self._refresh(feed)
            if after > feed.seq:
                raise AppError(
                    "VALIDATION_FAILED", errors=[{"loc": ["after"], "msg": f"beyond the stream's end, {feed.seq}"}]
                )
        if (missed := await self._recent(feed, after)) is not None:
            feed.sinks[sink] = feed.seq
            return Opening(feed.seq, missed)
        events: list[PublicEvent] = []
        cursor, size = after, 0
        while cursor < feed.seq:
            if len(events) >= PAGE:
                return Opening(cursor, events, more=True)
            for event in await self._store.read(feed.stream, cursor, PAGE - len(events)):
                size += len(event.wire)
                if size > PAGE_BYTES and events:
                    return Opening(events[-1].seq, events, more=True)
                events.append(event)
            cursor = events[-1].seq if events else cursor
        if cursor > feed.seq:
            self._advance(feed, [event for event in events if event.seq > feed.seq])
        feed.sinks[sink] = feed.seq
        # The feed may have stopped at an event that takes rights: what is behind it is delivered once that is settled.
        return Opening(feed.seq, [event for event in events if event.seq <= feed.seq])

    async def _recent(self, feed: Feed, after: int) -> list[PublicEvent] | None:
        """What was missed after a seq, from memory, if it is little; read once for all who come back at a time.

        Only of chained streams: in others what somebody deleted leaves the events that are stored, but not those in memory.
        """
        kind = self._kind_of(feed.stream)
        if kind is None or not kind.rules.chained or not 0 < feed.seq - after <= RECENT:
            return None
        if feed.since(after) is None:
            if feed.recalling is None:
                feed.recalling = asyncio.create_task(self._recall(feed), name=f"recall {feed.stream}")
            await asyncio.shield(feed.recalling)
        missed = feed.since(after)
        return missed if missed is not None and sum(len(event.wire) for event in missed) <= PAGE_BYTES else None

    async def _recall(self, feed: Feed) -> None:
        try:
            feed.recall(await self._store.read(feed.stream, max(0, feed.seq - RECENT), RECENT))
        finally:
            feed.recalling = None

    async def _certain(self, feed: Feed) -> None:
        while feed.unsure:
            self._repair(feed)
            if feed.repairing is not None:
                await asyncio.shield(feed.repairing)

    # -- the life of a feed -------------------------------------------------------------------------------------------

    def _hold(self, stream: str) -> Feed:
        feed = self._feeds.get(stream)
        if feed is None:
            kind = self._kind_of(stream)
            feed = self._feeds[stream] = Feed(
                stream, self._settings.fanout_tick_ms / 1000, kind.companion if kind is not None else None
            )
            metrics.WATCHED.set(len(self._feeds))
        feed.users += 1
        if feed.linger is not None:
            feed.linger.cancel()
            feed.linger = None
        return feed

    def _release(self, feed: Feed) -> None:
        feed.users -= 1
        self._release_if_unused(feed)

    def _release_if_unused(self, feed: Feed) -> None:
        if feed.users or feed.sinks or feed.linger is not None:
            return
        if feed.seq <= 0:
            self._drop(feed)  # a stream that doesn't exist, or couldn't be read: nothing worth keeping
        else:
            feed.linger = asyncio.get_running_loop().call_later(_LINGER_S, self._drop, feed)

    def _drop(self, feed: Feed) -> None:
        feed.linger = None
        if feed.users or feed.sinks:
            return
        feed.stop()
        for task in feed.tasks:
            task.cancel()
        self._feeds.pop(feed.stream, None)
        self._bus.unwatch(feed.stream)
        metrics.WATCHED.set(len(self._feeds))

    async def _opened(self, feed: Feed) -> None:
        while feed.seq < 0:
            if feed.opening is None:
                feed.opening = asyncio.create_task(self._open(feed), name=f"feed {feed.stream}")
            await asyncio.shield(feed.opening)

    async def _open(self, feed: Feed) -> None:
        """Listen first, then look how far the stream is: what happens in between arrives early and is kept."""
        try:
            await self._bus.watch(feed.stream)
            seq = await self._store.last_seq(feed.stream)
            feed.seq = seq
            early, feed.early = feed.early, []
            self._advance(feed, early)
        finally:
            feed.opening = None

    # -- events -------------------------------------------------------------------------------------------------------

    def advance(self, stream: str, events: Sequence[PublicEvent]) -> None:
        """Hand on consecutive, durable events of a stream, if somebody here watches it."""
        feed = self._feeds.get(stream)
        if feed is not None:
            self._advance(feed, events)

    def _advance(self, feed: Feed, events: Sequence[PublicEvent]) -> None:
        if feed.seq < 0:
            feed.early.extend(events)
            return
        if feed.unsure:
            self._repair(feed)
            return
        news = [event for event in events if event.seq > feed.seq]
        if not news:
            return
        if news[0].seq != feed.seq + 1 or news[-1].seq != feed.seq + len(news):
            self._repair(feed)
            return
        feed.quiet = False
        kind = self._kind_of(feed.stream)
        if kind is not None and kind.guards:
            end = next((index for index, event in enumerate(news, 1) if kind.guarding(event.wire)), None)
            feed.unsure = end is not None
            news = news[:end]
        feed.seq = news[-1].seq
        feed.deliver(news)
        if feed.unsure:
            feed.complete()  # what follows is not for everybody
            self._repair(feed)

    def signal(self, stream: str, event: str, payload: Mapping[str, Any], *, besides: str = "") -> None:
        """Send something ephemeral to the subscribers of a stream, on all instances, save the user `besides`. It may be lost on the way."""
        signal = Signal(stream, event, orjson.dumps(payload), besides)
        self._bus.send(stream, signal.pack(self._name))
        if (feed := self._feeds.get(stream)) is not None:
            self._signal(feed, signal)

    def _signal(self, feed: Feed, signal: Signal) -> None:
        if feed.unsure:
            return  # not everybody here may hear of it any more, and it may be lost on the way anyhow
        feed.signal(signal)

    def catch_up(self) -> None:
        """The bus has come up: look in the store for what it did not bring."""
        self._poll_now.set()

    def arrived(self, stream: str, packed: bytes) -> None:
        """Take what another instance has published on a stream."""
        if is_signal(packed):
            source, signal = Signal.unpack(stream, packed)
            # What this instance sent comes back to it: events would be dropped by seq, signals by their source.
            if source != self._name and (feed := self._feeds.get(stream)) is not None:
                self._signal(feed, signal)
            return
        try:
            events = unpack(packed)
        except ValueError:
            log.warning("hub.malformed", stream=stream)
            return
        self.advance(stream, events)

    def _repair(self, feed: Feed) -> None:
        feed.torn = True
        if feed.repairing is None:
            if not feed.unsure:
                metrics.GAPS.inc()
            feed.repairing = asyncio.create_task(self._fill(feed), name=f"repair {feed.stream}")

    async def _fill(self, feed: Feed) -> None:
        try:
            while feed.torn:
                if feed.unsure:
                    await self._ask_again(feed)
                feed.torn = False
                await self._refresh(feed)
        except (StoreUnavailable, AppError) as error:
            log.warning("hub.repair_failed", stream=feed.stream, error=str(error))  # the next poll tries again
        finally:
            feed.repairing = None

    async def _ask_again(self, feed: Feed) -> None:
        """Close every subscriber that may not read any more. Raises AppError UNAVAILABLE: nothing is handed on until it is known."""
        for sink in tuple(feed.sinks):
            if not await sink.permitted() and sink in feed.sinks:
                sink.close("not permitted any more")
                self.unsubscribe(feed.stream, sink)
        feed.unsure = False

    async def _refresh(self, feed: Feed) -> None:
        """Read on from the feed's seq to the end."""
        while True:
            events = await self._store.read(feed.stream, feed.seq, PAGE)
            self._advance(feed, events)
            if len(events) < PAGE:
                return

    # -- anti-entropy -------------------------------------------------------------------------------------------------

    async def _poll_for_ever(self) -> None:
        """Find what the bus did not bring: the last publication of an instance that died, all while Redis is down."""
        while True:
            ms = self._settings.poll_interval_ms if self._bus.up else self._settings.poll_interval_degraded_ms
            try:
                async with asyncio.timeout(ms / 1000):
                    await self._poll_now.wait()
            except TimeoutError:
                pass
            everything = self._poll_now.is_set()
            self._poll_now.clear()
            try:
                await self._poll(everything or not self._bus.up)
            except StoreUnavailable as error:
                log.warning("hub.poll_failed", error=str(error))

    async def _poll(self, everything: bool) -> None:
        feeds = [feed for feed in self._feeds.values() if feed.seq >= 0]
        if not everything:
            # a stream that moves notices its own gaps; of the quiet ones a slice is asked for each time, in turn
            quiet = [feed for feed in feeds if feed.quiet]
            for feed in feeds:
                feed.quiet = True
            start = self._cursor % len(quiet) if quiet else 0
            feeds = (quiet[start:] + quiet[:start])[:_POLL_SLICE]
            self._cursor = start + len(feeds)
        while feeds:
            asked = {feed.stream: feed.seq for feed in feeds}
            events = await self._store.read_many(asked, PAGE)
            by_stream: dict[str, list[PublicEvent]] = {}
            for event in events:
                by_stream.setdefault(event.stream, []).append(event)
            for stream, found in by_stream.items():
                self.advance(stream, found)
            if len(events) < PAGE:
                return
            feeds = [feed for feed in feeds if feed.stream >= events[-1].stream]
