"""Reports: the messages as they were, and what moderators make of them."""

from __future__ import annotations

import asyncio
from typing import Any

from handlers.chat.audit import AuditLog
from handlers.chat.bans import Bans
from handlers.chat.history import History
from handlers.chat.reports import Reports
from handlers.chat.service import Rooms
from server.clock import new_id
from tests.handlers.chat.conftest import Chat
from tests.handlers.market import Person
from tests.waiting import until


async def report(
    market: Chat, who: Person | None, room: str, *seqs: int, key: str | None = None, **fields: Any
) -> tuple[int, Any]:
    body = {"messages": list(seqs), "reason": "abuse", **fields}
    return await market.call("POST", f"/rooms/{room}/reports", who, body, key)


async def reported(market: Chat, who: Person, room: str, *seqs: int) -> str:
    """The id of a report."""
    status, made = await report(market, who, room, *seqs)
    assert status == 201, made
    return str(made["id"])


async def resolve(
    market: Chat, who: Person | None, report_id: str, action: str, note: str = "", key: str | None = None
) -> tuple[int, Any]:
    return await market.call(
        "POST", f"/moderation/reports/{report_id}/resolve", who, {"action": action, "note": note}, key
    )


async def show(market: Chat, who: Person, report_id: str) -> Any:
    status, shown = await market.call("GET", f"/moderation/reports/{report_id}", who)
    assert status == 200, shown
    return shown


async def test_it_keeps_the_messages_and_their_versions(
    market: Chat, room: str, client: Person, ann: Person, moderator: Person
) -> None:
    first = await market.said(ann, room, "You are a fool")
    await market.said(client, room, "Am I")
    last = await market.said(ann, room, "Yes")
    assert (await market.edit(ann, room, first, "You are an utter fool"))[0] == 200
    status, made = await report(market, client, room, last, first, last, note="Look at this")
    assert (status, made["status"]) == (201, "open")
    assert (await market.edit(ann, room, first, "You are nice"))[0] == 200
    assert (await market.delete(ann, room, last))[0] == 200
    shown = await show(market, moderator, made["id"])
    one, two = shown.pop("messages")
    assert shown == {
        "id": made["id"],
        "room": room,
        "reporter": client.id,
        "reason": "abuse",
        "note": "Look at this",
        "status": "open",
        "created_at": made["created_at"],
        "resolution": None,
    }
    assert (one["seq"], one["user"], one["text"]) == (first, ann.id, "You are an utter fool")
    assert [version["text"] for version in one["versions"]] == ["You are a fool", "You are an utter fool"]
    assert one["t"] == one["versions"][0]["t"]
    assert (two["seq"], two["text"]) == (last, "Yes")
    assert "deleted" not in two


async def test_what_was_deleted_before_can_be_reported(
    market: Chat, room: str, client: Person, ann: Person, moderator: Person
) -> None:
    seq = await market.said(ann, room, "You fool")
    await market.delete(ann, room, seq)
    [message] = (await show(market, moderator, await reported(market, client, room, seq)))["messages"]
    assert (message["text"], message["deleted"]) == ("You fool", "author")


async def test_pseudonyms_stay_pseudonyms(
    market: Chat, client: Person, ann: Person, bob: Person, moderator: Person
) -> None:
    job = await market.job(client, ann, bob, format_="sealed")
    room = (await market.join(ann, job))["id"]
    await market.join(bob, job)
    seq = await market.said(ann, room, "You fool")
    text = str(await show(market, moderator, await reported(market, bob, room, seq)))
    _, audit = await market.call("GET", "/audit?action=report.made", await market.person(admin=True))
    for secret in (ann.id, bob.id):
        assert secret not in text + str(audit)
    assert text.count("Guest ") == 2


