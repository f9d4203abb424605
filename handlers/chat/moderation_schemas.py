"""Blocks, reports, bans and the audit log: commands in, views out."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from server.web.fields import Answer, Body, Id, Printable, Timestamp, absent
from server.web.paging import PageQuery

MOST_MESSAGES = 20
"""Messages in one report."""

Note = Annotated[Printable, Field(max_length=2_000)]
Action = Literal["none", "remove_messages", "remove_member", "ban"]
Reason = Literal["spam", "abuse", "scam", "contact", "illegal", "other"]
Seq = Annotated[int, Field(ge=1, le=2**53 - 1)]
Word = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\x20-\x7e]+$")]


class BlockBody(Body):
    """Whom to block."""

    user: Id


class BlockOut(Answer):
    """A user whom the caller has blocked."""

    user: str
    name: str | None
    created_at: Timestamp


class ReportBody(Body):
    """Messages of others, and what is wrong with them."""

    messages: list[Seq] = Field(min_length=1, max_length=MOST_MESSAGES, description="seqs")
    reason: Reason
    note: Note = ""


class ReportMade(Answer):
    """A report that moderators will see."""

    id: str
    status: Literal["open", "resolved"]
    created_at: Timestamp


class Version(Answer):
    """A text that a message had."""

    seq: int = Field(description="of the event that gave it")
    t: Timestamp
    text: str


class ReportedMessage(Answer):
    """A message as it was when it was reported."""

    seq: int
    t: Timestamp
    user: str = Field(description="the author, by the name in the room")
    text: str
    versions: list[Version] = absent(description="the first one first; only where a report is shown by itself")
    deleted: Literal["author", "moderator"] | None = Field(None, description="by whom, if it was deleted before")


class ResolutionOut(Answer):
    """What was decided."""

    action: Action
    by: str
    note: str
    at: Timestamp
    done: bool = Field(description="whether it has had its effects")


class ReportOut(Answer):
    """A report."""

    id: str
    room: str
    reporter: str = Field(description="by the name in the room")
    reason: Reason
    note: str
    messages: list[ReportedMessage]
    status: Literal["open", "resolved"]
    created_at: Timestamp
    resolution: ResolutionOut | None


class ReportQuery(PageQuery):
    """Which reports."""

    status: Literal["open", "resolved"] | None = Field(None, description="all when left out")


class ResolveBody(Body):
    """What to do about a report."""

    action: Action = Field(description="`remove_member` and `ban` are for all authors of the reported messages")
    note: Note = ""


class BanBody(Body):
    """Whom to ban, and why."""

    user: Id
    reason: Note = ""


class BanOut(Answer):
    """A user who may say nothing and enter no room."""

    user: str
    by: str = Field(description="the moderator")
    reason: str
    created_at: Timestamp


class AuditQuery(PageQuery):
    """Which entries; at most one of the three is needed, more narrow it down."""

    actor: Word | None = Field(None, description="who did it: a user id")
    action: Word | None = Field(None, description="what was done, such as `ban.added`")
    subject: Word | None = Field(None, description="to whom or what, such as `user:<id>`")


class AuditOut(Answer):
    """An act."""

    id: str
    t: Timestamp
    actor: str
    action: str
    subject: str
    details: dict[str, Any]
