"""Folding events into the state: one function per type, in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from models.rules.room.columns import Sent
from models.rules.room.state import RECENT, Charter, Member, State, Written
from models.rules.stream import Event


def apply(state: State, event: Event) -> None:
    """Fold one committed event."""
    _FOLDS[event.type](state, event)
    state.seq = event.seq
    state.t = event.t


def written(state: State, message: Event, edit: Event | None = None) -> Written:
    """A message whole, from its event and that of its last edit; the state has folded both."""
    public = message.public if edit is None else edit.public
    return Written(
        message.seq,
        message.t,
        state.number(message.private["id"]),
        message.public["id"],
        public["text"],
        message.public.get("reply_to"),
        _numbers(state, public),
        None if edit is None else edit.t,
    )


def _numbers(state: State, public: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(state.names[name] for name in public.get("mentions", ()))


def _opened(state: State, event: Event) -> None:
    public, private = event.public, event.private
    parties = tuple((user, role) for user, role in private["parties"])
    state.charter = Charter(public["kind"], public.get("job"), public.get("contract"), private["owner"], parties)


def _member_added(state: State, event: Event) -> None:
    user, name = event.private["id"], event.public["user"]
    state.members.append(Member(user, name, event.public.get("role", ""), event.seq))
    state.numbers[user] = state.names[name] = len(state.members)


def _member_removed(state: State, event: Event) -> None:
    place = state.numbers[event.private["id"]] - 1
    state.members[place] = state.members[place]._replace(removed=True)


def _revealed(state: State, event: Event) -> None:
    for name, user in event.public["members"].items():
        number = state.names[name]
        state.members[number - 1] = state.members[number - 1]._replace(name=user)
        state.names[user] = number


def _message(state: State, event: Event) -> None:
    number = state.numbers[event.private["id"]]
    state.messages.append(Sent(event.seq, event.t, number))
    state.members[number - 1] = state.members[number - 1]._replace(last_sent=event.seq)
    state.recent[event.seq] = written(state, event)
    if len(state.recent) > RECENT:
        del state.recent[next(iter(state.recent))]


def _edited(state: State, event: Event) -> None:
    seq = event.public["message"]
    state.edits.put(seq, (*(state.edits.get(seq) or ()), event.seq))
    if (known := state.recent.get(seq)) is not None:
        state.recent[seq] = known._replace(
            text=event.public["text"], mentions=_numbers(state, event.public), edited_at=event.t
        )


def _deleted(state: State, event: Event) -> None:
    seq = event.public["message"]
    state.deleted.put(seq, event.public["by"])
    state.reactions.drop(seq)
    if (known := state.recent.get(seq)) is not None:
        state.recent[seq] = known._replace(text="", mentions=())


def _reaction(state: State, event: Event) -> None:
    public = event.public
    number = state.numbers[event.private["id"]]
    reactions = dict(state.reactions.get(public["message"]) or ())
    others = tuple(other for other in reactions.get(public["emoji"], ()) if other != number)
    reactions[public["emoji"]] = (*others, number) if public["on"] else others
    left = tuple((emoji, numbers) for emoji, numbers in reactions.items() if numbers)
    if left:
        state.reactions.put(public["message"], left)
    else:
        state.reactions.drop(public["message"])


_FOLDS: Final[Mapping[str, Callable[[State, Event], None]]] = {
    "opened": _opened,
    "member_added": _member_added,
    "member_removed": _member_removed,
    "revealed": _revealed,
    "message": _message,
    "edited": _edited,
    "deleted": _deleted,
    "reaction": _reaction,
}
