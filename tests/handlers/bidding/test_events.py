"""The described events are the events that come out: exactly these fields, of these types, for every format."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, settings
from jsonschema import Draft7Validator
from pydantic import TypeAdapter, ValidationError

from handlers.bidding.events import AuctionEvent
from models.rules.auction import fold
from server.web.asyncapi import describe
from tests.handlers.market import HOUR_MS, Market, Person
from tests.models.rules import auctions, test_machine
from tests.models.rules.auctions import DAY, ENGLISH, HOUR, MINUTE, NOW, PROPOSAL, REVERSE, SEALED, Auction
from tests.waiting import until

EVENTS: TypeAdapter[Any] = TypeAdapter(AuctionEvent)
PRIVATE = {"countered"}
"""Types that never leave the stream of truth."""


def wires(auction: Auction) -> list[dict[str, Any]]:
    """The public events of an auction as they travel."""
    return [orjson.loads(line) for line in auctions.export(auction.public_events, private=False)]


def check(events: Iterable[dict[str, Any]]) -> None:
    """Each is as described, and the description loses nothing of it."""
    for event in events:
        model = EVENTS.validate_json(orjson.dumps(event))
        assert orjson.loads(model.model_dump_json(exclude_unset=True)) == event


class Described(test_machine.Market):
    """The random auctions of the rules' own test, whose public events are described."""

    def teardown(self) -> None:
        """Look at all of them at the end, when time has closed and lapsed what it could."""
        if hasattr(self, "auction"):
            self.auction.later(400 * DAY).pass_time()
            self.auction.later(2 * DAY).pass_time()
            check(wires(self.auction))


TestDescribed = Described.TestCase
TestDescribed.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def open_format() -> Auction:
    """Everything that can happen to an English auction but its cancellation."""
    auction = Auction({**ENGLISH, "reserve_amount": 300, "confirm_jump_percent": 900})
    auction.bid("ann", 100)
    auction.auto("bob", 200)
    seq = auction.bid("ann", 310)["seq"]
    auction.do("retract", "ann", seq=seq, reason="typo")
    auction.do("suspend", "owner", revision=1, changes=["budget"])
    auction.do("reconfirm", "bob")
    auction.do("pause", "root", admin=True)
    auction.later(MINUTE).do("resume", "root", admin=True)
    auction.at(auction.state.end_at - MINUTE).bid("ann", 400)
    auction.at(auction.state.end_at).pass_time()
    auction.do("decline", "ann")
    auction.do("reopen", "owner", end_at=auction.now + DAY, hard_end_at=auction.now + 2 * DAY)
    auction.do("suspend", "root", admin=True, revision=2)
    auction.do("reconfirm", "bob")
    auction.later(2 * DAY).pass_time()
    auction.do("award", "owner")
    auction.later(49 * HOUR).pass_time()
    return auction


def sealed_counted() -> Auction:
    """A sealed auction whose count is public."""
    return sealed(show_count=True)


def sealed(*, show_count: bool = False) -> Auction:
    """A sealed auction that is reopened after its winner declined."""
    auction = Auction({**SEALED, "reserve_amount": 900, "show_count": show_count})
    auction.bid("ann", 800)
    auction.bid("bob", 850)
    auction.do("retract", "bob", seq=1, reason=None)
    auction.do("suspend", "owner", revision=1)
    auction.do("reconfirm", "ann")
    auction.bid("bob", 700)
    auction.do("pause", "root", admin=True)
    auction.later(MINUTE).do("resume", "root", admin=True)
    auction.at(auction.state.end_at).pass_time()
    auction.do("decline", "bob", reason="Too much work")
    auction.do("reopen", "owner", end_at=auction.now + DAY)
    auction.later(2 * DAY).pass_time()
    auction.do("accept", "ann")
    return auction


def proposal() -> Auction:
    """Proposals that time closes, of which the client then chooses one."""
    auction = Auction(PROPOSAL, visibility="invited", invited=["ann", "bob"])
    auction.do("bid", "ann", amount=500, delivery_days=3, cover_letter="Hello")
    auction.do("counter", "owner", bidder="Bidder 1", amount=400)
    auction.at(NOW + 2 * DAY).pass_time()
    auction.do("award", "owner", bidder="Bidder 1")
    auction.do("accept", "ann")
    return auction


def chosen_early() -> Auction:
    """A proposal that the client takes before the end."""
    auction = Auction({**PROPOSAL, "direction": "forward"})
    auction.bid("ann", 1_500)
    auction.do("award", "owner", bidder="ann")
    return auction


def cancelled() -> Auction:
    """An auction that never came to anything."""
    auction = Auction({**REVERSE, "soft_close": None})
    auction.do("cancel", "owner")
    return auction


COURSES = [open_format, sealed_counted, sealed, proposal, chosen_early, cancelled]


def test_every_public_type_is_described_and_every_description_is_met() -> None:
    events = [event for course in COURSES for event in wires(course())]
    check(events)
    assert {event["type"] for event in events} == set(fold._FOLDS) - PRIVATE
    assert {event["phase"] for event in events if event["type"] == "opened"} == {"auction", "envelopes"}


@pytest.mark.parametrize("course", COURSES)
def test_a_field_more_or_less_is_not_as_described(course: Callable[[], Auction]) -> None:
    for event in wires(course()):
        with pytest.raises(ValidationError):
            EVENTS.validate_python({**event, "bidder_id": "ann"})
        for name in event:
            rest = {field: value for field, value in event.items() if field != name}
            if name == "limit_commitment":  # without it, it is an exact bid
                EVENTS.validate_python(rest)
            else:
                with pytest.raises(ValidationError):
                    EVENTS.validate_python(rest)


async def test_what_the_market_sends_is_what_the_document_says(
    market: Market, client: Person, ann: Person, bob: Person, admin: Person
) -> None:
    """Real flows of all formats, held against the schema of the AsyncAPI document that the instance serves."""
    soon = {"end_at": market.later(3_500), "soft_close": None}
    found = [
        await market.auction(client, "reverse", auction=soon),
        await market.auction(client, "sealed", auction={**soon, "show_count": True}),
        await market.auction(client, "proposal"),
        await market.auction(client, "english", auction={"reserve_amount": 30_000}),
    ]
    for auction in found[:3]:
        assert (await market.bid(ann, auction, 9_000))[0] == 201
        assert (await market.bid(bob, auction, 8_000))[0] == 201
    assert (await market.bid(bob, found[3], 40_000, kind="auto"))[0] == 201
    assert (await market.act(admin, found[3], "pause"))[0] == 200
    assert (await market.act(admin, found[3], "resume"))[0] == 200
    assert (await market.act(client, found[2], "award", bidder=ann.id))[0] == 200
    assert (await market.act(ann, found[2], "decline"))[0] == 200
    assert (await market.act(client, found[2], "reopen", end_at=market.later(HOUR_MS)))[0] == 200

    async def over() -> bool:
        return all([(await market.types(auction))[-1] == "awarded" for auction in found[:2]])

    await until(over)
    document = describe(market.context.sockets, "1")
    payload = document["channels"]["bidding"]["messages"]["emitted.events"]["payload"]
    schema = Draft7Validator({**payload, "components": document["components"]})
    for auction in found:
        stream = f"auction:{auction}"
        _, page = await market.call("GET", f"/streams/{stream}/events")
        schema.validate({"stream": stream, "events": page["events"], "seq": page["seq"]})
        check(page["events"])
    wrong = {**page["events"][0], "price": 1}
    assert not schema.is_valid({"stream": stream, "events": [wrong], "seq": 1})
