"""Those who talk in a room, and do not give up."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.server.realtime.wire import Wire
from tests.soak.accounts import Account
from tests.soak.client import LOST, Client, Manner, breathe

NAMESPACE: Final = "/chat"


@dataclass(frozen=True)
class Company:
    """How many take part.

    Attributes:
        messages: acknowledged ones at least. think_s: mean pause of a talker between two.
        absent: of the talkers, who read nothing and see nothing but what they say themselves.
    """

    messages: int
    talkers: int
    receivers: int
    think_s: float
    absent: int = 2


@dataclass(frozen=True)
class Said:
    """A message that was acknowledged: who, what was sent, the ack."""

    user: str
    sent: dict[str, Any]
    ack: dict[str, Any]


@dataclass
class Room:
    """A room and what everybody has learnt of it so far."""

    id: str
    said: list[Said] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)

    @property
    def stream(self) -> str:
        """The room's stream."""
        return f"room:{self.id}"


class Talker(Client):
    """Says one thing after the other; what is not answered is said again with the same key, elsewhere. Reads now and then.

    Attributes:
        user: its id.
        absent: whether it never reads.
        read: the highest seq that it was told it has read.
    """

    def __init__(
        self, room: Room, urls: Sequence[str], first: int, manner: Manner, account: Account, company: Company
    ) -> None:
        super().__init__(NAMESPACE, room.tally, urls, first, account.token, manner)
        self.user = account.user
        self.account = account
        self.absent = first >= company.talkers - company.absent
        self.read = 0
        self._room = room
        self._think_s = company.think_s
        self._count = 0
        self._message: dict[str, Any] | None = None
        self._reading: int | None = None

    async def run(self, enough: Callable[[], bool]) -> None:
        """Talk until it is enough; returns when the last message has been answered."""
        while self._unsettled or not enough():
            try:
                async with self.connected() as wire:
                    while self._unsettled or not enough():
                        if not await (self._say(wire) if self._reading is None else self._read(wire)):
                            break
                        await asyncio.sleep(random.uniform(0, 2 * self._think_s))
            except LOST:
                self.tally["connections lost by talkers"] += 1
            await breathe()

    @property
    def _unsettled(self) -> bool:
        """Whether something was sent and has not been answered."""
        return self._message is not None or self._reading is not None

    async def _say(self, wire: Wire) -> bool:
        """Send a message; whether its answer is final."""
        message = self._message = self._message or self._next_message()
        self.tally["messages sent"] += 1
        ack = await self.ask(wire, "send", message)
        if not ack["ok"]:
            self.tally[ack["error"]["code"]] += 1
            assert ack["error"]["retryable"], f"{message} was answered {ack}"
            return False
        self._message = None
        self.tally["acks of a retry, replayed"] += bool(ack.get("replayed"))
        self._room.said.append(Said(self.user, message, ack))
        if not self.absent and random.random() < 0.2:
            self._reading = random.choice(self._room.said[-20:]).ack["seq"]
        return True

    def _next_message(self) -> dict[str, Any]:
        self._count += 1
        return {"room": self._room.id, "text": f"{self._count} from {self.user}", "key": f"message-{self._count}"}

    async def _read(self, wire: Wire) -> bool:
        """Say how far it has read; whether its answer is final."""
        assert self._reading is not None
        ack = await self.ask(wire, "read", {"room": self._room.id, "seq": self._reading})
        if not ack["ok"]:
            assert ack["error"]["retryable"], ack
            return False
        self.read = max(self.read, self._reading)
        self._reading = None
        return True

    async def repeat(self, said: Said) -> dict[str, Any]:
        """Send an acknowledged message once more; the ack."""
        async with self.connected() as wire:
            return await self.ask(wire, "send", said.sent)
