"""Auctions for tests: run by the rules as `server.streams` runs them, with the laws checked after every event."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest

from models.rules.auction import projection
from models.rules.auction.rules import AUCTION_RULES
from models.rules.auction.state import State
from models.rules.auction.view import owner_view
from models.rules.canonical import GENESIS, chain_hash
from models.rules.stream import Command, Decision, Draft, Event, Rejected
from models.rules.times import from_rfc3339, to_rfc3339
from tests.models.rules import brute

NOW = 1_795_255_200_000
"""2026-11-21T10:00:00Z"""

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

ENGLISH: dict[str, Any] = {
    "format": "english",
    "currency": "EUR",
    "start_amount": 100,
    "increments": [{"from": 0, "step": 10}],
    "end_at": NOW + DAY,
    "soft_close": {"window_s": 120, "extension_s": 120},
}
REVERSE: dict[str, Any] = {**ENGLISH, "format": "reverse", "start_amount": 1_000}
SEALED: dict[str, Any] = {**REVERSE, "format": "sealed"}
PROPOSAL: dict[str, Any] = {**REVERSE, "format": "proposal"}


def salt(number: int) -> str:
    """A salt that tests can repeat."""
    return hashlib.sha256(b"salt %d" % number).hexdigest()


class Auction:
    """One auction with its clock; of a hidden format, its public stream too.

    `do` is what `server.streams` does with a command: what is owed first, then the decision, then the events. A rejected
    command must change nothing, every event must obey the laws, and a decision cut short must be completed by `due`.
    """

    def __init__(self, terms: dict[str, Any], *, now: int = NOW, **payload: Any) -> None:
        self.now = now
        self.state: State = AUCTION_RULES.initial()
        self.events: list[Event] = []
        self.mirror: State = AUCTION_RULES.initial()
        self.mirrored: list[Event] = []
        self._salts = count(1)
        self.do("open", "owner", job="job", terms=terms, **payload)

    # -- doing --------------------------------------------------------------------------------------------------------

    def do(self, name: str, actor: str, /, *, admin: bool = False, **payload: Any) -> dict[str, Any]:
        """Carry out a command now; its answer."""
        self.pass_time()
        command = Command(name, actor, payload, context={"salt": salt(next(self._salts)), "admin": admin})
        before = AUCTION_RULES.dump(self.state)
        try:
            decision = AUCTION_RULES.decide(self.state, command, self.now)
        except Rejected:
            assert AUCTION_RULES.dump(self.state) == before
            raise
        assert AUCTION_RULES.dump(self.state) == before, "deciding reads the state only"
        json.dumps(dict(decision.answer))
        self._check_prefixes(decision)
        for draft in decision.drafts:
            self._commit(draft)
        self._project()
        return dict(decision.answer)

    def bid(self, actor: str, amount: Any, **payload: Any) -> dict[str, Any]:
        """An exact bid."""
        return self.do("bid", actor, amount=amount, **payload)

    def auto(self, actor: str, limit: Any, **payload: Any) -> dict[str, Any]:
        """An automatic bid."""
        return self.do("bid", actor, amount=limit, kind="auto", **payload)

    def refused(self, name: str, actor: str, /, *, admin: bool = False, **payload: Any) -> Rejected:
        """Carry out a command that must be refused; how it was."""
        with pytest.raises(Rejected) as refusal:
            self.do(name, actor, admin=admin, **payload)
        return refusal.value

    def at(self, t: int) -> Auction:
        """Set the clock."""
        self.now = t
        return self

    def later(self, ms: int) -> Auction:
        """Move the clock."""
        self.now += ms
        return self

    def pass_time(self) -> list[Event]:
        """Let what is owed now happen; the events."""
        before = len(self.events)
        while (owed := AUCTION_RULES.due(self.state, self.now)) is not None:
            next_due = AUCTION_RULES.next_due(self.state)
            assert next_due is not None
            assert next_due <= max(self.now, self.state.t)
            self._commit(owed)
            assert len(self.events) - before < 10, "due must come to an end"
        next_due = AUCTION_RULES.next_due(self.state)
        assert next_due is None or next_due > self.now
        self._project()
        return self.events[before:]

    def _commit(self, draft: Draft) -> None:
        t = self.now if draft.t is None else draft.t
        event = Event(self.state.seq + 1, max(t, self.state.t), draft.type, _json(draft.public), _json(draft.private))
        assert event.t == t, "t never goes back"
        before = self.state.copy()
        AUCTION_RULES.apply(self.state, event)
        self.events.append(event)
        check_laws(before, self.state, self.events)

    def _check_prefixes(self, decision: Decision) -> None:
        """Die after any event of a decision: `due` finishes it, now or much later."""
        for cut in range(1, len(decision.drafts)):
            for late in (0, 3 * DAY):
                state = self.state.copy()
                for draft in decision.drafts[:cut]:
                    t = self.now if draft.t is None else draft.t
                    event = Event(state.seq + 1, max(t, state.t), draft.type, draft.public, draft.private)
                    AUCTION_RULES.apply(state, event)
                owed = AUCTION_RULES.due(state, self.now + late)
                assert owed is not None
                rest = decision.drafts[cut]
                assert owed.type == rest.type
                if not late or rest.type == "extended":
                    assert owed == rest

    # -- the public stream --------------------------------------------------------------------------------------------

    def _project(self) -> None:
        if not self.state.terms.hidden:
            return
        for event in self.events[projection.projected_seq(self.mirror) :]:
            if projection.public_part(event) is not None:
                self.project(event)

    def project(self, event: Event) -> None:
        """Bring one event of the stream of truth into the public one."""
        decision = AUCTION_RULES.decide(self.mirror, projection.project_command(event), self.now)
        for draft in decision.drafts:
            assert draft.t is not None
            assert draft.t >= self.mirror.t
            mirrored = Event(self.mirror.seq + 1, draft.t, draft.type, _json(draft.public), _json(draft.private))
            AUCTION_RULES.apply(self.mirror, mirrored)
            self.mirrored.append(mirrored)
        assert AUCTION_RULES.due(self.mirror, self.now + 365 * DAY) is None
        assert AUCTION_RULES.next_due(self.mirror) is None

    # -- looking ------------------------------------------------------------------------------------------------------

    @property
    def public_events(self) -> list[Event]:
        """The events of the stream that clients read."""
        return self.mirrored if self.state.terms.hidden else self.events

    @property
    def types(self) -> list[str]:
        """The types of all events, in order."""
        return [event.type for event in self.events]

    @property
    def last(self) -> dict[str, Any]:
        """The public fields of the last event."""
        return dict(self.events[-1].public)

    def find(self, type_: str) -> Event:
        """The last event of a type."""
        return next(event for event in reversed(self.events) if event.type == type_)

    def view(self) -> dict[str, Any]:
        """The public view of the stream that clients read."""
        return AUCTION_RULES.view(self.mirror if self.state.terms.hidden else self.state)

    def owner_view(self) -> dict[str, Any]:
        """The owner's view."""
        return owner_view(self.state)


