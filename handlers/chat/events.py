"""The events of a room's stream as clients receive them, for the generated documents.

`models.rules.room` makes the events; these models only describe them, and a test holds every event that comes out of the rules
against them. What is called a name is what a member is called in the room when the event happens: the user id, or a pseudonym.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from models.rules.room.naming import NAME_PATTERN
from server.web.fields import absent

_TIME: Final = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"

Time = Annotated[
    str,
    StringConstraints(pattern=_TIME),
    WithJsonSchema(
        {"type": "string", "format": "date-time", "pattern": _TIME, "examples": ["2026-11-21T10:00:00.000Z"]}
    ),
]
Seq = Annotated[int, Field(ge=1, le=2**53 - 1)]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Text = Annotated[str, Field(max_length=4_000, description="empty in what is read after the message was deleted")]


class _RoomEvent(BaseModel):
    """What every event of a room carries; what is described is all there is."""

    model_config = ConfigDict(strict=True, extra="forbid")

    seq: Seq = Field(description="position in the stream, dense from 1")
    t: Time = Field(description="when it happened; never before the event before it")


class DmOpened(_RoomEvent):
    """The room of two people is there. Always the first event."""

    type: Literal["opened"]
    kind: Literal["dm"]


class JobRoomOpened(_RoomEvent):
    """The room of a job is there. Always the first event."""

    type: Literal["opened"]
    kind: Literal["job"]
    job: str = Field(description="id of the job")


class ContractRoomOpened(_RoomEvent):
    """The room of a contract is there. Always the first event."""

    type: Literal["opened"]
    kind: Literal["contract"]
    contract: str = Field(description="id of the contract")


class MemberAdded(_RoomEvent):
    """Somebody is in the room from now on."""

    type: Literal["member_added"]
    user: Name
    role: str = absent(min_length=1, description="`client` or `freelancer` in the room of a job; none in a dm")


class MemberRemoved(_RoomEvent):
    """Somebody was removed for good; to them, this is the last event."""

    type: Literal["member_removed"]
    user: Name
    by: Literal["client", "moderator"]


class MembersRevealed(_RoomEvent):
    """The auction is over: these go by their ids from now on."""

    type: Literal["revealed"]
    members: dict[Name, str] = Field(min_length=1, description="user ids by pseudonym")


class MessageSent(_RoomEvent):
    """Somebody said something."""

    type: Literal["message"]
    id: str = Field(description="of the message")
    user: Name
    text: Text
    reply_to: Seq = absent(description="seq of the message that this one answers")
    mentions: list[Name] = absent(min_length=1, description="members who are mentioned")


class MessageEdited(_RoomEvent):
    """A message says something else."""

    type: Literal["edited"]
    message: Seq = Field(description="seq of the message")
    user: Name
    text: Text
    mentions: list[Name] = absent(min_length=1, description="members who are mentioned")


class MessageDeleted(_RoomEvent):
    """A message is not to be shown any more."""

    type: Literal["deleted"]
    message: Seq = Field(description="seq of the message")
    by: Literal["author", "moderator"]


class MessageReaction(_RoomEvent):
    """A reaction was set, or taken back."""

    type: Literal["reaction"]
    message: Seq = Field(description="seq of the message")
    emoji: str = Field(min_length=1, max_length=16, description="exactly one, in its full form")
    on: bool
    user: Name


RoomEvent = Annotated[
    Annotated[DmOpened | JobRoomOpened | ContractRoomOpened, Field(discriminator="kind")]
    | MemberAdded
    | MemberRemoved
    | MembersRevealed
    | MessageSent
    | MessageEdited
    | MessageDeleted
    | MessageReaction,
    Field(discriminator="type"),
]
"""Any event of a room."""
