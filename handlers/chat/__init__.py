"""Rooms of two people, of jobs and of contracts: what is said in them, who has read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.chat.history import History
from handlers.chat.moderation import add_moderation
from handlers.chat.namespace import chat_namespace
from handlers.chat.presence import add_presence
from handlers.chat.receipts import Receipts
from handlers.chat.redaction import Redaction
from handlers.chat.rest import add_routes
from handlers.chat.service import Rooms
from handlers.chat.tasks import Listings, Unveiling
from handlers.chat.views import RoomViews
from models.membership import Membership
from models.message import Message
from models.room import Room
from models.rules.auction.naming import SEALED_KIND
from models.rules.room.naming import ROOM_KIND
from models.rules.room.rules import ROOM_RULES
from server.streams.followers import Follower
from server.streams.kinds import StreamKind

if TYPE_CHECKING:
    from server.context import Context


def setup(context: Context) -> None:
    """Register the streams, documents, routes, sockets and background work of rooms."""
    rooms = Rooms(context.streams, context.clock)
    receipts = Receipts(rooms, context.hub)
    views = RoomViews(rooms, receipts)
    redaction = Redaction(context.streams)
    context.streams.register(
        StreamKind(
            ROOM_KIND,
            ROOM_RULES,
            authorise=rooms.authorise,
            view=views.stream_view,
            on_commit=redaction.react,
            guards=("member_removed",),
        )
    )
    context.documents.extend([Room, Membership, Message])
    add_routes(context.router, rooms, views, History(rooms), receipts)
    namespace = context.sockets.add(chat_namespace(rooms, receipts))
    add_presence(context, namespace, rooms, add_moderation(context, rooms))
    context.followers.add(Follower("chat.rooms", (ROOM_KIND,), Listings(rooms).handle))
    context.followers.add(Follower("chat.redaction", (ROOM_KIND,), redaction.handle))
    context.followers.add(
        Follower("chat.unveiling", (ROOM_KIND, SEALED_KIND), Unveiling(rooms, context.streams).handle)
    )