async def test_messages_are_removed(market: Chat, room: str, client: Person, ann: Person, moderator: Person) -> None:
    seqs = [await market.said(ann, room, text) for text in ("One", "Two", "Three")]
    report_id = await reported(market, client, room, *seqs[:2])
    await market.delete(ann, room, seqs[0])
    status, done = await resolve(market, moderator, report_id, "remove_messages", "Not here")
    assert (status, done["status"]) == (200, "resolved")
    assert done["resolution"]["done"] is True
    assert (done["resolution"]["action"], done["resolution"]["by"]) == ("remove_messages", moderator.id)
    assert [item.get("deleted") for item in await market.items(client, room)] == ["author", "moderator", None]
    assert (await resolve(market, moderator, report_id, "remove_messages", "Not here"))[0] == 200
    events = [event for event in await market.events(client, room) if event["type"] == "deleted"]
    assert len(events) == 2


async def test_their_authors_are_removed(
    market: Chat, client: Person, ann: Person, bob: Person, moderator: Person
) -> None:
    job = await market.job(client, ann, bob, format_="sealed")
    room = (await market.join(ann, job))["id"]
    await market.join(bob, job)
    seq = await market.said(ann, room, "You fool")
    report_id = await reported(market, bob, room, seq)
    assert (await resolve(market, moderator, report_id, "remove_member"))[0] == 200
    assert (await market.say(ann, room, "What?"))[1]["code"] == "FORBIDDEN"
    assert (await market.say(bob, room, "Thanks"))[0] == 201
    removed = [event for event in await market.events(bob, room) if event["type"] == "member_removed"]
    assert [event["by"] for event in removed] == ["moderator"]


async def test_their_authors_are_banned(
    market: Chat, room: str, client: Person, ann: Person, moderator: Person
) -> None:
    report_id = await reported(market, client, room, await market.said(ann, room, "You fool"))
    assert (await resolve(market, moderator, report_id, "ban", "Enough"))[0] == 200
    assert (await market.say(ann, room, "What?"))[1]["code"] == "FORBIDDEN"
    _, bans = await market.call("GET", "/moderation/bans", moderator)
    assert [(ban["user"], ban["by"]) for ban in bans["items"]] == [(ann.id, moderator.id)]


async def test_admins_are_not_banned_by_moderators(market: Chat, client: Person, moderator: Person) -> None:
    admin = await market.person("both", admin=True)
    room = await market.dm(client, admin)
    report_id = await reported(market, client, room, await market.said(admin, room, "You fool"))
    assert (await resolve(market, moderator, report_id, "ban"))[1]["code"] == "FORBIDDEN"
    assert (await show(market, moderator, report_id))["status"] == "open"


async def test_two_moderators_decide_once(
    market: Chat, room: str, client: Person, ann: Person, moderator: Person, admin: Person
) -> None:
    seq = await market.said(ann, room, "You fool")
    report_id = await reported(market, client, room, seq)
    answers = await asyncio.gather(
        resolve(market, moderator, report_id, "none"), resolve(market, admin, report_id, "remove_messages")
    )
    assert sorted(status for status, _ in answers) == [200, 409]
    decided = (await show(market, moderator, report_id))["resolution"]
    assert decided["by"] == (moderator if answers[0][0] == 200 else admin).id
    [message] = await market.items(client, room)
    assert message.get("deleted") == (None if decided["action"] == "none" else "moderator")
    assert await market.context.db["audit"].count_documents({"action": "report.resolved"}) == 1


async def test_a_decision_whose_process_died_is_carried_out(
    market: Chat, room: str, client: Person, ann: Person, moderator: Person
) -> None:
    seq = await market.said(ann, room, "You fool")
    for action in ("remove_messages", "ban"):
        report_id = await reported(market, client, room, seq)
        long_ago = market.context.clock.now() - 60_000
        decided = {"action": action, "by": moderator.id, "note": "", "at": long_ago, "pending": long_ago}
        await market.context.db["reports"].update_one(
            {"_id": report_id}, {"$set": {"status": "resolved", "resolution": decided}}
        )
        rooms = Rooms(market.context.streams, market.context.clock)
        audit = AuditLog(market.context.clock)
        bans = Bans(audit, market.context.clock, market.context.redis)
        await Reports(rooms, History(rooms), audit, bans, market.context.clock).sweep()
        assert (await show(market, moderator, report_id))["resolution"]["done"] is True
    assert (await market.items(client, room))[0]["deleted"] == "moderator"
    assert await market.context.db["bans"].count_documents({"_id": ann.id}) == 1
    assert await market.context.db["audit"].count_documents({"action": "ban.added", "actor": moderator.id}) == 1

    async def entered() -> bool:
        wanted = {"action": "message.removed", "actor": moderator.id, "subject": f"room:{room}"}
        return await market.context.db["audit"].count_documents(wanted) == 1

    await until(entered)


