"""Readers who lose their right in the midst of a stream, and what is ephemeral beside it."""

from __future__ import annotations

import asyncio

import orjson

from models.rules.stream import Command
from server.auth.principal import Principal
from server.errors import AppError
from server.streams.event import Batch, Signal
from server.streams.kinds import StreamKind
from tests.server.streams.conftest import Instance, Launch
from tests.server.streams.tally import TallyRules
from tests.waiting import until

STREAM = "club:a"


class Member:
    """A reader of the club's stream, on one instance."""

    def __init__(self, instance: Instance, name: str) -> None:
        self._streams = instance.streams
        self._principal = Principal(name, "session", "both")
        self.seqs: list[int] = []
        self.signals: list[tuple[str, object]] = []
        self.closed = ""

    def deliver(self, batch: Batch) -> None:
        assert not self.closed
        self.seqs += [event.seq for event in batch.events]

    def signal(self, signal: Signal) -> None:
        self.signals.append((signal.event, orjson.loads(signal.payload)))

    async def permitted(self) -> bool:
        return await self._streams.permitted(self._principal, STREAM)

    def close(self, reason: str) -> None:
        self.closed = reason


class Club:
    """Who may read: everybody but those in `out`. Shared by the instances, as the database would be."""

    def __init__(self) -> None:
        self.out: set[str] = set()
        self.asked = 0
        self.away = False

    async def authorise(self, principal: Principal | None, stream: str) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise AppError("UNAVAILABLE")
        if principal is None or principal.id in self.out:
            raise AppError("FORBIDDEN")

    def open(self, instance: Instance) -> None:
        instance.streams.register(
            StreamKind("club", TallyRules(), authorise=self.authorise, guards=("left",), companion=_last)
        )


def _last(wire: bytes) -> tuple[str, dict[str, object]] | None:
    event = orjson.loads(wire)
    return ("last", {"seq": event["seq"]}) if event["type"] == "added" else None


async def _say(instance: Instance, count: int = 1) -> None:
    for _ in range(count):
        await instance.streams.append(STREAM, Command("add", "ann", {"n": 1}))


async def _leave(instance: Instance, club: Club, name: str) -> None:
    club.out.add(name)
    await instance.streams.append(STREAM, Command("leave", name))


async def test_delivery_ends_with_the_event_that_takes_the_right(launch: Launch) -> None:
    club, one, two = Club(), await launch(), await launch()
    for instance in (one, two):
        club.open(instance)
    await _say(one)
    staying, leaving, elsewhere = Member(one, "ann"), Member(one, "bob"), Member(two, "bob")
    await one.hub.subscribe(STREAM, None, staying)
    await one.hub.subscribe(STREAM, None, leaving)
    await two.hub.subscribe(STREAM, None, elsewhere)
    await _say(one, 2)
    await asyncio.gather(_leave(one, club, "bob"), *(_say(instance) for instance in (one, two) * 5))
    await until(lambda: leaving.closed and elsewhere.closed and staying.seqs[-1:] == [14])
    assert staying.seqs == list(range(2, 15))
    events = await one.streams.read(STREAM)
    last = next(event.seq for event in events if event.type == "left")
    assert leaving.seqs == elsewhere.seqs == list(range(2, last + 1))
    assert not staying.closed
    assert (one.hub.watchers(STREAM), two.hub.watchers(STREAM)) == (1, 0)


async def test_two_leave_in_one_batch(launch: Launch) -> None:
    club, one = Club(), await launch()
    club.open(one)
    await _say(one)
    people = [Member(one, name) for name in ("ann", "bob", "cat")]
    for person in people:
        await one.hub.subscribe(STREAM, None, person)
    await asyncio.gather(
        _say(one), _leave(one, club, "bob"), _say(one), _leave(one, club, "cat"), _say(one), _say(one, 3)
    )
    ann, bob, cat = people
    await until(lambda: bob.closed and cat.closed and ann.seqs[-1:] == [9])
    assert ann.seqs == list(range(2, 10))
    # both are out before the first of the two events is settled, so neither gets more than up to it
    assert bob.seqs == cat.seqs == ann.seqs[: len(bob.seqs)]
    assert len(bob.seqs) < len(ann.seqs)


async def test_nothing_is_handed_on_while_the_right_is_unknown(launch: Launch) -> None:
    club, one = Club(), await launch(poll_interval_ms=50)
    club.open(one)
    await _say(one)
    member = Member(one, "ann")
    await one.hub.subscribe(STREAM, None, member)
    club.away = True
    await _leave(one, club, "bob")
    await _say(one, 2)
    await until(lambda: club.asked > 2)
    assert member.seqs == [2]
    club.away = False
    await until(lambda: member.seqs == [2, 3, 4])


async def test_who_joins_behind_the_event_still_misses_nothing(launch: Launch) -> None:
    club, one, two = Club(), await launch(), await launch()
    for instance in (one, two):
        club.open(instance)
    await _say(one)
    first = Member(two, "ann")
    await two.hub.subscribe(STREAM, None, first)

    async def join(after: int | None) -> tuple[list[int], Member]:
        member = Member(two, "ann")
        opening = await two.hub.subscribe(STREAM, after, member)
        return [*range(1, opening.seq + 1)] if after is None else [event.seq for event in opening.events], member

    joined, *_ = await asyncio.gather(
        asyncio.gather(*(join(after) for after in (None, 0) * 10)),
        _say(one, 5),
        _leave(one, club, "bob"),
        _leave(one, club, "cat"),
        _say(one, 5),
    )
    await _say(two)
    end = (await one.streams.current(STREAM)).seq
    await until(lambda: all(member.seqs[-1:] == [end] for _, member in joined))
    for opening, member in joined:
        assert opening + member.seqs == list(range(1, end + 1))


async def test_signals_reach_subscribers_everywhere_and_are_no_events(launch: Launch) -> None:
    club, one, two = Club(), await launch(), await launch()
    for instance in (one, two):
        club.open(instance)
    await _say(one)
    here, there = Member(one, "ann"), Member(two, "bob")
    await one.hub.subscribe(STREAM, None, here)
    await two.hub.subscribe(STREAM, None, there)
    one.hub.signal(STREAM, "typing", {"user": "ann", "text": "a\nb"})
    expected = ("typing", {"user": "ann", "text": "a\nb"})
    await until(lambda: here.signals == there.signals == [expected])
    one.hub.signal("club:b", "typing", {})
    await _say(two, 3)
    # the companion of a batch comes by whichever way the batch came
    await until(lambda: here.signals[-1] == there.signals[-1] == ("last", {"seq": 4}))
    assert here.seqs == there.seqs == [2, 3, 4]
