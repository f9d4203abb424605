"""What the Admin UI is told, and what it may ask for."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2s
from typing import Any, Final

import orjson
import structlog

from server.auth.tokens import Tokens
from server.clock import Clock, to_rfc3339
from server.limits.limits import Limits
from server.realtime.admin.gate import AdminGate
from server.realtime.admin.tap import Tap
from server.realtime.connection import Connection
from server.realtime.engine import Listener
from server.realtime.frames import Frame
from server.realtime.metrics import TRAFFIC
from server.realtime.namespace import Namespace, is_reserved
from server.realtime.packets import Head, head, start
from server.realtime.peer import Peer
from server.realtime.session import Session
from server.settings import Settings

NAME: Final = "/admin"

STATS_S: Final = 2.0
"""Between two `server_stats`; the page takes a server for dead after ten seconds without."""

_SLICE: Final = 1_000
_OURS: Final = frozenset({"events", "offset", "reconnect"})
"""Events that clients believe to be the server's own word."""

_SECRET: Final = frozenset({"token", "access_token", "refresh_token", "password", "current_password", "new_password"})
_HIDDEN: Final = "***"

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Shown:
    """A client as the page knows it: since when (ms), by which id, over what."""

    issued: int
    sid: str
    transport: str


class AdminUI:
    """The namespace `/admin` and everything that it shows; an observer of all namespaces.

    Args:
        instance: name of this process.
        peers: the transports of this instance.

    Attributes:
        namespace: to be opened beside the others.
        gate: who may enter it.
    """

    def __init__(
        self,
        settings: Settings,
        tokens: Tokens,
        clock: Clock,
        limits: Limits,
        instance: str,
        peers: Mapping[str, Peer],
    ) -> None:
        self.gate = AdminGate(settings, tokens, clock, limits)
        self.namespace = Namespace(NAME, private=True)
        self.namespace.gate = self.gate.admit
        self.namespace.greeting = self._greet
        self._features = ["AGGREGATED_EVENTS"]
        self._development = settings.admin_ui == "development"
        if self._development:
            self._features.append("ALL_EVENTS")
        if not settings.admin_ui_read_only:
            self._features += ["EMIT", "DISCONNECT", "MDISCONNECT"]
            self.namespace.raw("emit", self._emit)
            self.namespace.raw("_disconnect", self._disconnect)
        self._clock = clock
        self._instance = instance
        self._peers = peers
        self._namespaces: list[Namespace] = []
        self._began = time.monotonic()
        self._admins: dict[Connection, None] = {}
        self._shown: dict[Connection, _Shown] = {}
        self._counts: Counter[tuple[str, str | None]] = Counter()
        self._packets_in = self._packets_out = 0
        self._traffic = (TRAFFIC.received, TRAFFIC.sent)
        self._reason = ""
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, namespaces: Iterable[Namespace]) -> None:
        """Show what happens in these namespaces, and in its own."""
        self._namespaces = [*namespaces, self.namespace]
        for namespace in self._namespaces:
            namespace.observers.append(self)

    def tapped(self, listener: Listener) -> Listener:
        """The listener, with somebody looking on."""
        return Tap(self, listener)

    # an observer

    def entered(self, connection: Connection) -> None:
        """See Observer."""
        self._shown[connection] = _Shown(self._clock.now(), connection.sid, _transport(connection))
        if self._development and self._admins:
            self._tell("socket_connected", self._serialized(connection), self._time())

    def left(self, connection: Connection) -> None:
        """See Observer."""
        self._admins.pop(connection, None)
        shown = self._shown.pop(connection, None)
        if shown is not None and self._development:
            reason = self._reason if connection.peer.session.closed else "client namespace disconnect"
            self._tell("socket_disconnected", connection.namespace.name, shown.sid, reason, self._time())

    def subscribed(self, connection: Connection, stream: str) -> None:
        """See Observer."""
        if self._development:
            self._follow(connection)
            self._tell("room_joined", connection.namespace.name, stream, connection.sid, self._time())

    def unsubscribed(self, connection: Connection, stream: str) -> None:
        """See Observer."""
        if self._development:
            self._tell("room_left", connection.namespace.name, stream, connection.sid, self._time())

    async def stop(self) -> None:
        """See Observer. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.gate.close()

    # what the tap brings

    def opened(self) -> None:
        """A transport was opened."""
        self._counts["rawConnection", None] += 1

    def closing(self, reason: str) -> None:
        """A transport is being closed; its namespaces are left next."""
        self._counts["rawDisconnection", reason] += 1
        self._reason = reason

    def received(self, session: Session, data: str | bytes) -> None:
        """A packet came in."""
        self._packets_in += 1
        if not (self._development and self._admins and isinstance(data, str)):
            return
        command = head(data)
        connection = self._connection(session, command) if command is not None else None
        if command is not None and connection is not None:
            self._show("event_received", connection, data[start(command) :])

    def sent(self, session: Session, frame: Frame) -> None:
        """A frame was written."""
        self._packets_out += 1
        if not (self._development and self._admins and frame.packet.startswith(b"42")):
            return
        found = head(frame.packet[1:].decode())
        connection = self._connection(session, found) if found is not None else None
        if found is not None and connection is not None:
            self._show("event_sent", connection, frame.packet[1 + start(found) :])

    def _connection(self, session: Session, command: Head) -> Connection | None:
        peer = self._peers.get(session.sid)
        namespace = command[1] or "/"
        if peer is None or namespace == NAME:  # or telling would have to be told of
            return None
        return next((one for one in peer.connections if one.namespace.name == namespace), None)

    def _show(self, what: str, connection: Connection, encoded: str | bytes) -> None:
        try:
            event, *arguments = _without_secrets(orjson.loads(encoded))
            orjson.dumps([[arguments]])
        except ValueError:
            return  # whoever reads it in earnest closes the connection
        except (RecursionError, TypeError):  # more can be read than can be written
            event, arguments = _HIDDEN, ["nested too deeply to be shown"]
        if event == "offset" or (event == "events" and what == "event_sent"):
            arguments[1 if event == "events" else 0 :] = []  # what a client recovers its connection with
        self._tell(what, connection.namespace.name, connection.sid, [event, *arguments], self._time())

    # telling

    def _greet(self, connection: Connection, auth: dict[str, Any]) -> None:
        if auth.get("token") is None and not self.gate.knows(auth.get("sessionId")):
            connection.send("session", self.gate.session_id())
        connection.send("config", {"supportedFeatures": self._features})
        if self._development:
            connection.send("all_sockets", [self._serialized(one) for one in self._shown])
        self._admins[connection] = None
        if self._timer is None:
            self._aggregated()  # what was before anybody looked
            self._tell_stats()
        else:
            connection.send("server_stats", self._stats([]))

    def _tell(self, event: str, *arguments: Any) -> None:
        for admin in list(self._admins):
            admin.send(event, *arguments)

    def _tell_stats(self) -> None:
        self._timer = None
        if not self._admins:
            return
        self._timer = asyncio.get_running_loop().call_later(STATS_S, self._tell_stats)
        self._tell("server_stats", self._stats(self._aggregated()))
        if self._development:
            for connection in list(self._shown):
                self._follow(connection)

    def _follow(self, connection: Connection) -> None:
        """Show what has changed of a client since it came: one that recovered has its former id, and polling ones upgrade."""
        shown, name, transport = self._shown[connection], connection.namespace.name, _transport(connection)
        if shown.sid != connection.sid:
            self._tell("socket_disconnected", name, shown.sid, "recovered", self._time())
            shown.sid, shown.transport = connection.sid, transport
            self._tell("socket_connected", self._serialized(connection), self._time())
        elif shown.transport != transport:
            shown.transport = transport
            self._tell("socket_updated", {"id": shown.sid, "nsp": name, "transport": transport})

    def _stats(self, aggregated: list[dict[str, Any]]) -> dict[str, Any]:
        sockets = Counter(connection.namespace.name for connection in self._shown)
        return {
            "serverId": self._instance,
            "hostname": socket.gethostname(),
            "pid": os.getpid(),
            "uptime": time.monotonic() - self._began,
            "clientsCount": len(self._peers),
            "pollingClientsCount": sum(not peer.session.upgraded for peer in self._peers.values()),
            "aggregatedEvents": aggregated,
            "namespaces": [{"name": one.name, "socketsCount": sockets[one.name]} for one in self._namespaces],
        }

    def _aggregated(self) -> list[dict[str, Any]]:
        """What has happened since the last time."""
        received, sent = TRAFFIC.received, TRAFFIC.sent
        self._counts["packetsIn", None] = self._packets_in
        self._counts["packetsOut", None] = self._packets_out
        self._counts["bytesIn", None] = received - self._traffic[0]
        self._counts["bytesOut", None] = sent - self._traffic[1]
        self._packets_in = self._packets_out = 0
        self._traffic = (received, sent)
        second = self._clock.now() // 1000 * 1000
        events: list[dict[str, Any]] = [
            {"timestamp": second, "type": kind, "count": count, **({} if part is None else {"subType": part})}
            for (kind, part), count in self._counts.items()
            if count
        ]
        self._counts.clear()
        return events

    def _serialized(self, connection: Connection) -> dict[str, Any]:
        """A client, without anything that would let another take its place: no token, no id of its transport, no headers."""
        shown = self._shown[connection]
        principal, session = connection.principal, connection.peer.session
        return {
            "id": connection.sid,
            "clientId": blake2s(session.sid.encode(), digest_size=6).hexdigest(),
            "transport": _transport(connection),
            "nsp": connection.namespace.name,
            "data": {"user": principal.id, "role": principal.role, "admin": principal.admin} if principal else {},
            "handshake": {
                "address": session.address,
                "headers": {},
                "query": {},
                "issued": shown.issued,
                "secure": False,
                "time": to_rfc3339(shown.issued),
                "url": "/socket.io/",
                "xdomain": False,
            },
            "rooms": [connection.sid, *connection.subscriptions],
        }

    def _time(self) -> str:
        return to_rfc3339(self._clock.now())

    # what the page asks for

    async def _emit(self, admin: Connection, arguments: list[Any]) -> None:
        """`(namespace, room or id or nothing, event, ...arguments)`"""
        match arguments:
            case [str(namespace), str() | None as room, str(event), *values] if not (
                event in _OURS or is_reserved(event)
            ):
                count = 0
                async for connection in self._matching(namespace, room):
                    connection.send(event, *values)
                    count += 1
                self._log("emit", admin, namespace=namespace, room=room, emitted=event, sockets=count)

    async def _disconnect(self, admin: Connection, arguments: list[Any]) -> None:
        """`(namespace, whether to close the transport, room or id or nothing)`"""
        match arguments:
            case [str(namespace), bool(close), *rest] if all(isinstance(each, str | None) for each in rest[:1]):
                room = rest[0] if rest else None
                count = 0
                async for connection in self._matching(namespace, room):
                    if close:
                        connection.peer.close("disconnected by an admin")
                    else:
                        connection.peer.expel(namespace)
                    count += 1
                self._log("disconnect", admin, namespace=namespace, room=room, close=close, sockets=count)

    async def _matching(self, namespace: str, room: str | None) -> AsyncIterator[Connection]:
        """The clients of a namespace that watch a stream, or the one of that id, or all."""
        for number, connection in enumerate(list(self._shown), 1):
            if (
                not connection.closed
                and connection.namespace.name == namespace
                and (not room or room == connection.sid or room in connection.subscriptions)
            ):
                yield connection
            if number % _SLICE == 0:
                await asyncio.sleep(0)

    def _log(self, what: str, admin: Connection, **details: Any) -> None:
        by = admin.principal.id if admin.principal is not None else "password"
        log.warning(f"admin_ui.{what}", by=by, address=admin.peer.session.address, **details)


def _transport(connection: Connection) -> str:
    return "websocket" if connection.peer.session.upgraded else "polling"


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _HIDDEN if name in _SECRET else _without_secrets(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_without_secrets(part) for part in value]
    return value
