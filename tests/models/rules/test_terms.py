"""What an auction may be opened with."""

from __future__ import annotations

from typing import Any

import pytest

from models.rules.auction.commitments import parties_commitment
from models.rules.auction.increments import Increments
from models.rules.auction.rules import AUCTION_RULES
from models.rules.auction.terms import Terms, parse_terms, public_terms
from models.rules.stream import Command, Rejected
from tests.models.rules.auctions import DAY, ENGLISH, HOUR, NOW, PROPOSAL, REVERSE, SEALED, SECOND, Auction, salt

END = NOW + DAY


def errors(terms: Any) -> dict[tuple[Any, ...], str]:
    with pytest.raises(Rejected) as refusal:
        parse_terms(terms, NOW)
    assert refusal.value.code == "VALIDATION_FAILED"
    return {tuple(error["loc"]): error["msg"] for error in refusal.value.details["errors"]}


def test_the_least_that_is_needed() -> None:
    terms = parse_terms({"format": "reverse", "currency": "JPY", "start_amount": 50, "end_at": END}, NOW)
    assert terms == Terms(
        format="reverse",
        direction="reverse",
        currency="JPY",
        start_amount=50,
        minimum_amount=1,
        reserve_amount=None,
        increments=Increments(((0, 1),)),
        start_at=NOW,
        end_at=END,
    )


def test_null_is_absent() -> None:
    optional = ("direction", "minimum_amount", "reserve_amount", "increments", "start_at", "soft_close", "show_count")
    least = {"format": "reverse", "currency": "EUR", "start_amount": 50, "end_at": END}
    assert parse_terms(least | dict.fromkeys((*optional, "confirm_jump_percent")), NOW) == parse_terms(least, NOW)


@pytest.mark.parametrize(
    ("format_", "given", "direction"),
    [
        ("reverse", None, "reverse"),
        ("english", None, "forward"),
        ("english", "forward", "forward"),
        ("sealed", None, "reverse"),
        ("sealed", "forward", "forward"),
        ("proposal", None, "reverse"),
        ("proposal", "forward", "forward"),
    ],
)
def test_directions(format_: str, given: str | None, direction: str) -> None:
    terms = parse_terms({**ENGLISH, "format": format_, "direction": given}, NOW)
    assert (terms.direction, terms.sign) == (direction, 1 if direction == "forward" else -1)


@pytest.mark.parametrize(
    ("change", "loc"),
    [
        ({"format": "dutch"}, ("format",)),
        ({"format": None}, ("format",)),
        ({"format": ["english"]}, ("format",)),
        ({"direction": "reverse"}, ("direction",)),
        ({"direction": "up"}, ("direction",)),
        ({"currency": "XXX"}, ("currency",)),
        ({"currency": "eur"}, ("currency",)),
        ({"currency": "EURO"}, ("currency",)),
        ({"currency": None}, ("currency",)),
        ({"currency": 978}, ("currency",)),
        ({"start_amount": 0}, ("start_amount",)),
        ({"start_amount": -1}, ("start_amount",)),
        ({"start_amount": 1.0}, ("start_amount",)),
        ({"start_amount": float("nan")}, ("start_amount",)),
        ({"start_amount": "100"}, ("start_amount",)),
        ({"start_amount": True}, ("start_amount",)),
        ({"start_amount": 2**53}, ("start_amount",)),
        ({"start_amount": None}, ("start_amount",)),
        ({"minimum_amount": 101}, ("minimum_amount",)),
        ({"reserve_amount": 99}, ("reserve_amount",)),
        ({"format": "reverse", "reserve_amount": 101}, ("reserve_amount",)),
        ({"format": "reverse", "minimum_amount": 60, "reserve_amount": 50}, ("reserve_amount",)),
        ({"increments": []}, ("increments",)),
        ({"increments": "10"}, ("increments",)),
        ({"increments": [10]}, ("increments", 0)),
        ({"increments": [{"from": 0, "step": 1}] * 101}, ("increments",)),
        ({"increments": [{"from": 1, "step": 10}]}, ("increments", 0, "from")),
        ({"increments": [{"from": 0, "step": 0}]}, ("increments", 0, "step")),
        ({"increments": [{"from": 0}]}, ("increments", 0, "step")),
        ({"increments": [{"from": 0, "step": 1, "to": 9}]}, ("increments", 0, "to")),
        ({"increments": [{"from": 0, "step": 1}, {"from": 0, "step": 2}]}, ("increments", 1, "from")),
        (
            {"increments": [{"from": 0, "step": 1}, {"from": 9, "step": 2}, {"from": 5, "step": 2}]},
            ("increments", 2, "from"),
        ),
        ({"start_at": NOW - 61 * SECOND}, ("start_at",)),
        ({"start_at": NOW + 366 * DAY, "end_at": NOW + 367 * DAY}, ("start_at",)),
        ({"start_at": "2026-11-21T10:00:00.000Z"}, ("start_at",)),
        ({"start_at": END}, ("end_at",)),
        ({"end_at": NOW}, ("end_at",)),
        ({"start_at": NOW - SECOND, "end_at": NOW}, ("end_at",)),
        ({"end_at": NOW + 365 * DAY + 1}, ("end_at",)),
        ({"end_at": 10**18}, ("end_at",)),
        ({"end_at": None}, ("end_at",)),
        ({"soft_close": 120}, ("soft_close",)),
        ({"soft_close": {"window_s": 60}}, ("soft_close", "extension_s")),
        ({"soft_close": {"window_s": -1, "extension_s": 1}}, ("soft_close", "window_s")),
        ({"soft_close": {"window_s": 604_801, "extension_s": 1}}, ("soft_close", "window_s")),
        ({"soft_close": {"window_s": 1, "extension_s": 1, "hard": 5}}, ("soft_close", "hard")),
        ({"soft_close": {"window_s": 1, "extension_s": 1, "hard_end_at": END - 1}}, ("soft_close", "hard_end_at")),
        (
            {"soft_close": {"window_s": 1, "extension_s": 1, "hard_end_at": NOW + 366 * DAY}},
            ("soft_close", "hard_end_at"),
        ),
        ({"confirm_jump_percent": 0}, ("confirm_jump_percent",)),
        ({"confirm_jump_percent": 12.5}, ("confirm_jump_percent",)),
        ({"show_count": "yes"}, ("show_count",)),
        ({"colour": "red"}, ("colour",)),
    ],
)
def test_bad_terms(change: dict[str, Any], loc: tuple[Any, ...]) -> None:
    assert loc in errors(ENGLISH | change)


