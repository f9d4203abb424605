"""Commands that wait: every one is answered, and nothing of those that were is kept."""

from __future__ import annotations

import asyncio

import pytest

from models.rules.stream import Command
from server.errors import AppError
from server.streams.event import StoredEvent
from server.streams.pending import Answer, Pending
from server.streams.waiting import Waiting
from tests.waiting import until


def add(waiting: Waiting, *names: str) -> list[asyncio.Future[Answer]]:
    return [waiting.add(Command(name, "ann")) for name in names]


def take(waiting: Waiting) -> list[Pending]:
    taken = []
    while (pending := waiting.take()) is not None:
        taken.append(pending)
    return taken


async def test_they_are_taken_in_order_and_put_back_before_the_others() -> None:
    waiting = Waiting(10, 60)
    add(waiting, "a", "b", "c")
    first = [waiting.take(), waiting.take()]
    waiting.put_back([pending for pending in first if pending is not None])
    assert [pending.command.name for pending in take(waiting)] == ["a", "b", "c"]
    waiting.end("over")


async def test_who_has_left_is_not_taken_and_not_kept() -> None:
    waiting = Waiting(10, 60)
    futures = add(waiting, "a", "b", "c", "d")
    futures[0].cancel()
    taken = take(waiting)
    assert [pending.command.name for pending in taken] == ["b", "c", "d"]
    futures[1].cancel()
    waiting.put_back(taken)
    futures[2].cancel()
    assert waiting.anybody()
    assert len(waiting) == 1
    futures[3].cancel()
    assert not waiting.anybody()
    assert not waiting._taken


async def test_an_event_answers_its_command_wherever_that_is() -> None:
    waiting = Waiting(10, 60)
    decided, again = add(waiting, "a", "b")
    pendings = take(waiting)
    waiting.put_back(pendings[1:])
    waiting.recognise([StoredEvent(1, 0, "x", {}, command=pending.id, answer={"n": 1}) for pending in pendings])
    assert (await decided).fields == (await again).fields == {"n": 1}
    assert waiting.take() is None
    assert not waiting._taken


async def test_the_time_of_all_of_them_is_up_one_day() -> None:
    waiting = Waiting(2, 0.05)
    first, second, refused = add(waiting, "a", "b", "c")
    taken = waiting.take()
    assert taken is not None
    for future in (refused, first, second):
        with pytest.raises(AppError, match="UNAVAILABLE"):
            await future
    await until(lambda: waiting._watchdog is None)
    waiting.put_back([taken])
    assert take(waiting) == []


async def test_what_has_no_key_and_what_another_instance_asked_for_stays() -> None:
    waiting = Waiting(10, 60)
    keyed = waiting.add(Command("keyed", "ann", {}, "k"))
    unkeyed = waiting.add(Command("unkeyed", "ann"))
    guest = waiting.add(Command("guest", "bob", {}, "l"), id_="g-1")
    left = waiting.add(Command("left", "ann", {}, "m"))
    left.cancel()
    (leaving,) = waiting.take_for_another()
    assert leaving.future is keyed
    waiting.held = True
    waiting.add(Command("later", "ann", {}, "n"))
    assert len(waiting) == 2
    taken = take(waiting)
    assert [pending.future for pending in taken] == [guest, unkeyed]
    assert taken[0].id == "g-1"
    waiting.put_back([leaving, *taken])
    assert [pending.command.name for pending in take(waiting)] == ["guest", "unkeyed"]
    waiting.held = False
    assert [pending.command.name for pending in take(waiting)] == ["keyed", "later"]
    waiting.end("over")


async def test_what_comes_too_late_is_not_taken() -> None:
    waiting = Waiting(10, 60)
    late = waiting.add(Command("late", "ann", {}, "k"), id_="g-1", patience_s=1e-9)
    await asyncio.sleep(0.01)
    assert waiting.take() is None
    with pytest.raises(AppError, match="UNAVAILABLE"):
        await late
    waiting.end("over")


async def test_a_refusal_of_what_another_instance_may_still_accept_is_none() -> None:
    waiting = Waiting(10, 60)
    future = waiting.add(Command("bid", "ann", {}, "k"))
    pending = waiting.take()
    assert pending is not None
    pending.doubtful = True
    pending.settle(AppError("BID_TOO_WEAK"))
    with pytest.raises(AppError, match="UNAVAILABLE"):
        await future
    waiting.end("over")
