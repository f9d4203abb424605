"""Delivery: every seq once, in order, from wherever a watcher begins and whatever the bus loses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from models.rules.stream import Command
from server.errors import AppError
from server.streams.bus import MemoryBus
from server.streams.event import Batch, StoredEvent, WireEvent, pack, unpack
from server.streams.hub import PAGE
from tests.server.streams.conftest import Instance, Launch, Watcher
from tests.waiting import until


async def add(instance: Instance, count: int, stream: str = "tally:a") -> None:
    for _ in range(count):
        await instance.streams.append(stream, Command("add", "ann", {"n": 0}))


def dense(first: int, last: int) -> list[int]:
    return list(range(first, last + 1))


async def test_a_watcher_gets_what_happens_after_it_came(launch: Launch) -> None:
    one, two = await launch(), await launch()
    await add(one, 3)
    here, there = Watcher(), Watcher()
    opening = await one.hub.subscribe("tally:a", None, here)
    assert (opening.seq, opening.state.total, opening.more) == (3, 0, False)
    await two.hub.subscribe("tally:a", None, there)
    await add(one, 2)
    await add(two, 2)
    await until(lambda: here.seqs[-1:] == [7] and there.seqs[-1:] == [7])
    assert here.seqs == there.seqs == dense(4, 7)


async def test_resuming_is_a_read(launch: Launch) -> None:
    one, two = await launch(), await launch()
    await add(one, 10)
    watcher = Watcher()
    opening = await two.hub.subscribe("tally:a", 4, watcher)
    assert [event.seq for event in opening.events] == dense(5, 10)
    assert (opening.seq, opening.more, opening.state) == (10, False, None)
    from_zero = await one.hub.subscribe("tally:a", 0, Watcher())
    assert [event.seq for event in from_zero.events] == dense(1, 10)
    at_the_end = await one.hub.subscribe("tally:a", 10, Watcher())
    assert (at_the_end.seq, list(at_the_end.events)) == (10, [])


async def test_long_histories_come_in_pages(launch: Launch) -> None:
    one = await launch()
    await asyncio.gather(*(add(one, 1) for _ in range(PAGE + 200)))
    watcher = Watcher()
    first = await one.hub.subscribe("tally:a", 0, watcher)
    assert (first.seq, first.more, len(first.events)) == (PAGE, True, PAGE)
    await add(one, 1)
    assert watcher.seqs == []  # not attached while there is more
    second = await one.hub.subscribe("tally:a", first.seq, watcher)
    assert (second.more, [event.seq for event in second.events]) == (False, dense(PAGE + 1, PAGE + 201))


async def test_beyond_the_end_and_unknown_are_typed_errors(launch: Launch) -> None:
    one = await launch()
    await add(one, 2)
    with pytest.raises(AppError, match="VALIDATION_FAILED"):
        await one.hub.subscribe("tally:a", 3, Watcher())
    with pytest.raises(AppError, match="NOT_FOUND"):
        await one.hub.subscribe("tally:none", None, Watcher())
    with pytest.raises(AppError, match="NOT_FOUND"):
        await one.hub.subscribe("tally:none", 0, Watcher())
    assert "tally:none" not in one.hub._feeds


async def test_unsubscribed_watchers_are_left_alone(launch: Launch) -> None:
    one = await launch()
    await add(one, 1)
    gone, stays = Watcher(), Watcher()
    await one.hub.subscribe("tally:a", 1, gone)
    await one.hub.subscribe("tally:a", 1, stays)
    one.hub.unsubscribe("tally:a", gone)
    one.hub.unsubscribe("tally:b", gone)
    await add(one, 1)
    await until(lambda: stays.seqs)
    assert (gone.seqs, one.hub.watchers("tally:a")) == ([], 1)


async def test_watchers_who_come_in_the_middle_of_a_storm_miss_nothing(launch: Launch) -> None:
    instances = [await launch() for _ in range(3)]
    await add(instances[0], 1)
    seen: list[list[int]] = []
    watchers: list[Watcher] = []

    async def come(instance: Instance, state: bool) -> None:
        watcher = Watcher()
        opening = await instance.hub.subscribe("tally:a", None if state else 0, watcher)
        before = dense(1, opening.seq) if state else [event.seq for event in opening.events]
        assert not opening.more
        watchers.append(watcher)
        seen.append(before)

    async def storm(instance: Instance) -> None:
        for n in range(60):
            await add(instance, 1)
            if n % 6 == 0:
                await come(instances[n % 3], state=n % 4 == 0)

    await asyncio.gather(*(storm(instance) for instance in instances))
    await until(lambda: all((before + watcher.seqs)[-1] == 181 for before, watcher in zip(seen, watchers, strict=True)))
    for before, watcher in zip(seen, watchers, strict=True):
        assert before + watcher.seqs == dense(1, 181)


class Lossy(MemoryBus):
    """Loses, doubles and reorders what it brings."""

    turn = 0

    def send(self, stream: str, packed: bytes) -> None:
        self.turn += 1
        if self.turn % 3 == 0:
            return
        super().send(stream, packed)
        if self.turn % 3 == 1:
            super().send(stream, packed)


@pytest.mark.parametrize("shared", ["memory"], indirect=True)
async def test_gaps_doubles_and_silence_are_made_good(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.server.streams.conftest.MemoryBus", Lossy)
    one, two = await launch(poll_interval_ms=50), await launch(poll_interval_ms=50)
    await add(one, 1)
    watcher = Watcher()
    await two.hub.subscribe("tally:a", 1, watcher)
    await add(one, 50)  # the 51st publication is lost: only the anti-entropy read can find it
    await until(lambda: watcher.seqs[-1:] == [51])
    assert watcher.seqs == dense(2, 51)


@pytest.mark.parametrize("shared", ["memory"], indirect=True)
async def test_delivery_goes_on_without_the_bus_and_returns_to_it(launch: Launch) -> None:
    one, two = await launch(), await launch(poll_interval_degraded_ms=20)
    await add(one, 1)
    watcher = Watcher()
    await two.hub.subscribe("tally:a", 1, watcher)
    assert isinstance(two.bus, MemoryBus)
    two.bus.up = False
    await add(one, 5)
    await until(lambda: watcher.seqs == dense(2, 6))
    two.bus.up = True
    await add(one, 5)
    await until(lambda: watcher.seqs == dense(2, 11))


def test_the_form_between_instances_round_trips() -> None:
    events = [WireEvent(7, b'{"a":"\\n"}'), WireEvent(8, b"{}")]
    assert unpack(pack(events)) == events
    with pytest.raises(ValueError, match="invalid literal"):
        unpack(b"x\n{}")


def test_a_batch_is_encoded_once() -> None:
    events: Sequence[WireEvent] = [WireEvent(1, b'{"seq":1}'), WireEvent(2, b'{"seq":2}')]
    batch = Batch('a"b', events)
    assert batch.wire == b'{"stream":"a\\"b","events":[{"seq":1},{"seq":2}],"seq":2}'
    assert batch.wire is batch.wire


async def test_many_who_come_back_share_one_read(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    one = await launch()
    await add(one, 40)
    reads = 0
    read = one.hub._store.read

    async def counting(stream: str, after: int, limit: int) -> list[StoredEvent]:
        nonlocal reads
        reads += 1
        return await read(stream, after, limit)

    monkeypatch.setattr(one.hub._store, "read", counting)
    watchers = [Watcher() for _ in range(50)]
    openings = await asyncio.gather(
        *(one.hub.subscribe("tally:a", 10 + number % 20, watcher) for number, watcher in enumerate(watchers))
    )
    for number, opening in enumerate(openings):
        assert [event.seq for event in opening.events] == dense(11 + number % 20, 40)
        assert (opening.seq, opening.more) == (40, False)
    assert reads == 1
    await add(one, 1)
    await until(lambda: all(watcher.seqs == [41] for watcher in watchers))
