"""Exported logs and their verification (bidding.md, rule 4)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from models.rules.auction.audit import Recount
from models.rules.auction.terms import public_terms
from models.rules.canonical import GENESIS, chain_hash
from models.rules.log import Report, verify
from models.rules.stream import Event
from models.rules.times import to_rfc3339
from tests.models.rules.auctions import DAY, ENGLISH, HOUR, NOW, PROPOSAL, REVERSE, SEALED, SECOND, Auction, export

END = NOW + DAY


def lively(terms: dict[str, Any]) -> Auction:
    """An open auction in which about everything happens."""
    auction = Auction(
        {**terms, "start_amount": 1_000, "reserve_amount": 1_000}, visibility="invited", invited=["ann", "bob", "cem"]
    )
    better = 10 if terms["format"] == "english" else -10
    auction.auto("ann", 1_000 + 10 * better)
    auction.bid("bob", 1_000 + 5 * better)
    auction.auto("cem", 1_000 + 20 * better)
    auction.do("retract", "ann", seq=2, reason="typo")
    auction.later(HOUR).do("suspend", "owner", revision=2, changes=["été"])
    auction.do("reconfirm", "cem")
    auction.do("pause", "root", admin=True)
    auction.later(HOUR).do("resume", "root", admin=True)
    auction.do("reconfirm", "bob")
    auction.at(END + HOUR - SECOND).bid("bob", 1_000 + 15 * better)
    auction.later(HOUR).pass_time()
    auction.do("decline", "cem", reason="No “time”")
    auction.do("award", "owner", bidder="bob")
    auction.later(49 * HOUR).pass_time()
    auction.do("reopen", "owner", end_at=auction.now + DAY)
    auction.auto("ann", 1_000 + 30 * better)
    auction.later(DAY).pass_time()
    auction.do("accept", "ann")
    return auction


def hidden(terms: dict[str, Any]) -> Auction:
    """A sealed auction or proposals in which about everything happens."""
    auction = Auction({**terms, "reserve_amount": 900})
    letter = {"cover_letter": "Grüße", "delivery_days": 3} if terms["format"] == "proposal" else {}
    auction.bid("ann", 800, **letter)
    auction.bid("bob", 700, **letter)
    auction.bid("ann", 600)
    auction.do("suspend", "owner", revision=2)
    auction.do("reconfirm", "ann")
    auction.do("reconfirm", "bob")
    auction.bid("cem", 500)
    auction.do("retract", "cem", seq=1)
    if terms["format"] == "proposal":
        auction.do("counter", "owner", bidder="Bidder 1", amount=550, message="?")
        auction.do("counter", "ann", amount=570)
        auction.later(HOUR).do("award", "owner", bidder="Bidder 1")
    else:
        auction.at(END).pass_time()
    auction.do("accept", "ann")
    return auction


LOGS = {
    "english": lively(ENGLISH).events,
    "reverse": lively(REVERSE).events,
    "sealed": hidden(SEALED).events,
    "sealed with a count": hidden({**SEALED, "show_count": True}).events,
    "proposal": hidden(PROPOSAL).events,
}


@pytest.mark.parametrize("name", LOGS)
def test_a_good_log(name: str) -> None:
    events = LOGS[name]
    lines = export(events, private=True)
    head = json.loads(lines[-1])["hash"]
    assert verify(lines) == Report(True, len(events), None, None, True, head)
    assert verify(line.encode() + b"\n" for line in lines) == verify(lines)
    assert verify(export(events, private=False)) == Report(True, len(events), None, None, False, head)


def test_the_log_of_a_mirror() -> None:
    mirrored = hidden(SEALED).mirrored
    for private in (True, False):
        report = verify(export(mirrored, private=private))
        assert (report.ok, report.events, report.resolution_checked) == (True, len(mirrored), False)


@pytest.mark.parametrize("name", LOGS)
def test_removing_repeating_or_swapping_lines(name: str) -> None:
    lines = export(LOGS[name], private=False)
    for index in range(len(lines) - 1):
        removed = verify(lines[:index] + lines[index + 1 :])
        assert (removed.ok, removed.broken_seq, removed.reason) == (
            False,
            index + 1,
            f"seq is {index + 2} where {index + 1} is due",
        )
        assert verify([*lines[: index + 1], *lines[index:]]).broken_seq == index + 2
        swapped = [*lines[:index], lines[index + 1], lines[index], *lines[index + 2 :]]
        assert verify(swapped).broken_seq == index + 1


def _names_another_admin(line: bytes, altered: bytes) -> bool:
    """Whether nothing but the private name of the admin who acted is another: nothing commits to it, and it decides nothing."""
    try:
        one, other = json.loads(line), json.loads(altered)
    except ValueError:
        return False
    names = [
        each["private"].pop("admin", None) if isinstance(each.get("private"), dict) else None for each in (one, other)
    ]
    return bool(one == other and all(isinstance(name, str) for name in names))


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("name", LOGS)
@settings(max_examples=150)
@given(data=st.data())
def test_any_single_altered_byte(name: str, private: bool, data: st.DataObject) -> None:
    lines = [line.encode() for line in export(LOGS[name], private=private)]
    number = data.draw(st.integers(0, len(lines) - 1))
    place = data.draw(st.integers(0, len(lines[number]) - 1))
    altered = bytearray(lines[number])
    altered[place] ^= data.draw(st.integers(1, 255))
    assume(not _names_another_admin(lines[number], bytes(altered)))
    lines[number] = bytes(altered)
    report = verify(lines)
    assert not report.ok
    assert report.broken_seq is not None
    assert report.broken_seq <= number + 2  # a private byte may show only when it matters
    assert report.reason


def forge(events: list[Event], index: int, *, private: bool = True, **changes: Any) -> list[str]:
    """A log with one event's public fields changed and all hashes made anew."""
    forged = list(events)
    event = forged[index]
    forged[index] = Event(event.seq, event.t, event.type, {**event.public, **changes}, event.private)
    return export(forged, private=private)


