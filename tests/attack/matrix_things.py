"""The things that rows of the matrix name: who makes what, on a stage."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final

from handlers.chat.service import Rooms
from server.clock import new_id
from tests.attack.matrix_stage import BIDDERS, Stage
from tests.handlers.market import HOUR_MS

Maker = Callable[[Stage], Awaitable[None]]

MAKERS: Final[dict[str, Maker]] = {}
"""Who makes a thing, by its name; some are made together."""

_VERIFICATION: Final = re.compile(r"verify-email\?token=(\S+)")


def makes(*names: str) -> Callable[[Maker], Maker]:
    """Enter a maker for things."""

    def enter(maker: Maker) -> Maker:
        MAKERS.update(dict.fromkeys(names, maker))
        return maker

    return enter


@makes("job", "auction", "bid", "blocked_bid")
async def _auction(stage: Stage) -> None:
    job = await stage.job()
    bids = await stage.bids(job["auction"]["id"])
    stage.things |= {"job": job["id"], "auction": job["auction"]["id"]}
    stage.things |= {"bid": bids["member"], "blocked_bid": bids["blocked"]}


@makes("invited_job", "invited_auction", "invited_bid")
async def _invited(stage: Stage) -> None:
    """For those who are invited alone; an admin sees it, too."""
    job = await stage.job(visibility="invited", invited=await stage.ids(*BIDDERS))
    bids = await stage.bids(job["auction"]["id"])
    stage.things |= {"invited_job": job["id"], "invited_auction": job["auction"]["id"], "invited_bid": bids["member"]}


@makes("draft")
async def _draft(stage: Stage) -> None:
    stage.things["draft"] = (await stage.job(status="draft"))["id"]


@makes("sealed", "sealed_room")
async def _sealed(stage: Stage) -> None:
    """An auction of sealed bids, which runs, and its room, where bidders have pseudonyms."""
    job = await stage.job({"format": "sealed", "direction": "reverse"})
    auction = job["auction"]["id"]
    await stage.bids(auction, down=True)
    room, _ = await _job_room(stage, job["id"])
    stage.things |= {"sealed": auction, "sealed_room": room}


@makes("proposals", "proposals_job", "proposer")
async def _proposals(stage: Stage) -> None:
    job = await stage.job({"format": "proposal", "direction": "reverse"})
    for role in BIDDERS:
        offer = {"amount": 9_000, "delivery_days": 5, "cover_letter": "I like fences."}
        await stage.do(role, f"POST /auctions/{job['auction']['id']}/bids", offer)
    stage.things |= {"proposals": job["auction"]["id"], "proposals_job": job["id"]}
    stage.things["proposer"] = f"Bidder {1 + BIDDERS.index('member')}"


@makes("awarded")
async def _awarded(stage: Stage) -> None:
    """Awarded to the member, who has not answered yet."""
    await stage.have("proposals")
    stage.things["awarded"] = stage.things.pop("proposals")  # it takes none any more
    await stage.do("owner", f"POST /auctions/{stage.things['awarded']}/award", {"bidder": stage.things["proposer"]})


@makes("declined")
async def _declined(stage: Stage) -> None:
    await stage.have("awarded")
    stage.things["declined"] = stage.things["awarded"]
    await stage.do("member", f"POST /auctions/{stage.things['declined']}/decline", {})


@makes("work")
async def _work(stage: Stage) -> None:
    """A job that the member works on."""
    await stage.have("awarded")
    stage.things["work"] = stage.things["proposals_job"]
    await stage.do("member", f"POST /auctions/{stage.things['awarded']}/accept", {})


@makes("suspended")
async def _suspended(stage: Stage) -> None:
    """Its job was changed, so bids wait until they are reconfirmed."""
    job = await stage.job()
    stage.things["suspended"] = job["auction"]["id"]
    await stage.bids(stage.things["suspended"])
    await stage.do("owner", f"PATCH /jobs/{job['id']}", {"description": "Blue."})


@makes("paused")
async def _paused(stage: Stage) -> None:
    stage.things["paused"] = (await stage.job())["auction"]["id"]
    await stage.do("admin", f"POST /auctions/{stage.things['paused']}/pause", {})


@makes("room", "message", "blocked_message", "removed_message", "emoji")
async def _room(stage: Stage) -> None:
    """The room of a job: its client, the member, whom the client blocks, and one who was removed. All have said something."""
    await stage.have("job")
    room, said = await _job_room(stage, stage.things["job"])
    stage.things |= {"room": room, "message": said["member"], "emoji": "👍"}
    stage.things |= {"blocked_message": said["blocked"], "removed_message": said["removed"]}
    await stage.do("member", f"POST /rooms/{room}/messages/{said['member']}/reactions", {"emoji": "👍"})


@makes("invited_room")
async def _invited_room(stage: Stage) -> None:
    """The room of a job that not everybody sees."""
    await stage.have("invited_job")
    stage.things["invited_room"], _ = await _job_room(stage, stage.things["invited_job"])


@makes("dm", "dm_message")
async def _dm(stage: Stage) -> None:
    """The room of the owner and the member."""
    stage.things["dm"], stage.things["dm_message"] = await _dm_of(stage, "member")


@makes("blocked_dm", "blocked_dm_message")
async def _blocked_dm(stage: Stage) -> None:
    """The room of the owner and whom it has blocked since."""
    stage.things["blocked_dm"], stage.things["blocked_dm_message"] = await _dm_of(stage, "blocked")


@makes("left_dm", "left_dm_message")
async def _left_dm(stage: Stage) -> None:
    """The room of the owner and somebody whom a moderator has removed."""
    stage.things["left_dm"], stage.things["left_dm_message"] = await _dm_of(stage, "removed")
    await stage.remove("moderator", "removed", stage.things["left_dm"])


@makes("contract_room", "contract_message")
async def _contract_room(stage: Stage) -> None:
    """Rooms of contracts are opened by other parts of the server."""
    context = stage.market.context
    parties = dict.fromkeys(await stage.ids(*BIDDERS), "freelancer") | dict.fromkeys(await stage.ids("owner"), "client")
    room = await Rooms(context.streams, context.clock).contract_room(new_id(), parties)
    stage.things |= {"contract_room": room, "contract_message": await stage.say("member", room)}
    await stage.remove("moderator", "removed", room)


@makes("report")
async def _report(stage: Stage) -> None:
    """Of a message of the member's, by the owner."""
    await stage.have("room")
    body = {"messages": [stage.things["message"]], "reason": "spam"}
    stage.things["report"] = (await stage.do("owner", f"POST /rooms/{stage.things['room']}/reports", body))["id"]


