"""A client that comes back as the official one does: it keeps `pid` and the last string that ended an event's arguments."""

from __future__ import annotations

from typing import Any

import orjson

from tests.server.realtime.conftest import Market
from tests.server.realtime.wire import Wire


class Returning:
    """One client through several connections to `/market`.

    Attributes:
        seen: `(stream, seq)` of every event that it was sent, acks' included, in order, through all connections.
        offsets: every offset that it was given, with how much it had seen by then.
        order: what came on this connection, in order: `connect`, `offset`, `events`, `ack`, `disconnect` or another event's name.
    """

    def __init__(self, token: str | None = None, **auth: Any) -> None:
        self.auth: dict[str, Any] = {"recover": True, **({"token": token} if token else {}), **auth}
        self.pid: Any = None
        self.sid: Any = None
        self.offset: Any = None
        self.recovered = False
        self.seen: list[tuple[str, int]] = []
        self.offsets: list[tuple[str, int]] = []
        self.order: list[str] = []
        self.wire: Wire
        self._acks: dict[str, Any] = {}

    @property
    def sent(self) -> dict[str, Any]:
        """What it connects with."""
        return {"pid": self.pid, "offset": self.offset, **self.auth} if self.pid else self.auth

    async def enter(self, market: Market, transport: str = "websocket") -> Returning:
        """Connect, again."""
        self.wire = await market.wire("polling" if transport == "upgraded" else transport)
        self.order, self._acks = [], {}
        await self.wire.send(f"40/market,{orjson.dumps(self.sent).decode()}")
        await self.until("connect")
        if transport == "upgraded":
            await self.wire.upgrade()
        return self

    async def leave(self) -> None:
        """Lose the connection without a word, as far as a transport allows."""
        await self.wire.__aexit__()

    async def command(self, event: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a command and wait for its ack."""
        number = await self.wire.start(event, body)
        while str(number) not in self._acks:
            await self.take()
        answer: dict[str, Any] = self._acks.pop(str(number))
        return answer

    async def subscribe(self, stream: str, after: int | None = None) -> dict[str, Any]:
        """Watch a stream."""
        return await self.command("subscribe", {"stream": stream, **({} if after is None else {"after": after})})

    async def until(self, *order: str) -> None:
        """Return when the last that came was just this."""
        while tuple(self.order[-len(order) :]) != order:
            await self.take()

    async def has(self, stream: str, seq: int) -> list[int]:
        """Wait until an event was seen; the seqs of all of its stream."""
        while (stream, seq) not in self.seen:
            await self.take()
        return [number for name, number in self.seen if name == stream]

    async def take(self) -> None:
        """Take in one packet."""
        packet = await self.wire.receive()
        kind, body = packet[:2], packet[2:].removeprefix("/market,")
        if kind == "40":
            opening = orjson.loads(body)
            self.sid, pid = opening["sid"], opening.get("pid")
            self.recovered = pid is not None and pid == self.pid
            self.pid = pid
            self.order.append("connect")
        elif kind == "41":
            self.order.append("disconnect")
        elif kind == "43":
            number, bracket, rest = body.partition("[")
            self._acks[number] = answer = orjson.loads(bracket + rest)[0]
            self.seen += [(answer["stream"], event["seq"]) for event in answer.get("events") or ()]
            self.order.append("ack")
        else:
            assert kind == "42", packet
            name, *arguments = orjson.loads(body)
            if name == "events":
                batch = arguments[0]
                self.seen += [(batch["stream"], event["seq"]) for event in batch["events"]]
            if self.pid and isinstance(arguments[-1], str):
                self.offset = arguments[-1]
                self.offsets.append((self.offset, len(self.seen)))
            self.order.append(name)
