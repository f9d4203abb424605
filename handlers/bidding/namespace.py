"""Bidding over sockets: parse, authorise, call the service, render."""

from __future__ import annotations

from typing import Any, Final

from handlers.bidding.events import AuctionEvent
from handlers.bidding.rest import BID_ERRORS, RETRACT_ERRORS, bid_payload
from handlers.bidding.schemas import Placed, Retracted, SocketBid, SocketRetract
from handlers.bidding.service import Auctions
from server.realtime import Connection, Namespace
from server.streams.pending import Answer

_ANONYMOUS: Final = "UNAUTHENTICATED"
"""What those are answered who connected without a token."""


def bidding_namespace(auctions: Auctions) -> Namespace:
    """The namespace `/bidding`; without a token it is read-only."""
    namespace = Namespace(
        "/bidding",
        anonymous=True,
        watchers=True,
        carries=(AuctionEvent,),
        description="Live auctions. Without a token: read-only.",
    )

    async def bid(connection: Connection, body: SocketBid) -> dict[str, Any]:
        return _ack(await auctions.bid(connection.require(), body.auction, bid_payload(body), body.key))

    async def retract(connection: Connection, body: SocketRetract) -> dict[str, Any]:
        payload = {"seq": body.seq, "reason": body.reason}
        return _ack(await auctions.retract(connection.require(), body.auction, payload, body.key))

    command = namespace.command
    command("bid", SocketBid, bid, answer=Placed, summary="Place a bid", errors=(_ANONYMOUS, *BID_ERRORS))
    command(
        "retract",
        SocketRetract,
        retract,
        answer=Retracted,
        summary="Take a bid back",
        errors=(_ANONYMOUS, *RETRACT_ERRORS),
    )
    return namespace


def _ack(answer: Answer) -> dict[str, Any]:
    return {**answer.fields, **({"replayed": True} if answer.replayed else {})}
