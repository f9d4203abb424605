"""Instances that meet on a stream: one decides for all, and whatever the bus loses, everything happens once and in each sender's order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest

from models.rules.stream import Command
from server.clock import new_id
from server.errors import AppError
from server.settings import Settings
from server.streams import handover, metrics
from server.streams.bus import MemoryBus
from server.streams.event import StoredEvent
from server.streams.memory import MemoryEventStore
from tests.server.streams.conftest import Instance, Launch
from tests.server.streams.test_append import add, check_chain, log_of
from tests.waiting import until

STREAM = "tally:hot"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, who was just heard of is not forgotten, nor given up."""
    monkeypatch.setattr(handover, "_MEMORY_S", 60.0)
    monkeypatch.setattr(handover, "_PATIENCE_S", 60.0)


@pytest.fixture
def impatience(patience: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is silent is given up soon."""
    monkeypatch.setattr(handover, "_PATIENCE_S", 0.5)


async def pair(launch: Launch) -> tuple[Instance, Instance]:
    """Two instances, the second of which has found out that the first is writing the stream, and hands over to it."""
    host, guest = await launch(name="host"), await launch(name="guest")
    for instance in (guest, host, guest):
        await instance.streams.append(STREAM, add(10, key=new_id()))
    assert guest.streams._stream(STREAM).host == "host"
    return host, guest


def deaf(instance: Instance) -> list[tuple[str, bytes]]:
    """Have the bus lose what is sent to an instance from now on; what it was."""
    lost: list[tuple[str, bytes]] = []
    instance.bus.listen(lambda channel, packed: lost.append((channel, packed)), lambda: None)
    return lost


async def sources(instance: Instance, key: str) -> list[str]:
    """Who decided the commands of a key."""
    return [event.source for event in await log_of(instance, STREAM) if event.key == key]


def relayed() -> float:
    return float(metrics.RELAYED._value.get())


async def test_one_decides_for_all_and_senders_keep_their_order(launch: Launch) -> None:
    instances = [await launch() for _ in range(3)]
    before = relayed()

    async def send(instance: Instance, sender: str) -> list[int]:
        """Sixty commands, several at a time, each of them started before the next; the seqs that were acknowledged."""
        window: list[asyncio.Task[int]] = []
        for number in range(60):
            if len(window) - sum(task.done() for task in window) >= 4:
                await asyncio.wait([task for task in window if not task.done()], return_when=asyncio.FIRST_COMPLETED)
            window.append(asyncio.create_task(append(instance, add(1, key=f"{sender} {number}", actor=sender))))
            await asyncio.sleep(0)
        return [await task for task in window]

    async def append(instance: Instance, command: Command) -> int:
        return int((await instance.streams.append(STREAM, command)).fields["seq"])

    senders = [(instance, f"{index}-{number}") for index, instance in enumerate(instances) for number in range(12)]
    acknowledged = await asyncio.gather(*(send(*sender) for sender in senders))
    events = await log_of(instances[0], STREAM)
    check_chain(events)
    assert relayed() > before
    by_key = {event.key: event for event in events if event.key is not None}
    assert len(by_key) == len(senders) * 60
    for (_, sender), seqs in zip(senders, acknowledged, strict=True):
        assert [by_key[f"{sender} {number}"].seq for number in range(60)] == seqs == sorted(seqs)


async def test_a_guest_gets_answers_repeats_and_refusals_as_from_itself(launch: Launch) -> None:
    host, guest = await pair(launch)
    answer = await guest.streams.append(STREAM, add(5, key="k"))
    assert (answer.fields, answer.replayed) == ({"seq": 4, "total": 35}, False)
    again = await guest.streams.append(STREAM, add(5, key="k"))
    assert (again.fields, again.replayed) == ({"seq": 4, "total": 35}, True)
    with pytest.raises(AppError) as refused:
        await guest.streams.append(STREAM, add(-36, key="l"))
    assert (refused.value.code, refused.value.details) == ("BID_TOO_WEAK", {"min_next": -35})
    with pytest.raises(AppError) as other:
        await guest.streams.append(STREAM, add(6, key="k"))
    assert other.value.code == "IDEMPOTENCY_MISMATCH"
    with pytest.raises(AppError) as defect:
        await guest.streams.append(STREAM, Command("crash", "ann", {}, "m"))
    assert defect.value.code == "INTERNAL"
    assert await sources(host, "k") == ["host"]


async def test_what_has_no_key_is_decided_at_home(launch: Launch) -> None:
    _, guest = await pair(launch)
    before = relayed()
    answers = await asyncio.gather(
        guest.streams.append(STREAM, add(1)),
        guest.streams.append(STREAM, add(2, key="k")),
        guest.streams.append(STREAM, add(3)),
    )
    assert relayed() == before + 1
    events = await log_of(guest, STREAM)
    assert sorted((event.public["n"], event.source) for event in events[3:]) == [
        (1, "guest"),
        (2, "host"),
        (3, "guest"),
    ]
    assert {answer.fields["seq"] for answer in answers} == {4, 5, 6}


@pytest.mark.usefixtures("impatience")
async def test_a_host_that_does_not_answer_is_done_without(launch: Launch) -> None:
    host, guest = await pair(launch)
    asked = deaf(host)
    appends = [asyncio.create_task(guest.streams.append(STREAM, add(n, key=f"{n}"))) for n in range(1, 6)]
    await until(lambda: any(channel == "@host" for channel, _ in asked))
    answers = await asyncio.gather(*appends)
    assert [answer.fields["seq"] for answer in answers] == [4, 5, 6, 7, 8]
    assert not any(answer.replayed for answer in answers)
    guest.streams._stream(STREAM)._handover.met("host")
    assert guest.streams._stream(STREAM).host is None


@pytest.mark.usefixtures("impatience")
async def test_a_refusal_is_no_answer_while_a_silent_host_may_still_accept(launch: Launch) -> None:
    host, guest = await pair(launch)
    deaf(host)
    with pytest.raises(AppError) as doubtful:
        await guest.streams.append(STREAM, add(-50, key="k"))
    assert (doubtful.value.code, doubtful.value.retryable) == ("UNAVAILABLE", True)
    with pytest.raises(AppError) as refused:
        await guest.streams.append(STREAM, add(-50, key="k"))
    assert refused.value.code == "BID_TOO_WEAK"


@pytest.mark.usefixtures("impatience")
async def test_an_answer_that_is_lost_is_found_in_the_stream(launch: Launch) -> None:
    _, guest = await pair(launch)
    deaf(guest)
    answer = await guest.streams.append(STREAM, add(5, key="k"))
    assert (answer.fields, answer.replayed) == ({"seq": 4, "total": 35}, False)
    assert await sources(guest, "k") == ["host"]


@pytest.mark.usefixtures("impatience")
async def test_a_question_that_comes_too_late_is_not_decided(launch: Launch) -> None:
    host, guest = await pair(launch)
    asked = deaf(host)
    await guest.streams.append(STREAM, add(5, key="k"))
    for channel, packed in asked:
        host.streams._arrived(channel, packed)
    await host.streams.append(STREAM, add(1, key="l"))
    assert await sources(host, "k") == ["guest"]


@pytest.mark.usefixtures("impatience")
@pytest.mark.parametrize("place", [0, 20, -1])
async def test_only_instances_are_believed(launch: Launch, place: int) -> None:
    host, guest = await pair(launch)
    asked = deaf(host)
    appending = asyncio.create_task(guest.streams.append(STREAM, add(5, key="k")))
    (channel, packed), *_ = await until(lambda: [one for one in asked if one[0] == "@host"])
    forged = bytearray(packed)
    forged[place] ^= 1
    host.streams._arrived(channel, bytes(forged))
    host.streams._arrived(channel, b"")
    await appending
    assert await sources(host, "k") == ["guest"]


async def test_a_host_that_stops_leaves_its_guests_to_themselves(launch: Launch) -> None:
    host, guest = await pair(launch)
    await guest.streams.append(STREAM, add(1, key="first"))
    await host.streams.stop()
    answers = await asyncio.gather(*(guest.streams.append(STREAM, add(1, key=f"{n}")) for n in range(5)))
    assert [answer.fields["seq"] for answer in answers] == [5, 6, 7, 8, 9]


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a"), ("a", "b", "c"), ("c", "b", "a"), ("b", "c", "a")])
async def test_instances_that_take_each_other_for_the_host(launch: Launch, names: Sequence[str]) -> None:
    instances = [await launch(name=name) for name in names]
    for instance in instances:
        await instance.streams.append(STREAM, add(1, key=f"of {instance.name}"))
    for one, other in zip(instances, [*instances[1:], instances[0]], strict=True):
        one.streams._stream(STREAM)._handover.met(other.name)
        assert one.streams._stream(STREAM).host == other.name

    async def send(instance: Instance, number: int) -> None:
        await instance.streams.append(STREAM, add(1, key=f"{instance.name} {number}", actor=instance.name))

    for first in range(0, 60, 20):
        await asyncio.gather(*(send(instance, number) for number in range(first, first + 20) for instance in instances))
    events = await log_of(instances[0], STREAM)
    check_chain(events)
    for name in names:
        own = [event.key for event in events if event.actor == name]
        assert own == [f"{name} {number}" for number in range(60)]
    assert settled(events[-20:])


def settled(events: Sequence[StoredEvent]) -> bool:
    """Whether they were written by few: not each by another one in turn."""
    turns = sum(one.source != other.source for one, other in pairwise(events))
    return turns < len(events) // 2


async def test_nothing_is_handed_over_while_the_bus_is_down() -> None:
    store, exchange = MemoryEventStore(), MemoryBus.Exchange()
    bus = MemoryBus(exchange)
    host, guest = Instance(store, MemoryBus(exchange), Settings(), "host"), Instance(store, bus, Settings(), "guest")
    for instance in (host, guest):
        await instance.streams.start()
    for instance in (guest, host, guest):
        await instance.streams.append(STREAM, add(10, key=new_id()))
    assert guest.streams._stream(STREAM).host == "host"
    bus.up = False
    before = relayed()
    await guest.streams.append(STREAM, add(5, key="k"))
    assert relayed() == before
    assert await sources(guest, "k") == ["guest"]
    for instance in (host, guest):
        await instance.streams.stop()
