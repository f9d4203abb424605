"""Auctions over HTTP: parse, authorise, call the service, render."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel

from handlers.bidding.participations import list_own_bids
from handlers.bidding.schemas import (
    AuctionView,
    AwardBody,
    BidBody,
    CounterBody,
    DeclineBody,
    Done,
    NoBody,
    OwnBids,
    OwnBidsQuery,
    PlacedRest,
    ReconfirmBody,
    ReopenBody,
    RetractBody,
)
from handlers.bidding.service import Auctions
from server.errors import AppError
from server.streams.pending import Answer
from server.web.paging import Listed
from server.web.router import Call, Router

_TAGS: Final = ("auctions",)
_JSON_LINES: Final = "application/x-ndjson"
_BASE: Final = ("AUCTION_NOT_FOUND", "UNAVAILABLE")
BID_ERRORS: Final = (
    *_BASE,
    "FORBIDDEN",
    "NOT_INVITED",
    "SELF_BID",
    "BLOCKED",
    "AUCTION_NOT_OPEN",
    "AUCTION_CLOSED",
    "AUCTION_PAUSED",
    "AMOUNT_INVALID",
    "CURRENCY_MISMATCH",
    "BEYOND_START",
    "BID_TOO_WEAK",
    "ALREADY_LEADING",
    "LIMIT_NOT_IMPROVED",
    "CONFIRM_REQUIRED",
    "STALE_STATE",
    "IDEMPOTENCY_MISMATCH",
)
RETRACT_ERRORS: Final = (
    *_BASE,
    "RETRACT_NOT_ALLOWED",
    "AUCTION_NOT_OPEN",
    "AUCTION_CLOSED",
    "AUCTION_PAUSED",
    "IDEMPOTENCY_MISMATCH",
)
_COMMANDS: Final[tuple[tuple[str, type[BaseModel], str, tuple[str, ...], bool], ...]] = (
    ("award", AwardBody, "Choose a bidder", ("FORBIDDEN", "AWARD_CONFLICT", "AUCTION_CLOSED"), False),
    ("accept", NoBody, "Accept an award", ("FORBIDDEN", "AWARD_CONFLICT"), False),
    ("decline", DeclineBody, "Decline an award", ("FORBIDDEN", "AWARD_CONFLICT"), False),
    ("reopen", ReopenBody, "Let a closed auction run again", ("FORBIDDEN", "AWARD_CONFLICT", "AUCTION_CLOSED"), False),
    (
        "reconfirm",
        ReconfirmBody,
        "Have one's suspended bids count again",
        ("FORBIDDEN", "BLOCKED", "STALE_STATE", "AUCTION_NOT_OPEN", "AUCTION_CLOSED", "AUCTION_PAUSED"),
        False,
    ),
    (
        "counter",
        CounterBody,
        "Make a counter-offer on a proposal",
        (
            "FORBIDDEN",
            "BLOCKED",
            "AMOUNT_INVALID",
            "BEYOND_START",
            "CONFIRM_REQUIRED",
            "AUCTION_NOT_OPEN",
            "AUCTION_CLOSED",
            "AUCTION_PAUSED",
        ),
        False,
    ),
    ("pause", NoBody, "Refuse bids until resumed", ("AUCTION_NOT_OPEN", "AUCTION_CLOSED"), True),
    ("resume", NoBody, "Take bids again; the end moves by the pause", ("AUCTION_CLOSED",), True),
)


def add_routes(router: Router, auctions: Auctions) -> None:
    """Add the routes of auctions."""
    rest = _Rest(auctions)
    router.add(
        "GET",
        "/auctions/{id}",
        rest.view,
        summary="An auction",
        tags=_TAGS,
        answer=AuctionView,
        auth="optional",
        errors=_BASE,
    )
    router.add(
        "POST",
        "/auctions/{id}/bids",
        rest.bid,
        summary="Place a bid",
        tags=_TAGS,
        body=BidBody,
        answer=PlacedRest,
        status=201,
        errors=BID_ERRORS,
        needs_key=True,
    )
    router.add(
        "POST",
        "/auctions/{id}/bids/{seq}/retract",
        rest.retract,
        summary="Take a bid back",
        tags=_TAGS,
        body=RetractBody,
        answer=Done,
        errors=RETRACT_ERRORS,
        own_key=True,
    )
    for name, body, summary, errors, admin in _COMMANDS:
        router.add(
            "POST",
            f"/auctions/{{id}}/{name}",
            rest.commanding(name),
            summary=summary,
            tags=_TAGS,
            body=body,
            answer=Done,
            errors=(*_BASE, *errors, "IDEMPOTENCY_MISMATCH"),
            own_key=True,
            admin=admin,
        )
    router.add(
        "GET",
        "/auctions/{id}/log",
        rest.log,
        summary="The public log, verifiable",
        description="JSON Lines: one event a line, each linked to the one before by `hash`. `rialto verify-log` checks it.",
        tags=_TAGS,
        media=(_JSON_LINES,),
        auth="optional",
        errors=_BASE,
    )
    router.add(
        "GET",
        "/auctions/{id}/export",
        rest.export,
        summary="The auditor's export, with salts and private fields",
        tags=_TAGS,
        media=(_JSON_LINES,),
        admin=True,
        errors=(*_BASE, "CONFLICT"),
    )
    router.add(
        "GET",
        "/users/me/bids",
        rest.own_bids,
        summary="The auctions in which one has bid",
        description="The one first bid in most recently comes first. An auction is listed soon after the bid, not at once.",
        tags=_TAGS,
        query=OwnBidsQuery,
        answer=Listed[OwnBids],
    )


class _Rest:
    def __init__(self, auctions: Auctions) -> None:
        self._auctions = auctions

    async def view(self, call: Call) -> object:
        return await self._auctions.view(call.principal, call.path["id"])

    async def bid(self, call: Call) -> object:
        body: BidBody = call.body
        assert call.key is not None  # the route needs one
        return _done(await self._auctions.bid(call.user, call.path["id"], bid_payload(body), call.key))

    async def retract(self, call: Call) -> object:
        seq = _seq(call.path["seq"])
        payload = {"seq": seq, "reason": call.body.reason}
        return _done(await self._auctions.retract(call.user, call.path["id"], payload, call.key))

    def commanding(self, name: str) -> Any:
        """The handler of one of `_COMMANDS`."""

        async def handle(call: Call) -> object:
            # times are held as ms in the model, which is what the rules take
            payload = {field: getattr(call.body, field) for field in type(call.body).model_fields}
            return _done(await self._auctions.command(call.user, call.path["id"], name, payload, call.key))

        return handle

    async def log(self, call: Call) -> object:
        return await _json_lines(call, await self._auctions.log(call.principal, call.path["id"]))

    async def own_bids(self, call: Call) -> object:
        return await list_own_bids(self._auctions, call.user, call.query)

    async def export(self, call: Call) -> object:
        return await _json_lines(call, await self._auctions.export(call.path["id"]))


def bid_payload(body: BidBody) -> dict[str, Any]:
    """What the rules see of a bid: only what was said, so that a retry may spell out defaults or leave them."""
    return {field: value for field, value in body.model_dump(exclude={"auction", "key"}).items() if value is not None}


def _done(answer: Answer) -> dict[str, Any]:
    return {"ok": True, **answer.fields, **({"replayed": True} if answer.replayed else {})}


def _seq(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise AppError("NOT_FOUND", "No such bid")
    return int(text)


async def _json_lines(call: Call, lines: AsyncIterator[bytes]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": _JSON_LINES, "Cache-Control": "no-store"})
    first = await anext(lines, b"")  # failures before the first byte are still a problem+json
    await response.prepare(call.request)
    if call.request.method != "HEAD":  # aiohttp would send the body, and the client take it for the next answer
        await response.write(first)
        async for some in lines:
            await response.write(some)
    await response.write_eof()
    return response
