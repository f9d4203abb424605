"""Notifications: commands in, views out, events emitted."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from models.rules.inbox.notices import KINDS
from server.web.fields import MOST_MINOR_UNITS, Answer, Body, Query, Timestamp

Seq = Annotated[int, Field(ge=0, le=MOST_MINOR_UNITS)]


class PageQuery(Query):
    """Which notifications. Without `before`: the newest."""

    before: Seq | None = Field(None, description="older than this seq, such as `next_cursor` of the answer before")
    limit: int = Field(20, ge=1, le=100, description="items at most")
    cursor: Seq | None = Field(None, description="as `before`")


class ReadBody(Body):
    """Up to where everything is read."""

    seq: Seq = Field(description="of a notification, or of any event of the stream")


class Notification(Answer):
    """Something that a user was told. `data` differs by kind, see the events of `/notifications`."""

    seq: int
    t: Timestamp
    type: Literal["notification"]
    kind: str = Field(json_schema_extra={"enum": [*KINDS]})
    data: dict[str, Any]
    read: bool


class Notifications(Answer):
    """The newest first; those that a newer one made pointless while they were unread are left out."""

    items: list[Notification]
    unread: int = Field(description="of all, not of these alone")
    next_cursor: str | None = Field(description="for `before`; null after the oldest")


class Unread(Answer):
    """How many notifications are unread."""

    unread: int


class Read(Unread):
    """The socket's ack over HTTP."""

    ok: Literal[True] = True