@pytest.mark.parametrize(
    ("index", "change", "reason"),
    [
        (0, {"parties_commitment": "00" * 32}, "field parties_commitment is"),
        (1, {"price": 1_001}, "field price is 1001, the rules give 1000"),
        (1, {"bidder": "Bidder 2"}, "field bidder is 'Bidder 2'"),
        (1, {"bidder_commitment": "00" * 32}, "field bidder_commitment is"),
        (1, {"limit_commitment": "00" * 32}, "field limit_commitment is"),
        (2, {"leader": "Bidder 2"}, "field leader is 'Bidder 2'"),
        (2, {"end_at": "2026-11-22T10:00:01.000Z"}, "field end_at is"),
        (2, {"reserve_met": 1}, "field reserve_met is 1, the rules give True"),
        (3, {"extra": 1}, "field extra does not belong there"),
        (4, {"reason": "because"}, "the rules refuse it: VALIDATION_FAILED"),
    ],
)
def test_a_forged_log_with_a_good_chain_is_caught_by_the_resolution(
    index: int, change: dict[str, Any], reason: str
) -> None:
    assert verify(forge(LOGS["english"], index, private=False, **change)).ok
    report = verify(forge(LOGS["english"], index, **change))
    assert not report.ok
    assert report.broken_seq == index + 1
    assert reason in str(report.reason)


def test_what_was_owed_instead() -> None:
    auction = Auction(ENGLISH)
    auction.bid("ann", 100)
    opened, bid = auction.events
    late = Event(3, END, "bid", bid.public, bid.private)
    assert verify(export([opened, bid, late], private=True)).reason == "the rules give closed here"
    auction.at(END).pass_time()
    closed = auction.events[2]
    stamped_late = Event(3, END + 5, "closed", closed.public, closed.private)
    reason = "its t must be 2026-11-22T10:00:00.000Z"
    assert verify(export([opened, bid, stamped_late], private=True)).reason == reason


