"""Every query that a whole market sends, as MongoDB's own profiler saw it answered: by an index, and in its order.

No query is repeated here, so none can be forgotten or differ. Lists of jobs and the store of events have proofs of their own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from pymongo import AsyncMongoClient

from server.settings import Settings
from tests.handlers.market import PASSWORD, Market, opened
from tests.waiting import until

_PROFILE: Final = "system.profile"
_PROFILE_BYTES: Final = 64 * 2**20


class Answered(NamedTuple):
    """What was asked of a collection, and how it was answered. `sorted`: in memory, after reading."""

    collection: str
    asked: str
    plan: str
    sorted: bool


EXPECTED: Final = {
    ("auctions", "due_at", "IXSCAN { due_at: 1 }"),
    ("auctions", "_id truth_seq", "IXSCAN { _id: 1 }"),
    ("participations", "auction truth_seq", "IXSCAN { auction: 1 }"),
    ("participations", "user", "IXSCAN { user: 1, joined_at: -1, _id: 1 }"),
    ("participations", "phase user won", "IXSCAN { user: 1, joined_at: -1, _id: 1 }"),
    ("retractions", "user", "COUNT_SCAN { user: 1 }"),
    ("users", "_id", "IXSCAN { _id: 1 }"),  # the names of several at once
    ("users", "email", "IXSCAN { email: 1 }"),
    ("users", "_id password_hash", "IXSCAN { _id: 1 }"),
    ("sessions", "expires_at revoked_at user", "IXSCAN { user: 1, created_at: -1 }"),
    ("sessions", "_id revoked_at user", "IXSCAN { _id: 1 }"),
    ("sessions", "_id expires_at generation revoked_at", "IXSCAN { _id: 1 }"),
    ("sessions", "_id generation revoked_at rotated_at rotated_by", "IXSCAN { _id: 1 }"),
    ("sessions", "revoked_at", "IXSCAN { revoked_at: 1 }"),
    ("mails", "next_at state", "IXSCAN { state: 1, next_at: 1 }"),
    ("mails", "created_at user", "IXSCAN { user: 1, created_at: 1 }"),
}
"""Collection, names of the fields in the condition, plan: what bidding and accounts ask for in so many words."""


@asynccontextmanager
async def profiled(settings: Settings) -> AsyncIterator[list[Answered]]:
    """Everything that is asked of the test's database meanwhile, from the first start on; filled at the end."""
    answered: list[Answered] = []
    async with AsyncMongoClient[dict[str, Any]](settings.mongodb_url) as client:
        db = client[settings.mongodb_database]
        await db.create_collection(_PROFILE, capped=True, size=_PROFILE_BYTES)
        await db.command("profile", 2)
        yield answered
        await db.command("profile", 0)
        entries = await db[_PROFILE].find({"planSummary": {"$exists": True}}).to_list()
        answered += [_answered(entry) for entry in entries if not _is_change_stream(entry)]


def _is_change_stream(entry: Mapping[str, Any]) -> bool:
    """It reads the oplog, from a place that it knows."""
    command = entry.get("originatingCommand", entry["command"])
    return any("$changeStream" in stage for stage in command.get("pipeline", ()))


def _answered(entry: Mapping[str, Any]) -> Answered:
    command = entry.get("originatingCommand", entry["command"])
    condition = command.get("filter") or command.get("query") or command.get("q") or {}
    for stage in command.get("pipeline", ()):
        condition = condition or stage.get("$match", {})
    collection = entry["ns"].partition(".")[2]
    return Answered(collection, " ".join(sorted(condition)), entry["planSummary"], entry.get("hasSortStage", False))


async def trade(market: Market) -> None:
    """Auctions from the first bid to the award, seen by all."""
    client, ann, bob = [await market.person(role) for role in ("client", "freelancer", "freelancer")]
    soon = {"end_at": market.later(8_000), "soft_close": None}  # time enough for a busy machine to take a bid back
    auction = await market.auction(client, auction=soon)
    sealed = await market.auction(client, "sealed", auction={**soon, "start_amount": 20_000})
    for who, amount in ((ann, 10_000), (bob, 11_000)):
        assert (await market.bid(who, sealed, amount))[0] == 201
        _, placed = await market.bid(who, auction, amount)
    where = f"/auctions/{auction}/bids/{placed['seq']}/retract"
    assert (await market.call("POST", where, bob, {"reason": "typo"}))[0] == 200
    assert (await market.call("GET", f"/auctions/{auction}", client))[1]["owner"]["bidders"].keys() == {
        "Bidder 1",
        "Bidder 2",
    }

    async def over() -> bool:
        ends = [(await market.types(one))[-1] for one in (auction, sealed)]
        profile = (await market.call("GET", f"/users/{bob.id}"))[1]
        return ends == ["awarded", "awarded"] and profile["retraction_count"] == 1

    await until(over, pause_s=0.2)
    for query in ("", "?status=over", "?status=won"):
        assert (await market.call("GET", f"/users/me/bids{query}", ann))[0] == 200


async def use_account(market: Market) -> None:
    """Everything that people do with their accounts."""
    person = await market.person()
    own = (await market.call("GET", "/users/me", person))[1]
    login = {"email": own["email"], "password": PASSWORD}
    assert (await market.call("POST", "/auth/register", None, {**login, "name": "Other", "role": "both"}))[0] == 409
    assert (await market.call("POST", "/auth/login", None, login))[0] == 200
    assert len((await market.call("GET", "/auth/sessions", person))[1]["items"]) == 2
    for _ in range(2):
        assert (await market.call("POST", "/auth/refresh", None, {"refresh_token": person.refresh}, "key"))[0] == 200
    assert (await market.call("POST", "/auth/resend-verification", person))[0] == 429
    change = {"current_password": PASSWORD, "new_password": PASSWORD + "!"}
    assert (await market.call("POST", "/auth/password", person, change))[0] == 204
    assert (await market.call("POST", "/auth/logout", person))[0] == 204


async def test_every_query_of_a_market_is_answered_by_an_index(settings: Settings) -> None:
    async with profiled(settings) as answered, opened(settings) as market:
        await use_account(market)
        await trade(market)
    assert [one for one in answered if "COLLSCAN" in one.plan or one.sorted] == []
    assert EXPECTED - {(one.collection, one.asked, one.plan) for one in answered} == set()


async def test_a_query_without_an_index_would_be_seen(settings: Settings) -> None:
    """The profiler tells the plans that the test above rules out."""
    async with profiled(settings) as answered, opened(settings, worker=False) as market:
        await market.person()
        users = market.context.db["users"]
        await users.find({"name": "Somebody"}).sort("created_at").to_list()
    assert Answered("users", "name", "COLLSCAN", sorted=True) in answered