def export(events: Sequence[Event], *, private: bool) -> list[str]:
    """A log as JSON Lines, as clients see it or with the private fields."""
    head = GENESIS
    lines = []
    for event in events:
        wire = {**event.public, "seq": event.seq, "t": to_rfc3339(event.t), "type": event.type}
        head = chain_hash(head, wire)
        line = {**wire, "hash": head, **({"private": event.private} if private else {})}
        lines.append(json.dumps(line, ensure_ascii=False, separators=(",", ":")))
    return lines


def replay(events: Sequence[Event]) -> State:
    """The state that folding these events gives."""
    state = AUCTION_RULES.initial()
    for event in events:
        AUCTION_RULES.apply(state, event)
    return state


def check_laws(before: State, after: State, events: Sequence[Event]) -> None:
    """What holds after every single event."""
    event = events[-1]
    terms = after.terms
    assert after.seq == before.seq + 1 == len(events)
    assert after.t == event.t >= before.t
    assert not {"seq", "t", "type", "hash", "private"} & set(event.public)
    assert after.terms == before.terms or before.seq == 0
    if before.seq:
        assert after.end_at >= before.end_at, "end_at never shrinks"
    if after.hard_end_at is not None:
        assert after.end_at <= after.hard_end_at
    if event.type in ("bid", "retracted", "reconfirmed", "countered"):
        assert terms.start_at <= event.t < before.end_at
        assert before.phase == "open"
    if event.type == "closed" and terms.format != "proposal":
        assert event.t == before.end_at
        assert before.phase == "open"
    assert (after.paused_at is not None) == (after.phase == "paused")
    assert (after.award is not None) == (after.phase in ("awarded", "accepted"))
    if terms.hidden:
        assert after.bid_count == sum(1 for offer in after.offers.values() if not offer.withdrawn)
        assert after.extended_from is None
    else:
        check_resolution(before, after, events)


def check_resolution(before: State, after: State, events: Sequence[Event]) -> None:
    """Open formats: the incremental resolution is the brute-force one, and keeps rule 7's promises."""
    event, terms = events[-1], after.terms
    leader, price = brute.resolve(brute.terms_of(events[0]), brute.active_bids(events))
    assert (after.leader(), after.price) == (leader, price)
    sign = terms.sign
    if price is not None:
        limit = after.standings[after.first].limit
        assert sign * price <= sign * limit, "the price is never beyond the leader's limit"
        assert all(sign * limit >= sign * other.limit for other in after.standings.values())
        assert sign * price >= sign * terms.start_amount
        assert price >= terms.minimum_amount
        assert after.reserve_met == terms.meets_reserve(limit) == terms.meets_reserve(price)
    if event.type == "bid":
        if before.price is not None:
            assert price is not None
            assert sign * price >= sign * before.price, "the price never gets worse"
        changed = (leader, price) != (before.leader(), before.price)
        if not (changed and event.t >= before.end_at - terms.window_ms):
            assert after.end_at == before.end_at
        assert from_rfc3339(event.public["end_at"]) == after.end_at
    elif event.type not in ("retracted", "suspended", "reconfirmed", "reopened"):
        assert after.price == before.price
    assert after.bid_count == sum(it.type == "bid" for it in events) - sum(it.type == "retracted" for it in events)


def _json(fields: Any) -> Any:
    """Through JSON and back: what is stored is what was decided."""
    text = json.dumps(dict(fields), allow_nan=False)
    found = json.loads(text, parse_float=pytest.fail)
    assert found == dict(fields)
    return found
