"""Taking turns on a stream: nobody waits who is alone, everybody gets a turn, and no two at a time."""

from __future__ import annotations

import pytest

from server.streams.turns import Turns

FIRST_GUESS_S = 0.002


def test_who_is_alone_never_waits() -> None:
    turns = Turns("ann")
    turns.wrote("ann", 1.0)
    assert not turns.contested(1.0)
    assert turns.wait_s(1.0) == 0


def test_a_rival_is_forgotten_that_has_not_written_for_a_while() -> None:
    turns = Turns("bob")
    turns.wrote("ann", 1.0)
    assert turns.contested(1.4)
    assert not turns.contested(1.6)
    assert turns.wait_s(1.6) == 0


@pytest.mark.parametrize("last", ["ann", "bob", "eve"])
def test_after_each_write_they_come_one_by_one(last: str) -> None:
    waits = {}
    for name in ("ann", "bob", "eve"):
        turns = Turns(name)
        for writer in ("ann", "bob", "eve"):
            turns.wrote(writer, 1.0)
        turns.wrote(last, 1.0)
        waits[name] = turns.wait_s(1.0)
    order = {"ann": ["bob", "eve", "ann"], "bob": ["eve", "ann", "bob"], "eve": ["ann", "bob", "eve"]}[last]
    assert [waits[name] for name in order] == pytest.approx([0, FIRST_GUESS_S, 2 * FIRST_GUESS_S])


def test_the_wait_counts_from_the_last_write() -> None:
    turns = Turns("ann")
    turns.wrote("bob", 1.0)
    turns.wrote("ann", 1.0)
    assert turns.wait_s(1.0005) == pytest.approx(FIRST_GUESS_S - 0.0005)
    assert turns.wait_s(1.1) == 0


def test_a_turn_lasts_as_long_as_turns_do_within_bounds() -> None:
    turns = Turns("ann")
    turns.wrote("bob", 1.0)
    turns.wrote("ann", 1.0)
    for _ in range(100):
        turns.took(0.01)
    assert turns.wait_s(1.0) == pytest.approx(0.01, rel=0.01)
    assert turns.grace_s == turns.wait_s(1.0)
    for _ in range(100):
        turns.took(60.0)
    assert turns.wait_s(1.0) == pytest.approx(0.1, rel=0.01)
