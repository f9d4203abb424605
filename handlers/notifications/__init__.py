"""Notifications: what happens in auctions and rooms, told to whom it concerns, in a stream of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.notifications.announcer import Announcer
from handlers.notifications.auctions import KINDS, AuctionNews
from handlers.notifications.logins import Logins
from handlers.notifications.namespace import notifications_namespace, unread_after
from handlers.notifications.rest import add_routes
from handlers.notifications.rooms import RoomNews
from handlers.notifications.service import Inboxes
from models.announcement import Announcement
from models.rules.inbox.auctions import Leads
from models.rules.inbox.notices import INBOX_KIND
from models.rules.inbox.rules import INBOX_RULES
from models.rules.room.naming import ROOM_KIND
from server.streams.followers import Follower
from server.streams.kinds import StreamKind

if TYPE_CHECKING:
    from server.context import Context


def setup(context: Context) -> None:
    """Register inboxes' streams, routes, sockets, followers and background work."""
    settings = context.settings
    inboxes = Inboxes(context.streams, settings.notify_at_once)
    context.streams.register(StreamKind(INBOX_KIND, INBOX_RULES, authorise=inboxes.authorise, companion=unread_after))
    context.documents.append(Announcement)
    add_routes(context.router, inboxes)
    context.sockets.add(notifications_namespace(inboxes))
    leads = Leads(settings.notify_closing_s * 1000, settings.notify_award_expiring_s * 1000)
    auctions = AuctionNews(context.streams, context.clock, inboxes, leads, settings.notify_max_age_s * 1000)
    context.followers.add(Follower("notifications.auctions", KINDS, auctions.handle))
    rooms = RoomNews(context.streams, context.clock, context.redis, inboxes, settings.notify_max_age_s * 1000)
    context.followers.add(Follower("notifications.rooms", (ROOM_KIND,), rooms.handle))
    context.tasks["notifications.announcer"] = Announcer(context.streams, context.clock, inboxes).run
    context.tasks["notifications.logins"] = Logins(inboxes).run
