"""Fields of the right type whose values make no sense, and fields of jobs and bids that are not of their type."""

from __future__ import annotations

import json
import time
from typing import Any, Final

import orjson
import pytest

from tests.attack.town import Person, Town

_MOST: Final = 2**53 - 1

INTEGERS: Final = {
    "negative": -1,
    "most negative": -(2**63),
    "fraction": 90_000.5,
    "whole fraction": 90_000.0,
    "text": "90000",
    "exponent": 9e4,
    "true": True,
    "list": [90_000],
    "operator": {"$gt": 0},
    "beyond exact": _MOST + 1,
    "63 bits": 2**63,
    "64 bits": 2**64,
    "300 digits": int("9" * 300),
}
"""None of them is an amount of money."""

AMOUNTS: Final = {name: value for name, value in INTEGERS.items() if name != "negative"}


def body(fields: dict[str, Any]) -> bytes:
    """JSON with integers of any length, which orjson doesn't write."""
    return json.dumps(fields).encode()


@pytest.fixture(scope="module")
async def auction(town: Town, client: Person, ann: Person) -> str:
    """A running auction, led by Ann with a limit."""
    job = await town.post(client, auction=town.terms(confirm_jump_percent=50))
    found: str = job["auction"]["id"]
    await town.bid(ann, found, 90_000, kind="auto")
    return found


# bids


@pytest.mark.parametrize("amount", INTEGERS.values(), ids=INTEGERS.keys())
async def test_amounts_of_bids(town: Town, auction: str, bob: Person, amount: Any) -> None:
    async with town.unchanged():
        raw = body({"amount": amount})
        reply = await town.call("POST", f"/auctions/{auction}/bids", bob, data=raw, key=town.key())
        typed = isinstance(amount, int) and not isinstance(amount, bool) and amount < 2**64
        reply.refused("AMOUNT_INVALID" if typed else "VALIDATION_FAILED")


BIDS: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "no amount": ({}, "VALIDATION_FAILED"),
    "zero": ({"amount": 0}, "AMOUNT_INVALID"),
    "worse than the start": ({"amount": 100_001}, "BEYOND_START"),
    "no step": ({"amount": 99_950}, "BID_TOO_WEAK"),
    "unknown kind": ({"amount": 80_000, "kind": "sniper"}, "VALIDATION_FAILED"),
    "misspelt field": ({"amount": 80_000, "confrim": True}, "VALIDATION_FAILED"),
    "another currency": ({"amount": 80_000, "currency": "USD"}, "CURRENCY_MISMATCH"),
    "no currency": ({"amount": 80_000, "currency": "EUROS"}, "VALIDATION_FAILED"),
    "operator for a currency": ({"amount": 80_000, "currency": {"$ne": "EUR"}}, "VALIDATION_FAILED"),
    "a slipped zero": ({"amount": 8_000}, "CONFIRM_REQUIRED"),
    "confirmed by a word": ({"amount": 8_000, "confirm": "yes"}, "VALIDATION_FAILED"),
    "of another state": ({"amount": 80_000, "if_seq": 77}, "STALE_STATE"),
    "of a huge state": ({"amount": 80_000, "if_seq": 2**63}, "STALE_STATE"),
    "of a negative state": ({"amount": 80_000, "if_seq": -1}, "STALE_STATE"),
    "of a textual state": ({"amount": 80_000, "if_seq": "2"}, "VALIDATION_FAILED"),
    "letter with NUL": ({"amount": 80_000, "cover_letter": "a\x00b"}, "VALIDATION_FAILED"),
    "endless letter": ({"amount": 80_000, "cover_letter": "a" * 10_001}, "VALIDATION_FAILED"),
    "on somebody's behalf": ({"amount": 80_000, "bidder": "somebody"}, "VALIDATION_FAILED"),
}


@pytest.mark.parametrize("name", BIDS)
async def test_bids(town: Town, auction: str, bob: Person, name: str) -> None:
    fields, code = BIDS[name]
    async with town.unchanged():
        (await town.call("POST", f"/auctions/{auction}/bids", bob, json=fields, key=town.key())).refused(code)


@pytest.mark.parametrize(
    "seq", ["0", "-1", "1", "77", "9" * 16, "9" * 300, "2.0", "%C2%B2", "%F0%9F%98%80", "$gt", "%00", "two"]
)
async def test_retractions_of_what_is_no_bid(town: Town, auction: str, bob: Person, seq: str) -> None:
    async with town.unchanged():
        reply = await town.call("POST", f"/auctions/{auction}/bids/{seq}/retract", bob, json={"reason": "typo"})
        numeric = seq.isascii() and seq.isdigit() and len(seq) <= 16
        reply.refused("RETRACT_NOT_ALLOWED" if numeric else "NOT_FOUND")


