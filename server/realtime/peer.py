"""The Socket.IO side of one transport: its namespaces, and the commands that arrive on it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Collection, Coroutine, Mapping
from time import monotonic
from typing import Any, Final

import structlog

from server.clock import new_id
from server.errors import AppError
from server.realtime import frames
from server.realtime.connection import Connection
from server.realtime.edge import Call, Edge
from server.realtime.metrics import DISMISSED, REFUSED
from server.realtime.namespace import Namespace, RawHandler, SocketCommand, TurnedAway
from server.realtime.packets import Head, Kind, NotText, Packet, arguments, head, parse, with_binary
from server.realtime.recovery import RecoverableConnection
from server.realtime.session import CLIENT_DISCONNECT, PARSE_ERROR, SERVER_DISCONNECT, TRANSPORT_CLOSE, Session
from server.realtime.websocket import TURN_S
from server.web.outage import is_outage

CONNECT_TIMEOUT_S: Final = 45.0
"""A transport that enters no namespace within this time is closed, as the JavaScript server does."""

BACKLOG: Final = 128
"""Packets of a client that wait for their turn; with so many, no more are read from it."""

BACKLOG_SIZE: Final = 1 << 20
"""The same in characters; the packet that passes it may be as large as a packet may."""

ATTACHED_BYTES: Final = 1 << 20
"""Of all attachments of a packet together."""

RUNNING: Final = 128
"""Commands of a client whose commits are under way at a time."""

_NEXT_POLL_S: Final = 0.05
"""Between two looks whether a polling client has fetched what waits for it."""

_LAST_POLL_S: Final = 2.0
"""Who has not polled for so long is not there any more, and nobody waits for it."""

log = structlog.get_logger(__name__)


class Peer:
    """One client's transport and the namespaces that it has entered.

    What arrives is begun in order, each packet when the one before has been handled or, being a command, waits for nothing but
    its commit. So commits overlap, and yet what one client appends to a stream keeps its order. The backlog is bounded: a client
    that sends faster than it is served is slowed down by TCP, not dropped.
    """

    __slots__ = (
        "__weakref__",
        "_attachments",
        "_backlog",
        "_backlog_size",
        "_calls",
        "_connections",
        "_dismissed",
        "_first",
        "_leaving",
        "_partial",
        "edge",
        "session",
    )

    def __init__(self, session: Session, edge: Edge) -> None:
        self.session = session
        self.edge = edge
        self._connections: dict[str, Connection] = {}
        self._partial: Packet | None = None
        self._attachments: list[bytes] = []
        self._backlog: deque[str | bytes] | None = None
        self._backlog_size = 0
        self._first: Call | None = None
        self._calls: set[Call] | None = None
        self._dismissed = False
        self._leaving = False
        edge.arrivals.add(self)

    @property
    def watching(self) -> int:
        """How many streams the client watches, all namespaces together."""
        return sum(len(connection.subscriptions) for connection in self._connections.values())

    def close(self, reason: str) -> None:
        """Close the transport; what the client sent but wasn't begun yet is dropped. Idempotent."""
        if self._leaving and self._backlog:
            self._backlog.clear()
            self._backlog_size = 0
        self.session.end(reason)

    def announce(self, event: str, payload: dict[str, Any]) -> None:
        """Emit an event in every namespace that the client has entered."""
        for connection in self._connections.values():
            connection.emit(event, payload)

    @property
    def connections(self) -> Collection[Connection]:
        """The namespaces that the client has entered."""
        return self._connections.values()

    def connections_of(self, user: str) -> list[Connection]:
        """The namespaces that the client has entered as this user."""
        entered = self._connections.values()
        return [one for one in entered if one.principal is not None and one.principal.id == user]

    def expel(self, name: str) -> None:
        """Make the client leave a namespace; the official one doesn't come back by itself. Nothing happens if it isn't there."""
        if name in self._connections:
            self.session.write(frames.disconnected(name))
            self._leave(name)

    def dismiss(self, patience_s: float = _LAST_POLL_S) -> None:
        """Close the transport, once the commands that are being handled have been answered and the client has the answers.

        Args:
            patience_s: how long to wait for a polling client to fetch them.
        """
        if self._calls or self._backlog:
            self._dismissed = True
        elif self.session.unsent and patience_s > 0:
            asyncio.get_running_loop().call_later(_NEXT_POLL_S, self.dismiss, patience_s - _NEXT_POLL_S)
        elif not self.session.closed:
            DISMISSED.inc()
            self.session.end(SERVER_DISCONNECT)

    def closed(self, reason: str) -> None:
        """The transport is gone: give back what the client held. What it sent before it left by itself is executed first."""
        self.edge.arrivals.discard(self)
        if self._backlog and reason in {CLIENT_DISCONNECT, TRANSPORT_CLOSE}:
            self._leaving = True
            return
        self._backlog = None
        connections, self._connections = self._connections, {}
        for connection in connections.values():
            connection.close()

    # what arrives

    def receive(self, data: str | bytes) -> None:
        """Handle one message, now or in its turn; a malformed one closes the connection and harms nobody else."""
        if self._first is None and not self._backlog and (not self._calls or len(self._calls) < RUNNING):
            self._begin(data)
            return
        if self._backlog is None:
            self._backlog = deque()
        self._backlog.append(data)
        self._backlog_size += len(data)
        if len(self._backlog) >= BACKLOG or self._backlog_size >= BACKLOG_SIZE:
            self.session.hold()

    def proceed(self, call: Call) -> None:
        """Begin with what waits behind a call, if something does."""
        if self._first is call:
            self._first = None
            if self._backlog or self.session.held:
                asyncio.get_running_loop().call_soon(self._go_on)

    @property
    def _is_full(self) -> bool:
        return self._calls is not None and len(self._calls) >= RUNNING

    def _go_on(self) -> None:
        until = monotonic() + TURN_S
        while self._backlog and self._first is None and not self._is_full:
            data = self._backlog.popleft()
            self._backlog_size -= len(data)
            self._begin(data)
            if monotonic() > until and self._backlog:  # others have a turn
                asyncio.get_running_loop().call_soon(self._go_on)
                return
        if self.session.held and len(self._backlog or ()) <= BACKLOG // 2 and self._backlog_size <= BACKLOG_SIZE // 2:
            self.session.release()
        if self._backlog or self._first is not None:
            return
        if self._leaving:
            self._leaving = False
            self.closed(SERVER_DISCONNECT)
        elif self._dismissed and not self._calls:
            self._dismissed = False
            self.dismiss()

    def _begin(self, data: str | bytes) -> None:
        if type(data) is str and self._partial is None:
            of = head(data)
            if of is not None and (connection := self._connections.get(of[1] or "/")) is not None:
                self._event(connection, of, data)
                return
        try:
            packet = self._assemble(data)
            if packet is not None:
                self._handle(packet)
        except ValueError as error:
            self._malformed(error)

    def _malformed(self, error: ValueError) -> None:
        log.info("realtime.malformed_packet", error=str(error))
        self.session.end(PARSE_ERROR)

    def _assemble(self, data: str | bytes) -> Packet | None:
        """The packet that the message completes, if it does."""
        if isinstance(data, str):
            if self._partial is not None:
                raise ValueError("an attachment is missing")
            packet = parse(data)
            if packet.attachments and packet.namespace not in self._connections:
                raise ValueError("a namespace that was not entered")
        else:
            if self._partial is None:
                raise ValueError("unexpected binary data")
            packet, self._partial = self._partial, None
            self._attachments.append(data)
            if sum(map(len, self._attachments)) > ATTACHED_BYTES:
                raise ValueError("attachments are too large")
        if len(self._attachments) < packet.attachments:
            self._partial = packet
            return None
        attachments, self._attachments = self._attachments, []
        return packet._replace(data=with_binary(packet.data, attachments)) if attachments else packet

    def _handle(self, packet: Packet) -> None:
        connection = self._connections.get(packet.namespace)
        if packet.kind is Kind.CONNECT:
            # The official client sends it twice when `connect()` is called twice: the second replaces the first.
            self._leave(packet.namespace)
            call = Call(self, overlaps=False)
            self._start(call, self._connect(call, packet.namespace, packet.data))
        elif connection is None:
            raise ValueError("a namespace that was not entered")
        elif packet.kind is Kind.DISCONNECT:
            self._leave(packet.namespace)
        elif packet.kind in {Kind.EVENT, Kind.BINARY_EVENT}:
            event, *values = packet.data
            refusal = self._count(connection, event)
            if refusal is not None:
                self._refuse(connection, event, packet.number, refusal)
            else:
                self._execute(connection, event, packet.number, values, binary=packet.kind is Kind.BINARY_EVENT)
        # Acks are left: the server asks for none.

    # commands

    def _event(self, connection: Connection, of: Head, text: str) -> None:
        """A command in the form in which clients write it; one too many is refused unparsed, at next to no cost."""
        _, digits, event = of.groups()
        number = int(digits) if digits else None
        refusal = self._count(connection, event)
        if refusal is None:
            try:
                values = arguments(text, of)
            except NotText:
                # What would be left of it could be neither stored nor shown.
                what = [{"loc": [], "msg": "text must be whole Unicode characters"}]
                refusal = AppError("VALIDATION_FAILED", errors=what)
            except ValueError as error:
                self._malformed(error)
                return
        if refusal is not None:
            self._refuse(connection, event, number, refusal)
        else:
            self._execute(connection, event, number, values)

    def _count(self, connection: Connection, event: str) -> AppError | None:
        limits = self.edge.limits
        if not limits.on:
            return None
        user = connection.principal.id if connection.principal else None
        namespace = connection.namespace
        return limits.command(user, self.session.address, namespace.name, namespace.label(event))

    def _refuse(self, connection: Connection, event: str, number: int | None, refusal: AppError) -> None:
        self._acknowledge(connection, number, refusal.to_ack())
        connection.namespace.tally(event).refusal(refusal.code)

    def _execute(
        self, connection: Connection, event: str, number: int | None, values: list[Any], *, binary: bool = False
    ) -> None:
        namespace = connection.namespace
        raw = namespace.raws.get(event) if namespace.raws else None
        if raw is not None:
            self._start(Call(self, overlaps=True), self._answer_raw(connection, raw, number, values))
            return
        began = connection.arrived = monotonic()
        try:
            command = namespace.find(event)
            answer = command.handler(connection, command.parse(values, binary=binary))
            if type(answer) is dict:
                self._succeed(connection, command, number, answer, began)
                return
        except Exception as error:
            self._fail(connection, event, number, error, began)
            return
        assert isinstance(answer, Awaitable)
        call = Call(self, overlaps=command.overlaps)
        self._start(call, self._answer(call, connection, command, number, answer, began))

    def _start(self, call: Call, work: Coroutine[Any, Any, None]) -> None:
        """Run something that takes time; what arrives waits until it ends or has been submitted."""
        self._first = call
        if self._calls is None:
            self._calls = set()
        self._calls.add(call)
        self.edge.calls.add(call)
        call.start(self._run(call, work))

    async def _run(self, call: Call, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        finally:
            self.edge.calls.discard(call)
            call.end()
            assert self._calls is not None
            self._calls.discard(call)
            if self._first is call:
                self._first = None
            if self._backlog or self._dismissed or self._leaving or self.session.held:
                self._go_on()

    async def _answer(
        self,
        call: Call,
        connection: Connection,
        command: SocketCommand,
        number: int | None,
        answer: Awaitable[Mapping[str, Any]],
        began: float,
    ) -> None:
        try:
            self._succeed(connection, command, number, await answer, began)
        except asyncio.CancelledError:
            if not call.is_late():
                raise
            self._fail(connection, command.event, number, TimeoutError(), began)
        except Exception as error:
            self._fail(connection, command.event, number, error, began)

    def _succeed(
        self,
        connection: Connection,
        command: SocketCommand,
        number: int | None,
        answer: Mapping[str, Any],
        began: float,
    ) -> None:
        self._acknowledge(connection, number, {"ok": True, **answer})
        connection.settle()
        command.tally.success(monotonic() - began)

    def _fail(self, connection: Connection, event: str, number: int | None, error: Exception, began: float) -> None:
        namespace = connection.namespace
        failure = _as_app_error(error, namespace.label(event))
        self._acknowledge(connection, number, failure.to_ack())
        connection.settle()
        namespace.tally(event).failure(failure.code, monotonic() - began)

    async def _answer_raw(
        self, connection: Connection, handler: RawHandler, number: int | None, values: list[Any]
    ) -> None:
        try:
            answer = await handler(connection, values)
            if answer is not None and number is not None and not connection.closed:
                self.session.write(frames.raw_acknowledgement(connection.namespace.name, number, answer))
        except Exception as error:
            # Without the traceback: it would show what the client sent, as deeply nested as that is.
            log.error("realtime.raw_event_failed", kind=type(error).__name__, error=str(error)[:300])

    def _acknowledge(self, connection: Connection, number: int | None, answer: dict[str, Any]) -> None:
        if number is not None and not connection.closed:
            self.session.send(frames.acknowledgement(connection.namespace.name, number, answer))

    # namespaces

    async def _connect(self, call: Call, name: str, auth: dict[str, Any] | None) -> None:
        namespace = self.edge.namespaces.get(name)
        try:
            self.edge.limits.connect(self.session.sid)
            if namespace is None:
                REFUSED.labels("unknown namespace").inc()
                self.session.write(frames.refused(name, "Invalid namespace"))
                return
            await self._admit(namespace, auth or {})
        except asyncio.CancelledError:
            if not call.is_late():
                raise
            self._turn_away(name, "UNAVAILABLE")
        except TurnedAway as error:
            self._turn_away(name, str(error))
        except Exception as error:
            self._turn_away(name, _as_app_error(error, "connect").code)

    async def _admit(self, namespace: Namespace, auth: dict[str, Any]) -> None:
        token = auth.get("token")
        if namespace.gate is not None:
            principal = await namespace.gate(auth, self.session.address)
        elif token is not None:
            principal = await self.edge.tokens.authenticate(token)
        elif namespace.anonymous:
            principal = None
        else:
            raise AppError("UNAUTHENTICATED")
        if self.session.closed:
            return
        recovery = namespace.recovery if auth.get("recover") is True else None
        if recovery is None:
            connection = Connection(new_id(), self, namespace, principal)
        else:
            connection = RecoverableConnection(new_id(), self, namespace, principal, recovery)
        self._connections[namespace.name] = connection
        # The logout may have passed between the look at the denylist and the registration just made.
        if principal is not None and self.edge.tokens.revoked(principal.session):
            self._leave(namespace.name)
            raise AppError("UNAUTHENTICATED")
        if isinstance(connection, RecoverableConnection):
            await self._resume(connection, auth)
        self.edge.arrivals.discard(self)
        if connection.closed:
            return
        connection.welcome()
        if namespace.greeting is not None:
            namespace.greeting(connection, auth)

    async def _resume(self, connection: RecoverableConnection, auth: dict[str, Any]) -> None:
        try:
            await connection.resume(auth)
        except BaseException:
            self._leave(connection.namespace.name)
            raise

    def _leave(self, name: str) -> None:
        connection = self._connections.pop(name, None)
        if connection is not None:
            connection.close()

    def _turn_away(self, name: str, code: str) -> None:
        REFUSED.labels(code).inc()
        self.session.write(frames.refused(name, code))


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
