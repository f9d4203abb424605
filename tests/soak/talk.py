"""One room with everybody in it: talkers that do not give up, receivers that miss nothing, and what must hold afterwards."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import aiohttp

from server.dev.demo import rfc3339
from tests.server.realtime.wire import Wire
from tests.soak.accounts import Account, registered
from tests.soak.client import LOST, Client, Manner, Reader, Way, breathe, fingerprint
from tests.soak.cluster import Cluster
from tests.soak.inboxes import Inbox, how_many
from tests.waiting import patiently

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


class Talk:
    """A room in use. Use `going_on`."""

    def __init__(
        self,
        cluster: Cluster,
        company: Company,
        room: Room,
        talkers: Sequence[Talker],
        receivers: Sequence[Reader],
    ) -> None:
        self.cluster = cluster
        self.company = company
        self.room = room
        self.talkers = talkers
        self.receivers = receivers
        self._over = False

    def enough(self) -> bool:
        """Whether talkers may stop: the trouble is over, and enough was said."""
        return self._over and len(self.room.said) >= self.company.messages

    async def more_messages(self, count: int) -> None:
        """Return when so many more messages have been acknowledged."""
        wanted = len(self.room.said) + count
        await patiently(
            lambda: len(self.room.said) >= wanted, f"{count} more messages", progress=lambda: len(self.room.said)
        )

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Everybody talks and listens while the body makes trouble, and until all is answered and heard."""
        async with asyncio.TaskGroup() as group:
            listening = [group.create_task(receiver.run()) for receiver in self.receivers]
            talking = [group.create_task(talker.run(self.enough)) for talker in self.talkers]
            yield
            self._over = True
            await patiently(
                lambda: all(task.done() for task in talking),
                "every message to be answered",
                progress=lambda: len(self.room.said),
            )
            await self.cluster.heal()
            seq = (await self.talkers[0].account.api.get(f"/rooms/{self.room.id}"))["seq"]
            await patiently(
                lambda: all(len(receiver.seen) >= seq for receiver in self.receivers),
                "every receiver to hear the last message",
                progress=lambda: min(len(receiver.seen) for receiver in self.receivers),
            )
            for task in listening:
                task.cancel()

    async def prove(self) -> None:
        """Check everything that must hold afterwards."""
        events = await self._history()
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        wanted = [fingerprint(event) for event in events]
        for receiver in self.receivers:
            assert receiver.seen == wanted, f"a receiver saw {len(receiver.seen)} events, not these {len(wanted)}"
        self._holds_every_ack(events)
        self._keeps_the_order_of_each(events)
        await self._stored_once()
        for talker in self.talkers:
            last = next(one for one in reversed(self.room.said) if one.user == talker.user)
            assert await talker.repeat(last) == {**last.ack, "replayed": True}
        assert len(await self._history()) == len(events), "a repetition was said again"
        await self._members_are_told(events)
        for talker in self.talkers:
            await self._unread_is_right(talker, events)

    def _holds_every_ack(self, events: Sequence[dict[str, Any]]) -> None:
        for one in self.room.said:
            event = events[one.ack["seq"] - 1]
            told = (event["type"], event["user"], event["text"], event["id"], event["t"])
            assert told == ("message", one.user, one.sent["text"], one.ack["id"], one.ack["t"]), (one, event)
        messages = [event["seq"] for event in events if event["type"] == "message"]
        assert sorted(one.ack["seq"] for one in self.room.said) == messages, (
            "what was acknowledged is not what is there"
        )

    def _keeps_the_order_of_each(self, events: Sequence[dict[str, Any]]) -> None:
        for talker in self.talkers:
            texts = [event["text"] for event in events if event["type"] == "message" and event["user"] == talker.user]
            assert texts == [f"{number} from {talker.user}" for number in range(1, len(texts) + 1)]

    async def _stored_once(self) -> None:
        documents = await self.cluster.stored(self.room.stream)
        keys = [(document["actor"], document["key"]) for document in documents if document["type"] == "message"]
        assert len(set(keys)) == len(keys), "a key is in the room twice"
        assert set(keys) == {(one.user, one.sent["key"]) for one in self.room.said}

    async def _members_are_told(self, events: Sequence[dict[str, Any]]) -> None:
        """Nobody is told of a message twice, or of one that isn't there; the absent are told of each since they came."""
        messages = {event["seq"]: event for event in events if event["type"] == "message"}
        for talker in self.talkers:
            awaited = _awaited(talker, events) if talker.absent else []
            await self._worker_tells(talker, len(awaited))
            inbox = await Inbox.of(self.cluster, talker.account)
            await inbox.prove()
            told = inbox.told("message")
            for source, seq, data in told:
                message = messages[seq]
                assert message["user"] != talker.user, "somebody was told of a message of its own"
                shown = (data["room"], data["message"], data["user"], data["excerpt"])
                assert source == self.room.stream
                assert shown == (self.room.id, seq, message["user"], message["text"])
            self.room.tally["notifications of messages"] += len(told)
            if talker.absent:
                assert sorted(each.seq for each in told) == awaited, "the absent were not told of all"

    async def _worker_tells(self, talker: Talker, count: int) -> None:
        """Return when somebody has so many notifications of messages."""
        have = 0

        async def enough() -> bool:
            nonlocal have
            have = await how_many(self.cluster, talker.account, "message")
            return have >= count

        await patiently(enough, f"{count} notifications of messages", progress=lambda: have)

    async def _unread_is_right(self, talker: Talker, events: Sequence[dict[str, Any]]) -> None:
        room = await talker.account.api.get(f"/rooms/{self.room.id}")
        own = max(event["seq"] for event in events if event["type"] == "message" and event["user"] == talker.user)
        known = max(own, talker.read)
        recount = sum(
            event["type"] == "message" and event["user"] != talker.user and event["seq"] > known for event in events
        )
        assert room["unread"] == recount, f"{room['unread']} unread for who has read up to {known}; counted: {recount}"
        await self._total_is(talker, recount)

    async def _total_is(self, talker: Talker, recount: int) -> None:
        """The room is the only one that a talker is in; who is in which room is known a moment later than the rooms themselves."""
        total = -1

        async def right() -> bool:
            nonlocal total
            total = (await talker.account.api.get("/rooms/unread"))["total"]
            return total == recount

        await patiently(right, f"{recount} unread in all", progress=lambda: total)

    async def _history(self) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        api = self.talkers[0].account.api
        while True:
            page = await api.get(f"/streams/{self.room.stream}/events", after=len(events))
            events += page["events"]
            if not page["more"]:
                return events


