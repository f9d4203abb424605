"""Connection state recovery as the official Socket.IO client does it, for clients and namespaces that want it.

The client connects with `auth: {token, recover: true}` and is answered `{sid, pid}`. From then on every batch of events carries an
offset as its last argument, which the client keeps. When it comes back it sends both; who is answered with the same `pid` has
recovered: what it watched is watched again and what it missed follows, in order, before anything else. Nothing is kept here
meanwhile, so that holds after a crash and on any instance. Everything is read from the durable streams, authorised anew: who
has no right any more, missed too much or stayed away too long begins with a new `pid` and subscribes by itself.

An offset reaches the client before the ack of the command that changed what it watches. So whoever holds the ack holds an offset
that knows of it, and nothing is lost silently.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from pydantic import RootModel

from server.auth.principal import Principal
from server.clock import Clock
from server.errors import AppError
from server.limits.limits import Limits
from server.realtime import frames, seals
from server.realtime.connection import Connection
from server.realtime.deadlines import Deadlines
from server.realtime.frames import Frame
from server.realtime.metrics import RECOVERIES
from server.realtime.namespace import Namespace
from server.realtime.seals import Broken, Seals, TooMany
from server.realtime.subscription import Subscription
from server.realtime.watchers import Watchers
from server.streams.event import Batch, PublicEvent
from server.streams.hub import PAGE, PAGE_BYTES
from server.streams.streams import Streams
from server.web.outage import is_outage

if TYPE_CHECKING:
    from server.realtime.peer import Peer

_REFRESHES: Final = 3
"""Offsets sent to a client in the time for which one holds, so that it doesn't grow old while nothing happens."""


class Offset(RootModel[str]):
    """Nothing to act upon: what a recovering client sends when it comes back. The official client keeps it by itself."""


class Unrecoverable(Exception):
    """Why a client begins anew; a word for metrics."""


class RecoverableConnection(Connection):
    """A connection whose client is told where it stands.

    Attributes:
        seqs: the last seq that was written to it of each stream, by label.
    """

    __slots__ = ("_recovery", "_welcomed", "seqs")

    def __init__(
        self, sid: str, peer: Peer, namespace: Namespace, principal: Principal | None, recovery: Recovery
    ) -> None:
        self.seqs: dict[bytes, int] = {}
        self._recovery = recovery
        self._welcomed = False
        super().__init__(sid, peer, namespace, principal)

    @property
    def user(self) -> str | None:
        """Whose it is."""
        return self.principal.id if self.principal is not None else None

    async def resume(self, auth: dict[str, Any]) -> None:
        """Before `welcome`: get what the client's former connection had, if there was one and this one may have it."""
        await self._recovery.resume(self, auth)

    def welcome(self) -> None:
        """See Connection; what it missed follows."""
        self._recovery.enter(self)
        pid = self._recovery.seals.pid(self.namespace.name, self.user, self.sid)
        self._session.write(frames.connected(self.namespace.name, self.sid, pid))
        self._welcomed = True
        for subscription in self.subscriptions.values():
            assert isinstance(subscription, RecoverableSubscription)
            subscription.catch_up()
        self.tell_offset()
        self.settle()

    def offset(self) -> bytes:
        """Where it stands now."""
        return self._recovery.offset(self)

    def tell_offset(self) -> None:
        """Tell the client where it stands, beside all events."""
        if self._welcomed and not self.closed:
            self._session.write(frames.event(self.namespace.name, "offset", b'"%b"' % self.offset()))

    def send(self, *arguments: Any) -> None:
        """See Connection. A text at the end is taken for an offset by the client, so the true one follows."""
        super().send(*arguments)
        if isinstance(arguments[-1], str):
            self.tell_offset()

    def close(self) -> None:
        """See Connection."""
        if not self.closed:
            self._recovery.leave(self)
        super().close()


class RecoverableSubscription(Subscription):
    """A subscription that says with each batch where its connection stands."""

    __slots__ = ("_label", "_missed", "_recoverable", "_seq")

    def __init__(self, connection: RecoverableConnection, stream: str, streams: Streams, watchers: Watchers) -> None:
        super().__init__(connection, stream, streams, watchers)
        self._recoverable = connection
        self._label = seals.label(stream)
        self._missed: Sequence[PublicEvent] = ()
        self._seq = 0

    def begin(self, seq: int) -> None:
        """See Subscription."""
        self._recoverable.seqs[self._label] = seq
        super().begin(seq)

    def missed(self, events: Sequence[PublicEvent]) -> None:
        """What `catch_up` shall write."""
        self._missed = events

    def catch_up(self) -> None:
        """Write what the client missed, although what follows is still held back."""
        if self._missed:
            self._send(Batch(self._stream, self._missed))
            self._missed = ()

    def deliver(self, batch: Batch) -> None:
        """See Subscription."""
        if self._corked is None:
            self._send(batch)
        else:
            self._corked.append(batch)

    def close(self, reason: str) -> None:
        """See Subscription; what the client watches has changed without a command of its own."""
        super().close(reason)
        self._recoverable.tell_offset()

    def uncork(self) -> None:
        """See Subscription."""
        super().uncork()
        if self._closed:
            self._recoverable.tell_offset()

    def end(self) -> None:
        """See Subscription."""
        if self._recoverable.subscriptions.get(self._stream) is self:
            del self._recoverable.seqs[self._label]
        super().end()

    def _send(self, batch: Batch) -> None:
        key = (self._namespace, "offset")
        opening = batch.memo.get(key)
        if opening is None:  # the packet without its last bracket, which all clients share
            whole = frames.event(self._namespace, "events", batch.wire).packet
            opening = batch.memo[key] = whole[:-1]
        self._recoverable.seqs[self._label] = batch.seq
        self._write(Frame(b'%b,"%b"]' % (opening, self._recoverable.offset())))


