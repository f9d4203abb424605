"""Chat: commands in, views out, events emitted."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from models.rules.room.emoji import canonical_emoji
from models.rules.room.messages import MOST_MENTIONS
from models.rules.room.naming import NAME_PATTERN
from models.rules.room.text import LONGEST_TEXT, text_problem
from server.web.fields import MOST_MINOR_UNITS, Answer, Body, Id, Printable, Query, Timestamp
from server.web.paging import PageQuery


def _sayable(text: str) -> str:
    if problem := text_problem(text):
        raise ValueError(problem)
    return text


def _one_emoji(text: str) -> str:
    canonical = canonical_emoji(text)
    if canonical is None:
        raise ValueError("must be one emoji")
    return canonical


Key = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]
"""Made by the client, the same for every try of one command."""

Seq = Annotated[int, Field(ge=1, le=MOST_MINOR_UNITS)]
Text = Annotated[
    str,
    StringConstraints(min_length=1, max_length=LONGEST_TEXT),
    AfterValidator(_sayable),
    Field(description="kept as it is; line feeds and tabs are the only control characters"),
]
Emoji = Annotated[
    str, StringConstraints(min_length=1, max_length=16), AfterValidator(_one_emoji), Field(examples=["👍", "👩🏽‍💻"])
]
Name = Annotated[
    str, Field(pattern=NAME_PATTERN, description="what a member is called in the room: the user id, or a pseudonym")
]
SeqParameter = Annotated[int | None, Field(ge=0, le=MOST_MINOR_UNITS)]


class MessageBody(Body):
    """Something to say."""

    text: Text
    reply_to: Seq | None = Field(None, description="seq of the message that this one answers")
    mentions: list[Name] | None = Field(
        None, max_length=MOST_MENTIONS, description="members who are mentioned, beside those behind an `@` in the text"
    )
    attachments: list[dict[str, Any]] | None = Field(
        None, max_length=0, description="files cannot be attached yet: nothing but an empty list is taken"
    )


class EditBody(Body):
    """The new text of a message."""

    text: Text
    mentions: list[Name] | None = Field(None, max_length=MOST_MENTIONS, description="as when sending")


class SocketSend(MessageBody):
    """`send` on a socket."""

    room: Id
    key: Key


class SocketEdit(EditBody):
    """`edit` on a socket."""

    room: Id
    seq: Seq
    key: Key


class SocketDelete(Body):
    """`delete` on a socket."""

    room: Id
    seq: Seq
    key: Key


class SocketReact(Body):
    """`react` on a socket."""

    room: Id
    seq: Seq
    emoji: Emoji
    on: bool
    key: Key


class SocketSeq(Body):
    """`read` and `delivered` on a socket: everything up to a seq."""

    room: Id
    seq: Seq


class SeqBody(Body):
    """Everything up to a seq."""

    seq: Seq


class ReactionBody(Body):
    """A reaction to set."""

    emoji: Emoji


class MuteBody(Body):
    """Whether to be notified of the room's messages."""

    muted: bool


class NewRoom(Body):
    """`{kind: "dm", user}` or `{kind: "job", job}`."""

    kind: Literal["dm", "job"]
    user: Id | None = Field(None, description="of a dm: the other one")
    job: Id | None = Field(None, description="of a job's room: the job")


class RoomQuery(PageQuery):
    """Which of one's rooms."""

    kind: Literal["dm", "job", "contract"] | None = None


class MessagesQuery(Query):
    """A part of the history. Without `after`, the newest messages before `before`; with it, the oldest after it."""

    before: SeqParameter = Field(None, description="only messages with a lesser seq")
    after: SeqParameter = Field(None, description="only messages with a greater seq")
    limit: int = Field(20, ge=1, le=100, description="items at most")
    cursor: SeqParameter = Field(None, description="`next_cursor` of the answer before; the rest of the query stays")


