"""The audit log: every act once, for admins."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError

from handlers.chat.audit import AuditLog, NothingToDo
from models.block import Block
from tests.handlers.chat.conftest import Chat
from tests.handlers.market import Person
from tests.waiting import until


async def entries(market: Chat, admin: Person, query: str = "") -> list[Any]:
    status, page = await market.call("GET", f"/audit{query}", admin)
    assert status == 200, page
    return list(page["items"])


async def test_acts_are_entered_with_their_effects(
    market: Chat, room: str, client: Person, ann: Person, moderator: Person, admin: Person
) -> None:
    await market.call("POST", "/blocks", ann, {"user": client.id})
    await market.call("DELETE", f"/blocks/{client.id}", ann)
    seq = await market.said(ann, room, "You fool")
    _, made = await market.call("POST", f"/rooms/{room}/reports", client, {"messages": [seq], "reason": "abuse"})
    where = f"/moderation/reports/{made['id']}/resolve"
    assert (await market.call("POST", where, moderator, {"action": "none", "note": "Fine"}))[0] == 200
    await market.call("POST", "/moderation/bans", moderator, {"user": ann.id, "reason": "Spam"})
    await market.call("DELETE", f"/moderation/bans/{ann.id}", admin)
    found = [(one["actor"], one["action"], one["subject"], one["details"]) for one in await entries(market, admin)]
    assert found == [
        (admin.id, "ban.lifted", f"user:{ann.id}", {}),
        (moderator.id, "ban.added", f"user:{ann.id}", {"reason": "Spam"}),
        (moderator.id, "report.resolved", f"report:{made['id']}", {"resolution": "none", "note": "Fine"}),
        (client.id, "report.made", f"report:{made['id']}", {"reason": "abuse"}),
        (ann.id, "block.removed", f"user:{client.id}", {}),
        (ann.id, "block.added", f"user:{client.id}", {}),
    ]


async def test_what_moderators_do_in_rooms_is_entered_once(
    market: Chat, client: Person, ann: Person, bob: Person, moderator: Person, admin: Person
) -> None:
    job = await market.job(client, ann, bob)
    room = (await market.join(ann, job))["id"]
    await market.join(bob, job)
    seqs = [await market.said(ann, room, "One"), await market.said(ann, room, "Two")]
    await market.delete(ann, room, seqs[1])  # one's own is nobody's business
    await market.remove(client, room, bob.id)  # nor is what the client does
    assert (await market.delete(moderator, room, seqs[0]))[0] == 200
    assert (await market.remove(moderator, room, ann.id))[0] == 200

    async def found() -> bool:
        return len(await entries(market, admin, f"?subject=room:{room}")) == 2

    await until(found)
    removed, deleted = await entries(market, admin, f"?subject=room:{room}")
    assert (removed["action"], removed["details"]) == ("member.removed", {"member": ann.id})
    assert (deleted["action"], deleted["details"]) == ("message.removed", {"message": seqs[0]})
    assert removed["actor"] == deleted["actor"] == moderator.id
    stored = await market.context.streams.read(f"room:{room}")
    await AuditLog(market.context.clock).follow(stored)  # comes again, as it may
    assert await entries(market, admin, f"?subject=room:{room}") == [removed, deleted]


@pytest.mark.parametrize("format_", ["english", "sealed"])
async def test_what_admins_do_to_auctions_is_entered_once(
    market: Chat, client: Person, admin: Person, format_: str
) -> None:
    auction = await market.auction(client, format_)
    for what in ("pause", "resume"):
        assert (await market.act(admin, auction, what))[0] == 200

    async def found() -> bool:
        return len(await entries(market, admin, f"?subject=auction:{auction}")) == 2

    await until(found)
    acts = await entries(market, admin, f"?subject=auction:{auction}")
    assert [(act["actor"], act["action"]) for act in acts] == [
        (admin.id, "auction.resumed"),
        (admin.id, "auction.paused"),
    ]


async def test_the_filters_and_the_pages(market: Chat, client: Person, ann: Person, bob: Person, admin: Person) -> None:
    for who, whom in ((client, ann), (client, bob), (ann, bob)):
        await market.call("POST", "/blocks", who, {"user": whom.id})
    for query, count in (
        (f"?actor={client.id}", 2),
        (f"?subject=user:{bob.id}", 2),
        ("?action=block.added", 3),
        (f"?actor={client.id}&subject=user:{bob.id}&action=block.added", 1),
        ("?action=ban.added", 0),
    ):
        assert len(await entries(market, admin, query)) == count
    _, page = await market.call("GET", "/audit?limit=2", admin)
    _, rest = await market.call("GET", f"/audit?limit=2&cursor={page['next_cursor']}", admin)
    assert len({entry["id"] for entry in page["items"] + rest["items"]}) == 3
    assert rest["next_cursor"] is None


async def test_it_is_for_admins(market: Chat, client: Person, moderator: Person, admin: Person) -> None:
    for who, status in ((None, 401), (client, 403), (moderator, 403), (admin, 200)):
        assert (await market.call("GET", "/audit", who))[0] == status
    assert (await market.call("GET", "/audit?actor=%00", admin))[0] == 422


async def test_act_and_entry_are_both_there_or_neither(market: Chat, client: Person) -> None:
    log = AuditLog(market.context.clock)
    blocks = Block.get_pymongo_collection()

    async def write(session: AsyncClientSession) -> None:
        await blocks.insert_one({"_id": "a#b", "blocker": "a", "blocked": "b", "created_at": 1}, session=session)

    async def fail(session: AsyncClientSession) -> None:
        await write(session)
        raise NothingToDo

    async def counts() -> tuple[int, int]:
        return await blocks.count_documents({}), await market.context.db["audit"].count_documents({})

    with pytest.raises(NothingToDo):
        await log.with_entry("act", "a", "block.added", "user:b", fail)
    assert await counts() == (0, 0)
    await log.with_entry("act", "a", "block.added", "user:b", write)
    assert await counts() == (1, 1)
    await blocks.delete_many({})
    with pytest.raises(DuplicateKeyError):  # the same act again has no effect either
        await log.with_entry("act", "a", "block.added", "user:b", write)
    assert await counts() == (0, 1)


async def test_many_at_a_time_make_one(market: Chat, client: Person, ann: Person) -> None:
    answers = await asyncio.gather(*(market.call("POST", "/blocks", client, {"user": ann.id}) for _ in range(10)))
    assert {status for status, _ in answers} == {201}
    assert len({answer["created_at"] for _, answer in answers}) == 1
    assert await market.context.db["audit"].count_documents({}) == 1
