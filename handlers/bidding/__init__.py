"""Auctions of all formats: live bidding, award, the verifiable log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.bidding.namespace import bidding_namespace
from handlers.bidding.participations import Participations
from handlers.bidding.projection import Projection
from handlers.bidding.rest import add_routes
from handlers.bidding.service import Auctions
from handlers.bidding.tasks import Listings, Retractions, keep_time
from models.auction import Auction
from models.block import CHANGES as BLOCKS_CHANGED
from models.block import blocked_by
from models.participation import Participation
from models.retraction import Retraction
from models.rules.auction.naming import PUBLIC_KIND, SEALED_KIND
from models.rules.auction.rules import AUCTION_RULES
from server.recent import Recent
from server.streams.followers import Follower
from server.streams.kinds import StreamKind

if TYPE_CHECKING:
    from server.context import Context


def setup(context: Context) -> None:
    """Register auctions' streams, routes, sockets and background work."""
    projection = Projection(context.streams)
    blocks = Recent(context.redis, BLOCKS_CHANGED, blocked_by)
    auctions = Auctions(context.streams, context.clock, projection, blocks.get)
    context.streams.register(
        StreamKind(PUBLIC_KIND, AUCTION_RULES, authorise=auctions.authorise, view=auctions.stream_view)
    )
    context.streams.register(StreamKind(SEALED_KIND, AUCTION_RULES, on_commit=projection.react))
    context.documents.extend([Auction, Participation, Retraction])
    add_routes(context.router, auctions)
    context.sockets.add(bidding_namespace(auctions))
    listings = Listings(context.streams, projection)
    context.followers.add(Follower("bidding.listings", (PUBLIC_KIND, SEALED_KIND), listings.handle))
    retractions = Retractions(context.streams)
    context.followers.add(Follower("bidding.retractions", (PUBLIC_KIND,), retractions.handle))
    participations = Participations(context.streams)
    context.followers.add(Follower("bidding.participations", (PUBLIC_KIND, SEALED_KIND), participations.handle))
    context.tasks["bidding.timers"] = keep_time
