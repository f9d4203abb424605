"""Posting, reading, publishing, deleting: shapes, authorisation, bad input."""

from __future__ import annotations

from typing import Any

from models.job import Job
from models.rules.visibility import job_visible
from server.auth.principal import Principal
from tests.handlers.jobs.conftest import Market
from tests.words import mentions


async def test_posting_opens_the_auction(market: Market, client: str) -> None:
    job = await market.post(client)
    assert (job["status"], job["visibility"], job["category"]) == ("open", "public", "translation")
    assert job["budget"] == {"min": 10_000, "max": 100_000, "currency": "EUR"}
    assert job["location"] == {"lat": 45.44, "lng": 12.33, "address": "Venezia", "remote": False}
    auction = job["auction"]
    assert (auction["format"], auction["status"], auction["price"], auction["bid_count"], auction["seq"]) == (
        "reverse",
        "open",
        None,
        0,
        1,
    )
    assert auction["currency"] == "EUR"
    assert await market.events(auction["id"]) == ["opened"]
    status, read = await market.call("GET", f"/jobs/{job['id']}")
    assert status == 200
    assert read == {name: value for name, value in job.items() if name != "invited"}


async def test_the_reserve_is_nobodys_business(market: Market, client: str) -> None:
    job = await market.post(client, auction=market.auction(reserve_amount=77_777))
    for token in (None, client):
        _, read = await market.call("GET", f"/jobs/{job['id']}", token)
        assert not mentions(str(read), "77777")
        assert "terms" not in read


async def test_every_format_opens(market: Market, client: str) -> None:
    for format_ in ("reverse", "english", "sealed", "proposal"):
        job = await market.post(client, auction=market.auction(format=format_))
        assert (job["auction"]["format"], job["auction"]["status"]) == (format_, "open")
    later = await market.post(client, auction=market.auction(start_at=market.at(600)))
    assert later["auction"]["status"] == "scheduled"


async def test_jobs_without_budget_location_or_auction(market: Market, client: str) -> None:
    job = await market.post(client, budget=None, location=None, auction=None, skills=None)
    assert (job["status"], job["auction"], job["budget"], job["location"], job["skills"]) == (
        "open",
        None,
        None,
        None,
        [],
    )
    named = await market.post(client, budget=None, auction=market.auction(currency="JPY"))
    assert named["auction"]["currency"] == "JPY"


async def test_who_may_post(market: Market, client: str, freelancer: Any) -> None:
    status, answer = await market.call("POST", "/jobs", None, json=market.body())
    assert (status, answer["code"]) == (401, "UNAUTHENTICATED")
    status, answer = await market.call("POST", "/jobs", freelancer["access_token"], json=market.body())
    assert (status, answer["code"]) == (403, "FORBIDDEN")
    assert await Job.find_all().count() == 0


BAD: list[tuple[dict[str, Any], list[Any]]] = [
    ({"title": ""}, ["title"]),
    ({"title": "x" * 201}, ["title"]),
    ({"title": 5}, ["title"]),
    ({"title": "a\u0000b"}, ["title"]),
    ({"description": "x" * 20_001}, ["description"]),
    ({"category": ["a"]}, ["category"]),
    ({"skills": "cooking"}, ["skills"]),
    ({"skills": ["x"] * 31}, ["skills"]),
    ({"skills": [{"$ne": 1}]}, ["skills", 0]),
    ({"budget": {"min": 5, "max": 4, "currency": "EUR"}}, ["budget"]),
    ({"budget": {"min": 1.5, "max": 4, "currency": "EUR"}}, ["budget", "min"]),
    ({"budget": {"min": -1, "max": 4, "currency": "EUR"}}, ["budget", "min"]),
    ({"budget": {"min": "1", "max": 4, "currency": "EUR"}}, ["budget", "min"]),
    ({"budget": {"min": 1, "max": 2**53, "currency": "EUR"}}, ["budget", "max"]),
    ({"budget": {"min": 1, "max": 4, "currency": "XYZ"}}, ["budget", "currency"]),
    ({"location": {"lat": 91, "lng": 0}}, ["location", "lat"]),
    ({"location": {"lng": 0}}, ["location"]),
    ({"visibility": "secret"}, ["visibility"]),
    ({"priority": "now"}, ["priority"]),
    ({"status": "closed"}, ["status"]),
    ({"invited": ["nobody"]}, ["invited", 0]),
    ({"invited": ["$where"]}, ["invited", 0]),
]
BAD_TERMS: list[tuple[dict[str, Any], list[Any]]] = [
    ({"format": "dutch"}, ["format"]),
    ({"start_amount": "100000"}, ["start_amount"]),
    ({"start_amount": 10**20}, ["start_amount"]),
    ({"start_amount": 0}, ["start_amount"]),
    ({"start_amount": -5}, ["start_amount"]),
    ({"start_amount": 1.5}, ["start_amount"]),
    ({"end_at": "tomorrow"}, ["end_at"]),
    ({"end_at": "2026-11-21T10:00:00"}, ["end_at"]),
    ({"end_at": 1_800_000_000_000}, ["end_at"]),
    ({"end_at": "2001-11-21T10:00:00Z"}, ["end_at"]),
    ({"start_at": "9998-01-01T00:00:00Z"}, ["start_at"]),
    ({"currency": "USD"}, ["currency"]),
    ({"reserve_amont": 5}, ["reserve_amont"]),
    ({"increments": [{"from": 100, "step": 10}, {"from": 0, "step": 5}]}, ["increments", 0, "from"]),
    ({"increments": [{"from": 0, "step": 0}]}, ["increments", 0, "step"]),
    ({"increments": [{"from": 0, "step": 1, "more": 1}]}, ["increments", 0, "more"]),
    ({"soft_close": {"window_s": -1, "extension_s": 0}}, ["soft_close", "window_s"]),
    ({"minimum_amount": 95_000}, ["minimum_amount"]),
    ({"confirm_jump_percent": 0}, ["confirm_jump_percent"]),
]


