"""The Socket.IO endpoint of this instance."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Final

from aiohttp import web

from server.auth.tokens import Tokens
from server.clock import Clock
from server.limits.address import ClientAddresses
from server.limits.limits import Limits
from server.realtime.admin import AdminUI
from server.realtime.connection import Connection
from server.realtime.deadlines import Alarms, Deadlines
from server.realtime.departure import see_off
from server.realtime.edge import Call, Edge
from server.realtime.engine import Server
from server.realtime.metrics import ACTIVE_USERS, TRANSPORTS
from server.realtime.namespace import Namespace
from server.realtime.peer import CONNECT_TIMEOUT_S, Peer
from server.realtime.recovery import Recovery
from server.realtime.session import Receive, Session
from server.realtime.sessions import LiveSessions
from server.realtime.subscriptions import Subscriptions
from server.realtime.watchers import INTERVAL_S, RedisSource, Watchers
from server.settings import Settings
from server.streams.hub import Hub
from server.streams.streams import Streams
from server.web.origins import Origins

PATH: Final = "/socket.io/"

SETTLING_GRACE_S: Final = 1.0
"""How much longer than an append a whole command may take."""


class Sockets:
    """Namespaces on one endpoint, and the live connections of this instance.

    Add namespaces, attach to the application, and `await stop()` before the web server stops.

    Args:
        streams, hub: what clients subscribe to.
        tokens: who may connect.
        limits: how often.
        instance: name of this process; session ids begin with it.
        redis: where instances tell each other how many watch a stream; without it each counts its own.
        outbound_limit: bytes waiting for a client beyond which it is cut off; by default as the settings say.
        connect_timeout_s: until when a transport must have entered a namespace.
        watchers_interval_s: between two events `watchers` of a stream.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        streams: Streams,
        hub: Hub,
        tokens: Tokens,
        limits: Limits,
        *,
        instance: str = "local",
        redis: RedisSource | None = None,
        outbound_limit: int | None = None,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        watchers_interval_s: float = INTERVAL_S,
    ) -> None:
        self.sessions = LiveSessions()
        self._namespaces: dict[str, Namespace] = {}
        self._peers: dict[str, Peer] = {}
        self._all_gone = asyncio.Event()
        self._watchers = Watchers(redis, clock, interval_s=watchers_interval_s)
        self._subscriptions = Subscriptions(streams, hub, clock, self._watchers, tokens, settings.max_subscriptions)
        buffer = outbound_limit if outbound_limit is not None else settings.socket_buffer
        self._recoverable = frozenset(settings.socket_recovery)
        self._recovery = Recovery(
            tokens.derived("socket recovery"),
            streams,
            self._watchers,
            clock,
            limits,
            limit=settings.max_subscriptions,
            buffer=buffer,
            patience_s=settings.append_timeout_ms / 2000,  # as a call it has a little more than the whole
            window_s=settings.socket_recovery_s,
        )
        self._edge = Edge(
            namespaces=self._namespaces,
            tokens=tokens,
            sessions=self.sessions,
            limits=limits,
            calls=Deadlines(settings.append_timeout_ms / 1000 + SETTLING_GRACE_S, Call.give_up),
            arrivals=Deadlines(connect_timeout_s, partial(Peer.close, reason="connect timeout")),
            expiries=Alarms(clock.now, Connection.expire),
        )
        self._admin = (
            AdminUI(settings, tokens, clock, limits, instance, self._peers) if settings.admin_ui != "off" else None
        )
        self._server = Server(
            self,
            ping_interval=settings.ping_interval_s,
            ping_timeout=settings.ping_timeout_s,
            max_http_buffer_size=settings.max_body,
        )
        self._server.eio.instance = instance
        self._server.eio.limits = limits
        addresses = self._server.eio.addresses = ClientAddresses(settings.trusted_proxies)
        self._server.eio.origins = Origins(settings.cors_origins, addresses)
        self._server.eio.outbound_limit = buffer
        self._server.eio.compression = settings.socket_compression
        TRANSPORTS.set_function(lambda: len(self._peers))
        ACTIVE_USERS.set_function(lambda: self.sessions.users)

    def __iter__(self) -> Iterator[Namespace]:
        return (namespace for namespace in self._namespaces.values() if not namespace.private)

    def add(self, namespace: Namespace) -> Namespace:
        """Open a namespace, and give it the commands that all have.

        Raises:
            ValueError: there is one of that name.
        """
        if namespace.name in self._namespaces:
            raise ValueError(f"the namespace {namespace.name} is added twice")
        self._subscriptions.register(namespace)
        if namespace.name in self._recoverable:
            self._recovery.allow(namespace)
        self._namespaces[namespace.name] = namespace
        return namespace

    def attach(self, app: web.Application) -> None:
        """Serve under `/socket.io/`.

        Raises:
            ValueError: clients of a namespace that isn't there may be recovered.
        """
        if unknown := self._recoverable - self._namespaces.keys():
            raise ValueError(f"RIALTO_SOCKET_RECOVERY names unknown namespaces: {sorted(unknown)}")
        if self._admin is not None:
            self._admin.watch(self._namespaces.values())
            self._namespaces[self._admin.namespace.name] = self._admin.namespace
            self._server.eio.listener = self._admin.tapped(self)
        self._server.eio.attach(app, PATH)

    async def drain(self, rate: float, limit_s: float) -> None:
        """Refuse new clients and see off those that are here, `rate` a second; returns when all have left, or after `limit_s`."""
        self._server.eio.admitting = False
        if self._peers:
            self._all_gone.clear()
            await see_off(self._peers.values(), self._all_gone, rate, limit_s)

    async def stop(self) -> None:
        """Close all connections and refuse new ones; returns when commands under way are answered and all is closed."""
        await self._server.eio.shutdown()
        await self._edge.calls.emptied()
        await self._watchers.stop()
        for observer in [observer for namespace in self._namespaces.values() for observer in namespace.observers]:
            await observer.stop()

    def close_session(self, session_id: str) -> int:
        """Close every live connection of a login on this instance, transports included; returns how many."""
        return self.sessions.close_session(session_id)

    def close_user(self, user_id: str) -> int:
        """Close every live connection of a user on this instance, transports included; returns how many."""
        return self.sessions.close_user(user_id)

    @property
    def open_transports(self) -> int:
        """Engine.IO sessions of this instance."""
        return len(self._peers)

    # the engine's listener

    def opened(self, session: Session) -> Receive:
        """A transport was opened."""
        peer = session.user = self._peers[session.sid] = Peer(session, self._edge)
        return peer.receive

    def closed(self, session: Session, reason: str) -> None:
        """A transport is closed."""
        self._peers.pop(session.sid, None)
        session.user.closed(reason)
        if not self._peers:
            self._all_gone.set()