class SearchQuery(Query):
    """Words to look for."""

    q: Printable = Field(min_length=1, max_length=200, description='words; `"a phrase"`; `-without`')
    limit: int = Field(20, ge=1, le=100, description="items at most")
    cursor: SeqParameter = Field(None, description="`next_cursor` of the answer before")


class Sent(Answer):
    """A message that was taken."""

    seq: int
    id: str
    t: Timestamp
    replayed: bool | None = Field(None, description="true when the same key was answered before")


class SentRest(Sent):
    """The socket's ack over HTTP."""

    ok: Literal[True] = True


class Changed(Answer):
    """An accepted change."""

    seq: int = Field(description="of its event; of the room's last one when it was so already")
    replayed: bool | None = Field(None, description="true when the same key was answered before")


class ChangedRest(Changed):
    """The socket's ack over HTTP."""

    ok: Literal[True] = True


class Done(Answer):
    """Nothing but `ok`."""


class DoneRest(Answer):
    """Nothing but `ok`."""

    ok: Literal[True] = True


class Muted(Answer):
    """Whether messages of the room are not notified."""

    ok: Literal[True] = True
    muted: bool


class Reaction(Answer):
    """Who reacted with an emoji."""

    emoji: str
    users: list[str]


class MessageItem(Answer):
    """A message's event with everything that happened to it since applied."""

    seq: int
    t: Timestamp
    type: Literal["message"]
    id: str
    user: str
    text: str = Field(description="as of the last edit; empty once it was deleted")
    reply_to: int | None = None
    mentions: list[str] | None = None
    edited_at: Timestamp | None = None
    reactions: list[Reaction] | None = None
    deleted: Literal["author", "moderator"] | None = Field(None, description="who deleted it")


class Messages(Answer):
    """A part of the history, newest last."""

    items: list[MessageItem]
    next_cursor: str | None = Field(
        description="where to go on: the next `cursor`, or the next `before` (with `after`: the next `after`); null at the end"
    )
    seq: int = Field(description="of the room's last event; the messages are as of it")


class Found(Answer):
    """Messages with the words, newest first."""

    items: list[MessageItem]
    next_cursor: str | None


class Version(Answer):
    """A text that a message had."""

    seq: int = Field(description="of the event that gave it")
    t: Timestamp
    text: str


class Versions(Answer):
    """All texts of a message, the first one first."""

    items: list[Version]


class RoomMember(Answer):
    """Somebody who is in the room."""

    user: str = Field(description="user id, or a pseudonym while a hidden auction runs")
    role: str | None = Field(None, description="`client` or `freelancer` in the room of a job")
    name: str | None = Field(description="of the profile; null for a pseudonym")


class _Room(Answer):
    model_config = ConfigDict(serialize_by_alias=True)

    id: str
    kind: Literal["dm", "job", "contract"]
    job: str | None = None
    contract: str | None = None
    members: list[RoomMember] = Field(description="who is in it now")
    seq: int
    unread: int = Field(description="messages by others after what was read or sent last")
    read_seq: int
    delivered_seq: int
    muted: bool
    me: str | None = Field(description="what the caller is called in the room; null for whoever is not in it")
    aliases: dict[str, str] | None = Field(None, description="user ids by pseudonym, of those that were revealed")


class RoomSummary(_Room):
    """A room as lists show it."""

    last_message: MessageItem | None


class MemberReceipt(Answer):
    """How far a member is."""

    user: str
    read_seq: int
    delivered_seq: int


class RoomView(_Room):
    """A room as the caller sees it."""

    messages: list[MessageItem] = Field(description="the last 50, newest last")
    receipts: list[MemberReceipt]
    people: dict[str, str] | None = Field(
        None, description="for the client, while proposals are collected: user ids by pseudonym"
    )


class UnreadRoom(Answer):
    """A room with something unread."""

    id: str
    unread: int
    muted: bool


class Unread(Answer):
    """What is unread, in all and per room; muted rooms count as well."""

    total: int
    rooms: list[UnreadRoom]


class Receipt(Answer):
    """Somebody has read or received everything up to a seq."""

    room: str
    user: str
    read_seq: int
    delivered_seq: int
