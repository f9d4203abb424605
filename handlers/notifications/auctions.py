"""Following auctions: what happens in them becomes notices and announcements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pymongo.read_concern import ReadConcern

from handlers.notifications.announcer import announce
from handlers.notifications.service import Inboxes
from handlers.notifications.wording import names_of, title_of
from models.event import EventDocument
from models.rules.auction.naming import PUBLIC_KIND, SEALED_KIND, number_of
from models.rules.auction.state import State
from models.rules.inbox.auctions import Announcement, Leads, News, Reporter, leads_to
from models.rules.inbox.notices import Notice, standing
from server.clock import Clock
from server.streams.event import StoredEvent
from server.streams.streams import Streams

KINDS = (PUBLIC_KIND, SEALED_KIND)


class AuctionNews:
    """A follower of auctions.

    Args:
        streams: where auctions live. clock: the cluster's clock. inboxes: where notices go.
        leads: how long before its moment something is told. max_age_ms: what is older is no news.
    """

    def __init__(self, streams: Streams, clock: Clock, inboxes: Inboxes, leads: Leads, max_age_ms: int) -> None:
        self._streams = streams
        self._clock = clock
        self._inboxes = inboxes
        self._leads = leads
        self._max_age_ms = max_age_ms

    async def handle(self, events: Sequence[StoredEvent]) -> None:
        """Tell of the events. What comes again, in whatever batches, is in the inboxes already or superseded there.

        Of the notices of one batch only those that still stand are sent: an auction with thousands of bids a second costs one
        append per bidder and batch. What goes to all who bid is only noted here, and told by the announcer.
        """
        notices: list[Notice] = []
        announcements: dict[str, Announcement] = {}
        for stream, own in self._by_stream(events).items():
            news = await self._news(stream, own)
            notices += news.notices
            announcements |= {announcement.id: announcement for announcement in news.announcements}
        await self._inboxes.deliver(standing(notices))
        for announcement in announcements.values():
            await announce(announcement)

    def _by_stream(self, events: Iterable[StoredEvent]) -> dict[str, list[StoredEvent]]:
        """The events that are news, by stream of truth. A projection tells nothing that its source hasn't told."""
        since = self._clock.now() - self._max_age_ms
        found: dict[str, list[StoredEvent]] = {}
        for event in events:
            if event.t >= since and "source" not in event.private:
                found.setdefault(event.stream, []).append(event)
        return found

    async def _news(self, stream: str, events: list[StoredEvent]) -> News:
        first = events[0].seq
        leader, closed = None, 0
        if any(leads_to(event) for event in events):
            led = await _last_before(stream, first, {"pub.leader": {"$exists": True}})
            leader = led["pub"]["leader"] if led else None
        state: State = (await self._streams.current(stream)).state
        if state.terms.format == "proposal" and any(event.type == "awarded" for event in events):
            last = await _last_before(stream, first, {"type": "closed"})
            closed = last["seq"] if last else 0
        title = await title_of(state.job)
        names = await names_of(_bidders(events, state))
        reporter = Reporter(stream, state, title=title, names=names, leader=leader, closed=closed, leads=self._leads)
        return reporter.report(events)


def _bidders(events: Iterable[StoredEvent], state: State) -> set[str]:
    """Ids of those of whom the client is told by these events. Who bids in a sealed auction, it learns at the close."""
    users: set[str | None] = set()
    for event in events:
        if event.type == "bid" and state.terms.format != "sealed":
            users.add(event.private["bidder"])
        elif event.type in ("countered", "accepted", "declined"):
            users.add(state.user(number_of(event.public["bidder"])))
        elif event.type == "closed":
            users.add(state.user(number_of(event.public["winner"] or "")))
    return {user for user in users if user is not None}


async def _last_before(stream: str, seq: int, condition: dict[str, Any]) -> dict[str, Any] | None:
    """The last event before a seq that fulfils a condition; found by going back from there."""
    events = EventDocument.get_pymongo_collection().with_options(read_concern=ReadConcern("majority"))
    wanted = {"stream": stream, "seq": {"$lt": seq}, **condition}
    return await events.find_one(wanted, {"seq": 1, "pub.leader": 1}, sort=[("seq", -1)])