def test_all_errors_come_at_once() -> None:
    found = errors(ENGLISH | {"currency": "XXX", "start_amount": 0, "end_at": 5})
    assert set(found) >= {("currency",), ("start_amount",), ("end_at",)}


@pytest.mark.parametrize("terms", [None, [], "terms", 5])
def test_terms_that_are_no_object(terms: Any) -> None:
    assert () in errors(terms)


def test_a_start_just_past_is_grace() -> None:
    assert parse_terms({**ENGLISH, "start_at": NOW - 60 * SECOND}, NOW).start_at == NOW - 60 * SECOND


def test_bounds_that_hold() -> None:
    terms = {
        **REVERSE,
        "start_amount": 2**53 - 1,
        "minimum_amount": 2**53 - 1,
        "reserve_amount": 2**53 - 1,
        "start_at": NOW + DAY,
        "end_at": NOW + 366 * DAY,
        "soft_close": {"window_s": 604_800, "extension_s": 604_800, "hard_end_at": NOW + 366 * DAY},
    }
    assert parse_terms(terms, NOW).reserve_amount == 2**53 - 1


@pytest.mark.parametrize("terms", [ENGLISH, REVERSE, SEALED, PROPOSAL, {**SEALED, "show_count": True}])
def test_forms(terms: dict[str, Any]) -> None:
    full = terms | {"reserve_amount": 100, "confirm_jump_percent": 20, "start_at": NOW + HOUR}
    full["soft_close"] = {"window_s": 1, "extension_s": 2, "hard_end_at": END + HOUR}
    parsed = parse_terms(full, NOW)
    assert "reserve_amount" not in parsed.to_json()
    assert public_terms(parsed.to_json(), 100) == parsed
    assert parse_terms(parsed.to_command(), NOW) == parsed
    assert parsed.show_count is (terms["format"] != "sealed" or "show_count" in terms)


def test_steps() -> None:
    increments = [{"from": 0, "step": 1}, {"from": 100, "step": 5}, {"from": 1_000, "step": 50}]
    english = parse_terms({**ENGLISH, "increments": increments}, NOW)
    assert [english.step(price) for price in (0, 99, 100, 999, 1_000)] == [1, 100, 105, 1_004, 1_050]
    reverse = parse_terms({**REVERSE, "increments": increments, "minimum_amount": 97}, NOW)
    assert [reverse.step(price) for price in (1_000, 999, 100, 99, 98, 97)] == [950, 994, 97, 98, 97, 97]


def test_opened() -> None:
    auction = Auction({**REVERSE, "reserve_amount": 500}, visibility="invited", invited=["bob", "ann", "bob"])
    opened = auction.events[0]
    assert opened.private == {"owner": "owner", "reserve": 500, "salt": salt(1), "invited": ["ann", "bob"]}
    assert opened.public["parties_commitment"] == parties_commitment(salt(1), "owner", ["bob", "ann"])
    assert "owner" not in opened.public
    assert {name: opened.public[name] for name in ("phase", "job", "format", "direction", "currency")} == {
        "phase": "auction",
        "job": "job",
        "format": "reverse",
        "direction": "reverse",
        "currency": "EUR",
    }
    assert (opened.public["start_at"], opened.public["end_at"]) == (
        "2026-11-21T10:00:00.000Z",
        "2026-11-22T10:00:00.000Z",
    )


@pytest.mark.parametrize(
    "payload",
    [
        {"terms": ENGLISH},
        {"job": "", "terms": ENGLISH},
        {"job": "x" * 129, "terms": ENGLISH},
        {"job": 5, "terms": ENGLISH},
        {"job": "j"},
        {"job": "j", "terms": ENGLISH, "visibility": "secret"},
        {"job": "j", "terms": ENGLISH, "invited": "ann"},
        {"job": "j", "terms": ENGLISH, "invited": [""]},
        {"job": "j", "terms": ENGLISH, "invited": ["u"] * 1_001},
    ],
)
def test_bad_openings(payload: dict[str, Any]) -> None:
    command = Command("open", "owner", payload, context={"salt": salt(1)})
    with pytest.raises(Rejected) as refusal:
        AUCTION_RULES.decide(AUCTION_RULES.initial(), command, NOW)
    assert refusal.value.code == "VALIDATION_FAILED"


@pytest.mark.parametrize("bad", [None, "", "ab", "AB" * 32, "zz" * 32, 5])
def test_an_opening_needs_its_salt(bad: Any) -> None:
    command = Command("open", "owner", {"job": "j", "terms": ENGLISH}, context={"salt": bad})
    with pytest.raises(Rejected) as refusal:
        AUCTION_RULES.decide(AUCTION_RULES.initial(), command, NOW)
    assert refusal.value.code == "INTERNAL"