async def test_bad_jobs_are_refused_with_the_place(market: Market, client: str) -> None:
    for change, loc in BAD:
        status, answer = await market.call("POST", "/jobs", client, json=market.body() | change)
        assert (status, answer["code"]) == (422, "VALIDATION_FAILED"), change
        assert answer["errors"][0]["loc"] == ["body", *loc], (change, answer["errors"])
    for change, loc in BAD_TERMS:
        status, answer = await market.call("POST", "/jobs", client, json=market.body(auction=market.auction(**change)))
        assert (status, answer["code"]) == (422, "VALIDATION_FAILED"), change
        assert ["body", "auction", *loc] in [error["loc"] for error in answer["errors"]], (change, answer["errors"])
    assert await Job.find_all().count() == 0


async def test_the_same_request_makes_one_job(market: Market, client: str) -> None:
    key = {"Idempotency-Key": "post-1"}
    body = market.body()
    first = await market.call("POST", "/jobs", client, json=body, headers=key)
    again = await market.call("POST", "/jobs", client, json=body, headers=key)
    assert first == again
    other = await market.call("POST", "/jobs", client, json=body | {"title": "Another"}, headers=key)
    assert (other[0], other[1]["code"]) == (409, "IDEMPOTENCY_MISMATCH")
    assert await Job.find_all().count() == 1


async def test_a_retry_after_a_crash_finishes_what_exists(market: Market, client: str) -> None:
    key = {"Idempotency-Key": "post-2"}
    body = market.body()
    _, first = await market.call("POST", "/jobs", client, json=body, headers=key)
    # As if the process had died after the event and before the document, and before the answer was stored.
    await Job.get_pymongo_collection().update_one(
        {}, {"$set": {"scope": "draft", "status": "draft", "opening": first_opening(market), "auction.seq": 0}}
    )
    await market.context.db["idempotency"].update_many(
        {}, {"$unset": {"status": 1, "body": 1}, "$set": {"lease_until": 0}}
    )
    status, again = await market.call("POST", "/jobs", client, json=body, headers=key)
    assert (status, again["id"], again["status"]) == (201, first["id"], "open")
    assert await market.events(first["auction"]["id"]) == ["opened"]
    assert await Job.find_all().count() == 1


def first_opening(market: Market) -> int:
    return int(market.context.clock.now()) - 1000


async def test_drafts_are_their_owners_until_published(market: Market, client: str, freelancer: Any) -> None:
    other = (await market.register("other@example.com", "client"))["access_token"]
    for change in ({"status": "draft"}, {"visibility": "private"}):
        draft = await market.post(client, **change)
        path = f"/jobs/{draft['id']}"
        assert (draft["status"], draft["auction"]["status"], draft["auction"]["seq"]) == ("draft", "draft", 0)
        for token in (None, freelancer["access_token"], other):
            assert (await market.call("GET", path, token))[0] == 404
        assert (await market.call("PATCH", path, other, json={"title": "x"}))[0] == 404
        for action in ("publish", "cancel", "complete"):
            assert (await market.call("POST", f"{path}/{action}", other, json={}))[0] == 404
        assert (await market.call("GET", path, client))[0] == 200
        status, published = await market.call("POST", f"{path}/publish", client, json={})
        assert (status, published["status"], published["visibility"]) == (200, "open", "public")
        assert published["auction"]["status"] == "open"
        assert (await market.call("GET", path))[0] == 200
        assert (await market.call("POST", f"{path}/publish", client))[1] == published
        assert (await market.call("POST", f"{path}/publish", other, json={}))[0] == 403


