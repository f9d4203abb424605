"""What of a room is told to whom."""

from __future__ import annotations

import pytest

from models.rules.inbox.notices import LONGEST_EXCERPT, excerpt
from models.rules.inbox.rooms import Audience, room_notices
from models.rules.room.state import Charter, Member, State, Written
from models.rules.stream import Event

NOBODY = Audience(attending={}, muted=(), read={})


def room(kind: str = "job", *members: Member) -> State:
    state = State(charter=Charter(kind, "job", None, "owner", ()))
    state.members = list(members or (member("owner"), member("ann"), member("bob")))
    return state


def member(user: str, name: str = "", since: int = 1, *, removed: bool = False) -> Member:
    return Member(user, name or user, "", since, removed=removed)


def message(seq: int, user: str, text: str = "Hello", *mentioned: str, name: str = "") -> Event:
    public = {"id": "m", "user": name or user, "text": text}
    return Event(seq, 0, "message", public, {"id": user, **({"mentioned": list(mentioned)} if mentioned else {})})


def told(state: State, *events: Event, audience: Audience = NOBODY) -> list[tuple[str, str, int]]:
    notices = room_notices("room:r", events, state, audience, title="Fence", names={"ann": "Ann"})
    return [(it.user, it.kind, it.seq) for it in notices]


def test_a_message_is_told_to_the_others() -> None:
    assert told(room(), message(5, "ann")) == [("owner", "message", 5), ("bob", "message", 5)]


def test_not_to_those_who_see_it_or_want_to_hear_nothing() -> None:
    assert told(room(), message(5, "ann"), audience=Audience({"owner": 10**13}, {"bob"}, {})) == []
    assert told(room(), message(5, "ann"), audience=Audience({}, (), {"owner": 5, "bob": 4})) == [("bob", "message", 5)]


def test_who_was_there_then_is_not_told_later() -> None:
    left = Audience({"owner": 5_000, "bob": 4_999}, (), {})
    event = Event(5, 4_999, "message", {"id": "m", "user": "ann", "text": "Hello"}, {"id": "ann"})
    assert told(room(), event, audience=left) == [("bob", "message", 5)]


def test_the_mentioned_are_told_in_any_case_once() -> None:
    everybody = Audience(dict.fromkeys(("owner", "ann", "bob"), 10**13), {"owner", "bob"}, {"bob": 9})
    event = message(5, "ann", "@bob and @ann and @owner", "bob", "ann", "owner")
    assert told(room(), event, audience=everybody) == [("owner", "mention", 5), ("bob", "mention", 5)]
    assert told(room(), message(6, "ann", "@bob", "bob")) == [("owner", "message", 6), ("bob", "mention", 6)]


def test_not_to_those_who_left_or_came_later() -> None:
    state = room("job", member("owner"), member("ann"), member("bob", removed=True), member("cem", since=6))
    assert told(state, message(5, "ann", "@bob", "bob"), message(7, "ann")) == [
        ("owner", "message", 5),
        ("owner", "message", 7),
        ("cem", "message", 7),
    ]


def test_not_of_what_was_deleted_meanwhile() -> None:
    state = room()
    state.deleted.put(5, "author")
    assert told(state, message(5, "ann"), Event(6, 0, "deleted", {"message": 5, "by": "author"})) == []


def test_data() -> None:
    (notice, _) = room_notices("room:r", [message(5, "ann")], room(), NOBODY, title="Fence", names={"ann": "Ann"})
    assert notice.data == {
        "room": "r",
        "room_kind": "job",
        "job": "job",
        "title": "Fence",
        "message": 5,
        "user": "ann",
        "name": "Ann",
        "excerpt": "Hello",
    }


def test_a_guest_stays_a_guest() -> None:
    state = room("job", member("owner"), member("ann", "Guest abc123"))
    (notice,) = room_notices(
        "room:r", [message(5, "ann", name="Guest abc123")], state, NOBODY, title="Fence", names={"ann": "Ann"}
    )
    assert (notice.data["user"], notice.data["name"]) == ("Guest abc123", None)
    assert "ann" not in str(notice.data).lower()


def test_an_edited_message_is_told_as_it_is_now() -> None:
    state = room()
    state.recent[5] = Written(5, 0, 2, "m", "Good morning", None, (), 1)
    (notice, _) = room_notices("room:r", [message(5, "ann")], state, NOBODY, title=None, names={})
    assert (notice.data["excerpt"], notice.data["name"]) == ("Good morning", None)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Hello", "Hello"),
        ("Two\n\n lines\t", "Two lines"),
        ("x" * 140, "x" * 140),
        ("x" * 141, "x" * 139 + "…"),
        ("y" * 138 + " zzz", "y" * 138 + "…"),
        ("𝒳" * 4_000, "𝒳" * 139 + "…"),
    ],
)
def test_excerpts(text: str, shown: str) -> None:
    assert excerpt(text) == shown
    assert len(shown) <= LONGEST_EXCERPT
