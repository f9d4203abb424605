"""What is said, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from models.rules.auction.fields import invalid_field
from models.rules.room.emoji import canonical_emoji
from models.rules.room.guards import is_moderator, require_member, require_message, require_text
from models.rules.room.naming import names_in
from models.rules.room.state import State
from models.rules.stream import Command, Decision, Draft, Rejected
from models.rules.times import to_rfc3339

EDIT_WINDOW_MS: Final = 15 * 60_000
"""For so long after it was sent a message can be edited."""

MOST_EDITS: Final = 100
MOST_MENTIONS: Final = 50
MOST_EMOJI: Final = 50
"""Different emoji on one message."""


def decide_send(state: State, command: Command, t: int) -> Decision:
    """`{text, reply_to?, mentions?}`: `reply_to` is a message's seq, `mentions` names beside those behind an `@` in the text.

    `context["id"]` is the message's id. Answer: `{seq, id, t}`.

    Raises:
        Rejected: FORBIDDEN, VALIDATION_FAILED, NOT_FOUND or CONFLICT for `reply_to`.
    """
    author = require_member(state, command.actor)
    words = sayable(state, command.payload)
    public = {"id": command.context["id"], "user": author.name, **words}
    private = {"id": author.user, **_users(state, words)}
    answer = {"seq": state.seq + 1, "id": public["id"], "t": to_rfc3339(t)}
    return Decision((Draft("message", public, private, t),), answer)


def sayable(state: State, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What the payload of a `send` says, `{text, reply_to?, mentions?}`, whoever says it.

    Raises:
        Rejected: VALIDATION_FAILED, NOT_FOUND or CONFLICT for `reply_to`.
    """
    words: dict[str, Any] = {"text": require_text(payload)}
    if payload.get("reply_to") is not None:
        words["reply_to"] = require_message(state, payload, "reply_to").seq
    return words | _mentioned(state, payload)


def decide_edit(state: State, command: Command, t: int) -> Decision:
    """`{seq, text, mentions?}` by the author, while the message is young. Answer: `{seq}` of the edit.

    Raises:
        Rejected: FORBIDDEN, NOT_FOUND, CONFLICT, VALIDATION_FAILED; EDIT_TOO_LATE after 15 minutes.
    """
    author = require_member(state, command.actor)
    sent = require_message(state, command.payload)
    if sent.author != state.number(command.actor):
        raise Rejected("FORBIDDEN", "Only its author edits a message")
    text = require_text(command.payload)
    if t - sent.t > EDIT_WINDOW_MS:
        raise Rejected("EDIT_TOO_LATE", "A message can be edited for 15 minutes")
    if len(state.edits.get(sent.seq) or ()) >= MOST_EDITS:
        raise Rejected("CONFLICT", "The message was edited too often")
    mentioned = _mentioned(state, command.payload)
    public = {"message": sent.seq, "text": text, "user": author.name, **mentioned}
    private = {"id": author.user, **_users(state, mentioned)}
    return Decision((Draft("edited", public, private, t),), {"seq": state.seq + 1})


def decide_delete(state: State, command: Command, t: int) -> Decision:
    """`{seq}` by the author or a moderator; a tombstone remains. Answer: `{seq}` of the deletion.

    Raises:
        Rejected: FORBIDDEN, NOT_FOUND, CONFLICT.
    """
    moderator = is_moderator(command)
    if not moderator:
        require_member(state, command.actor)
    sent = require_message(state, command.payload)
    own = sent.author == state.number(command.actor)
    if not (own or moderator):
        raise Rejected("FORBIDDEN", "Only its author or a moderator deletes a message")
    public = {"message": sent.seq, "by": "author" if own else "moderator"}
    return Decision((Draft("deleted", public, {"actor": command.actor}, t),), {"seq": state.seq + 1})


def decide_react(state: State, command: Command, t: int) -> Decision:
    """`{seq, emoji, on}`. Answer: `{seq}` of the reaction; of the room when it was so already.

    Raises:
        Rejected: FORBIDDEN, NOT_FOUND, CONFLICT; VALIDATION_FAILED for what is not one emoji.
    """
    member = require_member(state, command.actor)
    sent = require_message(state, command.payload)
    emoji, on = command.payload.get("emoji"), command.payload.get("on")
    canonical = canonical_emoji(emoji) if isinstance(emoji, str) else None
    if canonical is None:
        raise invalid_field("must be one emoji", "emoji")
    if not isinstance(on, bool):
        raise invalid_field("must be true or false", "on")
    reactions = dict(state.reactions.get(sent.seq) or ())
    if (state.number(command.actor) in reactions.get(canonical, ())) == on:
        return Decision((), {"seq": state.seq})
    if on and canonical not in reactions and len(reactions) >= MOST_EMOJI:
        raise Rejected("CONFLICT", f"A message has at most {MOST_EMOJI} different reactions")
    public = {"message": sent.seq, "emoji": canonical, "on": on, "user": member.name}
    return Decision((Draft("reaction", public, {"id": member.user}, t),), {"seq": state.seq + 1})


def _mentioned(state: State, payload: Mapping[str, Any]) -> dict[str, list[str]]:
    """`{mentions: [names]}` of members that the text or the payload names, each once; nothing without any.

    Raises:
        Rejected: VALIDATION_FAILED, the payload names somebody who is not in the room.
    """
    asked = payload.get("mentions") or ()
    if isinstance(asked, str) or not isinstance(asked, Iterable):
        raise invalid_field("must be a list of names", "mentions")
    names = list(asked)
    if len(names) > MOST_MENTIONS:
        raise invalid_field(f"must have at most {MOST_MENTIONS} names", "mentions")
    for place, name in enumerate(names):
        if not isinstance(name, str) or not _is_present(state, name):
            raise invalid_field("is not in this room", "mentions", place)
    names += [name for name in names_in(payload["text"]) if _is_present(state, name)]
    found = [state.members[number - 1].name for number in dict.fromkeys(state.names[name] for name in names)]
    return {"mentions": found[:MOST_MENTIONS]} if found else {}


def _is_present(state: State, name: str) -> bool:
    member = state.named(name)
    return member is not None and not member.removed


def _users(state: State, words: Mapping[str, Any]) -> dict[str, list[str]]:
    """The mentioned by user id, for the private fields."""
    names = words.get("mentions")
    return {"mentioned": [state.members[state.names[name] - 1].user for name in names]} if names else {}
