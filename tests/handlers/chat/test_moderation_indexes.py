"""Every query of moderation, as MongoDB's own profiler saw it answered: by an index, and in its order."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Final

from server.settings import Settings
from tests.handlers.bidding.test_indexes import profiled
from tests.handlers.chat.conftest import Chat
from tests.handlers.market import opened

COLLECTIONS: Final = ("audit", "bans", "blocks", "reports")

EXPECTED: Final = {
    ("audit", "", "IXSCAN { t: -1, _id: 1 }"),
    ("audit", "actor", "IXSCAN { actor: 1, t: -1, _id: 1 }"),
    ("audit", "action", "IXSCAN { action: 1, t: -1, _id: 1 }"),
    ("audit", "subject", "IXSCAN { subject: 1, t: -1, _id: 1 }"),
    ("bans", "", "IXSCAN { created_at: -1, _id: 1 }"),
    ("blocks", "blocker", "IXSCAN { blocker: 1, created_at: -1, _id: 1 }"),
    ("blocks", "_id", "IXSCAN { _id: 1 }"),  # either way, before a direct message
    ("reports", "", "IXSCAN { created_at: -1, _id: 1 }"),
    ("reports", "status", "IXSCAN { status: 1, created_at: -1, _id: 1 }"),
    ("reports", "resolution.pending", "IXSCAN { resolution.pending: 1 }"),
}
"""Collection, names of the fields in the condition, plan."""


async def moderate(market: Chat) -> None:
    """Everything once."""
    client, ann = await market.person("client"), await market.person("freelancer")
    moderator, admin = await market.moderator(), await market.person(admin=True)
    auction = await market.auction(client)
    assert (await market.bid(ann, auction, 10_000))[0] == 201
    room = await market.dm(client, ann)
    seq = await market.said(ann, room, "You fool")
    for action in ("none", "remove_messages"):
        _, made = await market.call("POST", f"/rooms/{room}/reports", client, {"messages": [seq], "reason": "spam"})
        where = f"/moderation/reports/{made['id']}"
        assert (await market.call("GET", where, moderator))[0] == 200
        assert (await market.call("POST", f"{where}/resolve", moderator, {"action": action}))[0] == 200
    for path, who, whom in (("/blocks", client, ann), ("/moderation/bans", moderator, ann)):
        assert (await market.call("POST", path, who, {"user": whom.id}))[0] == 201
        assert (await market.call("GET", path, who))[0] == 200
        assert (await market.call("DELETE", f"{path}/{whom.id}", who))[0] == 204
    for query in ("", "?status=open"):
        assert (await market.call("GET", f"/moderation/reports{query}", moderator))[0] == 200
    for query in ("", f"?actor={client.id}", "?action=ban.added", f"?subject=user:{ann.id}"):
        assert (await market.call("GET", f"/audit{query}", admin))[0] == 200


async def test_every_query_of_moderation_is_answered_by_an_index(settings: Settings) -> None:
    async with profiled(settings) as answered, opened(settings) as running, AsyncExitStack() as wires:
        market = Chat(running.context, running.http)
        market.wires = wires
        await moderate(market)
    ours = [one for one in answered if one.collection in COLLECTIONS]
    assert [one for one in ours if "COLLSCAN" in one.plan or one.sorted] == []
    assert EXPECTED - {(one.collection, one.asked, one.plan) for one in ours} == set()
