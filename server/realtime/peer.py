"""The Socket.IO side of one transport: its namespaces and the commands that arrive on it, one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from server.auth.tokens import Tokens
from server.clock import Clock, new_id
from server.errors import AppError
from server.limits.limits import Limits
from server.realtime import frames
from server.realtime.connection import Connection
from server.realtime.metrics import COMMAND_SECONDS, COMMANDS, DISMISSED, REFUSED
from server.realtime.namespace import Namespace
from server.realtime.packets import Head, Kind, NotText, Packet, head, parse
from server.realtime.session import PARSE_ERROR, SERVER_DISCONNECT, Session
from server.realtime.sessions import LiveSessions
from server.web.outage import is_outage

CONNECT_TIMEOUT_S: Final = 45.0
"""A transport that enters no namespace within this time is closed, as the JavaScript server does."""

_NEXT_POLL_S: Final = 0.05
"""Between two looks whether a polling client has fetched what waits for it."""

_LAST_POLL_S: Final = 2.0
"""Who has not polled for so long is not there any more, and nobody waits for it."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Edge:
    """What all transports share.

    Attributes:
        command_timeout_s: when a command that hangs is answered UNAVAILABLE, so that it can't hold up its client for ever.
        connect_timeout_s: until when a transport must have entered a namespace.
    """

    namespaces: Mapping[str, Namespace]
    tokens: Tokens
    sessions: LiveSessions
    clock: Clock
    limits: Limits
    command_timeout_s: float
    connect_timeout_s: float = CONNECT_TIMEOUT_S


