"""Append: dense, durable, exactly once, whoever competes and whatever fails. The contract suite of both stores."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pytest

from models.rules.stream import Command
from server.clock import new_id
from server.errors import AppError
from server.streams.event import StoredEvent
from server.streams.store import Appended, EventStore, Snapshot, StoreUnavailable
from server.streams.submitted import on_submitted
from tests.server.streams.conftest import Instance, Launch
from tests.waiting import until


def add(n: int, *, key: str | None = None, actor: str = "ann", name: str = "add") -> Command:
    return Command(name, actor, {"n": n}, key)


async def log_of(instance: Instance, stream: str) -> list[StoredEvent]:
    events = await instance.streams.read(stream, 0, 100_000)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    return events


def check_chain(events: Sequence[StoredEvent]) -> None:
    link = bytes(32)
    for event in events:
        public = orjson.loads(event.wire)
        said = public.pop("hash")
        link = hashlib.sha256(link + orjson.dumps(public, option=orjson.OPT_SORT_KEYS)).digest()
        assert link.hex() == said == event.hash


async def test_appends_are_numbered_answered_and_chained(launch: Launch) -> None:
    one = await launch()
    first = await one.streams.append("tally:a", add(40))
    second = await one.streams.append("tally:a", add(2))
    assert (first.fields, second.fields) == ({"seq": 1, "total": 40}, {"seq": 2, "total": 42})
    events = await log_of(one, "tally:a")
    check_chain(events)
    assert events[1].private == {"secret": "of ann"}
    assert b"secret" not in events[1].wire
    assert events[0].t <= events[1].t


async def test_a_refusal_is_typed_and_changes_nothing(launch: Launch) -> None:
    one = await launch()
    await one.streams.append("tally:a", add(5))
    with pytest.raises(AppError) as caught:
        await one.streams.append("tally:a", add(-6))
    assert caught.value.code == "BID_TOO_WEAK"
    assert caught.value.details == {"min_next": -5}
    assert len(await log_of(one, "tally:a")) == 1


async def test_a_defect_in_the_rules_harms_only_its_command(launch: Launch) -> None:
    one = await launch()
    results = await asyncio.gather(
        one.streams.append("tally:a", add(1)),
        one.streams.append("tally:a", Command("crash", "ann")),
        one.streams.append("tally:a", add(2)),
        return_exceptions=True,
    )
    assert isinstance(results[1], AppError)
    assert results[1].code == "INTERNAL"
    assert [event.public["n"] for event in await log_of(one, "tally:a")] == [1, 2]


async def test_after_a_defect_in_folding_the_stream_begins_anew(launch: Launch) -> None:
    one = await launch()
    await one.streams.append("tally:a", add(3))
    with pytest.raises(AppError, match="INTERNAL"):
        await one.streams.append("tally:a", Command("poison", "ann"))
    assert (await one.streams.append("tally:a", add(4))).fields == {"seq": 2, "total": 7}
    check_chain(await log_of(one, "tally:a"))


async def test_unknown_kinds_are_not_found(launch: Launch) -> None:
    one = await launch()
    with pytest.raises(AppError, match="NOT_FOUND"):
        await one.streams.append("nothing:a", add(1))
    with pytest.raises(AppError, match="NOT_FOUND"):
        await one.streams.authorise(None, "tally:a")


async def test_commands_of_one_caller_keep_their_order(launch: Launch) -> None:
    one = await launch(append_batch=7)
    await asyncio.gather(*(one.streams.append("tally:a", add(n)) for n in range(100)))
    added = [event.public["n"] for event in await log_of(one, "tally:a") if event.type == "added"]
    assert added == list(range(100))


async def test_the_edge_is_told_of_each_submission_before_its_outcome(launch: Launch) -> None:
    one = await launch()
    told: list[int] = []
    appending: asyncio.Task[object] | None = None

    def submitted() -> None:
        assert appending is not None
        assert not appending.done()
        told.append(1)

    async def twice() -> None:
        on_submitted.set(submitted)
        await one.streams.append("tally:a", add(1))
        with pytest.raises(AppError, match="BID_TOO_WEAK"):
            await one.streams.append("tally:a", add(-2))

    appending = asyncio.create_task(twice())
    await appending
    await one.streams.append("tally:a", add(1))
    assert len(told) == 2


async def test_what_a_decision_owes_is_written_before_the_next(launch: Launch) -> None:
    one = await launch()
    await one.streams.append("tally:a", add(150))
    await one.streams.append("tally:a", add(1))
    types = [event.type for event in await log_of(one, "tally:a")]
    assert types == ["added", "round", "added"]


async def test_three_instances_compete_without_loss_or_doubles(launch: Launch) -> None:
    instances = [await launch() for _ in range(3)]

    async def client(instance: Instance, who: int) -> list[int]:
        seqs = []
        for turn in range(15):
            answer = await instance.streams.append("tally:hot", add(1, actor=f"c{who}", key=f"{turn}", name="pair"))
            seqs.append(answer.fields["seq"])
        return seqs

    answered = await asyncio.gather(*(client(instances[who % 3], who) for who in range(12)))
    events = await log_of(instances[0], "tally:hot")
    check_chain(events)
    added = {event.seq: event for event in events if event.type == "added"}
    assert sorted(seq for seqs in answered for seq in seqs) == sorted(added)
    assert len({(event.actor, event.key) for event in added.values()}) == 180
    heads = [await instance.streams.current("tally:hot") for instance in instances]
    assert {head.state.total for head in heads} == {180}


async def test_the_same_key_is_answered_once_and_again(launch: Launch) -> None:
    one, two = await launch(), await launch()
    first = await one.streams.append("tally:a", add(7, key="k"))
    again = await one.streams.append("tally:a", add(7, key="k"))
    elsewhere = await two.streams.append("tally:a", add(7, key="k"))
    assert (first.replayed, again.replayed, elsewhere.replayed) == (False, True, True)
    assert first.fields == again.fields == elsewhere.fields
    with pytest.raises(AppError, match="IDEMPOTENCY_MISMATCH"):
        await two.streams.append("tally:a", add(8, key="k"))
    other_actor = await two.streams.append("tally:a", add(7, key="k", actor="bob"))
    assert other_actor.replayed is False
    assert len(await log_of(one, "tally:a")) == 2


async def test_the_same_key_at_the_same_time_everywhere(launch: Launch) -> None:
    instances = [await launch() for _ in range(3)]
    await instances[0].streams.append("tally:a", add(1))
    answers = await asyncio.gather(*(i.streams.append("tally:a", add(5, key="k")) for i in instances for _ in range(4)))
    assert {answer.fields["seq"] for answer in answers} == {2}
    assert sum(not answer.replayed for answer in answers) == 1
    assert len(await log_of(instances[0], "tally:a")) == 2


async def test_a_key_older_than_the_snapshot_is_still_known(launch: Launch) -> None:
    one = await launch(snapshot_every=5)
    first = await one.streams.append("tally:a", add(-0, key="old"))
    for n in range(20):
        await one.streams.append("tally:a", add(n))
    await _saved(one, "tally:a")
    two = await launch(snapshot_every=5)
    assert (await two.streams.append("tally:a", add(0, key="old"))).fields == first.fields
    with pytest.raises(AppError, match="IDEMPOTENCY_MISMATCH"):
        await two.streams.append("tally:a", add(1, key="old"))


async def test_a_repeat_that_would_be_refused_now_gets_its_first_answer(launch: Launch) -> None:
    one = await launch(snapshot_every=5)
    await one.streams.append("tally:a", add(10))
    first = await one.streams.append("tally:a", add(-8, key="spent"))
    for _ in range(20):
        await one.streams.append("tally:a", add(0))
    await _saved(one, "tally:a")
    two = await launch(snapshot_every=5)
    again = await two.streams.append("tally:a", add(-8, key="spent"))
    assert again.replayed
    assert again.fields == first.fields


async def _saved(instance: Instance, stream: str) -> Snapshot:
    return await until(lambda: instance.store.load_snapshot(stream))


async def test_opening_from_a_snapshot_equals_folding_everything(launch: Launch) -> None:
    one = await launch(snapshot_every=10)
    for n in range(35):
        await one.streams.append("tally:a", add(n))
    snapshot = await _saved(one, "tally:a")
    assert 10 <= snapshot.seq <= 36
    two = await launch()
    head, fresh = await one.streams.current("tally:a"), await two.streams.current("tally:a")
    assert (head.seq, head.state) == (fresh.seq, fresh.state)
    await two.streams.append("tally:a", add(1))
    check_chain(await log_of(two, "tally:a"))


async def test_a_refusal_is_judged_on_the_newest_state(launch: Launch) -> None:
    one, two = await launch(), await launch()
    await one.streams.append("tally:a", add(1))
    await two.streams.append("tally:a", add(99))
    # `one` hasn't heard of the 99; on its own state it would refuse
    answer = await one.streams.append("tally:a", add(-50))
    assert answer.fields["total"] == 50
    assert (await two.streams.append("tally:a", Command("nothing", "ann"))).fields == {"total": 50}


class Flaky:
    """A store whose appends fail before or after they happened, as a broken connection makes them."""

    def __init__(self, store: EventStore, *, chance: float = 0.3, seed: int = 1) -> None:
        self._store = store
        self._chance = chance
        self._random = random.Random(seed)
        self.late: list[asyncio.Task[Appended]] = []
        self.down = False

    def _maybe_fail(self, chance: float) -> None:
        if self.down or self._random.random() < chance:
            raise StoreUnavailable("cut")

    async def append(self, events: Sequence[StoredEvent]) -> Appended:
        self._maybe_fail(self._chance / 3)
        if self._random.random() < self._chance / 3:
            # still under way when the caller has lost its connection, and lands some time later
            self.late.append(asyncio.create_task(self._later(list(events))))
            raise StoreUnavailable("cut, unknown outcome")
        appended = await self._store.append(events)
        self._maybe_fail(self._chance / 3)
        return appended

    async def _later(self, events: list[StoredEvent]) -> Appended:
        await asyncio.sleep(self._random.uniform(0, 0.05))
        return await self._store.append(events)

    async def read(self, stream: str, after: int, limit: int) -> list[StoredEvent]:
        self._maybe_fail(self._chance / 4)
        return await self._store.read(stream, after, limit)

    async def read_many(self, after: Mapping[str, int], limit: int) -> list[StoredEvent]:
        self._maybe_fail(self._chance / 4)
        return await self._store.read_many(after, limit)

    async def last_seq(self, stream: str) -> int:
        self._maybe_fail(self._chance / 4)
        return await self._store.last_seq(stream)

    async def find_keys(self, stream: str, keys: Any) -> list[StoredEvent]:
        self._maybe_fail(self._chance / 4)
        return await self._store.find_keys(stream, keys)

    async def load_snapshot(self, stream: str) -> Snapshot | None:
        self._maybe_fail(self._chance / 4)
        return await self._store.load_snapshot(stream)

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        self._maybe_fail(self._chance / 4)
        await self._store.save_snapshot(snapshot)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_unknown_outcomes_are_settled_exactly_once(launch: Launch, seed: int) -> None:
    flaky: list[Flaky] = []

    def wrap(store: EventStore) -> Flaky:
        flaky.append(Flaky(store, seed=seed * 10 + len(flaky)))
        return flaky[-1]

    instances = [await launch(wrap, snapshot_every=20) for _ in range(3)]
    told: dict[tuple[str, str], int] = {}

    async def client(who: int) -> None:
        for turn in range(10):
            key = f"{turn}-{new_id()}"
            while True:
                instance = random.choice(instances)
                try:
                    answer = await instance.streams.append("tally:a", add(1, actor=f"c{who}", key=key))
                except AppError as error:
                    if error.code != "UNAVAILABLE":
                        raise
                    continue
                told[f"c{who}", key] = answer.fields["seq"]
                break

    await asyncio.gather(*(client(who) for who in range(9)))
    for store in flaky:
        await asyncio.gather(*store.late)
    stream = await launch()
    events = await log_of(stream, "tally:a")
    check_chain(events)
    written = {(event.actor or "", event.key or ""): event.seq for event in events if event.type == "added"}
    assert written == told


async def test_a_dead_store_is_unavailable_and_recovers(launch: Launch) -> None:
    made: list[Flaky] = []

    def wrap(store: EventStore) -> Flaky:
        made.append(Flaky(store, chance=0))
        return made[-1]

    one = await launch(wrap, append_timeout_ms=1_500)
    await one.streams.append("tally:a", add(1, key="before"))
    made[0].down = True
    results = await asyncio.gather(
        *(one.streams.append("tally:a", add(1, key=f"{n}")) for n in range(5)), return_exceptions=True
    )
    assert [getattr(result, "code", None) for result in results] == ["UNAVAILABLE"] * 5
    with pytest.raises(AppError, match="UNAVAILABLE"):
        await one.streams.current("tally:a")
    made[0].down = False
    after = await one.streams.append("tally:a", add(1, key="0"))
    assert after.fields["total"] == 2
    assert len(await log_of(one, "tally:a")) == 2


async def test_who_waits_when_the_instance_stops_is_answered(launch: Launch) -> None:
    class Slow(Flaky):
        async def append(self, events: Sequence[StoredEvent]) -> Appended:
            await asyncio.sleep(60)
            raise AssertionError("not reached")

    one = await launch(lambda store: Slow(store, chance=0), append_batch=1)
    waiting = [asyncio.create_task(one.streams.append("tally:a", add(1))) for _ in range(3)]
    await asyncio.sleep(0.1)
    await one.streams.stop()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [getattr(outcome, "code", None) for outcome in outcomes] == ["UNAVAILABLE"] * 3


async def test_the_backlog_is_bounded(launch: Launch) -> None:
    one = await launch(append_backlog=10)
    results = await asyncio.gather(*(one.streams.append("tally:a", add(1)) for _ in range(50)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, AppError)]
    assert {error.code for error in refused} == {"UNAVAILABLE"}
    added = [event for event in await log_of(one, "tally:a") if event.type == "added"]
    assert len(added) == 50 - len(refused) == 10


async def test_idle_streams_are_forgotten_and_found_again(launch: Launch) -> None:
    one = await launch(stream_cache=3)
    for n in range(12):
        await one.streams.append(f"tally:{n}", add(n))
    assert len(one.streams._active) <= 4
    for n in range(12):
        assert (await one.streams.append(f"tally:{n}", add(1))).fields == {"seq": 2, "total": n + 1}


async def test_a_caller_who_leaves_does_not_disturb_the_others(launch: Launch) -> None:
    one = await launch()
    leaver = asyncio.create_task(one.streams.append("tally:a", add(1)))
    await asyncio.sleep(0)
    stayer = asyncio.create_task(one.streams.append("tally:a", add(2)))
    leaver.cancel()
    await asyncio.gather(leaver, return_exceptions=True)
    assert (await stayer).fields["total"] in {2, 3}
    assert (await one.streams.append("tally:a", add(0))).fields["seq"] >= 2