async def test_a_request_that_comes_again_makes_one_report(
    market: Chat, room: str, client: Person, ann: Person, moderator: Person
) -> None:
    seq = await market.said(ann, room, "You fool")
    first = await report(market, client, room, seq, key="once")
    await market.context.db["idempotency"].delete_many({})  # as if the process had died before the answer was kept
    assert await report(market, client, room, seq, key="once") == first
    assert await market.context.db["reports"].count_documents({}) == 1
    assert await market.context.db["audit"].count_documents({"action": "report.made"}) == 1


async def test_the_list(market: Chat, room: str, client: Person, ann: Person, moderator: Person) -> None:
    seq = await market.said(ann, room, "You fool")
    ids = [await reported(market, client, room, seq) for _ in range(3)]
    await resolve(market, moderator, ids[1], "none")
    for query, expected in (
        ("", [ids[2], ids[1], ids[0]]),
        ("?status=open", [ids[2], ids[0]]),
        ("?status=resolved", [ids[1]]),
    ):
        status, page = await market.call("GET", f"/moderation/reports{query}", moderator)
        assert (status, [item["id"] for item in page["items"]]) == (200, expected)
    _, page = await market.call("GET", "/moderation/reports?limit=2", moderator)
    _, rest = await market.call("GET", f"/moderation/reports?limit=2&cursor={page['next_cursor']}", moderator)
    assert [item["id"] for item in rest["items"]] == [ids[0]]
    assert (await market.call("GET", "/moderation/reports?status=odd", moderator))[0] == 422


async def test_who_may_not_and_what_is_none(
    market: Chat, room: str, client: Person, ann: Person, eve: Person, moderator: Person
) -> None:
    seq = await market.said(ann, room, "You fool")
    for who, where, status in (
        (None, room, 401),
        (eve, room, 403),
        (moderator, room, 403),
        (client, new_id(), 404),
        (client, room, 201),
    ):
        assert (await report(market, who, where, seq))[0] == status
    assert (await report(market, ann, room, seq))[1]["code"] == "VALIDATION_FAILED"  # one's own
    for body in (
        {},
        {"messages": [], "reason": "spam"},
        {"messages": [seq + 100], "reason": "spam"},
        {"messages": [1], "reason": "spam"},
        {"messages": [0], "reason": "spam"},
        {"messages": ["1"], "reason": "spam"},
        {"messages": [seq] * 21, "reason": "spam"},
        {"messages": [seq], "reason": "dislike"},
        {"messages": [seq], "reason": "spam", "note": "x" * 2_001},
        {"messages": [seq], "reason": "spam", "note": "\x07"},
    ):
        assert (await market.call("POST", f"/rooms/{room}/reports", client, body))[0] == 422
    report_id = await reported(market, client, room, seq)
    for who, status in ((None, 401), (client, 403), (eve, 403)):
        assert (await market.call("GET", "/moderation/reports", who))[0] == status
        assert (await market.call("GET", f"/moderation/reports/{report_id}", who))[0] == status
        assert (await resolve(market, who, report_id, "none"))[0] == status
    assert (await market.call("GET", f"/moderation/reports/{new_id()}", moderator))[0] == 404
    assert (await resolve(market, moderator, new_id(), "none"))[0] == 404
    assert (await resolve(market, moderator, report_id, "burn"))[0] == 422