class Recovery:
    """Opens connections that can be recovered, and recovers them.

    Args:
        key: for the seals.
        limit: streams that one transport may watch.
        buffer: bytes that may wait for a client.
        patience_s: how long recovering may take; then the client begins anew.
        window_s: how long after the last offset a client may come back.

    Attributes:
        seals: of what clients keep.
    """

    def __init__(
        self,
        key: bytes,
        streams: Streams,
        watchers: Watchers,
        clock: Clock,
        limits: Limits,
        *,
        limit: int,
        buffer: int,
        patience_s: float,
        window_s: float,
    ) -> None:
        self.seals = Seals(key)
        self._streams = streams
        self._watchers = watchers
        self._clock = clock
        self._limits = limits
        self._limit = limit
        self._page_bytes = min(PAGE_BYTES, buffer)
        self._patience_s = patience_s
        self._window_s = window_s
        self._connections: dict[str, RecoverableConnection] = {}
        self._refreshes: Deadlines[RecoverableConnection] = Deadlines(window_s / _REFRESHES, self._refresh)

    def allow(self, namespace: Namespace) -> None:
        """Let the clients of a namespace ask for it."""
        namespace.recovery = self
        namespace.emits("offset", Offset, "For clients that connected with `recover: true`: keep it for the way back")

    async def resume(self, connection: RecoverableConnection, auth: dict[str, Any]) -> None:
        """Give a connection that is about to open what the client's former one had, if there was one and it may have it."""
        if "pid" not in auth:
            return
        outcome = "recovered"
        try:
            async with asyncio.timeout(self._patience_s):
                await self._resume(connection, auth["pid"], auth.get("offset"))
        except (Unrecoverable, AppError) as error:
            outcome = error.code if isinstance(error, AppError) else str(error)
        except Exception as error:
            if not isinstance(error, TimeoutError) and not is_outage(error):
                raise
            outcome = (
                "UNAVAILABLE"  # to refuse the client for that would be worse: the official one would not try again
            )
        RECOVERIES.labels(connection.namespace.name, outcome).inc()

    async def _resume(self, connection: RecoverableConnection, pid: Any, offset: Any) -> None:
        sid, seqs = self._read(connection, pid, offset)
        if connection.peer.watching + len(seqs) > self._limit:
            raise Unrecoverable("too many streams")
        begun: list[tuple[RecoverableSubscription, int]] = []
        try:
            events, size = 0, 0
            for stream, seq in seqs.items():
                subscription = RecoverableSubscription(connection, stream, self._streams, self._watchers)
                begun.append((subscription, seq))
                for event in await self._attach(connection, subscription, stream, seq):
                    events, size = events + 1, size + len(event.wire)
                if events > PAGE or size > self._page_bytes:
                    raise Unrecoverable("too many events")
            for stream in filter(self._streams.guarded, seqs):
                # The right may have been lost after it was asked for and before the stream was watched.
                await self._streams.authorise(connection.principal, stream)
            if connection.closed:
                raise Unrecoverable("closed")
        except BaseException:
            for subscription, _ in begun:
                subscription.end()
            raise
        connection.sid = sid
        for subscription, seq in begun:
            subscription.begin(seq)

    def _read(self, connection: RecoverableConnection, pid: Any, offset: Any) -> tuple[str, dict[str, int]]:
        try:
            sid = self.seals.sid(pid, connection.namespace.name, connection.user)
            since_s, seqs = self.seals.read(offset, sid)
        except Broken:
            raise Unrecoverable("not its own") from None
        except TooMany:
            raise Unrecoverable("too many streams") from None
        # The last offset may be as old as the pause between two when the connection is lost.
        if self._clock.now() / 1000 - since_s > self._window_s * (1 + 1 / _REFRESHES):
            raise Unrecoverable("too late")
        return sid, seqs

    async def _attach(
        self, connection: RecoverableConnection, subscription: RecoverableSubscription, stream: str, seq: int
    ) -> Sequence[PublicEvent]:
        """Do what `subscribe` does, within the same limits; the missed events."""
        address = connection.peer.session.address
        refusal = self._limits.command(connection.user, address, connection.namespace.name, "subscribe")
        if refusal is not None:
            raise refusal
        await self._streams.authorise(connection.principal, stream)
        opening = await self._streams.hub.subscribe(stream, seq, subscription)
        if opening.more:
            raise Unrecoverable("too many events")
        subscription.missed(opening.events)
        return opening.events

    def enter(self, connection: RecoverableConnection) -> None:
        """A connection opens. If it is the continuation of one that still seems to be there, that one ends: it is half dead, or a copy."""
        former = self._connections.get(connection.sid)
        if former is not None:
            former.peer.expel(former.namespace.name)
        self._connections[connection.sid] = connection
        self._refreshes.add(connection)

    def leave(self, connection: RecoverableConnection) -> None:
        """A connection is closed."""
        self._refreshes.discard(connection)
        if self._connections.get(connection.sid) is connection:
            del self._connections[connection.sid]

    def offset(self, connection: RecoverableConnection) -> bytes:
        """Where a connection stands."""
        return self.seals.offset(connection.sid, connection.seqs, -(-self._clock.now() // 1000))

    def _refresh(self, connection: RecoverableConnection) -> None:
        connection.tell_offset()
        self._refreshes.add(connection)
