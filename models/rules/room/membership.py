"""Who is in the room: opening it, joining, being removed, and the end of pseudonyms."""

from __future__ import annotations

from typing import Any

from models.rules.auction.fields import invalid_field
from models.rules.room.guards import is_moderator
from models.rules.room.naming import CONTRACT, DM, JOB
from models.rules.room.state import UNOPENED, Charter, State
from models.rules.stream import Command, Decision, Draft, Rejected


def decide_open(state: State, command: Command, t: int) -> Decision:
    """`{kind, job?, contract?, owner?, parties: [[user, role], ...]}`, from the system. Opening it again changes nothing.

    Answer: `{seq}`.

    Raises:
        Rejected: FORBIDDEN for anybody else; CONFLICT, it was opened as something else; VALIDATION_FAILED.
    """
    _require_system(command)
    payload = command.payload
    charter = Charter(
        payload["kind"],
        payload.get("job"),
        payload.get("contract"),
        payload.get("owner", ""),
        tuple((user, role) for user, role in payload["parties"]),
    )
    if charter.kind not in (DM, JOB, CONTRACT):
        raise invalid_field("must be dm, job or contract", "kind")
    if len({user for user, _ in charter.parties}) < len(charter.parties):
        raise invalid_field("must be different people", "parties")
    if state.charter != UNOPENED:
        if state.charter != charter:
            raise Rejected("CONFLICT", "The room is something else")
        return Decision((), {"seq": state.seq})
    public = {"kind": charter.kind, **_about(charter)}
    private = {"owner": charter.owner, "parties": [list(party) for party in charter.parties]}
    drafts = [Draft("opened", public, private, t)]
    drafts += [_added(user, user, role, t) for user, role in charter.parties]
    return Decision(tuple(drafts), {"seq": len(drafts)})


def due(state: State, now: int) -> Draft | None:
    """A party that is still to be added, since the process died after the events before."""
    if len(state.members) >= len(state.charter.parties):
        return None
    user, role = next(party for party in state.charter.parties if party[0] not in state.numbers)
    return _added(user, user, role, max(now, state.t))


def decide_join(state: State, command: Command, t: int) -> Decision:
    """`{role}` by somebody of whom the service knows that they may; `context["names"]`: pseudonyms to choose from, if they are needed.

    Answer: `{seq, user}`: what the new member is called. Whoever is in the room already stays so.

    Raises:
        Rejected: FORBIDDEN in rooms that nobody joins, and for whoever was removed.
    """
    member = state.member(command.actor)
    if member is not None and not member.removed:
        return Decision((), {"seq": member.since, "user": member.name})
    if state.kind != JOB or member is not None:
        raise Rejected("FORBIDDEN", "You cannot join this room")
    names = command.context.get("names") or [command.actor]
    name = next((name for name in names if name not in state.names), None)
    if name is None:
        raise Rejected("CONFLICT", "All these names are taken")
    draft = _added(command.actor, name, command.payload["role"], t)
    return Decision((draft,), {"seq": state.seq + 1, "user": name})


def decide_remove(state: State, command: Command, t: int) -> Decision:
    """`{user}`, a member's name; by a moderator, or in the room of a job by its client. Answer: `{seq}`.

    Raises:
        Rejected: FORBIDDEN, NOT_FOUND for whoever is not in the room.
    """
    moderator = is_moderator(command)
    if not moderator and not (state.kind == JOB and command.actor == state.charter.owner):
        raise Rejected("FORBIDDEN", "Only moderators and the client of a job remove members")
    member = state.named(str(command.payload.get("user")))
    if member is None or member.removed:
        raise Rejected("NOT_FOUND", "There is no such member in this room")
    if member.user == command.actor and not moderator:
        raise Rejected("FORBIDDEN", "The client stays in the room of the job")
    public = {"user": member.name, "by": "moderator" if moderator else "client"}
    private = {"id": member.user, "actor": command.actor}
    return Decision((Draft("member_removed", public, private, t),), {"seq": state.seq + 1})


def decide_reveal(state: State, command: Command, t: int) -> Decision:
    """From the system: whoever has a pseudonym goes by the user id from now on. Answer: `{seq}`.

    Raises:
        Rejected: FORBIDDEN for anybody else.
    """
    _require_system(command)
    veiled = {member.name: member.user for member in state.members if member.name != member.user}
    if not veiled:
        return Decision((), {"seq": state.seq})
    return Decision((Draft("revealed", {"members": veiled}, {}, t),), {"seq": state.seq + 1})


def _require_system(command: Command) -> None:
    if command.actor != "system":
        raise Rejected("FORBIDDEN", "Only the system does this")


def _about(charter: Charter) -> dict[str, Any]:
    """What the room belongs to, as fields."""
    about = {"job": charter.job, "contract": charter.contract}
    return {field: value for field, value in about.items() if value is not None}


def _added(user: str, name: str, role: str, t: int) -> Draft:
    return Draft("member_added", {"user": name, **({"role": role} if role else {})}, {"id": user}, t)
