"""One client in one namespace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

from server.auth.principal import Principal
from server.errors import AppError
from server.realtime import frames
from server.realtime.frames import Frame
from server.realtime.metrics import ACTIVE_CONNECTIONS
from server.realtime.namespace import Namespace
from server.streams.event import Batch, Signal

if TYPE_CHECKING:
    from server.realtime.peer import Peer
    from server.realtime.subscriptions import Subscription


class Connection:
    """A client connected to a namespace; what command handlers get.

    Attributes:
        sid: id of the connection in its namespace, as the client knows it.
        peer: the transport that it lives on.
        namespace: where it is connected.
        principal: who connected; None for an anonymous one.
        subscriptions: streams that it watches, by name.
        arrived: when the command being handled came in, ms on the cluster's clock.
        closed: whether it is gone; what is sent to it is dropped.
    """

    def __init__(self, sid: str, peer: Peer, namespace: Namespace, principal: Principal | None) -> None:
        self.sid = sid
        self.peer = peer
        self.namespace = namespace
        self.principal = principal
        self.subscriptions: dict[str, Subscription] = {}
        self.arrived = 0
        self.closed = False
        self._session = peer.session
        self._after_ack: list[Callable[[], None]] = []
        self._expiry: asyncio.TimerHandle | None = None
        ACTIVE_CONNECTIONS.labels(namespace.name).inc()
        if principal is not None:
            peer.sessions.add(principal, peer)
            self._await_expiry()
        for observer in namespace.observers:
            observer.entered(self)

    def require(self) -> Principal:
        """Who connected.

        Raises:
            AppError: UNAUTHENTICATED, for an anonymous connection.
        """
        if self.principal is None:
            raise AppError("UNAUTHENTICATED", "Connect with a token for this")
        return self.principal

    def emit(self, event: str, payload: dict[str, Any]) -> None:
        """Send an event with one argument to this client. Never blocks."""
        if not self.closed:
            self._session.write(frames.event(self.namespace.name, event, orjson.dumps(payload)))

    def write(self, frame: Frame) -> None:
        """Send a packet of this namespace that is encoded already. Never blocks."""
        if not self.closed:
            self._session.write(frame)

    def deliver(self, batch: Batch) -> None:
        """Send a batch of a stream as `events`; encoded once per batch and namespace, whoever comes first."""
        name = self.namespace.name
        frame = batch.memo.get(name)
        if frame is None:
            frame = batch.memo[name] = frames.event(name, "events", batch.wire)
        self._session.write(frame)

    def signal(self, signal: Signal) -> None:
        """Send something ephemeral; encoded once per namespace, as a batch is."""
        if signal.besides and self.principal is not None and self.principal.id == signal.besides:
            return
        name = self.namespace.name
        frame = signal.memo.get(name)
        if frame is None:
            frame = signal.memo[name] = frames.event(name, signal.event, signal.payload)
        self._session.write(frame)

    def after_ack(self, callback: Callable[[], None]) -> None:
        """Run something once the ack of the command being handled has been written."""
        self._after_ack.append(callback)

    def settle(self) -> None:
        """Run what waits for the ack."""
        callbacks, self._after_ack = self._after_ack, []
        for callback in callbacks:
            callback()

    def close(self) -> None:
        """Leave the namespace: subscriptions and the login's entry are given back. Idempotent."""
        if self.closed:
            return
        self.closed = True
        self._after_ack.clear()
        for subscription in list(self.subscriptions.values()):
            subscription.end()
        if self._expiry is not None:
            self._expiry.cancel()
        for observer in self.namespace.observers:
            observer.left(self)
        if self.principal is not None:
            self.peer.sessions.remove(self.principal, self.peer)
        ACTIVE_CONNECTIONS.labels(self.namespace.name).dec()

    def _await_expiry(self) -> None:
        """Close the transport when the token ends, by the cluster's clock, which may have been corrected meanwhile."""
        assert self.principal is not None
        left_ms = max(0, self.principal.expires_at - self.peer.clock.now())
        self._expiry = asyncio.get_running_loop().call_later(left_ms / 1000, self._expire)

    def _expire(self) -> None:
        assert self.principal is not None
        if self.principal.expires_at <= self.peer.clock.now():
            self.peer.close("token expired")
        else:
            self._await_expiry()
