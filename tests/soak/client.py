"""Clients that roam: each goes on at another instance when one fails, and misses nothing of what it reads."""

from __future__ import annotations

import asyncio
import hashlib
import math
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import orjson

from tests.server.realtime.wire import Closed, Wire

LOST: Final = (Closed, aiohttp.ClientError, OSError, TimeoutError)
"""What a client sees of an instance that is gone."""

_ANSWER_S: Final = 20.0


def fingerprint(event: dict[str, Any]) -> bytes:
    """What two copies of the same event have in common, and nothing else has."""
    return hashlib.sha256(orjson.dumps(event, option=orjson.OPT_SORT_KEYS)).digest()


async def breathe() -> None:
    """A moment, before trying elsewhere."""
    await asyncio.sleep(random.uniform(0.02, 0.2))


@dataclass(frozen=True)
class Manner:
    """How somebody is connected.

    Attributes:
        transport: `websocket` or `polling`.
        heeds: whether it leaves when it is asked to by `reconnect`, whatever is under way; others wait until they are closed.
        arrived: called with the session id of each handshake.
    """

    transport: str = "websocket"
    heeds: bool = False
    arrived: Callable[[str], None] = lambda sid: None


@dataclass(frozen=True)
class Way:
    """How people get to the instances.

    Attributes:
        urls: where they connect, one after the other: instances, or a proxy.
        manner: of the n-th of them.
        restless: whether every other reader moves on now and then though nothing is wrong.
    """

    urls: Sequence[str]
    manner: Callable[[int], Manner] = lambda number: Manner()
    restless: bool = True


class _Guest(Wire):
    """A transport that tells when it is asked to leave."""

    asked: Callable[[float], None] = lambda delay_s: None

    async def take(self) -> tuple[str, str, Any]:
        """See Wire."""
        kind, where, payload = await super().take()
        if kind == "42" and payload[0] == "reconnect":
            self.asked(payload[1]["delay_ms"] / 1000)
        return kind, where, payload


class Client:
    """Somebody who goes on to another instance when one fails.

    Args:
        urls: instances that it uses, beginning after `first`.
        tally: what happened, counted; shared with others.
    """

    def __init__(
        self,
        namespace: str,
        tally: Counter[str],
        urls: Sequence[str],
        first: int,
        token: str | None = None,
        manner: Manner = Manner(),
    ) -> None:
        self.tally = tally
        self.token = token
        self.manner = manner
        self._namespace = namespace
        self._urls = urls
        self._next = first

    def next_url(self) -> str:
        """The next instance."""
        self._next += 1
        return self._urls[self._next % len(self._urls)]

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Wire]:
        """A socket at the next instance. Raises one of LOST, also when its time there is over."""
        url = self.next_url()
        try:
            async with asyncio.timeout(_ANSWER_S):
                wire = await _Guest(url, self.manner.transport).__aenter__()
        except LOST:
            self.tally["handshakes that failed"] += 1
            raise
        self.manner.arrived(wire.opening["sid"])
        try:
            async with self._staying(wire):
                async with asyncio.timeout(_ANSWER_S):
                    answer = await wire.connect(self._namespace, {"token": self.token} if self.token else None)
                if "sid" not in answer:
                    # An instance that has just come up without its database says so, and is as good as gone.
                    assert answer == {"message": "UNAVAILABLE"}, f"{url} refused to connect: {answer}"
                    raise Closed
                yield wire
        finally:
            await wire.__aexit__()

    @asynccontextmanager
    async def _staying(self, wire: _Guest) -> AsyncIterator[None]:
        """Ends the body when it was asked to leave and heeds that."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None) as stay:

                def asked(delay_s: float) -> None:
                    self.tally["asked to leave"] += 1
                    if self.manner.heeds:
                        stay.reschedule(loop.time() + delay_s)

                wire.asked = asked
                yield
        finally:
            self.tally["left when asked"] += stay.expired()

    async def ask(self, wire: Wire, command: str, fields: dict[str, Any]) -> dict[str, Any]:
        """The ack of a command. Raises one of LOST."""
        async with asyncio.timeout(_ANSWER_S):
            return await wire.command(command, fields, namespace=self._namespace)


class Reader(Client):
    """Follows a stream from its first event, resuming wherever it comes to.

    Args:
        stream: its name.
        who: what such readers are called in the tally.
        stay: events after which it leaves for another instance though nothing is wrong; None: it stays.

    Attributes:
        seen: fingerprints of the events, the first being seq 1.
    """

    def __init__(
        self,
        namespace: str,
        stream: str,
        tally: Counter[str],
        urls: Sequence[str],
        first: int,
        token: str | None = None,
        manner: Manner = Manner(),
        *,
        who: str,
        stay: int | None,
    ) -> None:
        super().__init__(namespace, tally, urls, first, token, manner)
        self.stream = stream
        self.seen: list[bytes] = []
        self._who = who
        self._stay = stay

    async def run(self) -> None:
        """For ever. Fails at the first event that is not the next one."""
        while True:
            try:
                await self.visit()
                self.tally[f"moves of {self._who}"] += 1
            except LOST:
                self.tally[f"connections lost by {self._who}"] += 1
            await breathe()

    async def visit(self) -> None:
        """Watch at the next instance, until it is time to leave. Raises one of LOST."""
        async with self.connected() as wire:
            more = True
            while more:
                fields = {"stream": self.stream, "after": len(self.seen)}
                ack = await self.ask(wire, "subscribe", fields)
                if not ack["ok"]:
                    assert ack["error"]["retryable"], f"subscribe {fields} was answered {ack['error']}"
                    self.tally["subscriptions put off"] += 1
                    await asyncio.sleep(random.uniform(0, 1))
                    return
                self._take_message(ack)
                more = ack["more"]
            leaving = self.leaving()
            while len(self.seen) < leaving:
                self._take_message(await wire.event("events"))

    def leaving(self) -> float:
        """How many events it will have seen when it leaves."""
        return len(self.seen) + self._stay if self._stay else math.inf

    def _take_message(self, message: dict[str, Any]) -> None:
        assert message["stream"] == self.stream
        for event in message["events"]:
            self.take(event)
        assert message["seq"] == len(self.seen), f"at event {len(self.seen)} came seq {message['seq']}"

    def take(self, event: dict[str, Any]) -> None:
        """Note the next event."""
        assert event["seq"] == len(self.seen) + 1, f"after event {len(self.seen)} came {event}"
        self.seen.append(fingerprint(event))