def test_a_cancelled_auction() -> None:
    auction = Auction(ENGLISH)
    auction.bid("ann", 100)
    auction.do("cancel", "owner", reason="Enough")
    assert verify(export(auction.events, private=True)).ok


@pytest.mark.parametrize(
    ("name", "type_", "change", "reason"),
    [
        ("english", "bid", {"price": 1}, "price is"),
        ("reverse", "bid", {"leader": "Bidder 2"}, "leader is"),
        ("reverse", "reconfirmed", {"end_at": to_rfc3339(NOW)}, "end_at is"),
        ("english", "retracted", {"leader": None}, "leader is"),
        ("english", "closed", {"winner": None}, "wins at"),
        ("reverse", "closed", {"price": 5}, "wins at"),
        ("sealed", "closed", {"winner": "Bidder 2"}, "wins at"),
        ("sealed", "closed", {"price": None}, "wins at"),
    ],
)
def test_the_recount_finds_it_alone(name: str, type_: str, change: dict[str, Any], reason: str) -> None:
    events = LOGS[name]
    recount = Recount(public_terms(events[0].public["terms"], events[0].private["reserve"]))
    for event in events:
        if event.type == type_:
            wrong = Event(event.seq, event.t, event.type, {**event.public, **change}, event.private)
            assert reason in str(recount.check(wrong))
            return
        assert recount.check(event) is None