def _awaited(talker: Talker, events: Sequence[dict[str, Any]]) -> list[int]:
    """Seqs of others' messages since somebody came."""
    (came,) = [event["seq"] for event in events if event["type"] == "member_added" and event["user"] == talker.user]
    return [event["seq"] for event in events[came:] if event["type"] == "message" and event["user"] != talker.user]


@asynccontextmanager
async def talk(cluster: Cluster, company: Company, way: Way | None = None) -> AsyncIterator[Talk]:
    """The room of a job on which all talkers but the client have bid; nobody says anything yet.

    Args:
        way: how everybody gets there; by default each to the instances themselves.
    """
    way = way or Way(cluster.urls)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
        client = await registered(http, cluster.urls[0], "client")
        bidders = [await registered(http, cluster.urls[0], "freelancer") for _ in range(company.talkers - 1)]
        job = await client.api.post("/jobs", _job())
        for number, bidder in enumerate(bidders):
            bid = {"amount": 1_000 + number * 10}
            await bidder.api.post(f"/auctions/{job['auction']['id']}/bids", bid, key="bid")
        opened = await client.api.post("/rooms", {"kind": "job", "job": job["id"]})
        room = Room(opened["id"])
        talkers = [
            Talker(room, way.urls, index, way.manner(index), one, company)
            for index, one in enumerate([client, *bidders])
        ]
        present = [talker.account for talker in talkers if not talker.absent]
        receivers = [
            Reader(
                NAMESPACE,
                room.stream,
                room.tally,
                way.urls,
                index,
                present[index % len(present)].token,
                way.manner(index),
                who="receivers",
                stay=company.messages // 7 if way.restless and index % 2 else None,
            )
            for index in range(company.receivers)
        ]
        yield Talk(cluster, company, room, talkers, receivers)


def _job() -> dict[str, Any]:
    return {
        "title": "Tune the organ",
        "description": "All registers, before Easter",
        "category": "music",
        "auction": {
            "format": "english",
            "currency": "EUR",
            "start_amount": 1_000,
            "increments": [{"from": 0, "step": 10}],
            "end_at": rfc3339(datetime.now(UTC) + timedelta(days=1)),
        },
    }
