"""One room with everybody in it: what must hold of it afterwards, whatever was killed while they talked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from server.dev.demo import rfc3339
from tests.soak.accounts import registered
from tests.soak.client import Reader, Way, fingerprint
from tests.soak.cluster import Cluster
from tests.soak.inboxes import Inbox, how_many
from tests.soak.talkers import NAMESPACE, Company, Room, Talker
from tests.waiting import patiently


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
