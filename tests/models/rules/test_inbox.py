"""The inbox as a state machine: exactly once, never a stale one, unread counts that are always right."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from models.rules.inbox.notices import Notice, inbox_stream, inbox_user, standing
from models.rules.inbox.rules import INBOX_RULES
from models.rules.inbox.seqs import SeqSet
from models.rules.stream import Command, Rejected
from tests.models.rules.inboxes import Box


def notice(kind: str, seq: int, group: str = "", source: str = "auction:a", **data: Any) -> Notice:
    return Notice("ann", kind, source, seq, group, data)


def test_every_notice_counts_once() -> None:
    box = Box()
    first = notice("bid_received", 2, amount=100)
    assert box.do(first.command()) == {"seq": 2}
    assert box.do(notice("bid_received", 2, amount=100, title="New").command()) == {"seq": 2}
    assert box.do(notice("bid_received", 3).command()) == {"seq": 3}
    assert box.do(notice("won", 3).command()) == {"seq": 4}
    assert box.do(notice("won", 3, source="auction:b").command()) == {"seq": 5}
    assert [event.type for event in box.events] == ["opened", *["notification"] * 4]
    assert box.events[1].public == {"kind": "bid_received", "data": {"amount": 100}, "unread": 1}
    assert INBOX_RULES.view(box.state) == {"seq": 5, "unread": 4, "read_to": 0}


def test_a_newer_one_replaces_an_unread_one_of_its_group() -> None:
    box = Box()
    box.do(notice("outbid", 5, "a").command())
    box.do(notice("outbid", 7, "b").command())
    box.do(notice("leading", 9, "a").command())
    assert box.events[-1].public == {"kind": "leading", "data": {}, "unread": 2, "replaces": 2}
    assert [event.public["kind"] for event in box.shown] == ["outbid", "leading"]


def test_one_that_was_read_stays() -> None:
    box = Box()
    box.do(notice("outbid", 5, "a").command())
    assert box.read(2) == 0
    box.do(notice("outbid", 9, "a").command())
    assert box.events[-1].public == {"kind": "outbid", "data": {}, "unread": 1}
    assert len(box.shown) == 2


def test_an_older_one_never_comes_after_a_newer_one() -> None:
    box = Box()
    box.do(notice("outbid", 9, "a").command())
    assert box.do(notice("outbid", 5, "a").command()) == {"seq": None}
    assert box.do(notice("leading", 9, "a").command()) == {"seq": None}
    box.read(2)
    assert box.do(notice("outbid", 8, "a").command()) == {"seq": None}
    assert len(box.shown) == 1


def test_reading() -> None:
    box = Box()
    assert box.read(1) == 0
    for seq in range(1, 6):
        box.do(notice("message", seq).command())  # 2 to 6
    assert box.read(3) == 3
    assert box.events[-1].public == {"up_to": 3, "unread": 3}
    assert box.read(3) == 3
    assert box.read(0) == 3
    assert box.read(2) == 3
    assert box.read(7) == 0  # its own `read` event
    assert [event.type for event in box.events].count("read") == 2
    assert box.read(8) == 0  # and that one's: reads nothing, so appends nothing
    assert [event.type for event in box.events].count("read") == 2
    with pytest.raises(Rejected) as refusal:
        box.read(9)
    assert (refusal.value.code, refusal.value.details["errors"][0]["loc"]) == ("VALIDATION_FAILED", ["seq"])


def test_an_inbox_is_there_as_soon_as_it_is_asked_for() -> None:
    box = Box()
    assert box.do(Command("open", "system")) == {}
    assert box.do(Command("open", "system")) == {}
    assert [(event.type, event.public) for event in box.events] == [("opened", {"unread": 0})]
    with pytest.raises(Rejected) as refusal:
        box.do(Command("close", "system"))
    assert refusal.value.code == "UNKNOWN_COMMAND"


def test_names() -> None:
    assert inbox_stream("ann") == "user:ann" == notice("won", 1).stream
    assert inbox_user("user:ann") == "ann"


def test_of_a_batch_only_what_stands_is_sent() -> None:
    batch = [notice("outbid", 1, "a"), notice("won", 2), notice("leading", 3, "a"), notice("outbid", 2, "b")]
    other = Notice("bob", "outbid", "auction:a", 2, "a")
    assert standing([*batch, other]) == [*batch[1:], other]


@given(st.lists(st.integers(1, 3_000), unique=True), st.data())
def test_a_seq_set_is_a_set(seqs: list[int], data: st.DataObject) -> None:
    found, plain = SeqSet(), set()
    for seq in sorted(seqs):
        found.add(seq)
        plain.add(seq)
    kept = found.copy()
    for seq in data.draw(st.lists(st.integers(1, 3_100))):
        found.discard(seq)
        plain.discard(seq)
    place, most = data.draw(st.integers(0, 3_100)), data.draw(st.integers(1, 50))
    assert len(found) == len(plain)
    assert (place in found) == (place in plain)
    assert found.count_after(place) == sum(seq > place for seq in plain)
    assert found.newest_before(place, most) == sorted((seq for seq in plain if seq < place), reverse=True)[:most]
    assert found.newest_before(None, most) == sorted(plain, reverse=True)[:most]
    assert SeqSet.load(json.loads(json.dumps(found.dump()))) == found
    assert len(kept) == len(seqs)


class Deliveries(RuleBasedStateMachine):
    """One inbox, notices that come in order, again, and late; readings of anything."""

    @initialize()
    def begin(self) -> None:
        self.box = Box()
        self.sent: list[Notice] = []
        self.seq = 0

    @rule(kind=st.sampled_from(["won", "bid_received", "message"]), gap=st.integers(1, 3))
    def tell(self, kind: str, gap: int) -> None:
        """Something that stands for itself."""
        self.seq += gap
        self._send(notice(kind, self.seq))

    @rule(kind=st.sampled_from(["outbid", "leading"]), group=st.sampled_from("ab"), gap=st.integers(1, 3))
    def tell_of_standing(self, kind: str, group: str, gap: int) -> None:
        """Something that supersedes."""
        self.seq += gap
        self._send(notice(kind, self.seq, group))

    def _send(self, it: Notice) -> None:
        self.sent.append(it)
        answer = self.box.do(it.command())
        assert answer["seq"] == self.box.state.seq

    @rule(back=st.integers(1, 40))
    def tell_again(self, back: int) -> None:
        """A batch comes once more."""
        before = len(self.box.events)
        for it in self.sent[-back:]:
            self.box.do(it.command())
        assert len(self.box.events) == before

    @rule(place=st.integers(-3, 60))
    def read(self, place: int) -> None:
        """Read to somewhere near the end, or anywhere."""
        before, seq = self.box.state.unread, max(1, self.box.state.seq) - place
        if place < 0:
            with pytest.raises(Rejected):
                self.box.read(seq)
            assert self.box.state.unread == before
        else:
            assert self.box.read(max(0, seq)) == self.box.state.unread <= before

    @invariant()
    def each_is_there_once(self) -> None:
        """Told once, and of each group nothing older after something newer."""
        told = [event for event in self.box.events if event.type == "notification"]
        assert len(told) == len(self.sent)
        for group in "ab":
            seqs = [event.private["source"] for event in told if event.private.get("group") == group]
            assert seqs == sorted(set(seqs))
            unread = [it for it in self.box.shown if it.private.get("group") == group]
            assert sum(it.seq > self.box.state.read_to for it in unread) <= 1


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
