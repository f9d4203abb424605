"""Following rooms: messages become notices for members who are elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from handlers.notifications.service import Inboxes
from handlers.notifications.wording import names_of, title_of
from models.membership import Membership, membership_id
from models.rules.inbox.notices import Notice
from models.rules.inbox.rooms import Audience, room_notices
from models.rules.room.naming import room_id
from models.rules.room.state import State
from server.clock import Clock
from server.realtime.attendance import attendance
from server.streams.event import StoredEvent
from server.streams.redis_link import RedisLink
from server.streams.streams import Streams


class RoomNews:
    """A follower of rooms.

    Args:
        streams: where rooms live. clock: the cluster's clock. redis: knows who watches them now. inboxes: where notices go.
        max_age_ms: what is older is no news.
    """

    def __init__(self, streams: Streams, clock: Clock, redis: RedisLink, inboxes: Inboxes, max_age_ms: int) -> None:
        self._streams = streams
        self._clock = clock
        self._redis = redis
        self._inboxes = inboxes
        self._max_age_ms = max_age_ms

    async def handle(self, events: Sequence[StoredEvent]) -> None:
        """Tell of the messages, and no more of those deleted. What comes again is in the inboxes already."""
        since = self._clock.now() - self._max_age_ms
        rooms: dict[str, list[StoredEvent]] = {}
        for event in events:
            if event.type == "message" and event.t >= since:
                rooms.setdefault(event.stream, []).append(event)
        notices: list[Notice] = []
        for stream, messages in rooms.items():
            notices += await self._notices(stream, messages)
        await self._inboxes.deliver(notices)
        for event in events:
            if event.type == "deleted":
                state: State = (await self._streams.current(event.stream)).state
                users = [member.user for member in state.members]
                await self._inboxes.unsay(users, event.stream, event.public["message"])

    async def _notices(self, stream: str, messages: list[StoredEvent]) -> list[Notice]:
        names = await names_of({message.private["id"] for message in messages})
        state: State = (await self._streams.current(stream)).state
        title = await title_of(state.job) if state.job is not None else None
        members = [member.user for member in state.current_members()]
        audience = await self._audience(stream, members)
        return room_notices(stream, messages, state, audience, title=title, names=names)

    async def _audience(self, stream: str, members: Iterable[str]) -> Audience:
        room = room_id(stream)
        wanted = {"_id": {"$in": [membership_id(room, user) for user in members]}}
        found = await Membership.get_pymongo_collection().find(wanted).to_list()
        return Audience(
            attending=await attendance(self._redis, stream),
            muted={membership["user"] for membership in found if membership.get("muted")},
            read={membership["user"]: membership.get("read_seq", 0) for membership in found},
        )
