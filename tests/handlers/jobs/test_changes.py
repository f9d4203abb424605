"""Editing with suspension, cancelling, completing; what a crash in the middle leaves, and who finishes it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from handlers.jobs.auctions import OPENING
from models.job import Job
from models.rules.stream import Command
from models.user import User
from server.clock import new_salt
from server.errors import AppError
from tests.handlers.jobs.conftest import Market

WINDOW = {"soft_close": {"window_s": 600, "extension_s": 600}}


async def bid(market: Market, auction: str, bidder: str, amount: int, kind: str = "auction") -> None:
    command = Command(
        "bid", bidder, {"amount": amount, "kind": "exact"}, key=f"b{amount}", context={"salt": new_salt()}
    )
    await market.streams.append(f"{kind}:{auction}", command)


async def test_a_material_change_suspends_the_bids(market: Market, client: str, freelancer: Any) -> None:
    job = await market.post(client)
    path, auction = f"/jobs/{job['id']}", job["auction"]["id"]
    await bid(market, auction, freelancer["user"]["id"], 80_000)
    _, seen = await market.call("GET", path)
    assert [seen["auction"][name] for name in ("price", "bid_count", "seq", "leader")] == [80_000, 1, 2, "Bidder 1"]
    changes = {"description": "Three hundred pages.", "title": "Translate a thick cookbook"}
    status, changed = await market.call("PATCH", path, client, json=changes)
    assert (status, changed["description"], changed["title"], changed["revision"]) == (200, *changes.values(), 1)
    assert await market.events(auction) == ["opened", "bid", "suspended"]
    event = (await market.streams.read(f"auction:{auction}", 2, 1))[0]
    assert (event.public["revision"], event.public["changes"]) == (1, ["description"])
    assert changed["auction"]["leader"] is None


async def test_immaterial_changes_do_not_disturb_the_auction(market: Market, client: str) -> None:
    job = await market.post(client)
    path = f"/jobs/{job['id']}"
    status, changed = await market.call("PATCH", path, client, json={"title": "New", "priority": "high"})
    assert (status, changed["title"], changed["priority"], changed["revision"]) == (200, "New", "high", 0)
    same = {"description": job["description"], "skills": job["skills"], "budget": job["budget"]}
    assert (await market.call("PATCH", path, client, json=same))[1]["revision"] == 0
    assert await market.events(job["auction"]["id"]) == ["opened"]
    _, cleared = await market.call("PATCH", path, client, json={"location": None})
    assert cleared["location"] is None
    stored = await Job.get(job["id"])
    assert stored is not None
    assert stored.point is None


async def test_bad_changes_change_nothing(market: Market, client: str, freelancer: Any) -> None:
    job = await market.post(client)
    path = f"/jobs/{job['id']}"
    bad: list[tuple[Any, int, str]] = [
        ({"title": None}, 422, "VALIDATION_FAILED"),
        ({"skills": None}, 422, "VALIDATION_FAILED"),
        ({"budget": {"min": 2, "max": 1, "currency": "EUR"}}, 422, "VALIDATION_FAILED"),
        ({"budget": {"min": 1, "max": 2, "currency": "USD"}}, 422, "VALIDATION_FAILED"),
        ({"visibility": "private"}, 409, "CONFLICT"),
        ({"invited": [freelancer["user"]["id"]]}, 409, "CONFLICT"),
        ({"auction": market.auction()}, 409, "CONFLICT"),
        ({"auction": None}, 409, "CONFLICT"),
        ([], 422, "VALIDATION_FAILED"),
    ]
    for changes, status, code in bad:
        answer = await market.call("PATCH", path, client, json=changes)
        assert (answer[0], answer[1]["code"]) == (status, code), changes
    ignored = {"status": "completed", "owner": "me", "view_count": 10**6, "id": "x", "revision": 9}
    assert (await market.call("PATCH", path, client, json=ignored))[0] == 200
    for token, status in ((None, 401), (freelancer["access_token"], 403)):
        assert (await market.call("PATCH", path, token, json={"title": "Mine"}))[0] == status
    _, read = await market.call("GET", path, client)
    assert read | {"view_count": 0} == job


async def test_material_changes_near_or_after_the_end_are_refused(market: Market, client: str) -> None:
    job = await market.post(client, auction=market.auction(**WINDOW))
    path = f"/jobs/{job['id']}"
    market.context.clock.shift_ms += 3_001_000
    client = await relogin(market)
    status, answer = await market.call("PATCH", path, client, json={"description": "Other"})
    assert (status, answer["code"]) == (409, "CANCEL_TOO_LATE")
    stored = await Job.get(job["id"])
    assert stored is not None
    assert (stored.pending, stored.revision, stored.description) == (None, 0, job["description"])
    assert (await market.call("PATCH", path, client, json={"title": "Still possible"}))[0] == 200
    market.context.clock.shift_ms += 600_000
    client = await relogin(market)
    status, answer = await market.call("PATCH", path, client, json={"description": "Other"})
    assert (status, answer["code"]) == (409, "AUCTION_CLOSED")


async def relogin(market: Market, email: str = "client@example.com") -> str:
    login = {"email": email, "password": "correct horse battery"}
    return str((await market.call("POST", "/auth/login", json=login))[1]["access_token"])


async def test_concurrent_changes_leave_one_order(market: Market, client: str) -> None:
    job = await market.post(client)
    path = f"/jobs/{job['id']}"
    texts = [f"Text {number}" for number in range(6)]
    outcomes = await asyncio.gather(*(market.call("PATCH", path, client, json={"description": text}) for text in texts))
    won = [answer for status, answer in outcomes if status == 200]
    assert won
    assert all(answer["code"] == "CONFLICT" for status, answer in outcomes if status != 200)
    stored = await Job.get(job["id"])
    assert stored is not None
    assert stored.pending is None
    head = await market.streams.current(f"auction:{job['auction']['id']}")
    assert stored.revision == head.state.revision == (await market.events(job["auction"]["id"])).count("suspended")


@pytest.mark.parametrize("appended", [True, False])
async def test_an_interrupted_change_is_finished(market: Market, client: str, appended: bool) -> None:
    job = await market.post(client)
    auction = job["auction"]["id"]
    stored = await Job.get(job["id"])
    assert stored is not None
    pending = {"revision": 1, "fields": {"description": "New", "budget": None}, "actor": stored.owner, "since": 1}
    await Job.get_pymongo_collection().update_one({"_id": job["id"]}, {"$set": {"pending": pending}})
    if appended:
        command = Command("suspend", stored.owner, {"revision": 1, "changes": ["budget", "description"]})
        await market.streams.append(f"auction:{auction}", command)
    assert await market.tasks.sweep() == 1
    assert await market.tasks.sweep() == 0
    _, read = await market.call("GET", f"/jobs/{job['id']}")
    assert (read["description"], read["budget"], read["revision"]) == ("New", None, 1)
    assert await market.events(auction) == ["opened", "suspended"]


async def test_an_announced_change_is_finished_even_after_the_end(market: Market, client: str) -> None:
    job = await market.post(client)
    stored = await Job.get(job["id"])
    assert stored is not None
    command = Command("suspend", stored.owner, {"revision": 1, "changes": ["description"]})
    await market.streams.append(f"auction:{job['auction']['id']}", command)
    pending = {"revision": 1, "fields": {"description": "New"}, "actor": stored.owner, "since": 1}
    await Job.get_pymongo_collection().update_one({"_id": job["id"]}, {"$set": {"pending": pending}})
    market.context.clock.shift_ms += 3_600_000
    await market.tasks.sweep()
    assert (await market.call("GET", f"/jobs/{job['id']}"))[1]["description"] == "New"


async def test_a_change_that_was_never_announced_is_dropped_after_the_end(market: Market, client: str) -> None:
    job = await market.post(client)
    stored = await Job.get(job["id"])
    assert stored is not None
    pending = {"revision": 1, "fields": {"description": "New"}, "actor": stored.owner, "since": 1}
    await Job.get_pymongo_collection().update_one({"_id": job["id"]}, {"$set": {"pending": pending}})
    market.context.clock.shift_ms += 3_600_000
    await market.tasks.sweep()
    assert (await market.call("GET", f"/jobs/{job['id']}"))[1]["description"] == job["description"]
    assert await market.tasks.sweep() == 0


@pytest.mark.parametrize("opened", [True, False])
async def test_an_interrupted_opening_is_finished(market: Market, client: str, opened: bool) -> None:
    draft = await market.post(client, status="draft")
    stored = await Job.get(draft["id"])
    assert stored is not None
    assert stored.terms is not None
    now = market.context.clock.now()
    terms = {**stored.terms, "currency": "EUR", "start_at": now - 120_000}
    begun = {"opening": now - 120_000, "terms": terms, "auction.start_at": now - 120_000}
    await Job.get_pymongo_collection().update_one({"_id": draft["id"]}, {"$set": begun})
    if opened:
        market.context.clock.shift_ms -= 100_000
        payload = {"job": draft["id"], "terms": terms, "visibility": "public", "invited": []}
        command = Command("open", stored.owner, payload, key=OPENING, context={"salt": new_salt()})
        await market.streams.append(f"auction:{draft['auction']['id']}", command)
        market.context.clock.shift_ms += 100_000
    assert await market.tasks.sweep() == 1
    assert await market.tasks.sweep() == 0
    _, read = await market.call("GET", f"/jobs/{draft['id']}")
    assert (read["status"], read["auction"]["status"], read["auction"]["seq"]) == ("open", "open", 1)
    assert await market.events(draft["auction"]["id"]) == ["opened"]


async def test_an_opening_whose_time_has_passed_leaves_a_draft(market: Market, client: str) -> None:
    draft = await market.post(client, status="draft")
    now = market.context.clock.now()
    stored = await Job.get(draft["id"])
    assert stored is not None
    assert stored.terms is not None
    begun = {"opening": now, "terms": {**stored.terms, "currency": "EUR", "start_at": now}}
    await Job.get_pymongo_collection().update_one({"_id": draft["id"]}, {"$set": begun})
    market.context.clock.shift_ms += 7_200_000
    assert await market.tasks.sweep() == 1
    client = await relogin(market)
    _, read = await market.call("GET", f"/jobs/{draft['id']}", client)
    assert (read["status"], read["auction"]["seq"]) == ("draft", 0)
    assert await market.tasks.sweep() == 0


async def test_cancelling(market: Market, client: str, freelancer: Any) -> None:
    job = await market.post(client)
    path = f"/jobs/{job['id']}"
    assert (await market.call("POST", f"{path}/cancel", None, json={}))[0] == 401
    status, answer = await market.call("POST", f"{path}/cancel", freelancer["access_token"], json={})
    assert (status, answer["code"]) == (403, "FORBIDDEN")
    status, cancelled = await market.call("POST", f"{path}/cancel", client)
    assert (status, cancelled["status"], cancelled["auction"]["status"]) == (200, "cancelled", "cancelled")
    assert (await market.call("POST", f"{path}/cancel", client, json={}))[1] == cancelled
    assert await market.events(job["auction"]["id"]) == ["opened", "cancelled"]
    status, answer = await market.call("PATCH", path, client, json={"title": "x"})
    assert (status, answer["code"]) == (409, "CONFLICT")
    for change in ({"auction": None}, {"status": "draft"}):
        plain = await market.post(client, **change)
        status, answer = await market.call("POST", f"/jobs/{plain['id']}/cancel", client)
        assert (status, answer["status"]) == (200, "cancelled")
        assert (await market.call("POST", f"/jobs/{plain['id']}/cancel", client))[0] == 200


async def test_cancelling_with_bids_needs_a_reason_and_comes_too_late_in_the_end(
    market: Market, client: str, freelancer: Any
) -> None:
    job = await market.post(client, auction=market.auction(**WINDOW))
    path = f"/jobs/{job['id']}/cancel"
    await bid(market, job["auction"]["id"], freelancer["user"]["id"], 80_000)
    status, answer = await market.call("POST", path, client, json={})
    assert (status, answer["code"], answer["errors"][0]["loc"]) == (422, "VALIDATION_FAILED", ["body", "reason"])
    assert (await market.call("POST", path, client, json={"reason": 5}))[0] == 422
    market.context.clock.shift_ms += 3_001_000
    client = await relogin(market)
    status, answer = await market.call("POST", path, client, json={"reason": "no money"})
    assert (status, answer["code"]) == (409, "CANCEL_TOO_LATE")
    await User.get_pymongo_collection().update_one({"email": "freelancer@example.com"}, {"$set": {"admin": True}})
    admin = await relogin(market, "freelancer@example.com")
    status, answer = await market.call("POST", path, admin, json={"reason": "fraud"})
    assert (status, answer["status"]) == (200, "cancelled")


async def test_the_follower_brings_jobs_up_to_date(market: Market, client: str, freelancer: Any) -> None:
    for format_, kind in (("reverse", "auction"), ("sealed", "sealed")):
        job = await market.post(client, auction=market.auction(format=format_))
        auction = job["auction"]["id"]
        await bid(market, auction, freelancer["user"]["id"], 80_000, kind)
        await market.tasks.follow(await market.streams.read(f"{kind}:{auction}", 0, 100))
        stored = await Job.get(job["id"])
        assert stored is not None
        assert stored.auction is not None
        assert stored.auction.bid_count == (1 if format_ == "reverse" else stored.auction.bid_count)
        events = await market.streams.read(f"{kind}:{auction}", 0, 100)
        await market.streams.append(f"{kind}:{auction}", Command("cancel", stored.owner, {"reason": "over"}))
        await market.tasks.follow(events)
        await market.tasks.follow(events[:1])
        stored = await Job.get(job["id"])
        assert stored is not None
        assert stored.auction is not None
        assert (stored.status, stored.auction.phase) == ("cancelled", "cancelled")


async def test_the_whole_life_of_a_job(market: Market, client: str, freelancer: Any) -> None:
    job = await market.post(client)
    path, auction = f"/jobs/{job['id']}", job["auction"]["id"]
    stream = f"auction:{auction}"
    winner = freelancer["user"]["id"]
    await bid(market, auction, winner, 80_000)
    assert (await market.call("POST", f"{path}/complete", client))[1]["code"] == "CONFLICT"
    market.context.clock.shift_ms += 3_600_000
    client = await relogin(market)
    await market.streams.append(stream, Command("tick", "system"))
    assert (await market.call("GET", path))[1]["status"] == "awarded"
    await market.streams.append(stream, Command("accept", winner, {}))
    assert (await market.call("GET", path))[1]["status"] == "in_progress"
    other = (await market.register("other@example.com", "client"))["access_token"]
    assert (await market.call("POST", f"{path}/complete", other))[0] == 403
    for _ in range(2):
        status, done = await market.call("POST", f"{path}/complete", client)
        assert (status, done["status"]) == (200, "completed")
    await market.tasks.follow(await market.streams.read(stream, 0, 100))
    assert (await market.call("GET", path))[1]["status"] == "completed"
    assert (await market.call("GET", f"/users/{winner}"))[1]["completed_jobs"] == 1
    with pytest.raises(AppError):
        await market.streams.append(stream, Command("cancel", job["owner"], {"reason": "late"}))


async def test_views_are_counted_once_a_day_and_person(market: Market, client: str, freelancer: Any) -> None:
    job = await market.post(client)
    path = f"/jobs/{job['id']}"
    for token in (client, None, None, freelancer["access_token"], freelancer["access_token"]):
        await market.call("GET", path, token)
    assert await market.tasks._views.flush() == 1
    assert await market.tasks._views.flush() == 0
    assert (await market.call("GET", path))[1]["view_count"] == 2
    market.context.clock.shift_ms += 86_400_000
    await market.call("GET", path)
    await market.tasks._views.flush()
    assert (await market.call("GET", path))[1]["view_count"] == 3
