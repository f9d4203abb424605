"""A Socket.IO connection that comes back by itself and goes on with its streams where it left off, as a good client does.

The stock python-socketio client was measured against this on one core, 200 sockets in one process: a command with its ack
350 us there and 80-120 us here, a connection 2.5-7 ms and 0.4-0.6 ms. A thousand sockets would have kept a core busy.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import gevent
import orjson
from gevent.event import AsyncResult, Event
from gevent.timeout import Timeout

from loadtest.wire import packets
from loadtest.wire.follow import Fault, Follow
from loadtest.wire.listener import ANSWER_S, Ack, Listener, NoAnswer
from loadtest.wire.packets import Packet
from loadtest.wire.transport import Lost, Transport

_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 5.0
_SLACK_S: Final = 5.0


class _Pending(NamedTuple):
    name: str
    sent: float
    done: Callable[[Ack | Lost], None]


class Connection:
    """One client's connection. Commands block the calling greenlet; everything else happens in a greenlet of its own.

    Args:
        reach: opens a transport, at whichever instance it likes. Raises Lost.
        auth: what is sent when a namespace is entered.
        namespaces: which ones.
        listener: is told what happens.
        heard: called with (namespace, event, payload) for whatever the server sends by itself. Must not wait.

    Attributes:
        refused: why the market turned this client away for good, such as `UNAUTHENTICATED`; empty if it did not.
    """

    def __init__(
        self,
        reach: Callable[[], Transport],
        auth: Callable[[], dict[str, Any]],
        namespaces: Sequence[str],
        listener: Listener,
        heard: Callable[[str, str, dict[str, Any]], None],
    ) -> None:
        self.refused = ""
        self._reach = reach
        self._auth = auth
        self._namespaces = frozenset(namespaces)
        self._listener = listener
        self._heard = heard
        self._transport: Transport | None = None
        self._follows: dict[tuple[str, str], Follow] = {}
        self._pending: dict[int, _Pending] = {}
        self._number = 0
        self._entered: set[str] = set()
        self._resuming = 0
        self._ready = Event()
        self._wanted = False
        self._expected = False
        self._again = False
        self._began = 0.0
        self._keeper: Any = None

    # -- life ---------------------------------------------------------------------------------------------------------

    @property
    def open(self) -> bool:
        """Whether commands can be sent."""
        return bool(self._ready.is_set())

    def start(self, patience_s: float = 30.0) -> None:
        """Open it, and keep it open from now on.

        Raises:
            Lost: it did not open in time, or was refused.
        """
        self._wanted, self.refused = True, ""
        self._keeper = gevent.spawn(self._keep)
        if not self.wait(patience_s):
            self.close()
            if not self.refused:
                self._listener.broken("connect", patience_s * 1000, "not open in time")
            raise Lost(self.refused or "not open in time")

    def wait(self, patience_s: float) -> bool:
        """Wait until it is open (again), in vain if it is refused."""
        if not self.open and self._keeper is not None:
            gevent.wait([self._ready, self._keeper], timeout=patience_s, count=1)
        return self.open

    def drop(self) -> None:
        """Lose the connection as when a network fails; it comes back by itself."""
        self._expected = True
        if self._transport is not None:
            self._transport.abort()

    def close(self, *, forget: bool = False) -> None:
        """Close it in order. `start` goes on with the same streams, unless they are to be forgotten."""
        self._wanted, self._expected = False, True
        transport, keeper, self._keeper = self._transport, self._keeper, None
        if transport is not None:
            transport.close()
        if keeper is not None:
            keeper.join(timeout=_SLACK_S if transport is not None else 0)
            keeper.kill()
        if forget:
            self._follows.clear()

    def _keep(self) -> None:
        """Open, read until it is lost, again and again."""
        pause_s = _FIRST_PAUSE_S
        while self._wanted:
            self._expected = False
            try:
                self._open()
                self._read()
            except Lost as lost:
                if self._gone(str(lost)):
                    self._again, pause_s = True, _FIRST_PAUSE_S
            if self._wanted:
                gevent.sleep(pause_s * random.uniform(0.2, 1.8))
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _open(self) -> None:
        self._began = time.perf_counter()
        self._transport = transport = self._reach()
        self._entered.clear()
        self._resuming = 0
        opening = transport.receive()
        try:
            told = orjson.loads(opening[0][1:])
            transport.patience((told["pingInterval"] + told["pingTimeout"]) / 1000 + _SLACK_S)
        except (ValueError, KeyError):
            raise Lost("no Engine.IO session") from None
        for namespace in self._namespaces:
            transport.send(packets.connect(namespace, self._auth()))
        for packet in opening[1:]:
            self._take(packet)

    def _read(self) -> None:
        assert self._transport is not None
        while True:
            for packet in self._transport.receive():
                self._take(packet)

    def _gone(self, reason: str) -> bool:
        """Clean up; tells whether it had been open."""
        was_open = self.open
        self._ready.clear()
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        pending, self._pending = self._pending, {}
        for waiting in pending.values():
            waiting.done(Lost(reason))
        if was_open:
            self._listener.closed()
        if not self._expected:
            what = "connection" if was_open else "connect"
            self._listener.broken(what, 0.0 if was_open else (time.perf_counter() - self._began) * 1000, reason)
        return was_open

    # -- what comes in ------------------------------------------------------------------------------------------------

    def _take(self, packet: bytes) -> None:
        assert self._transport is not None
        kind = packet[:1]
        if kind == b"4":
            try:
                self._hear(packets.decode(packet[1:]), len(packet))
            except (ValueError, KeyError, IndexError, TypeError) as error:
                raise Lost(f"not understood: {error!r}") from error
        elif kind == b"2":
            self._transport.send(b"3")
        elif kind == b"1":
            raise Lost("closed by the server")

    def _hear(self, packet: Packet, size: int) -> None:
        if packet.kind == packets.EVENT:
            name, payload = packet.data
            if name == "events":
                self._deliver(packet.namespace, payload, size)
            elif name == "reconnect":
                self._leave_soon(payload["delay_ms"] / 1000)
            self._heard(packet.namespace, name, payload)
        elif packet.kind == packets.ACK:
            pending = self._pending.pop(packet.number, None)
            if pending is not None:  # else it comes too late
                ack = Ack(packet.data[0], (time.perf_counter() - pending.sent) * 1000, size)
                self._listener.answered(pending.name, ack)
                pending.done(ack)
        elif packet.kind == packets.CONNECT:
            self._entered.add(packet.namespace)
            for (namespace, _), follow in list(self._follows.items()):
                if namespace == packet.namespace:
                    self._resuming += 1
                    self._subscribe(namespace, follow, self._resumed)
            self._settle()
        else:
            self._turned_away(packet)

    def _settle(self) -> None:
        """Open, once everything is as it was."""
        if self._entered == self._namespaces and not self._resuming and not self.open:
            self._listener.opened((time.perf_counter() - self._began) * 1000, self._again)
            self._ready.set()

    def _turned_away(self, packet: Packet) -> None:
        """A namespace refused entry, or was closed by the server."""
        refusal = packet.data if isinstance(packet.data, dict) else {}
        message = str(refusal.get("message", "left by the server"))
        if message == "UNAUTHENTICATED":  # coming again is of no use: the owner must log in
            self.refused = message
            self._wanted, self._expected = False, True
            self._listener.turned_away((time.perf_counter() - self._began) * 1000, message)
        raise Lost(f"{packet.namespace}: {message}")

    def _leave_soon(self, delay_s: float) -> None:
        """The instance is about to end, and asks to come again, which leads to another."""
        self._expected = True
        assert self._transport is not None
        gevent.spawn_later(delay_s, self._transport.close)

    # -- streams ------------------------------------------------------------------------------------------------------

    def _deliver(self, namespace: str, payload: dict[str, Any], size: int) -> None:
        stream, events = payload["stream"], payload["events"]
        self._listener.delivered(namespace, events, size)
        follow = self._follows.get((namespace, stream))
        if follow is None:
            self._listener.fault(namespace, Fault("stray", f"{stream}: it is not watched"))
        else:
            self._check(namespace, follow.take(events, payload["seq"]))

    def _check(self, namespace: str, faults: list[Fault]) -> None:
        for fault in faults:
            self._listener.fault(namespace, fault)

    def _subscribe(self, namespace: str, follow: Follow, done: Callable[[Ack | Lost], None]) -> None:
        """Subscribe, from the last seq seen if there is one, as often as there is more; `done` gets the last answer."""
        after = follow.seq

        def answered(answer: Ack | Lost) -> None:
            if isinstance(answer, Ack):
                if answer.code:
                    self._follows.pop((namespace, follow.stream), None)
                elif after is None:
                    follow.begin(answer.body["seq"])
                else:
                    self._check(namespace, follow.take(answer.body["events"], answer.body["seq"]))
                    payload = {"stream": follow.stream, "events": answer.body["events"], "seq": answer.body["seq"]}
                    self._heard(namespace, "events", payload)
                if answer.body.get("more"):
                    self._subscribe(namespace, follow, done)
                    return
            elif follow.seq is None:  # it never began, and who asked is told
                self._follows.pop((namespace, follow.stream), None)
            done(answer)

        payload: dict[str, Any] = {"stream": follow.stream}
        if after is not None:
            payload["after"] = after
        self._send(namespace, "subscribe", payload, answered, name="subscribe" if after is None else "resume")

    def _resumed(self, answer: Ack | Lost) -> None:
        if isinstance(answer, Ack):
            self._resuming -= 1
            self._settle()

    def followed(self) -> list[tuple[str, str]]:
        """(namespace, stream) of all that is watched, or will be again."""
        return list(self._follows)

    def seen(self, namespace: str, stream: str) -> int | None:
        """The last seq seen of a stream; None while it is not watched."""
        follow = self._follows.get((namespace, stream))
        return None if follow is None else follow.seq

    def follow(self, namespace: str, stream: str) -> Ack:
        """Subscribe from now on; the ack has the state. Raises Lost, NoAnswer."""
        follow = self._follows[namespace, stream] = Follow(stream)
        return self._answer(f"{namespace} subscribe", lambda done: self._subscribe(namespace, follow, done))

    def unfollow(self, namespace: str, stream: str) -> None:
        """Stop watching; what comes after the ack is a fault. Raises Lost, NoAnswer."""

        def send(done: Callable[[Ack | Lost], None]) -> None:
            def answered(answer: Ack | Lost) -> None:
                self._follows.pop((namespace, stream), None)
                done(answer)

            self._send(namespace, "unsubscribe", {"stream": stream}, answered)

        self._answer(f"{namespace} unsubscribe", send)

    # -- commands -----------------------------------------------------------------------------------------------------

    def call(self, namespace: str, event: str, payload: dict[str, Any]) -> Ack:
        """Send a command and wait for its ack.

        Raises:
            Lost: the connection broke first; whether the command was done is unknown.
            NoAnswer: see `ANSWER_S`; it is unknown too.
        """
        return self._answer(f"{namespace} {event}", lambda done: self._send(namespace, event, payload, done))

    def _answer(self, name: str, send: Callable[[Callable[[Ack | Lost], None]], None]) -> Ack:
        result: AsyncResult[Ack | Lost] = AsyncResult()
        if not self.open:
            raise Lost("not connected")
        send(result.set)
        try:
            answer = result.get(timeout=ANSWER_S)
        except Timeout:
            self._listener.broken(name, ANSWER_S * 1000, "no answer")
            raise NoAnswer(name) from None
        if isinstance(answer, Lost):
            raise answer
        assert isinstance(answer, Ack)
        return answer

    def _send(
        self, namespace: str, event: str, payload: dict[str, Any], done: Callable[[Ack | Lost], None], name: str = ""
    ) -> None:
        if self._transport is None:
            raise Lost("not connected")
        self._number += 1
        self._pending[self._number] = _Pending(f"{namespace} {name or event}", time.perf_counter(), done)
        self._transport.send(packets.command(namespace, self._number, event, payload))
