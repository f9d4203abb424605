"""Inboxes for tests: run by the rules as `server.streams` runs them, with the laws checked after every event."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from models.rules.inbox.auctions import Announcement, Leads, Reporter, audience, leads_to
from models.rules.inbox.notices import Notice, standing
from models.rules.inbox.rules import INBOX_RULES, Inbox
from models.rules.stream import Command, Event
from tests.models.rules.auctions import HOUR, MINUTE, NOW, Auction

LEADS = Leads(5 * MINUTE, 4 * HOUR)


class Box:
    """One inbox. `keys` is the unique index."""

    def __init__(self) -> None:
        self.state: Inbox = INBOX_RULES.initial()
        self.events: list[Event] = []
        self.keys: dict[str, dict[str, Any]] = {}

    def do(self, command: Command) -> dict[str, Any]:
        """Carry out a command; its answer."""
        if command.key is not None and command.key in self.keys:
            return self.keys[command.key]
        while (owed := INBOX_RULES.due(self.state, NOW)) is not None:
            assert INBOX_RULES.next_due(self.state) is not None
            self._commit(owed.type, owed.public, owed.private)
        assert INBOX_RULES.next_due(self.state) is None
        before = INBOX_RULES.copy(self.state)
        decision = INBOX_RULES.decide(self.state, command, NOW)
        assert self.state == before, "deciding reads the state only"
        assert len(decision.drafts) <= 1, "nothing is owed if the process dies in between"
        for draft in decision.drafts:
            self._commit(draft.type, draft.public, draft.private)
            if command.key is not None:
                self.keys[command.key] = dict(decision.answer)
        return dict(decision.answer)

    def _commit(self, type_: str, public: Any, private: Any) -> None:
        event = Event(
            self.state.seq + 1, NOW, type_, json.loads(json.dumps(public)), json.loads(json.dumps(dict(private)))
        )
        untouched = INBOX_RULES.copy(self.state)
        INBOX_RULES.apply(INBOX_RULES.copy(self.state), event)
        assert self.state == untouched, "a copy is independent"
        INBOX_RULES.apply(self.state, event)
        self.events.append(event)
        self.check()

    def check(self) -> None:
        """What holds after every single event."""
        state = self.state
        replaced = {event.public.get("replaces") for event in self.events}
        shown = [event.seq for event in self.events if event.type == "notification" and event.seq not in replaced]
        assert state.shown.newest_before(None, 10**6) == shown[::-1]
        assert len(state.shown) == len(shown)
        assert state.unread == sum(seq > state.read_to for seq in shown) == state.shown.count_after(state.read_to)
        assert state.unread >= 0
        assert self.events[-1].public["unread"] == state.unread
        assert self.events[0].type == "opened"
        assert INBOX_RULES.load(json.loads(json.dumps(INBOX_RULES.dump(state)))) == state

    @property
    def shown(self) -> list[Event]:
        """The notifications that are shown, the oldest first."""
        return [self.events[seq - 1] for seq in reversed(self.state.shown.newest_before(None, 10**6))]

    def read(self, seq: int) -> int:
        """Read all up to a seq; how many are unread then."""
        return int(self.do(Command("read", "owner of the inbox", {"seq": seq}))["unread"])


class Town:
    """The inboxes of everybody, and what is to be told to many."""

    def __init__(self) -> None:
        self.boxes: dict[str, Box] = defaultdict(Box)
        self.announcements: dict[str, Announcement] = {}

    def deliver(self, notices: Iterable[Notice]) -> None:
        """As the worker does with one batch."""
        for notice in standing(notices):
            self.boxes[notice.user].do(notice.command())

    def follow(self, auction: Auction, batches: Iterable[Sequence[Event]]) -> None:
        """Tell of an auction's events, in these batches; what is for all who bid is told at once."""
        for batch in batches:
            news = report(auction, batch)
            self.deliver(news.notices)
            for announcement in news.announcements:
                self.announcements[announcement.id] = announcement
                if announcement.kind in ("lost", "extended"):
                    self.deliver(announcement.notice(user) for user in audience(announcement, auction.state))

    def kinds(self, user: str) -> list[str]:
        """Of what a user is shown, the oldest first."""
        return [event.public["kind"] for event in self.boxes[user].shown]


def source(auction: Auction) -> str:
    """The stream of truth."""
    return "sealed:a" if auction.state.terms.hidden else "auction:a"


def report(auction: Auction, events: Sequence[Event]) -> Any:
    """The news of consecutive events, as the follower asks for them."""
    earlier = auction.events[: events[0].seq - 1]
    led = [event for event in earlier if leads_to(event)]
    closed = [event.seq for event in earlier if event.type == "closed"]
    names = {"ann": "Ann", "bob": "Bob"}
    return Reporter(
        source(auction),
        auction.state,
        title="Paint a fence",
        names=names,
        leader=led[-1].public["leader"] if led else None,
        closed=closed[-1] if closed else 0,
        leads=LEADS,
    ).report(events)
