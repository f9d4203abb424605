"""Use cases of bidding. Every rule is in `models.rules.auction`; this carries commands to the right stream and back."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from typing import Any, Final, NamedTuple

import orjson

from handlers.bidding.metrics import BIDS
from handlers.bidding.projection import Projection
from handlers.bidding.views import auction_view, may_see
from models.rules.auction.naming import public_stream, truth_stream
from models.rules.auction.state import OPEN, PAUSED, State
from models.rules.auction.view import own_view, owner_view
from models.rules.stream import Command
from models.user import User
from server.auth.principal import Principal
from server.clock import Clock, new_salt
from server.errors import AppError
from server.streams.event import StoredEvent
from server.streams.pending import Answer
from server.streams.streams import Streams

_PLACES_KEPT: Final = 50_000
_PAGE: Final = 1_000
_BIDDING: Final = frozenset({"bid", "counter", "reconfirm"})
"""Commands after which a bid counts that did not count before."""

_ACCEPTED: Final = BIDS.labels("accepted")
_REPLAYED: Final = BIDS.labels("replayed")

Blocked = Callable[[str], Awaitable[Collection[str]]]
"""The ids of those whom a user has blocked; asked for with every bid, so it must be quick."""


class _Place(NamedTuple):
    """What never changes about an auction: the stream that takes its commands, whether nobody reads that, and its client."""

    truth: str
    hidden: bool
    owner: str


class Auctions:
    """Auctions, as their clients, bidders and onlookers use them.

    Args:
        blocked: whose bids a client does not take; None: everybody's are taken.
    """

    def __init__(self, streams: Streams, clock: Clock, projection: Projection, blocked: Blocked | None = None) -> None:
        self._streams = streams
        self._clock = clock
        self._projection = projection
        self._blocked = blocked
        self._places: OrderedDict[str, _Place] = OrderedDict()

    async def bid(self, bidder: Principal, auction: str, payload: Mapping[str, Any], key: str) -> Answer:
        """Place a bid. `payload` as for `models.rules.auction.bids.decide_bid`.

        Raises:
            AppError: FORBIDDEN for whoever is no freelancer, SELF_BID for the client, BLOCKED for whom the client has blocked,
                AUCTION_NOT_FOUND, any of bidding.md, UNAVAILABLE.
        """
        try:
            answer = await self._bid(bidder, auction, payload, key)
        except AppError as error:
            BIDS.labels(error.code).inc()
            raise
        (_REPLAYED if answer.replayed else _ACCEPTED).inc()
        return answer

    async def _bid(self, bidder: Principal, auction: str, payload: Mapping[str, Any], key: str) -> Answer:
        if not bidder.may_bid:
            owner = (await self._visible(bidder, auction)).owner
            raise AppError("SELF_BID") if bidder.id == owner else AppError("FORBIDDEN", "Only freelancers bid")
        return await self._command(bidder, auction, "bid", payload, key)

    async def retract(self, bidder: Principal, auction: str, payload: Mapping[str, Any], key: str | None) -> Answer:
        """Take back one's own bid: `{seq, reason}`.

        Raises:
            AppError: RETRACT_NOT_ALLOWED and others of bidding.md; AUCTION_NOT_FOUND, also for who may not know of it.
        """
        await self._visible(bidder, auction)
        return await self._command(bidder, auction, "retract", payload, key)

    async def command(
        self, actor: Principal, auction: str, name: str, payload: Mapping[str, Any], key: str | None
    ) -> Answer:
        """Everything else that is done to an auction: `award accept decline reopen reconfirm counter pause resume`.

        Raises:
            AppError: FORBIDDEN, AWARD_CONFLICT and others of bidding.md; AUCTION_NOT_FOUND, also for who may not know of it.
        """
        await self._visible(actor, auction)
        return await self._command(actor, auction, name, payload, key)

    async def view(self, viewer: Principal | None, auction: str) -> dict[str, Any]:
        """The auction as the viewer may see it, `mine` and `owner` included where they apply.

        Raises:
            AppError: AUCTION_NOT_FOUND, also for who may not know of it.
        """
        return await self._render(viewer, auction, await self._visible(viewer, auction))

    async def authorise(self, viewer: Principal | None, stream: str) -> None:
        """Whether the viewer may read the public stream of an auction.

        Raises:
            AppError: NOT_FOUND, also for who may not know of it.
        """
        try:
            truth = await self._truth(stream.partition(":")[2])
        except AppError as error:
            raise AppError("NOT_FOUND", "No such stream") if error.code == "AUCTION_NOT_FOUND" else error from None
        # Who may see it is settled by its first event, so whatever of it is in memory will do.
        if not may_see((await self._streams.known(truth)).state, viewer):
            raise AppError("NOT_FOUND", "No such stream")

    async def stream_view(self, viewer: Principal | None, stream: str, state: State) -> dict[str, Any]:
        """The `state` of `subscribe`: the public state at that very seq, with the viewer's own part as it is now."""
        auction = stream.partition(":")[2]
        shown = auction_view(auction, state, self._clock.now())
        if viewer is not None:
            truth = await self._truth(auction)
            if truth != stream:
                state = (await self._streams.current(truth)).state
            await self._add_private(shown, viewer, state)
        return shown

    async def log(self, viewer: Principal | None, auction: str) -> AsyncIterator[bytes]:
        """The public log, one event as JSON per item, hash-chained.

        Raises:
            AppError: AUCTION_NOT_FOUND before the first item.
        """
        await self.view(viewer, auction)
        return self._pages(public_stream(auction), _public_line)

    async def export(self, auction: str) -> AsyncIterator[bytes]:
        """The auditor's export of the stream of truth: each line has the public event and `private` beside its fields.

        Raises:
            AppError: before the first item: AUCTION_NOT_FOUND; CONFLICT while the envelopes of a sealed auction are closed,
                which they are for everybody (bidding.md, rule 12).
        """
        truth = await self._truth(auction)
        state: State = (await self._streams.current(truth)).state
        if state.terms.format == "sealed" and state.phase in (OPEN, PAUSED):
            raise AppError("CONFLICT", "Sealed bids are opened at the end")
        return self._pages(truth, _audit_line)

    async def _pages(self, stream: str, line: Any) -> AsyncIterator[bytes]:
        after = 0
        while events := await self._streams.read(stream, after, _PAGE):
            yield b"".join([line(event) for event in events])
            after = events[-1].seq

    async def _command(
        self,
        actor: Principal,
        auction: str,
        name: str,
        payload: Mapping[str, Any],
        key: str | None,
    ) -> Answer:
        place = self._places.get(auction) or await self._place(auction)
        context: dict[str, Any] = {"salt": new_salt()}
        if actor.admin:
            context["admin"] = True
        if name in _BIDDING and self._blocked is not None and actor.id in await self._blocked(place.owner):
            context["blocked"] = True
        given = {field: value for field, value in payload.items() if value is not None}
        answer = await self._streams.append(place.truth, Command(name, actor.id, given, key, context))
        if place.hidden:
            await self._projection.follow(place.truth)
        return answer

    async def _visible(self, viewer: Principal | None, auction: str) -> State:
        """The live state of the stream of truth, if the viewer may know that there is one."""
        state: State = (await self._streams.current(await self._truth(auction))).state
        if not may_see(state, viewer):
            raise AppError("AUCTION_NOT_FOUND")
        return state

    async def _truth(self, auction: str) -> str:
        """The stream that takes the auction's commands."""
        return (await self._place(auction)).truth

    async def _place(self, auction: str) -> _Place:
        if (known := self._places.get(auction)) is not None:
            return known
        for format_ in ("reverse", "sealed"):
            stream = truth_stream(auction, format_)
            head = await self._streams.current(stream)
            if head.seq > 0:
                truth = truth_stream(auction, head.state.terms.format)
                hidden = truth != public_stream(auction)
                place = _Place(truth, hidden, (await self._streams.current(truth)).state.owner)
                self._places[auction] = place
                if len(self._places) > _PLACES_KEPT:
                    self._places.popitem(last=False)
                return place
        raise AppError("AUCTION_NOT_FOUND")

    async def _render(self, viewer: Principal | None, auction: str, state: State) -> dict[str, Any]:
        shown = auction_view(auction, state, self._clock.now())
        if viewer is not None:
            await self._add_private(shown, viewer, state)
        return shown

    async def _add_private(self, shown: dict[str, Any], viewer: Principal, truth: State) -> None:
        """What is only the viewer's. Reads the state before its first await."""
        if viewer.id in truth.numbers:
            shown["mine"] = own_view(truth, viewer.id)
        if viewer.id == truth.owner or viewer.admin:
            owner = shown["owner"] = owner_view(truth)
            owner["bidders"] = await _named(owner["bidders"])


async def _named(bidders: Mapping[str, str]) -> dict[str, dict[str, str | None]]:
    """User ids by pseudonym -> `{id, name}` by pseudonym."""
    found = User.get_pymongo_collection().find({"_id": {"$in": list(bidders.values())}}, {"name": 1})
    names = {user["_id"]: user.get("name") async for user in found}
    return {pseudonym: {"id": user, "name": names.get(user)} for pseudonym, user in bidders.items()}


def _public_line(event: StoredEvent) -> bytes:
    return event.wire + b"\n"


def _audit_line(event: StoredEvent) -> bytes:
    return event.wire[:-1] + b',"private":' + orjson.dumps(event.private) + b"}\n"
