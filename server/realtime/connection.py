"""One client in one namespace."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

from server.auth.principal import Principal
from server.errors import AppError
from server.realtime import frames
from server.realtime.frames import Frame
from server.realtime.metrics import ACTIVE_CONNECTIONS
from server.realtime.namespace import Namespace
from server.streams.event import Signal

if TYPE_CHECKING:
    from server.realtime.peer import Peer
    from server.realtime.subscription import Subscription


class Connection:
    """A client connected to a namespace; what command handlers get.

    Attributes:
        sid: id of the connection in its namespace, as the client knows it.
        peer: the transport that it lives on.
        namespace: where it is connected.
        principal: who connected; None for an anonymous one.
        subscriptions: streams that it watches, by name.
        arrived: when the command being handled came in, by `time.monotonic()`.
        closed: whether it is gone; what is sent to it is dropped.
    """

    __slots__ = (
        "_after_ack",
        "_session",
        "arrived",
        "closed",
        "namespace",
        "peer",
        "principal",
        "sid",
        "subscriptions",
    )

    def __init__(self, sid: str, peer: Peer, namespace: Namespace, principal: Principal | None) -> None:
        self.sid = sid
        self.peer = peer
        self.namespace = namespace
        self.principal = principal
        self.subscriptions: dict[str, Subscription] = {}
        self.arrived = 0.0
        self.closed = False
        self._session = peer.session
        self._after_ack: list[Callable[[], None]] | None = None
        ACTIVE_CONNECTIONS.labels(namespace.name).inc()
        if principal is not None:
            peer.edge.sessions.add(principal, peer)
            peer.edge.expiries.add(self, principal.expires_at)
        for observer in namespace.observers:
            observer.entered(self)

    def welcome(self) -> None:
        """Tell the client that it is connected."""
        self._session.write(frames.connected(self.namespace.name, self.sid))

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

    def send(self, *arguments: Any) -> None:
        """Send an event with any arguments, binary ones included; the first is its name. Never blocks."""
        if not self.closed:
            self._session.write(frames.raw_event(self.namespace.name, arguments))

    def write(self, frame: Frame) -> None:
        """Send a packet of this namespace that is encoded already. Never blocks."""
        if not self.closed:
            self._session.write(frame)

    def signal(self, signal: Signal) -> None:
        """Send something ephemeral; encoded once per namespace."""
        if signal.besides and self.principal is not None and self.principal.id == signal.besides:
            return
        name = self.namespace.name
        frame = signal.memo.get(name)
        if frame is None:
            frame = signal.memo[name] = frames.event(name, signal.event, signal.payload)
        self._session.write(frame)

    def after_ack(self, callback: Callable[[], None]) -> None:
        """Run something once the ack of the command being handled has been written. Only to be called right before its end."""
        if self._after_ack is None:
            self._after_ack = []
        self._after_ack.append(callback)

    def settle(self) -> None:
        """Run what waits for the ack."""
        if self._after_ack is not None:
            callbacks, self._after_ack = self._after_ack, None
            for callback in callbacks:
                callback()

    def renew(self, principal: Principal) -> None:
        """Go on with a newer token of the same user, perhaps of another login."""
        former, edge = self.require(), self.peer.edge
        edge.sessions.add(principal, self.peer)
        edge.sessions.remove(former, self.peer)
        edge.expiries.discard(self, former.expires_at)
        edge.expiries.add(self, principal.expires_at)
        self.principal = principal

    def expire(self) -> None:
        """The token has ended, and with it the transport."""
        self.peer.close("token expired")

    def close(self) -> None:
        """Leave the namespace: subscriptions and the login's entry are given back. Idempotent."""
        if self.closed:
            return
        self.closed = True
        self._after_ack = None
        for subscription in list(self.subscriptions.values()):
            subscription.end()
        for observer in self.namespace.observers:
            observer.left(self)
        if self.principal is not None:
            edge = self.peer.edge
            edge.expiries.discard(self, self.principal.expires_at)
            edge.sessions.remove(self.principal, self.peer)
        ACTIVE_CONNECTIONS.labels(self.namespace.name).dec()
