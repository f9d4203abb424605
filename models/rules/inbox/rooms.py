"""What of a room's events is told to whom: messages to members who don't see them anyway, mentions to whoever is named.

Names stay what the room shows: while a sealed auction runs its bidders are guests, here too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from models.rules.inbox.notices import Notice, excerpt
from models.rules.room.naming import room_id
from models.rules.room.state import State
from models.rules.stream import Event


@dataclass(frozen=True, slots=True)
class Audience:
    """What members of a room do beside its events.

    Attributes:
        attending: until when (ms) users watched the room, on any device; later than now for those who still do.
        muted: of those who want to hear nothing of it.
        read: up to which seq they have read it.
    """

    attending: Mapping[str, int]
    muted: Collection[str]
    read: Mapping[str, int]

    def misses(self, user: str, message: Event) -> bool:
        """Whether a user would not know of a message otherwise, and wants to."""
        was_there = self.attending.get(user, 0) > message.t
        return not was_there and user not in self.muted and self.read.get(user, 0) < message.seq


def room_notices(
    source: str,
    events: Iterable[Event],
    state: State,
    audience: Audience,
    *,
    title: str | None,
    names: Mapping[str, str],
) -> list[Notice]:
    """The notices of some events of a room.

    Args:
        source: its stream. state: as of the last of the events or later.
        title: of its job. names: of users, by id.
    """
    notices = []
    for event in events:
        if event.type != "message" or state.deleted.get(event.seq) is not None:
            continue
        author = event.private["id"]
        mentioned = event.private.get("mentioned", ())
        data = _data(source, event, state, title, names)
        for member in state.current_members():
            if member.user == author or member.since > event.seq:
                continue
            if member.user in mentioned:
                notices.append(Notice(member.user, "mention", source, event.seq, data=data))
            elif audience.misses(member.user, event):
                notices.append(Notice(member.user, "message", source, event.seq, data=data))
    return notices


def _data(source: str, event: Event, state: State, title: str | None, names: Mapping[str, str]) -> dict[str, Any]:
    shown, author = event.public["user"], event.private["id"]
    edited = state.recent.get(event.seq)
    return {
        "room": room_id(source),
        "room_kind": state.kind,
        "job": state.job,
        "title": title,
        "message": event.seq,
        "user": shown,
        "name": names.get(author) if shown == author else None,
        "excerpt": excerpt(event.public["text"] if edited is None else edited.text),
    }
