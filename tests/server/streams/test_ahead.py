"""What is decided on top of a batch that is still on its way: told to nobody before that is durable, decided again when it is not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from models.rules.stream import Command
from server.errors import AppError
from server.streams.event import StoredEvent
from server.streams.pending import Answer
from server.streams.store import Appended, EventStore, StoreUnavailable
from tests.server.streams.conftest import Instance, Launch
from tests.server.streams.test_append import Flaky, add, check_chain, log_of
from tests.waiting import until

STREAM = "tally:a"


class Gated(Flaky):
    """A store whose appends can be held up, before they happen or after, and whose connection can be cut meanwhile."""

    def __init__(self, store: EventStore) -> None:
        super().__init__(store, chance=0)
        self.batches: list[list[StoredEvent]] = []
        self.under_way = 0
        self.cut = False
        self._free = {"before": asyncio.Event(), "after": asyncio.Event()}
        self.release()

    def hold(self, where: str = "before") -> None:
        """From now on appends wait there."""
        self._free[where].clear()

    def release(self, *, cut: bool = False) -> None:
        """Let what waits go on. `cut`: it has lost its connection, but what comes later finds a new one."""
        self.cut = cut
        for free in self._free.values():
            free.set()

    async def append(self, events: Sequence[StoredEvent]) -> Appended:
        self.batches.append(list(events))
        self.under_way += 1
        try:
            await self._pass("before")
            appended = await self._store.append(events)
            await self._pass("after")
            return appended
        finally:
            self.under_way -= 1

    async def _pass(self, where: str) -> None:
        if not self._free[where].is_set():
            await self._free[where].wait()
            if self.cut:
                self.cut = False
                raise StoreUnavailable("cut")


class Ahead:
    """An instance with one command on its way to the store."""

    def __init__(self, instance: Instance, store: Gated) -> None:
        self.instance = instance
        self.store = store
        self.tasks: list[asyncio.Task[Answer]] = []

    async def send(self, *commands: Command) -> list[asyncio.Task[Answer]]:
        """Submit commands, each in a task; returns once they have been decided."""
        tasks = [asyncio.create_task(self.instance.streams.append(STREAM, command)) for command in commands]
        for _ in range(5):
            await asyncio.sleep(0)
        return tasks

    async def first(self, command: Command, *, hold: str = "before") -> asyncio.Task[Answer]:
        """Submit a command whose append is then held up."""
        self.store.hold(hold)
        count = len(self.store.batches)
        (task,) = await self.send(command)
        await until(lambda: len(self.store.batches) > count)
        if hold == "after":
            await until(self._is_written)
        return task

    async def _is_written(self) -> bool:
        return await self.store.last_seq(STREAM) >= self.store.batches[-1][-1].seq


@pytest.fixture
async def ahead(launch: Launch) -> Ahead:
    """The stream holds a total of 5."""
    made: list[Gated] = []

    def wrap(store: EventStore) -> Gated:
        made.append(Gated(store))
        return made[-1]

    instance = await launch(wrap)
    await instance.streams.append(STREAM, add(5))
    return Ahead(instance, made[0])


async def outcomes(*tasks: asyncio.Task[Answer]) -> list[Any]:
    """Totals, or codes of refusals."""
    done = await asyncio.gather(*tasks, return_exceptions=True)
    return [one.fields["total"] if isinstance(one, Answer) else getattr(one, "code", one) for one in done]


async def added(instance: Instance) -> list[int]:
    events = await log_of(instance, STREAM)
    check_chain(events)
    return [event.public["n"] for event in events if event.type == "added"]


async def test_what_comes_meanwhile_goes_out_together_and_is_told_only_then(ahead: Ahead) -> None:
    one = await ahead.first(add(1))
    rest = await ahead.send(add(2), add(3), add(4))
    assert len(ahead.store.batches) == 2  # the seed, and what is held
    ahead.store.release()
    ahead.store.hold()
    assert await outcomes(one) == [6]
    await until(lambda: len(ahead.store.batches) == 3)
    assert not any(task.done() for task in rest)
    assert (await ahead.instance.streams.current(STREAM)).state.total == 6
    ahead.store.release()
    assert await outcomes(*rest) == [8, 11, 15]
    assert [len(batch) for batch in ahead.store.batches] == [1, 1, 3]
    assert await added(ahead.instance) == [5, 1, 2, 3, 4]


async def test_nothing_is_sent_before_what_it_stands_on_has_been_acknowledged(ahead: Ahead) -> None:
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, ahead.store.under_way)
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(ahead.instance.streams.append(STREAM, add(n)) for n in range(300)))
    watching.cancel()
    assert most == 1
    assert len(ahead.store.batches) > 3
    assert await added(ahead.instance) == [5, *range(300)]


async def test_a_rival_wins_and_all_of_it_is_decided_again_in_order(ahead: Ahead, launch: Launch) -> None:
    rival = await launch()
    one = await ahead.first(add(3))
    rest = await ahead.send(add(-8), add(4))  # 8, 0, 4 so far
    await rival.streams.append(STREAM, add(-5))
    ahead.store.release()
    assert await outcomes(one, *rest) == [3, "BID_TOO_WEAK", 7]
    assert await added(rival) == [5, -5, 3, 4]


async def test_a_refusal_is_not_told_while_what_it_rests_on_may_fail(ahead: Ahead, launch: Launch) -> None:
    rival = await launch()
    one = await ahead.first(add(-5))
    (refused_so_far,) = await ahead.send(add(-3))
    await rival.streams.append(STREAM, add(10))
    assert not refused_so_far.done()
    ahead.store.release()
    assert await outcomes(one, refused_so_far) == [10, 7]
    assert await added(rival) == [5, 10, -5, -3]


async def test_a_refusal_is_judged_once_more_after_what_it_rests_on_is_durable(ahead: Ahead, launch: Launch) -> None:
    rival = await launch()
    one = await ahead.first(add(-5), hold="after")
    (refused_so_far,) = await ahead.send(add(-3))
    await rival.streams.append(STREAM, add(10))  # it comes after ours, and before ours is known here
    ahead.store.release()
    assert await outcomes(one, refused_so_far) == [0, 7]
    assert await added(rival) == [5, -5, 10, -3]


async def test_a_refusal_that_holds_is_told(ahead: Ahead) -> None:
    one = await ahead.first(add(-5))
    (refused,) = await ahead.send(add(-3))
    ahead.store.release()
    assert await outcomes(one, refused) == [0, "BID_TOO_WEAK"]


async def test_a_reader_is_faster_than_the_acknowledgement(ahead: Ahead, launch: Launch) -> None:
    rival = await launch()
    one = await ahead.first(add(1), hold="after")
    rest = await ahead.send(add(2), add(-8))  # 6, 8, 0 so far
    await rival.streams.append(STREAM, add(-5))
    assert (await ahead.instance.streams.current(STREAM)).state.total == 1
    assert await outcomes(one) == [6]  # its event was read, so it is answered
    ahead.store.release()
    assert await outcomes(*rest) == [3, "BID_TOO_WEAK"]
    assert await added(rival) == [5, 1, -5, 2]


@pytest.mark.parametrize("happened", [False, True])
async def test_an_unknown_outcome_under_a_batch(ahead: Ahead, happened: bool) -> None:
    one = await ahead.first(add(1, key="one"), hold="after" if happened else "before")
    rest = await ahead.send(add(2, key="two"), add(-9), add(3))
    ahead.store.release(cut=True)
    assert await outcomes(one, *rest) == [6, 8, "BID_TOO_WEAK", 11]
    assert await added(ahead.instance) == [5, 1, 2, 3]


async def test_a_key_is_repeated_while_its_first_use_is_on_its_way(ahead: Ahead) -> None:
    one = await ahead.first(add(1, key="k"))
    again, other, others = await ahead.send(add(1, key="k"), add(2, key="k"), add(2, key="k", actor="bob"))
    assert not again.done()
    ahead.store.release()
    assert (await one, await again) == (Answer({"seq": 2, "total": 6}), Answer({"seq": 2, "total": 6}, replayed=True))
    assert await outcomes(other, others) == ["IDEMPOTENCY_MISMATCH", 8]
    assert await added(ahead.instance) == [5, 1, 2]


async def test_a_key_is_repeated_and_its_first_use_fails(ahead: Ahead, launch: Launch) -> None:
    rival = await launch()
    one = await ahead.first(add(-5, key="k"))
    (again,) = await ahead.send(add(-5, key="k"))
    await rival.streams.append(STREAM, add(-1))
    ahead.store.release()
    assert await outcomes(one, again) == ["BID_TOO_WEAK", "BID_TOO_WEAK"]
    assert await added(rival) == [5, -1]


async def test_a_key_was_used_elsewhere_by_a_command_decided_ahead(ahead: Ahead, launch: Launch) -> None:
    rival = await launch()
    one = await ahead.first(add(1))
    (again,) = await ahead.send(add(-5, key="k"))
    first = await rival.streams.append(STREAM, add(-5, key="k"))
    ahead.store.release()
    assert await outcomes(one) == [1]
    assert await again == Answer(first.fields, replayed=True)
    assert await added(rival) == [5, -5, 1]


async def test_a_defect_in_folding_harms_nobody_else(ahead: Ahead) -> None:
    one = await ahead.first(add(1))
    before, poison, after = await ahead.send(add(2), Command("poison", "ann"), add(3))
    assert await outcomes(poison) == ["INTERNAL"]
    ahead.store.release()
    assert await outcomes(one, before, after) == [6, 8, 11]
    assert await added(ahead.instance) == [5, 1, 2, 3]


@pytest.mark.parametrize("happened", [False, True])
async def test_the_instance_ends_with_a_batch_on_its_way(ahead: Ahead, launch: Launch, happened: bool) -> None:
    one = await ahead.first(add(1, key="one"), hold="after" if happened else "before")
    rest = await ahead.send(add(2, key="two"), add(3))
    await ahead.instance.streams.stop()
    assert await outcomes(one, *rest) == ["UNAVAILABLE"] * 3
    heir = await launch()
    answers = [await heir.streams.append(STREAM, add(n, key=key)) for n, key in ((2, "two"), (1, "one"))]
    assert [answer.replayed for answer in answers] == [False, happened]
    assert await added(heir) == ([5, 1, 2] if happened else [5, 2, 1])


async def test_who_leaves_while_it_waits_does_not_disturb_the_others(ahead: Ahead) -> None:
    one = await ahead.first(add(1))
    leaver, stayer = await ahead.send(add(2), add(3))
    leaver.cancel()
    ahead.store.release()
    await asyncio.gather(leaver, return_exceptions=True)
    assert await outcomes(one, stayer) == [6, 11]


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
async def test_many_at_once_over_a_broken_connection(launch: Launch, seed: int) -> None:
    flaky: list[Flaky] = []

    def wrap(store: EventStore) -> Flaky:
        flaky.append(Flaky(store, seed=seed))
        return flaky[-1]

    one = await launch(wrap, append_batch=9, snapshot_every=50)
    told: dict[str, int] = {}

    async def client(who: int) -> None:
        for turn in range(6):
            key = f"{who}-{turn}"
            while key not in told:
                try:
                    answer = await one.streams.append(STREAM, add(1, actor=f"c{who}", key=key))
                except AppError as error:
                    if error.code != "UNAVAILABLE":
                        raise
                else:
                    told[key] = answer.fields["seq"]

    await asyncio.gather(*(client(who) for who in range(60)))
    await asyncio.gather(*flaky[0].late)
    events = await log_of(await launch(), STREAM)
    check_chain(events)
    assert {event.key: event.seq for event in events if event.type == "added"} == told