@pytest.mark.parametrize("reason", ["", "regret", "typo ", "x" * 41, 7, {"$ne": ""}, None])
async def test_reasons_of_retractions(town: Town, auction: str, ann: Person, reason: Any) -> None:
    async with town.unchanged():
        reply = await town.call("POST", f"/auctions/{auction}/bids/2/retract", ann, json={"reason": reason})
        assert reply.refused("VALIDATION_FAILED")["errors"][0]["loc"][-1] == "reason"


# jobs and the terms of their auctions


@pytest.mark.parametrize("value", AMOUNTS.values(), ids=AMOUNTS.keys())
@pytest.mark.parametrize(
    "field",
    ["start_amount", "minimum_amount", "reserve_amount", "confirm_jump_percent", "window_s", "step", "from", "max"],
)
async def test_numbers_of_jobs(town: Town, client: Person, field: str, value: Any) -> None:
    job = town.job()
    if field == "max":
        job["budget"]["max"] = value
    elif field == "window_s":
        job["auction"]["soft_close"] = {"window_s": value, "extension_s": 60}
    elif field in ("step", "from"):
        job["auction"]["increments"] = [{"from": 0, "step": 1} | {field: value}]
    else:
        job["auction"][field] = value
    async with town.unchanged():
        reply = await town.call("POST", "/jobs", client, data=body(job), key=town.key())
        errors = reply.refused("VALIDATION_FAILED")["errors"]
        assert any(field in error["loc"] for error in errors), errors


TIMES: Final = {
    "naive": "2030-01-01T10:00:00",
    "a date": "2030-01-01",
    "year 99999": "99999-01-01T00:00:00Z",
    "year 0": "0000-01-01T00:00:00Z",
    "year 1": "0001-01-01T00:00:00+14:00",
    "year 9999 and later": "9999-12-31T23:59:59-01:00",
    "before 1970": "1969-12-31T23:59:59Z",
    "13th month": "2030-13-01T00:00:00Z",
    "30th of February": "2030-02-30T00:00:00Z",
    "leap second": "2030-06-30T23:59:60Z",
    "hour 24": "2030-01-01T24:00:00Z",
    "zone of a day": "2030-01-01T00:00:00+24:00",
    "letters": "tomorrow",
    "nothing": "",
    "number": 1_900_000_000_000,
    "operator": {"$date": "2030-01-01T10:00:00Z"},
    "arabic digits": "٢٠٣٠-01-01T00:00:00Z",
    "space": " 2030-01-01T10:00:00Z",
    "a line more": "2030-01-01T10:00:00Z\n",
}


@pytest.mark.parametrize("moment", TIMES.values(), ids=TIMES.keys())
@pytest.mark.parametrize("field", ["start_at", "end_at", "hard_end_at"])
async def test_times_of_jobs(town: Town, client: Person, field: str, moment: Any) -> None:
    terms = town.terms()
    if field == "hard_end_at":
        terms["soft_close"] = {"window_s": 60, "extension_s": 60, "hard_end_at": moment}
    else:
        terms[field] = moment
    async with town.unchanged():
        reply = await town.call("POST", "/jobs", client, json=town.job(auction=terms), key=town.key())
        assert any(field in error["loc"] for error in reply.refused("VALIDATION_FAILED")["errors"])


HOUR: Final = 3_600
DAY: Final = 86_400