@pytest.mark.parametrize(("terms", "amount"), [(ENGLISH, 499), (REVERSE, 501), (SEALED, 501), (PROPOSAL, 501)])
def test_a_log_with_an_unmet_reserve(terms: dict[str, Any], amount: int) -> None:
    auction = Auction({**terms, "reserve_amount": 500})
    auction.bid("ann", amount)
    auction.at(END).pass_time()
    auction.do("award", "owner", bidder="Bidder 1")
    assert verify(export(auction.events, private=True)).ok


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2_000) | st.text(max_size=5) | st.sampled_from(["Bidder 1", "ann"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("name", LOGS)
@given(data=st.data())
def test_forged_fields_of_any_shape_are_judged_and_never_crash(name: str, data: st.DataObject) -> None:
    events = list(LOGS[name])
    index = data.draw(st.integers(0, len(events) - 1))
    event = events[index]
    public, private = dict(event.public), dict(event.private)
    part = data.draw(st.sampled_from([public, private] if private else [public]))
    field = data.draw(st.sampled_from([*part, "new"]))
    if data.draw(st.booleans()):
        part[field] = data.draw(JSON)
    else:
        part.pop(field, None)
    events[index] = Event(event.seq, event.t, event.type, public, private)
    verify(export(events, private=False))
    report = verify(export(events, private=True))
    told_only_here = (
        field in {"reason", "by", "admin", "changes", "revision", "job", "visibility"} or event.type == "countered"
    )
    if (public, private) != (dict(event.public), dict(event.private)) and not told_only_here:
        assert not report.ok


def test_a_revealed_reserve_that_was_not_committed_to() -> None:
    events = LOGS["english"]
    index = next(index for index, event in enumerate(events) if event.type == "closed")
    report = verify(forge(events, index, private=False, reserve_amount=1_001))
    assert report == Report(
        False, index, index + 1, "the revealed reserve is not the one that was committed to", False, report.head
    )


def test_a_winner_who_was_not_first() -> None:
    mirrored = hidden(SEALED).mirrored
    index = next(index for index, event in enumerate(mirrored) if event.type == "closed")
    report = verify(forge(mirrored, index, private=False, winner="Bidder 2"))
    assert report.reason == "the winner is not the first of the opened bids"


@pytest.mark.parametrize("type_", ["extended", "closed", "awarded", "declined", "paused", "sold", "project", "tick"])
def test_an_event_that_nothing_owes(type_: str) -> None:
    opened, bid = LOGS["english"][:2]
    public = {"bidder": "Bidder 1", "winner": "Bidder 1", "reason": "expired", "amount": 5, "outcome": "sold"}
    public |= {"reserve_amount": None, "reserve_salt": None}
    report = verify(export([opened, bid, Event(3, bid.t, type_, public)], private=True))
    assert report.broken_seq == 3


def raw(**fields: Any) -> str:
    """A first line with a right hash, whatever is in it."""
    event = {"seq": 1, "t": to_rfc3339(NOW), "type": "opened", "phase": "auction", **fields}
    return json.dumps({**event, "hash": chain_hash(GENESIS, event)})


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "the line is not JSON"),
        ("nonsense", "the line is not JSON"),
        ("[" * 100_000, "the line is not JSON"),
        ("[]", "the line is not an object"),
        ("5", "the line is not an object"),
        (b"\xff\xfe", "the line is not UTF-8"),
        (" " + raw(), "the line has blanks around it"),
        (raw() + "\r\n", "the line has blanks around it"),
        (raw() + raw(), "the line is not JSON"),
        (raw(seq=2), "seq is 2 where 1 is due"),
        (raw(seq="1"), "seq is not an integer"),
        (raw(seq=True), "seq is not an integer"),
        (raw(t="2026-11-21T10:00:00Z"), "t is not a time"),
        (raw(t=NOW), "t is not a time"),
        (raw(type=5), "type is not text"),
        (raw(type="bid"), "an auction's log begins with opened"),
        (raw(phase="envelopes"), "an auction's log begins with opened"),
        (raw().replace('"seq": 1', '"seq": 1.0'), "1.0 is not an integer"),
        (raw().replace('"seq": 1', '"seq": 1e0'), "1e0 is not an integer"),
        (raw().replace('"seq": 1', '"seq": NaN'), "NaN is not an integer"),
        (raw().replace('"seq": 1', '"seq": -0'), "-0 is not an integer that every reader holds exactly"),
        (raw().replace('"seq": 1', '"seq": 9007199254740992'), "9007199254740992 is not an integer that every reader"),
        (
            raw().replace('"seq": 1', '"seq": ' + "9" * 5_000),
            "99999999999999999999 is not an integer that every reader",
        ),
        (raw().replace('"seq": 1', '"seq": 1, "seq": 1'), "a key appears twice"),
        (raw().replace('"opened"', '"\\ud800"'), "text is not valid Unicode"),
        (raw().replace('"auction"', '["\\ud800"]'), "text is not valid Unicode"),
        (raw().replace('"seq"', '"\\ud800": 1, "seq"'), "text is not valid Unicode"),
        (raw().replace('"hash"', '"hush"'), "hash is not 64 lower-case hexadecimal digits"),
        (raw()[:-2].upper() + raw()[-2:], "seq is not an integer"),
        (raw().replace('"hash": "', '"hash": "0'), "hash is not 64 lower-case hexadecimal digits"),
        (raw()[:-1] + ', "private": 5}', "private is not an object"),
        (raw()[:-1] + ', "private": {"owner": "o"}}', "its fields are not those of opened"),
    ],
)
def test_bad_lines(line: str | bytes, reason: str) -> None:
    report = verify([line])
    assert (report.ok, report.events, report.broken_seq) == (False, 0, 1)
    assert reason in str(report.reason)


def test_time_that_goes_back() -> None:
    first, second = LOGS["english"][:2]
    report = verify(export([first, Event(2, first.t - 1, "bid", second.public)], private=False))
    assert report.reason == "t goes back"


def test_private_fields_must_be_on_all_lines_or_none() -> None:
    with_private = export(LOGS["english"], private=True)
    without = export(LOGS["english"], private=False)
    for mixed in ([with_private[0], *without[1:]], [without[0], *with_private[1:]]):
        report = verify(mixed)
        assert (report.broken_seq, report.reason) == (2, "either all events have private fields or none has")


def test_an_empty_log() -> None:
    assert verify([]) == Report(False, 0, None, "the log is empty", False, GENESIS)


def test_a_log_that_ends_early_is_told_by_its_head() -> None:
    lines = export(LOGS["english"], private=False)
    cut = verify(lines[:-1])
    assert cut.ok
    assert cut.head == json.loads(lines[-2])["hash"] != verify(lines).head
