"""A room and its messages as they are shown to everybody in it."""

from __future__ import annotations

from typing import Any

from models.rules.room.state import Member, State, Written
from models.rules.times import to_rfc3339


def public_view(state: State) -> dict[str, Any]:
    """`{kind, job?, contract?, members, seq, aliases?, messages}`: `messages` are the last ones, newest last."""
    return {**outline(state), "messages": [message_view(state, written) for written in state.recent.values()]}


def outline(state: State) -> dict[str, Any]:
    """A room without its messages."""
    charter = state.charter
    shown: dict[str, Any] = {"kind": charter.kind}
    if charter.job is not None:
        shown["job"] = charter.job
    if charter.contract is not None:
        shown["contract"] = charter.contract
    shown["members"] = [member_view(member) for member in state.current_members()]
    shown["seq"] = state.seq
    if aliases := state.aliases():
        shown["aliases"] = aliases
    return shown


def member_view(member: Member) -> dict[str, Any]:
    """`{user, role?}`."""
    return {"user": member.name, **({"role": member.role} if member.role else {})}


def message_view(state: State, written: Written) -> dict[str, Any]:
    """The message's event with everything that happened to it since applied.

    Beside the event's fields: `edited_at`; `reactions` `[{emoji, users}]`; `deleted` (`author` or `moderator`), and then the text
    is empty. People go by the names that they have now.
    """
    seq = written.seq
    shown: dict[str, Any] = {
        "seq": seq,
        "t": to_rfc3339(written.t),
        "type": "message",
        "id": written.id,
        "user": _name(state, written.author),
        "text": written.text,
    }
    if written.reply_to is not None:
        shown["reply_to"] = written.reply_to
    if (by := state.deleted.get(seq)) is not None:
        return {**shown, "text": "", "deleted": by}
    if written.mentions:
        shown["mentions"] = [_name(state, number) for number in written.mentions]
    if written.edited_at is not None:
        shown["edited_at"] = to_rfc3339(written.edited_at)
    if reactions := state.reactions.get(seq):
        shown["reactions"] = [
            {"emoji": emoji, "users": [_name(state, number) for number in numbers]} for emoji, numbers in reactions
        ]
    return shown


def _name(state: State, number: int) -> str:
    return state.members[number - 1].name
