"""`GET /users/me/bids`: a bidder finds its auctions again, and nobody else does."""

from __future__ import annotations

from typing import Any

import pytest

from handlers.bidding.participations import Participations
from models.participation import Participation
from tests.handlers.market import Market, Person
from tests.waiting import until


async def listed(market: Market, who: Person, query: str = "") -> list[str]:
    """The ids of the auctions."""
    status, page = await market.call("GET", f"/users/me/bids{query}", who)
    assert status == 200, page
    return [item["auction"]["id"] for item in page["items"]]


async def test_a_bidder_finds_its_auctions_with_its_own_view_of_each(
    market: Market, client: Person, ann: Person, bob: Person
) -> None:
    open_one = await market.auction(client, title="Paint the gate")
    sealed = await market.auction(client, "sealed", auction={"soft_close": None})
    await market.bid(ann, open_one, 10_000)
    await market.bid(bob, open_one, 11_000)
    await market.bid(ann, sealed, 9_000)
    await market.bid(ann, sealed, 8_500)

    async def both() -> bool:
        return await listed(market, ann) == [sealed, open_one]  # the newest first, each once

    await until(both)
    _, page = await market.call("GET", "/users/me/bids", ann)
    hidden, shown = page["items"]
    assert (shown["job"]["title"], shown["job"]["owner"], shown["job"]["status"]) == (
        "Paint the gate",
        client.id,
        "open",
    )
    assert (shown["auction"]["price"], shown["auction"]["mine"]["leading"]) == (11_000, False)
    assert (hidden["auction"]["price"], hidden["auction"]["mine"]["limit"]) == (None, 8_500)
    assert "reserve_amount" not in str(page)
    assert page["next_cursor"] is None

    async def bobs() -> bool:
        return await listed(market, bob) == [open_one]

    await until(bobs)
    assert await listed(market, client) == []


async def test_what_runs_what_is_won_and_what_is_over_are_told_apart(
    market: Market, client: Person, ann: Person, bob: Person
) -> None:
    auction = await market.auction(client, auction={"end_at": market.later(1_500), "soft_close": None})
    await market.bid(bob, auction, 10_000)
    await market.bid(ann, auction, 11_000)

    async def told(who: Person) -> list[str]:
        return [status for status in ("running", "won", "over") if await listed(market, who, f"?status={status}")]

    async def became(who: Person, status: str) -> None:
        async def has() -> bool:
            return await told(who) == [status]

        await until(has)

    await became(ann, "won")
    await became(bob, "over")
    assert (await market.act(ann, auction, "decline"))[0] == 200
    await became(ann, "over")
    assert (await market.act(client, auction, "reopen", end_at=market.later(3_600_000)))[0] == 200
    await became(bob, "running")
    job = (await market.call("GET", f"/auctions/{auction}"))[1]["job"]
    assert (await market.call("POST", f"/jobs/{job}/cancel", client, {"reason": "Done by a friend"}))[0] == 200
    await became(bob, "over")


async def test_the_list_is_paged(market: Market, client: Person, ann: Person) -> None:
    auctions = [await market.auction(client) for _ in range(3)]
    for auction in auctions:
        await market.bid(ann, auction, 10_000)

    async def all_there() -> bool:
        return len(await listed(market, ann)) == 3

    await until(all_there)
    _, first = await market.call("GET", "/users/me/bids?limit=2", ann)
    _, rest = await market.call("GET", f"/users/me/bids?limit=2&cursor={first['next_cursor']}", ann)
    assert [item["auction"]["id"] for item in first["items"] + rest["items"]] == auctions[::-1]
    assert (first["next_cursor"] is not None, rest["next_cursor"]) == (True, None)
    _, counted = await market.call("GET", "/users/me/bids?page=1&limit=1", ann)
    assert (counted["total"], len(counted["items"])) == (3, 1)


@pytest.mark.parametrize("query", ["status=mine", "limit=0", "limit=101", "cursor=x", "page=0", "page=1&cursor=x"])
async def test_bad_questions_are_refused(market: Market, ann: Person, query: str) -> None:
    status, problem = await market.call("GET", f"/users/me/bids?{query}", ann)
    assert (status, problem["code"]) == (422, "VALIDATION_FAILED")


async def test_nobody_in_particular_has_none(market: Market) -> None:
    assert (await market.call("GET", "/users/me/bids"))[0] == 401


async def test_events_that_come_again_change_nothing(market: Market, client: Person, ann: Person) -> None:
    auction = await market.auction(client)
    await market.bid(ann, auction, 10_000)

    async def entries() -> list[dict[str, Any]]:
        return await Participation.get_pymongo_collection().find().to_list()

    async def entered() -> bool:
        return len(await entries()) == 1

    await until(entered)
    before = await entries()
    streams = market.context.streams
    await Participations(streams).handle(await streams.read(f"auction:{auction}", 0, 100))
    assert await entries() == before
