"""The demo's content holds together, and its bidders keep to their limits."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import pytest

from server.dev.demo import job_body, minor
from server.dev.demo_auctions import AUCTIONS
from server.dev.demo_jobs import JOBS
from server.dev.demo_people import BIDDERS, CITIES, PEOPLE, profile
from server.dev.simulator import Lot

FAR = datetime(2100, 1, 1, tzinfo=UTC)


def test_the_demo_is_as_large_as_it_says() -> None:
    assert (len(PEOPLE), len(JOBS), len(AUCTIONS)) == (40, 60, 15)
    assert len({person.email for person in PEOPLE}) == len(PEOPLE)
    assert len({job.title for job in JOBS}) == len(JOBS)
    assert {job.city for job in JOBS} - {None} <= CITIES.keys()
    assert {auction.title for auction in AUCTIONS} <= {job.title for job in JOBS}
    assert {auction.format for auction in AUCTIONS} == {"reverse", "english", "sealed", "proposal"}
    assert all(job.low < job.high for job in JOBS)
    assert all(profile(bidder)["skills"] for bidder in BIDDERS)


def test_amounts_are_in_minor_units() -> None:
    assert minor(12.5, "EUR") == 1250
    assert minor(180_000, "JPY") == 180_000
    remote = next(job for job in JOBS if job.city is None)
    assert job_body(remote)["location"] == {"remote": True}
    assert job_body(remote)["budget"]["max"] == 100 * remote.high


@pytest.mark.parametrize("sign", [1, -1])
def test_a_bidder_improves_and_keeps_to_its_limit(sign: int) -> None:
    lot, dice = Lot("auction", "job", sign, 10_000, FAR), Random(1)
    bidder = BIDDERS[0]
    assert lot.next_amount(dice) == 10_000
    limit = lot.limit_of(bidder)
    assert sign * limit > sign * 10_000
    assert lot.limit_of(bidder) == limit
    for price in (10_000, 9_000, 100, 1):
        lot.price = price
        assert sign * lot.next_amount(dice) > sign * price
    assert lot.affordable(limit, bidder)
    assert not lot.affordable(limit + sign, bidder)
    lot.price = 1
    assert lot.affordable(lot.next_amount(dice), bidder) == (sign == 1)


def test_a_lot_learns_from_events() -> None:
    lot = Lot("auction", "job", -1, 10_000, FAR)
    lot.take({"type": "bid", "price": 9_000, "end_at": "2100-01-02T00:00:00.000Z"})
    assert (lot.price, lot.ends.day, lot.over) == (9_000, 2, False)
    lot.take({"type": "extended", "end_at": "2100-01-03T00:00:00.000Z"})
    assert (lot.price, lot.ends.day, lot.over) == (9_000, 3, False)
    lot.take({"type": "closed"})
    assert lot.over
