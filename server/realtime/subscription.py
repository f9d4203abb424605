"""One connection's place among the readers of one stream."""

from __future__ import annotations

from server.realtime import frames
from server.realtime.connection import Connection
from server.realtime.watchers import Watchers
from server.streams.event import Batch, Signal
from server.streams.streams import Streams


class Subscription:
    """A sink for one stream of one connection.

    It starts corked: events that are delivered before the ack has been written wait for it, so that a client never sees an
    event of a stream before it knows where the stream began.
    """

    __slots__ = (
        "_closed",
        "_connection",
        "_corked",
        "_namespace",
        "_stream",
        "_streams",
        "_watchers",
        "_write",
    )

    def __init__(self, connection: Connection, stream: str, streams: Streams, watchers: Watchers) -> None:
        self._connection = connection
        self._namespace = connection.namespace.name
        self._write = connection.peer.session.write
        self._stream = stream
        self._streams = streams
        self._watchers = watchers
        self._corked: list[Batch | Signal] | None = []
        self._closed = False

    def begin(self, seq: int) -> None:
        """Enter it into the connection, which knows the stream up to `seq`; delivery begins after the ack."""
        if (former := self._connection.subscriptions.get(self._stream)) is not None:
            former.end()
        self._connection.subscriptions[self._stream] = self
        self._connection.after_ack(self.uncork)
        if self._connection.namespace.watchers:
            self._watchers.attach(self._connection, self._stream)
        for observer in self._connection.namespace.observers:
            observer.subscribed(self._connection, self._stream)

    def deliver(self, batch: Batch) -> None:
        """A batch from the hub. The hottest line of all: whoever comes first makes the frame for all of its namespace."""
        if self._corked is None:
            frame = batch.memo.get(self._namespace)
            if frame is None:
                frame = batch.memo[self._namespace] = frames.event(self._namespace, "events", batch.wire)
            self._write(frame)
        else:
            self._corked.append(batch)

    def signal(self, signal: Signal) -> None:
        """Something ephemeral from the hub."""
        if self._corked is None:
            self._connection.signal(signal)
        else:
            self._corked.append(signal)

    async def permitted(self) -> bool:
        """See `server.streams.hub.Sink`."""
        return await self._streams.permitted(self._connection.principal, self._stream)

    def close(self, reason: str) -> None:
        """See `server.streams.hub.Sink`. What is held back came before that, so it is the client's still."""
        self._closed = True
        if self._corked is None:
            self.end()

    def cork(self) -> None:
        """Hold back what comes from now on."""
        if self._corked is None:
            self._corked = []

    def uncork(self) -> None:
        """Deliver what was held back, and everything else at once."""
        corked, self._corked = self._corked or (), None
        for held in corked:
            if isinstance(held, Batch):
                self.deliver(held)
            else:
                self._connection.signal(held)
        if self._closed:
            self.end()

    def end(self) -> None:
        """Stop watching; nothing is delivered after this. Idempotent."""
        self._streams.hub.unsubscribe(self._stream, self)
        if self._connection.subscriptions.get(self._stream) is self:
            del self._connection.subscriptions[self._stream]
            self._watchers.detach(self._connection, self._stream)
            for observer in self._connection.namespace.observers:
                observer.unsubscribed(self._connection, self._stream)
        self._corked = []