TERMS: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "end in the past": ({"end_at": -1}, "end_at"),
    "end before start": ({"start_at": DAY, "end_at": HOUR}, "end_at"),
    "end at the start": ({"start_at": DAY, "end_at": DAY}, "end_at"),
    "start in the past": ({"start_at": -HOUR}, "start_at"),
    "start in years": ({"start_at": 400 * DAY, "end_at": 401 * DAY}, "start_at"),
    "end in years": ({"end_at": 400 * DAY}, "end_at"),
    "hard end before the end": (
        {"soft_close": {"window_s": 60, "extension_s": 60, "hard_end_at": HOUR}},
        "hard_end_at",
    ),
    "endless window": ({"soft_close": {"window_s": 10**9, "extension_s": 60}}, "window_s"),
    "negative extension": ({"soft_close": {"window_s": 60, "extension_s": -60}}, "extension_s"),
    "soft close of a word": ({"soft_close": "soft"}, "soft_close"),
    "unknown format": ({"format": "dutch"}, "format"),
    "operator for a format": ({"format": {"$ne": "x"}}, "format"),
    "direction against the format": ({"direction": "forward"}, "direction"),
    "unknown direction": ({"direction": "sideways"}, "direction"),
    "unknown currency": ({"currency": "XXQ"}, "currency"),
    "another currency": ({"currency": "USD"}, "currency"),
    "currency of small letters": ({"currency": "eur"}, "currency"),
    "no start": ({"start_amount": None}, "start_amount"),
    "free start": ({"start_amount": 0}, "start_amount"),
    "minimum beyond the start": ({"minimum_amount": 100_001}, "minimum_amount"),
    "reserve beyond the start": ({"reserve_amount": 100_001}, "reserve_amount"),
    "reserve below the minimum": ({"reserve_amount": 5, "minimum_amount": 10}, "reserve_amount"),
    "no increments": ({"increments": []}, "increments"),
    "increments not from 0": ({"increments": [{"from": 10, "step": 1}]}, "increments"),
    "unsorted increments": (
        {"increments": [{"from": 0, "step": 1}, {"from": 9, "step": 2}, {"from": 8, "step": 3}]},
        "from",
    ),
    "overlapping increments": ({"increments": [{"from": 0, "step": 1}, {"from": 0, "step": 2}]}, "increments"),
    "increments of nothing": ({"increments": [{"from": 0, "step": 0}]}, "increments"),
    "increment without a step": ({"increments": [{"from": 0}]}, "increments"),
    "increment of more": ({"increments": [{"from": 0, "step": 1, "to": 5}]}, "increments"),
    "increments as an object": ({"increments": {"from": 0, "step": 1}}, "increments"),
    "very many increments": ({"increments": [{"from": each, "step": 1} for each in range(20_000)]}, "increments"),
    "misspelt term": ({"reserve": 5}, "reserve"),
}


@pytest.mark.parametrize("name", TERMS)
async def test_terms_of_auctions(town: Town, client: Person, name: str) -> None:
    changes, field = TERMS[name]
    changed = dict(changes)
    now = time.time()
    for place in ("start_at", "end_at"):
        if place in changed:
            changed[place] = town.in_seconds(changed[place], now=now)
    if isinstance(soft_close := changed.get("soft_close"), dict) and "hard_end_at" in soft_close:
        changed["soft_close"] = {**soft_close, "hard_end_at": town.in_seconds(soft_close["hard_end_at"], now=now)}
    async with town.unchanged():
        reply = await town.call("POST", "/jobs", client, json=town.job(auction=town.terms(**changed)), key=town.key())
        errors = reply.refused("VALIDATION_FAILED")["errors"]
        assert any(field in error["loc"] for error in errors), errors


JOBS: Final[dict[str, Any]] = {
    "title": ["", "   ", "a\x00b", "a\nb", "a" * 201, "\u202e\u0007", {"$gt": ""}, ["a"], 7, None],
    "description": ["", "a\x00b", "a" * 20_001, {"$gt": ""}, 7, None],
    "category": ["", " ", "a" * 61, "a\tb", {"$gt": ""}, 7, None],
    "skills": ["carpentry", ["a" * 51], [""], [7], [{"$gt": ""}], ["a"] * 31, {"$all": []}],
    "budget": [
        {"min": 2, "max": 1, "currency": "EUR"},
        {"min": 0, "currency": "EUR"},
        {"max": 1, "currency": "XXQ"},
        {"max": 1, "currency": {"$ne": ""}},
        {"max": 1},
        "cheap",
        [1, 2],
    ],
    "location": [
        {"lat": 91, "lng": 0},
        {"lat": 0, "lng": -181},
        {"lat": 45.0},
        {"lng": 12.0},
        {"lat": "45", "lng": "12"},
        {"address": "a\x00b"},
        {"address": "a" * 301},
        {"remote": "yes"},
        "Venice",
        [45, 12],
    ],
    "visibility": ["", "secret", {"$ne": "public"}, 7, None],
    "invited": ["me", [""], ["nobody-of-that-id"], ["$gt"], ["a b"], [{"$gt": ""}], ["a"] * 101, {"$in": []}],
    "priority": ["", "extreme", {"$gt": ""}, 7],
    "status": ["closed", "awarded", "completed", "", {"$ne": "draft"}, 7],
}


