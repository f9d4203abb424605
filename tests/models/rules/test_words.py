"""The small parts: times, names, canonical JSON, the ledger, the views of open formats."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.rules.auction.ledger import Bid, Ledger
from models.rules.auction.naming import auction_id, number_of, pseudonym, public_stream, truth_stream
from models.rules.auction.rules import AUCTION_RULES
from models.rules.auction.view import OWN_BIDS, listing, own_view
from models.rules.canonical import GENESIS, canonical_json, chain_hash
from models.rules.times import LATEST, from_rfc3339, to_rfc3339
from tests.models.rules.auctions import DAY, ENGLISH, NOW, SEALED, Auction


@given(st.integers(0, LATEST))
def test_times_there_and_back(ms: int) -> None:
    text = to_rfc3339(ms)
    assert from_rfc3339(text) == ms
    assert datetime.fromisoformat(text) == datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-21",
        "2026-11-21T10:00:00Z",
        "2026-11-21T10:00:00.000+00:00",
        "2026-11-21 10:00:00.000Z",
        "2026-13-21T10:00:00.000Z",
        "2026-11-21T25:00:00.000Z",
        "2026-11-21T10:00:00.000z",
        "٢٠٢٦-11-21T10:00:00.000Z",
        "2026-11-21T10:00:00.000Z\n",
    ],
)
def test_no_other_form_of_times(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|month|hour"):
        from_rfc3339(text)


def test_streams() -> None:
    assert public_stream("a1") == "auction:a1"
    assert [truth_stream("a1", it) for it in ("reverse", "english", "sealed", "proposal")] == [
        "auction:a1",
        "auction:a1",
        "sealed:a1",
        "sealed:a1",
    ]
    assert auction_id("sealed:a1") == auction_id("auction:a1") == "a1"


@given(st.integers(1, 10**9 - 1))
def test_pseudonyms(number: int) -> None:
    assert number_of(pseudonym(number)) == number


@pytest.mark.parametrize(
    "name", ["", "Bidder", "Bidder ", "Bidder 0", "Bidder 01", "Bidder -1", "Bidder ²", "Bidder 1x", "3"]
)
def test_no_pseudonyms(name: str) -> None:
    assert number_of(name) == 0


def test_canonical_json() -> None:
    value = {"b": [1, {"z": None, "a": True}], "a": 'é\n"', "Z": "\x7f\u2028"}
    assert canonical_json(value) == '{"Z":"\x7f\u2028","a":"é\\n\\"","b":[1,{"a":true,"z":null}]}'.encode()
    first = chain_hash(GENESIS, {"seq": 1})
    assert first == hashlib.sha256(bytes(32) + b'{"seq":1}').hexdigest()
    assert chain_hash(first, {"seq": 2}) == hashlib.sha256(bytes.fromhex(first) + b'{"seq":2}').hexdigest()
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"a": float("nan")})
    with pytest.raises(UnicodeEncodeError):
        canonical_json({"a": "\ud800"})


def bids(count: int) -> list[Bid]:
    return [Bid(2 + 3 * i, NOW + i * i, 1 + i % 7, 100 + i, i % 3 == 0) for i in range(count)]


@pytest.mark.parametrize("count", [0, 1, 511, 512, 513, 1_500])
def test_a_ledger_is_a_list_of_bids(count: int) -> None:
    ledger = Ledger()
    for bid in bids(count):
        ledger.append(bid)
    assert list(ledger) == bids(count)
    assert list(reversed(ledger)) == bids(count)[::-1]
    assert len(ledger) == count
    assert [ledger.find(bid.seq) for bid in bids(count)] == bids(count)
    assert [ledger.find(seq) for seq in (0, 1, 3, 3 * count + 2)] == [None] * 4
    assert list(ledger.of(3)) == [bid for bid in bids(count) if bid.bidder == 3]
    loaded = Ledger.load(ledger.dump())
    assert loaded == ledger
    assert loaded.dump() == ledger.dump()
    assert ledger != list(ledger)


def test_copies_of_a_ledger_part_ways() -> None:
    ledger = Ledger()
    for bid in bids(700):
        ledger.append(bid)
    copied = ledger.copy()
    for offset in range(600):
        copied.append(Bid(10_000 + offset, NOW, 1, 5, True))
        ledger.append(Bid(20_000 + offset, NOW, 1, 5, True))
    assert list(copied)[:700] == list(ledger)[:700] == bids(700)
    assert copied.find(20_000) is None
    assert ledger.find(10_000) is None
    assert ledger.find(20_599) is not None


def test_copies_of_a_state_part_ways() -> None:
    auction = Auction(ENGLISH)
    auction.auto("ann", 500)
    copied = AUCTION_RULES.copy(auction.state)
    before = AUCTION_RULES.dump(copied)
    auction.auto("bob", 700)
    auction.do("retract", "ann", seq=2, reason="typo")
    auction.do("suspend", "owner", revision=2)
    auction.at(NOW + DAY).pass_time()
    assert AUCTION_RULES.dump(copied) == before


def test_the_public_view() -> None:
    assert AUCTION_RULES.view(AUCTION_RULES.initial()) == {"seq": 0, "phase": ""}
    auction = Auction({**ENGLISH, "reserve_amount": 450})
    auction.auto("ann", 400)
    auction.bid("bob", 300)
    view = auction.view()
    terms = view.pop("terms")
    assert terms["soft_close"] == {"window_s": 120, "extension_s": 120, "hard_end_at": None}
    assert view.pop("reserve_commitment") == auction.events[0].public["reserve_commitment"]
    assert view == {
        "seq": 3,
        "phase": "open",
        "job": "job",
        "format": "english",
        "direction": "forward",
        "currency": "EUR",
        "visibility": "public",
        "start_at": "2026-11-21T10:00:00.000Z",
        "end_at": "2026-11-22T10:00:00.000Z",
        "hard_end_at": None,
        "paused_at": None,
        "price": 310,
        "leader": "Bidder 1",
        "bid_count": 2,
        "min_next": 320,
        "reserve_met": False,
        "reserve": None,
        "revision": 0,
        "outcome": None,
        "winner": None,
        "award": None,
        "envelopes": None,
    }
    assert listing(auction.state) == {
        "format": "english",
        "price": 310,
        "leader": "Bidder 1",
        "end_at": NOW + DAY,
        "bid_count": 2,
        "seq": 3,
        "reserve_met": False,
    }
    assert auction.owner_view()["bidders"] == {"Bidder 1": "ann", "Bidder 2": "bob"}


def test_the_listing_of_a_hidden_auction_has_the_public_seq() -> None:
    auction = Auction(SEALED)
    auction.bid("ann", 500)
    assert listing(auction.state) == listing(auction.mirror)
    assert listing(auction.state)["seq"] == 1


def test_ones_own_view() -> None:
    auction = Auction(ENGLISH)
    auction.auto("ann", 400)
    auction.bid("bob", 300)
    auction.auto("ann", 500)
    auction.do("retract", "ann", seq=2, reason="typo")
    mine = own_view(auction.state, "ann")
    assert mine.pop("bids") == [
        {"seq": 4, "t": "2026-11-21T10:00:00.000Z", "kind": "auto", "amount": 500, "status": "active"},
        {"seq": 2, "t": "2026-11-21T10:00:00.000Z", "kind": "auto", "amount": 400, "status": "retracted"},
    ]
    assert mine == {
        "pseudonym": "Bidder 1",
        "limit": 500,
        "rank": 1,
        "leading": True,
        "suspended": False,
        "offer": None,
        "counter": None,
        "award": None,
    }
    bob = own_view(auction.state, "bob")
    assert (bob["limit"], bob["rank"], bob["leading"]) == (300, 2, False)
    auction.do("suspend", "owner", revision=2)
    suspended = own_view(auction.state, "bob")
    assert (suspended["suspended"], suspended["limit"], suspended["rank"]) == (True, None, None)
    assert suspended["bids"][0]["status"] == "suspended"


def test_ones_own_view_is_bounded() -> None:
    auction = Auction(ENGLISH)
    for limit in range(100, 100 + OWN_BIDS + 5):
        auction.auto("ann", limit)
    shown = own_view(auction.state, "ann")["bids"]
    assert len(shown) == OWN_BIDS
    assert shown[0]["amount"] == 100 + OWN_BIDS + 4