class Peer:
    """One client's transport and the namespaces that it has entered.

    What arrives is handled in order, each packet to its end before the next is read. So the backlog of a client is what its
    transport buffers, which TCP bounds, and a client that sends faster than it is served is slowed down, not dropped.
    """

    def __init__(self, session: Session, edge: Edge) -> None:
        self.session = session
        self.sessions = edge.sessions
        self.clock = edge.clock
        self._edge = edge
        self._connections: dict[str, Connection] = {}
        self._partial: Packet | None = None
        self._missing = 0
        self._dismissed = False
        self._counted = False
        self._deadline: asyncio.TimerHandle | None = asyncio.get_running_loop().call_later(
            edge.connect_timeout_s, self.close, "connect timeout"
        )

    @property
    def watching(self) -> int:
        """How many streams the client watches, all namespaces together."""
        return sum(len(connection.subscriptions) for connection in self._connections.values())

    def close(self, reason: str) -> None:
        """Close the transport; what the client sent but wasn't handled yet is dropped. Idempotent."""
        self.session.end(reason)

    def announce(self, event: str, payload: dict[str, Any]) -> None:
        """Emit an event in every namespace that the client has entered."""
        for connection in self._connections.values():
            connection.emit(event, payload)

    def dismiss(self, patience_s: float = _LAST_POLL_S) -> None:
        """Close the transport, once the command that is being handled has been answered and the client has the answer.

        Args:
            patience_s: how long to wait for a polling client to fetch it.
        """
        if self.session.blocked:
            self._dismissed = True
        elif self.session.unsent and patience_s > 0:
            asyncio.get_running_loop().call_later(_NEXT_POLL_S, self.dismiss, patience_s - _NEXT_POLL_S)
        elif not self.session.closed:
            DISMISSED.inc()
            self.session.end(SERVER_DISCONNECT)

    def closed(self) -> None:
        """The transport is gone: give back what the client held."""
        self._stop_waiting()
        for connection in self._connections.values():
            connection.close()

    async def receive(self, data: str | bytes) -> None:
        """Handle one message; a malformed one closes the connection and harms nobody else."""
        self._counted = False
        if isinstance(data, str) and (command := head(data)) is not None and self._is_too_much(command):
            return  # unparsed: what is refused must cost next to nothing
        try:
            packet = self._assemble(data)
        except NotText:
            self._refuse_text(data)
            return
        except ValueError as error:
            log.info("realtime.malformed_packet", error=str(error))
            self.session.end(PARSE_ERROR)
            return
        if packet is None:
            return
        self.session.blocked = True
        try:
            await self._handle(packet)
        finally:
            self.session.blocked = False
            if self._dismissed:
                self.dismiss()

    def _is_too_much(self, command: Head) -> bool:
        """Count a command by its head, and refuse it if it is one too many."""
        connection = self._connections.get(command.namespace)
        if connection is None:
            return False
        self._counted = True
        refusal = self._count(connection, command.event)
        if refusal is not None:
            self._acknowledge(connection, command.number, refusal.to_ack())
            COMMANDS.labels(command.namespace, connection.namespace.label(command.event), refusal.code).inc()
        return refusal is not None

    def _refuse_text(self, data: str | bytes) -> None:
        """Answer an event that holds half a character; what was left of it could be neither stored nor shown."""
        command = head(data) if isinstance(data, str) else None
        connection = self._connections.get(command.namespace) if command is not None else None
        if command is None or connection is None:
            self.session.end(PARSE_ERROR)
            return
        refusal = AppError("VALIDATION_FAILED", errors=[{"loc": [], "msg": "text must be whole Unicode characters"}])
        self._acknowledge(connection, command.number, refusal.to_ack())
        COMMANDS.labels(command.namespace, connection.namespace.label(command.event), refusal.code).inc()

    def _count(self, connection: Connection, event: str) -> AppError | None:
        user = connection.principal.id if connection.principal else None
        namespace = connection.namespace
        return self._edge.limits.command(user, self.session.address, namespace.name, namespace.label(event))

    def _assemble(self, data: str | bytes) -> Packet | None:
        """The packet that the message completes, if it does. Attachments are counted and dropped: no command takes any."""
        if isinstance(data, str):
            if self._partial is not None:
                raise ValueError("an attachment is missing")
            packet = parse(data)
            self._missing = packet.attachments
        else:
            if self._partial is None:
                raise ValueError("unexpected binary data")
            packet, self._partial = self._partial, None
            self._missing -= 1
        if self._missing:
            self._partial = packet
            return None
        return packet

    async def _handle(self, packet: Packet) -> None:
        connection = self._connections.get(packet.namespace)
        if packet.kind is Kind.CONNECT:
            # The official client sends it twice when `connect()` is called twice: the second replaces the first.
            self._leave(packet.namespace)
            await self._connect(packet.namespace, packet.data)
        elif connection is None:
            self.session.end(PARSE_ERROR)
        elif packet.kind is Kind.DISCONNECT:
            self._leave(packet.namespace)
        elif packet.kind in {Kind.EVENT, Kind.BINARY_EVENT}:
            await self._command(connection, packet)
        # Acks are left: the server asks for none.

    async def _connect(self, name: str, auth: dict[str, Any] | None) -> None:
        namespace = self._edge.namespaces.get(name)
        if namespace is None:
            REFUSED.labels("unknown namespace").inc()
            self.session.write(frames.refused(name, "Invalid namespace"))
            return
        try:
            self._edge.limits.connect(self.session.sid)
            async with asyncio.timeout(self._edge.command_timeout_s):
                await self._admit(namespace, auth or {})
        except Exception as error:
            self._refuse(name, _as_app_error(error, "connect").code)

    async def _admit(self, namespace: Namespace, auth: dict[str, Any]) -> None:
        token = auth.get("token")
        if token is None:
            if not namespace.anonymous:
                raise AppError("UNAUTHENTICATED")
            principal = None
        else:
            principal = await self._edge.tokens.authenticate(token)
        if self.session.closed:
            return
        connection = Connection(new_id(), self, namespace, principal)
        self._connections[namespace.name] = connection
        # The logout may have passed between the look at the denylist and the registration just made.
        if principal is not None and self._edge.tokens.revoked(principal.session):
            self._leave(namespace.name)
            raise AppError("UNAUTHENTICATED")
        self._stop_waiting()
        self.session.write(frames.connected(namespace.name, connection.sid))

    def _leave(self, name: str) -> None:
        connection = self._connections.pop(name, None)
        if connection is not None:
            connection.close()

    def _refuse(self, name: str, code: str) -> None:
        REFUSED.labels(code).inc()
        self.session.write(frames.refused(name, code))

    async def _command(self, connection: Connection, packet: Packet) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        connection.arrived = self.clock.now()
        event, *arguments = packet.data
        label = connection.namespace.label(event)
        try:
            if not self._counted and (refusal := self._count(connection, event)) is not None:
                raise refusal
            command = connection.namespace.find(event)
            body = command.parse(arguments, binary=packet.kind is Kind.BINARY_EVENT)
            async with asyncio.timeout(self._edge.command_timeout_s):
                answer = {"ok": True, **await command.handler(connection, body)}
            self._acknowledge(connection, packet.number, answer)
            outcome = "ok"
        except Exception as error:
            failure = _as_app_error(error, label)
            self._acknowledge(connection, packet.number, failure.to_ack())
            outcome = failure.code
        connection.settle()
        COMMANDS.labels(connection.namespace.name, label, outcome).inc()
        COMMAND_SECONDS.labels(connection.namespace.name, label).observe(loop.time() - began)

    def _acknowledge(self, connection: Connection, number: int | None, answer: dict[str, Any]) -> None:
        if number is not None and not connection.closed:
            self.session.write(frames.acknowledgement(connection.namespace.name, number, answer))

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _as_app_error(error: Exception, command: str) -> AppError:
    if isinstance(error, AppError):
        return error
    if isinstance(error, TimeoutError):
        return AppError("UNAVAILABLE", "The command was not settled in time; send it again with the same key")
    if is_outage(error):
        log.warning("realtime.unavailable", command=command, kind=type(error).__name__, error=str(error)[:300])
        return AppError("UNAVAILABLE")
    log.error("realtime.command_failed", command=command, exc_info=error)
    return AppError("INTERNAL")
