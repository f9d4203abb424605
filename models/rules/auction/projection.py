"""The public stream of a hidden format: a projection of its stream of truth, event by event.

A service runs it like this, after each append to the truth and again from a follower, which makes it certain:

    after = projected_seq(head of the public stream)
    for event in events of the stream of truth after `after`, in order:
        if public_part(event) is not None:
            append(public stream, project_command(event))

Doing it twice, or from two places at once, gives the same stream: an event that is in it already changes nothing, and one
that is not the next public one is refused with STALE_STATE, whereupon the service begins again from `projected_seq`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from models.rules.auction.fields import invalid_field
from models.rules.auction.state import UNOPENED, State
from models.rules.stream import Command, Decision, Draft, Event, Rejected

SYSTEM: Final = "system"
"""The actor of `project`."""

_ANNOUNCED: Final = frozenset(
    {"opened", "suspended", "paused", "resumed", "closed", "awarded", "accepted", "declined", "reopened", "cancelled"}
)
"""Event types of the stream of truth that are public as they are. Not `bid`, `retracted`, `reconfirmed`, `countered`."""

_COUNTED: Final = frozenset({"bid", "retracted"})
"""Types of which the public learns the new count alone, where the count is public and has changed."""


def is_announced(event: Event | Draft) -> bool:
    """Whether an event of a hidden format's stream of truth has a public part."""
    return event.type in _ANNOUNCED or (event.type in _COUNTED and bool(event.private.get("counted")))


def public_part(event: Event) -> Draft | None:
    """What the public stream shall hold of an event of the stream of truth; None for nothing.

    A submission or withdrawal that changes a public count becomes `counted {bid_count}`.
    """
    if not is_announced(event):
        return None
    private = {"source": event.seq}
    if event.type in _COUNTED:
        return Draft("counted", {"bid_count": event.public["bid_count"]}, private, event.t)
    return Draft(event.type, dict(event.public), private, event.t)


def projected_seq(state: State) -> int:
    """The seq of the stream of truth up to which a public stream has everything; 0 for an empty one."""
    return state.source


def project_command(event: Event) -> Command:
    """The command that brings an event of the stream of truth into the public stream. No key: it can't happen twice."""
    payload: dict[str, Any] = {
        "seq": event.seq,
        "t": event.t,
        "type": event.type,
        "public": event.public,
        "private": event.private,
    }
    return Command("project", SYSTEM, payload)


def decide_project(state: State, command: Command) -> Decision:
    """`{seq, t, type, public, private}`, an event of the stream of truth. Answer: `{seq}` of the public stream.

    Raises:
        Rejected: FORBIDDEN for anybody but the system or on a stream that is no projection; STALE_STATE with
            `details.source` when a public event between `source` and this one is missing.
    """
    if command.actor != SYSTEM:
        raise Rejected("FORBIDDEN", "Only the system mirrors a stream")
    if state.phase != UNOPENED and not state.is_projection:
        raise Rejected("FORBIDDEN", "This stream is not a mirror")
    payload = command.payload
    try:
        event = Event(payload["seq"], payload["t"], payload["type"], payload["public"], payload["private"])
    except KeyError as missing:
        raise invalid_field("is required", str(missing.args[0])) from None
    part = public_part(event)
    if part is None or event.seq <= state.source:
        return Decision((), {"seq": state.seq})
    if event.private.get("follows") != state.source:
        raise Rejected("STALE_STATE", "An event before this one is missing", source=state.source)
    return Decision((part,), {"seq": state.seq + 1})


def linked(state: State, drafts: Iterable[Draft]) -> tuple[Draft, ...]:
    """Drafts of a hidden format's stream of truth; each public one names the public one before it in `private.follows`.

    So a projection can tell that it missed none, although it never sees those that are not public.
    """
    follows, seq = state.announced, state.seq
    result = []
    for draft in drafts:
        seq += 1
        if is_announced(draft):
            draft = replace(draft, private={**draft.private, "follows": follows})
            follows = seq
        result.append(draft)
    return tuple(result)