async def test_a_draft_tells_its_owner_the_terms_as_they_were_given(market: Market, client: str) -> None:
    body = market.body(status="draft")
    draft = await market.post(client, status="draft")
    end_at = body["auction"].pop("end_at")
    given = {name: value for name, value in body["auction"].items() if value is not None}
    assert {name: draft["terms"][name] for name in given} == given
    assert draft["terms"]["end_at"][:16] == end_at[:16]
    _, job = await market.call("POST", f"/jobs/{draft['id']}/publish", client, json={})
    assert job.get("terms") is None  # they are the auction's now, the reserve is hidden
    _, page = await market.call("GET", "/jobs?mine=true", client)
    assert page["items"][0].get("terms") is None


async def test_a_draft_whose_time_has_come_needs_new_terms(market: Market, client: str) -> None:
    draft = await market.post(client, status="draft")
    path = f"/jobs/{draft['id']}"
    market.context.clock.shift_ms += 3_600_000
    login = {"email": "client@example.com", "password": "correct horse battery"}
    client = (await market.call("POST", "/auth/login", json=login))[1]["access_token"]
    status, answer = await market.call("POST", f"{path}/publish", client, json={})
    assert (status, answer["errors"][0]["loc"]) == (422, ["body", "auction", "end_at"])
    status, changed = await market.call("PATCH", path, client, json={"auction": market.auction(start_amount=50_000)})
    assert (status, changed["auction"]["start_amount"], changed["status"]) == (200, 50_000, "draft")
    status, published = await market.call("POST", f"{path}/publish", client, json={"visibility": "public"})
    assert (status, published["status"]) == (200, "open")


async def test_invited_jobs(market: Market, client: str, freelancer: Any) -> None:
    stranger = (await market.register("stranger@example.com", "freelancer"))["access_token"]
    guest = freelancer["user"]["id"]
    job = await market.post(client, visibility="invited", invited=[guest])
    assert job["invited"] == [guest]
    path = f"/jobs/{job['id']}"
    status, seen = await market.call("GET", path, freelancer["access_token"])
    assert (status, seen.get("invited")) == (200, None)
    assert (await market.call("GET", path, stranger))[0] == 404
    assert (await market.call("GET", path))[0] == 404


async def test_an_auction_may_be_added_to_a_published_job_once(market: Market, client: str) -> None:
    job = await market.post(client, auction=None)
    path = f"/jobs/{job['id']}"
    status, changed = await market.call("PATCH", path, client, json={"auction": market.auction()})
    assert (status, changed["auction"]["status"], changed["auction"]["seq"]) == (200, "open", 1)
    assert (changed["status"], changed["published_at"]) == ("open", job["published_at"])
    status, answer = await market.call("PATCH", path, client, json={"auction": market.auction(start_amount=1)})
    assert (status, answer["code"]) == (409, "CONFLICT")
    assert (await market.call("PATCH", path, client, json={"visibility": "invited"}))[0] == 409


async def test_only_drafts_are_deleted(market: Market, client: str) -> None:
    draft, job = await market.post(client, status="draft"), await market.post(client)
    other = (await market.register("other@example.com", "client"))["access_token"]
    assert (await market.call("DELETE", f"/jobs/{draft['id']}", other))[0] == 404
    assert (await market.call("DELETE", f"/jobs/{job['id']}", other))[0] == 403
    assert await market.call("DELETE", f"/jobs/{draft['id']}", client) == (204, None)
    assert (await market.call("GET", f"/jobs/{draft['id']}", client))[0] == 404
    status, answer = await market.call("DELETE", f"/jobs/{job['id']}", client)
    assert (status, answer["code"]) == (409, "CONFLICT")


async def test_unknown_jobs_are_not_found(market: Market, client: str) -> None:
    for name in ("nothing", "%00", "x" * 400, "$where", "a%2Fb", "%ff"):
        for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/publish"), ("POST", "/cancel")):
            status, answer = await market.call(method, f"/jobs/{name}{path}", client, json={})
            assert (status, answer["code"]) == (404, "NOT_FOUND"), (method, name, path)


def test_visibility() -> None:
    class Posted:
        owner = "ann"
        scope = "public"
        invited = ("bob",)

    def who(user: str, admin: bool = False) -> Principal:
        return Principal(user, "s", "both", admin)

    job = Posted()
    seen = {
        scope: [
            job_visible(job, viewer)
            for job.scope in [scope]
            for viewer in (None, who("ann"), who("bob"), who("cat"), who("cat", admin=True))
        ]
        for scope in ("public", "invited", "draft")
    }
    assert seen == {
        "public": [True] * 5,
        "invited": [False, True, True, False, True],
        "draft": [False, True, False, False, True],
    }