@pytest.mark.parametrize("field", JOBS)
async def test_fields_of_jobs(town: Town, client: Person, field: str) -> None:
    mine = await town.post(client, auction=None, status="draft")
    async with town.unchanged():
        for value in JOBS[field]:
            job = {**town.job(), field: value}
            errors = (await town.call("POST", "/jobs", client, json=job, key=town.key())).refused("VALIDATION_FAILED")
            assert any(field in error["loc"] for error in errors["errors"]), (value, errors)
            if field != "status":
                change = await town.call("PATCH", f"/jobs/{mine['id']}", client, json={field: value})
                assert field in change.refused("VALIDATION_FAILED")["errors"][0]["loc"], value


async def test_nobody_invites_himself(town: Town, client: Person) -> None:
    async with town.unchanged():
        reply = await town.call("POST", "/jobs", client, json=town.job(visibility="invited", invited=[client.id]))
        assert reply.refused("VALIDATION_FAILED")["errors"][0]["loc"] == ["body", "invited", 0]


@pytest.mark.parametrize(
    "text", ['{"$gt": ""}', "$where", "$email", "a.b", "__proto__", "%s%n", "${jndi:x}", "'; --", "soft\u00adhyphen"]
)
async def test_dangerous_words_are_words(town: Town, client: Person, text: str) -> None:
    """What would mean something to a database or a template is kept and found as it is."""
    job = await town.post(client, description=text, auction=None, location={"address": text, "remote": True})
    shown = (await town.call("GET", f"/jobs/{job['id']}")).json
    assert (shown["description"], shown["location"]["address"]) == (text, text)
    changed = await town.call("PATCH", "/users/me", client, json={"about": text})
    assert changed.json["about"] == text


# accounts


PEOPLE: Final[dict[str, Any]] = {
    "email": [
        "",
        "a",
        "a@b",
        "a@b.c" * 99,
        "a b@example.com",
        "a\x00@example.com",
        {"$gt": ""},
        ["a"],
        7,
    ],
    "password": ["", "short", "a" * 257, "aaaaaaaaaaaaaaaa", {"$gt": ""}, 7, None],
    "name": ["", "  ", "a\x00b", "a\nb", "a" * 101, {"$gt": ""}, 7, None],
    "role": ["admin", "", "contractor", {"$ne": "client"}, ["client"], 7, None],
}


@pytest.mark.parametrize("field", PEOPLE)
async def test_registrations(town: Town, field: str) -> None:
    good = {"email": "fields@example.com", "password": "correct horse", "name": "F", "role": "both"}
    async with town.unchanged():
        for value in PEOPLE[field]:
            reply = await town.call("POST", "/auth/register", json={**good, field: value})
            assert any(field in error["loc"] for error in reply.refused("VALIDATION_FAILED")["errors"]), value


@pytest.mark.parametrize(
    "credentials",
    [
        {"email": {"$gt": ""}, "password": {"$gt": ""}},
        {"email": {"$ne": None}, "password": "correct horse battery"},
        {"email": ["a@example.com"], "password": "correct horse battery"},
        {"email": "a@example.com", "password": {"$exists": True}},
        {"email": True, "password": True},
    ],
)
async def test_logins_by_operators(town: Town, credentials: dict[str, Any]) -> None:
    async with town.unchanged():
        (await town.call("POST", "/auth/login", json=credentials)).refused("VALIDATION_FAILED")


@pytest.mark.parametrize("email", ["", "$gt", '{"$gt": ""}', ".*", "a\x00@example.com", "\ufffd", "x" * 254, "@", "%"])
async def test_logins_by_noise(town: Town, email: str) -> None:
    async with town.unchanged():
        for password in ("", "x", "\x00" * 256, "é" * 256):
            reply = await town.call("POST", "/auth/login", json={"email": email, "password": password})
            reply.refused("UNAUTHENTICATED")


@pytest.mark.parametrize(
    "token", ["x", ".", "..", "a.1.b", "a.-1.b", "a.99999999999999999999.b", "a.1.é", "$gt", "\x00"]
)
async def test_refreshes_by_noise(town: Town, token: str) -> None:
    async with town.unchanged():
        (await town.call("POST", "/auth/refresh", json={"refresh_token": token})).refused("UNAUTHENTICATED")


async def test_nothing_else_of_an_account_can_be_changed(town: Town, ann: Person) -> None:
    own = (await town.call("GET", "/users/me", ann)).json
    forged = {"id": "x", "email": "x@example.com", "admin": True, "rating": 5.0, "completed_jobs": 9, "badges": ["x"]}
    forged |= {"password_hash": "x", "email_verified": True, "retraction_count": 0, "$set": {"admin": True}}
    async with town.unchanged():
        assert (await town.call("PATCH", "/users/me", ann, data=orjson.dumps(forged))).json == own