@makes("webhook", "delivery")
async def _webhook(stage: Stage) -> None:
    """The owner's, with something that is to be delivered."""
    body = {"url": "https://example.com/hook", "events": ["job.created"]}
    stage.things["webhook"] = (await stage.do("owner", "POST /webhooks", body))["id"]
    stage.things["delivery"] = (await stage.do("owner", f"POST /webhooks/{stage.things['webhook']}/ping"))["id"]


@makes("stranger", "email", "refresh_token", "verification")
async def _stranger(stage: Stage) -> None:
    """Somebody who has no other part."""
    stranger = await stage.cast.newcomer("stranger")
    stage.things |= {"stranger": stranger.id, "email": stranger.email, "refresh_token": stranger.refresh}
    mail = await stage.market.context.db["mails"].find_one({"user": stranger.id})
    assert mail is not None
    found = _VERIFICATION.search(mail["text"])
    assert found is not None
    stage.things["verification"] = found[1]


@makes("colleague")
async def _colleague(stage: Stage) -> None:
    """Another moderator."""
    stage.things["colleague"] = (await stage.cast.newcomer("moderator")).id


@makes("banned")
async def _banned(stage: Stage) -> None:
    stage.things["banned"] = (await stage.cast.newcomer("banned")).id
    await stage.do("moderator", "POST /moderation/bans", {"user": stage.things["banned"], "reason": "Spam"})


@makes("session")
async def _session(stage: Stage) -> None:
    """A login of the owner's."""
    stage.things["session"] = (await stage.do("owner", "GET /auth/sessions"))["items"][0]["id"]


@makes("no_mail")
async def _no_mail(stage: Stage) -> None:
    """The mails that followed the registrations were sent long ago."""
    await stage.market.context.db["mails"].delete_many({})
    stage.things["no_mail"] = True


@makes("later")
async def _later(stage: Stage) -> None:
    """A time that is good for the end of an auction."""
    stage.things["later"] = stage.market.later(30 * HOUR_MS)


@makes("member_token")
async def _member_token(stage: Stage) -> None:
    stage.things["member_token"] = (await stage.person("member")).token


@makes("unknown")
async def _unknown(stage: Stage) -> None:
    """An id that nobody gave out."""
    stage.things["unknown"] = new_id()


async def _job_room(stage: Stage, job: str) -> tuple[str, dict[str, int]]:
    """The room of a job in which all who bid have said something, before one of them was removed; the seqs of the messages."""
    room = (await stage.do("owner", "POST /rooms", {"kind": "job", "job": job}))["id"]
    said = {role: await stage.say(role, room) for role in BIDDERS}
    await stage.remove("owner", "removed", room)
    return room, said


async def _dm_of(stage: Stage, role: str) -> tuple[str, int]:
    """The room of the owner and somebody who has bid, with a message of the latter's."""
    await stage.have("auction")
    user = (await stage.person(role)).id
    room = (await stage.do("owner", "POST /rooms", {"kind": "dm", "user": user}))["id"]
    return room, await stage.say(role, room)
