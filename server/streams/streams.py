"""The façade: everything features and edges ask of streams."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from models.rules.stream import Command
from server.auth.principal import Principal
from server.background import end
from server.clock import Clock
from server.errors import AppError
from server.settings import Settings
from server.streams import metrics
from server.streams.active import ActiveStream
from server.streams.bus import Bus
from server.streams.event import StoredEvent, pack
from server.streams.hub import Hub
from server.streams.kinds import StreamKind
from server.streams.pending import Answer
from server.streams.relay import Relay
from server.streams.store import EventStore, StoreUnavailable
from server.streams.submitted import on_submitted

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Head:
    """A stream as it stands. `state` is live: read it before the next await. seq 0: the stream has no events."""

    seq: int
    t: int
    state: Any


class Streams:
    """Append, read and fold; owns the streams that are in memory and the hub that delivers them."""

    def __init__(self, store: EventStore, bus: Bus, clock: Clock, settings: Settings, source: str) -> None:
        self.hub = Hub(store, bus, settings, self._seq_and_state, self._known_kind)
        self._relay = Relay(bus, clock, source, settings.token_secret.get_secret_value(), self._stream)
        self._store = store
        self._bus = bus
        self._clock = clock
        self._settings = settings
        self._source = source
        self._kinds: dict[str, StreamKind] = {}
        self._active: OrderedDict[str, ActiveStream] = OrderedDict()
        self._reactions: set[asyncio.Task[None]] = set()
        bus.listen(self._arrived, self.hub.catch_up)

    def register(self, kind: StreamKind) -> None:
        """Make a kind of stream known."""
        if kind.name in self._kinds:
            raise ValueError(f"stream kind {kind.name!r} is registered twice")
        self._kinds[kind.name] = kind

    async def start(self) -> None:
        """Begin delivery, and to take other instances' commands."""
        await self.hub.start()
        await self._relay.start()

    async def stop(self) -> None:
        """End all background work; callers still waiting are answered UNAVAILABLE."""
        await self.hub.stop()
        for active in list(self._active.values()):
            await active.close()
        await end(self._reactions)

    # -- writing ------------------------------------------------------------------------------------------------------

    async def append(self, stream: str, command: Command) -> Answer:
        """Have a command decided; durable on a majority when this returns.

        Raises:
            AppError: the rules' refusal; IDEMPOTENCY_MISMATCH; UNAVAILABLE when it could not be settled in time (it may
                have happened: the same key tells); NOT_FOUND for an unknown kind.
        """
        answer = self._stream(stream).submit(command)
        if (submitted := on_submitted.get()) is not None:
            submitted()
        return await answer

    # -- reading ------------------------------------------------------------------------------------------------------

    async def current(self, stream: str) -> Head:
        """The folded state with every event that was durable when this was called.

        Raises:
            AppError: UNAVAILABLE, NOT_FOUND for an unknown kind.
        """
        active = self._stream(stream)
        try:
            async with asyncio.timeout(self._settings.append_timeout_ms / 1000):
                await active.folded.catch_up()
        except (StoreUnavailable, TimeoutError) as error:
            raise AppError("UNAVAILABLE") from error
        folded = active.folded
        if folded.seq == 0 and active.idle:
            self._active.pop(stream, None)
        return Head(folded.seq, folded.t, folded.state)

    async def known(self, stream: str) -> Head:
        """As `current`, without a look at the store when some of the stream is in memory: for what never changes in it.

        Raises:
            AppError: UNAVAILABLE, NOT_FOUND for an unknown kind.
        """
        active = self._active.get(stream)
        if active is not None and active.folded.seq > 0:
            return Head(active.folded.seq, active.folded.t, active.folded.state)
        return await self.current(stream)

    async def read(self, stream: str, after: int = 0, limit: int = 1_000) -> list[StoredEvent]:
        """Stored events after a seq, ascending; private fields included, so never for a client as they are.

        Raises:
            AppError: UNAVAILABLE.
        """
        try:
            return await self._store.read(stream, after, limit)
        except StoreUnavailable as error:
            raise AppError("UNAVAILABLE") from error

    async def authorise(self, principal: Principal | None, stream: str) -> None:
        """Return if the caller may read the stream.

        Raises:
            AppError: NOT_FOUND, FORBIDDEN or UNAUTHENTICATED, as the kind's feature says.
        """
        kind = self._known_kind(stream)
        if kind is None or kind.authorise is None:
            raise AppError("NOT_FOUND", "No such stream")
        await kind.authorise(principal, stream)

    def guarded(self, stream: str) -> bool:
        """Whether readers of the stream can lose their right to read it; who has just subscribed is authorised once more."""
        kind = self._known_kind(stream)
        return kind is not None and bool(kind.guards)

    async def permitted(self, principal: Principal | None, stream: str) -> bool:
        """Whether the caller may read the stream.

        Raises:
            AppError: UNAVAILABLE.
        """
        try:
            await self.authorise(principal, stream)
        except AppError as error:
            if error.retryable:
                raise
            return False
        return True

    async def view(self, principal: Principal | None, stream: str, state: Any) -> dict[str, Any]:
        """The `state` as the caller may see it. Call it without an await after the state was got."""
        kind = self._kind(stream)
        if kind.view is not None:
            return await kind.view(principal, stream, state)
        return kind.rules.view(state)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _known_kind(self, stream: str) -> StreamKind | None:
        return self._kinds.get(stream.partition(":")[0])

    def _kind(self, stream: str) -> StreamKind:
        kind = self._known_kind(stream)
        if kind is None:
            raise AppError("NOT_FOUND", "No such stream")
        return kind

    def _stream(self, stream: str) -> ActiveStream:
        active = self._active.get(stream)
        if active is not None:
            self._active.move_to_end(stream)
            return active
        active = self._active[stream] = ActiveStream(
            stream,
            self._kind(stream),
            store=self._store,
            clock=self._clock,
            settings=self._settings,
            source=self._source,
            committed=self._committed,
            relay=self._relay,
        )
        self._evict()
        metrics.ACTIVE.set(len(self._active))
        return active

    def _evict(self) -> None:
        """Forget the longest unused streams; the busy ones among them get another round."""
        for _ in range(min(8, len(self._active) - self._settings.stream_cache)):
            name, oldest = next(iter(self._active.items()))
            if oldest.idle:
                del self._active[name]
            else:
                self._active.move_to_end(name)

    async def _seq_and_state(self, stream: str) -> tuple[int, Any]:
        head = await self.current(stream)
        return head.seq, head.state

    def _arrived(self, channel: str, packed: bytes) -> None:
        """Of the bus: a stream's events and signals, or a message to this instance."""
        if self._relay.takes(channel):
            self._relay.arrived(packed)
        else:
            self.hub.arrived(channel, packed)

    def _committed(self, stream: str, events: Sequence[StoredEvent]) -> None:
        """After the majority has them: deliver here, publish to the others, let the feature react."""
        self.hub.advance(stream, events)
        own = [event for event in events if event.source == self._source]
        if not own:
            return
        self._bus.send(stream, pack(own))
        on_commit = self._kind(stream).on_commit
        if on_commit is not None:
            self._react(on_commit, stream, own)

    def _react(
        self, on_commit: Callable[[str, Sequence[StoredEvent]], Awaitable[None]], stream: str, own: list[StoredEvent]
    ) -> None:
        async def react() -> None:
            try:
                await on_commit(stream, own)
            except Exception as error:  # best effort: the follower does it again
                log.warning("streams.reaction_failed", stream=stream, error=str(error))

        task = asyncio.create_task(react(), name=f"react {stream}")
        self._reactions.add(task)
        task.add_done_callback(self._reactions.discard)
