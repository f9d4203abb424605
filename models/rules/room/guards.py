"""What several decisions ask before anything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.rules.auction.amounts import is_integer
from models.rules.auction.fields import invalid_field
from models.rules.room.columns import Sent
from models.rules.room.state import Member, State
from models.rules.room.text import text_problem
from models.rules.stream import Command, Rejected


def require_member(state: State, user: str) -> Member:
    """Somebody who is in the room now; else FORBIDDEN."""
    member = state.member(user)
    if member is None or member.removed:
        raise Rejected("FORBIDDEN", "You are not in this room")
    return member


def is_moderator(command: Command) -> bool:
    """Whether the service vouches for a moderator."""
    return command.context.get("moderator") is True


def require_message(state: State, payload: Mapping[str, Any], field: str = "seq") -> Sent:
    """The message that the payload points at; NOT_FOUND when there is none, CONFLICT when it was deleted."""
    seq = payload.get(field)
    if not is_integer(seq):
        raise invalid_field("must be an integer", field)
    sent = state.messages.find(seq)
    if sent is None:
        raise Rejected("NOT_FOUND", "There is no such message in this room", field=field)
    if state.deleted.get(seq) is not None:
        raise Rejected("CONFLICT", "The message was deleted", field=field)
    return sent


def require_text(payload: Mapping[str, Any]) -> str:
    """The payload's `text`, as it is; VALIDATION_FAILED when it can't be said."""
    text = payload.get("text")
    if not isinstance(text, str):
        raise invalid_field("must be text", "text")
    if problem := text_problem(text):
        raise invalid_field(problem, "text")
    return text
