"""What the rules of rooms promise, decision by decision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from models.rules.room.messages import EDIT_WINDOW_MS, MOST_EDITS, MOST_EMOJI
from models.rules.room.rules import ROOM_RULES
from models.rules.room.text import text_problem
from models.rules.stream import Command, Rejected
from tests.models.rules.room.rooms import MINUTE, NOW, Room


def refused(code: str, act: Callable[[], Any]) -> Rejected:
    """The refusal with that code."""
    with pytest.raises(Rejected) as caught:
        act()
    assert caught.value.code == code, caught.value
    return caught.value


# -- opening ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "count"), [("dm", 2), ("job", 1), ("contract", 2)])
def test_opening_adds_the_parties_once(kind: str, count: int) -> None:
    room = Room(kind)
    assert [event.type for event in room.events] == ["opened"] + ["member_added"] * count
    charter = room.state.charter
    again = {
        "kind": kind,
        "job": charter.job,
        "contract": charter.contract,
        "owner": charter.owner,
        "parties": [list(party) for party in charter.parties],
    }
    assert room.open(**again) == {"seq": count + 1}
    assert len(room.events) == count + 1
    refused("CONFLICT", lambda: room.open(**{**again, "parties": [["eve", ""]]}))
    room.check()


def test_what_a_crash_left_of_an_opening_is_owed() -> None:
    whole = Room("dm")
    for kept in (1, 2):
        room = Room("none")
        for event in whole.events[:kept]:
            ROOM_RULES.apply(room.state, event)
            room.events.append(event)
        while (owed := ROOM_RULES.due(room.state, NOW + 5)) is not None:
            room.fold(owed)
        assert [member.user for member in room.state.members] == ["ann", "bob"]
        assert room.state.t == NOW + 5
        room.check()


def test_an_unopened_room_takes_nothing_else() -> None:
    room = Room("none")
    for name in ("join", "send", "edit", "delete", "react", "remove", "reveal"):
        refused("NOT_FOUND", lambda name=name: room.do(name, "ann"))  # type: ignore[misc]
    refused("UNKNOWN_COMMAND", lambda: room.do("shout", "ann"))
    refused("FORBIDDEN", lambda: room.command(Command("open", "ann", {"kind": "dm", "parties": []})))
    refused("VALIDATION_FAILED", lambda: room.open(kind="club", parties=[]))
    refused("VALIDATION_FAILED", lambda: room.open(kind="dm", parties=[["ann", ""], ["ann", ""]]))


# -- who is in it -----------------------------------------------------------------------------------------------------


def test_joining_the_room_of_a_job() -> None:
    room = Room("job")
    assert room.join("ann") == {"seq": 3, "user": "ann"}
    assert room.join("ann") == {"seq": 3, "user": "ann"}
    assert len(room.events) == 3
    assert room.events[-1].public == {"user": "ann", "role": "freelancer"}
    refused("FORBIDDEN", lambda: Room("dm").join("eve"))
    refused("FORBIDDEN", lambda: Room("contract").join("eve"))
    room.check()


def test_pseudonyms_hide_people_until_they_are_revealed() -> None:
    room = Room("job")
    room.join("ann", "Guest aaaaaa")
    assert room.join("bob", "Guest aaaaaa", "Guest bbbbbb")["user"] == "Guest bbbbbb"
    refused("CONFLICT", lambda: room.join("eve", "Guest aaaaaa"))
    asked = room.send("ann", "Which green?")
    room.do("react", "bob", seq=asked, emoji="👍", on=True)
    room.send("client", "@Guest aaaaaa: moss, @Guest zzzzzz")
    room.do("edit", "ann", seq=asked, text="Which green, @Guest bbbbbb?")
    shown = str(room.wires()) + str(room.view())
    assert "'ann'" not in shown
    assert "'bob'" not in shown
    assert room.items()[-1]["mentions"] == ["Guest aaaaaa"]
    room.check()

    refused("FORBIDDEN", lambda: room.do("reveal", "client"))
    room.command(Command("reveal", "system"))
    assert room.events[-1].public == {"members": {"Guest aaaaaa": "ann", "Guest bbbbbb": "bob"}}
    room.command(Command("reveal", "system"))
    assert room.events[-1].type == "revealed"
    assert len(room.events) == 9
    view = room.view()
    assert [member["user"] for member in view["members"]] == ["client", "ann", "bob"]
    assert view["aliases"] == {"Guest aaaaaa": "ann", "Guest bbbbbb": "bob"}
    question, reply = view["messages"]
    assert (question["user"], question["mentions"], reply["mentions"]) == ("ann", ["bob"], ["ann"])
    assert question["reactions"] == [{"emoji": "👍", "users": ["bob"]}]
    room.send("client", "@Guest bbbbbb and @ann")
    assert room.events[-1].public["mentions"] == ["bob", "ann"]
    assert room.events[-1].private == {"id": "client", "mentioned": ["bob", "ann"]}
    room.check()


def test_a_second_hidden_round_hides_newcomers_alone() -> None:
    room = Room("job")
    room.join("ann", "Guest aaaaaa")
    room.command(Command("reveal", "system"))
    room.join("bob", "Guest bbbbbb")
    assert [member.name for member in room.state.members] == ["client", "ann", "Guest bbbbbb"]
    room.command(Command("reveal", "system"))
    assert room.events[-1].public == {"members": {"Guest bbbbbb": "bob"}}
    room.check()


def test_being_removed_is_for_good() -> None:
    room = Room("job")
    room.join("ann", "Guest aaaaaa")
    room.join("bob")
    seq = room.send("ann")
    refused("FORBIDDEN", lambda: room.do("remove", "bob", user="Guest aaaaaa"))
    refused("NOT_FOUND", lambda: room.do("remove", "client", user="ann"))  # no oracle for who is behind a name
    refused("FORBIDDEN", lambda: room.do("remove", "client", user="client"))
    room.do("remove", "client", user="Guest aaaaaa")
    assert room.events[-1].public == {"user": "Guest aaaaaa", "by": "client"}
    assert room.events[-1].private == {"id": "ann", "actor": "client"}
    refused("NOT_FOUND", lambda: room.do("remove", "client", user="Guest aaaaaa"))
    for name, payload in (
        ("send", {"text": "x"}),
        ("edit", {"seq": seq, "text": "x"}),
        ("delete", {"seq": seq}),
        ("react", {"seq": seq, "emoji": "👍", "on": True}),
    ):
        refused("FORBIDDEN", lambda name=name, payload=payload: room.do(name, "ann", **payload))  # type: ignore[misc]
    refused("FORBIDDEN", lambda: room.join("ann", "Guest cccccc"))
    refused("VALIDATION_FAILED", lambda: room.send("bob", mentions=["Guest aaaaaa"]))
    room.moderate("remove", user="client")
    assert room.events[-1].public["by"] == "moderator"
    assert [member["user"] for member in room.view()["members"]] == ["bob"]
    assert room.items()[0]["user"] == "Guest aaaaaa"
    room.check()


def test_nobody_but_a_moderator_removes_from_a_dm() -> None:
    room = Room("dm")
    refused("FORBIDDEN", lambda: room.do("remove", "ann", user="bob"))
    assert room.moderate("remove", user="bob") == {"seq": 4}


# -- messages ---------------------------------------------------------------------------------------------------------


def test_an_answer_tells_what_was_appended() -> None:
    room = Room("dm").later(5)
    answer = room.do("send", "ann", text="Hello")
    event = room.events[-1]
    assert answer == {"seq": event.seq, "id": event.public["id"], "t": "2027-01-15T08:00:00.005Z"}
    assert event.t == NOW + 5
    refused("FORBIDDEN", lambda: room.send("eve"))


@pytest.mark.parametrize(
    "text",
    [
        None,
        5,
        "",
        "  ",
        "\n",
        "\u3164",
        "\u2800\u00ad",
        "a\x00",
        "a\r",
        "a\x1b[0m",
        "a\x7f",
        "a\x9f",
        "\udc80",
        "x" * 4001,
    ],
)
def test_what_is_no_text(text: Any) -> None:
    room = Room("dm")
    refused("VALIDATION_FAILED", lambda: room.do("send", "ann", text=text))
    seq = room.send("ann")
    refused("VALIDATION_FAILED", lambda: room.do("edit", "ann", seq=seq, text=text))
    assert len(room.events) == 4


@pytest.mark.parametrize("text", ["a", " a ", "é\n\tß", "👩‍👩‍👧", "x" * 4000, "。", "\u200fעברית\u200e", "\u0301"])
def test_what_is_text(text: str) -> None:
    assert text_problem(text) is None


def test_an_edit_has_fifteen_minutes() -> None:
    room = Room("dm")
    seq = room.send("ann", "One")
    room.later(EDIT_WINDOW_MS).do("edit", "ann", seq=seq, text="Two")
    assert room.items()[0]["text"] == "Two"
    room.later(1)
    refused("EDIT_TOO_LATE", lambda: room.do("edit", "ann", seq=seq, text="Three"))
    refused("FORBIDDEN", lambda: room.do("edit", "bob", seq=seq, text="Three"))
    refused("FORBIDDEN", lambda: room.moderate("edit", seq=seq, text="Three"))
    room.do("delete", "ann", seq=seq)  # that is possible for ever
    refused("CONFLICT", lambda: room.do("edit", "ann", seq=seq, text="Three"))


def test_edits_are_bounded() -> None:
    room = Room("dm")
    seq = room.send("ann", "0")
    for count in range(MOST_EDITS):
        room.do("edit", "ann", seq=seq, text=str(count))
    refused("CONFLICT", lambda: room.do("edit", "ann", seq=seq, text="more"))
    assert room.state.edits.get(seq) == tuple(range(seq + 1, seq + 1 + MOST_EDITS))


def test_targets_must_be_messages_of_this_room() -> None:
    room = Room("dm")
    seq = room.send("ann")
    gone = room.send("ann")
    room.do("delete", "ann", seq=gone)
    for wrong, code in (
        (1, "NOT_FOUND"),
        (999, "NOT_FOUND"),
        (gone, "CONFLICT"),
        (None, "VALIDATION_FAILED"),
        (True, "VALIDATION_FAILED"),
    ):
        refused(code, lambda wrong=wrong: room.do("edit", "ann", seq=wrong, text="x"))  # type: ignore[misc]
        refused(code, lambda wrong=wrong: room.do("delete", "ann", seq=wrong))  # type: ignore[misc]
        refused(code, lambda wrong=wrong: room.do("react", "ann", seq=wrong, emoji="👍", on=True))  # type: ignore[misc]
        if wrong is not None:
            refused(code, lambda wrong=wrong: room.send("ann", reply_to=wrong))  # type: ignore[misc]
    assert room.send("bob", reply_to=seq) == gone + 2


def test_a_tombstone_says_nothing() -> None:
    room = Room("dm")
    seq = room.send("ann", "Secret @bob", mentions=["bob"])
    room.do("react", "bob", seq=seq, emoji="👍", on=True)
    refused("FORBIDDEN", lambda: room.do("delete", "bob", seq=seq))
    refused("FORBIDDEN", lambda: room.do("delete", "eve", seq=seq))
    room.moderate("delete", seq=seq)
    assert room.items() == [
        {
            "seq": seq,
            "t": room.wires()[seq - 1]["t"],
            "type": "message",
            "id": "m1",
            "user": "ann",
            "text": "",
            "deleted": "moderator",
        }
    ]
    assert "Secret" not in str(ROOM_RULES.dump(room.state))
    room.check()


def test_reactions_are_what_stands() -> None:
    room = Room("dm")
    seq = room.send("ann")
    assert room.do("react", "bob", seq=seq, emoji="❤", on=True) == {"seq": seq + 1}
    assert room.do("react", "bob", seq=seq, emoji="❤️", on=True) == {"seq": seq + 1}
    assert room.do("react", "ann", seq=seq, emoji="👍", on=False) == {"seq": seq + 1}
    assert len(room.events) == seq + 1
    room.do("react", "bob", seq=seq, emoji="❤", on=False)
    assert "reactions" not in room.items()[0]
    assert room.state.reactions.items() == []
    refused("FORBIDDEN", lambda: room.do("react", "eve", seq=seq, emoji="👍", on=True))
    refused("VALIDATION_FAILED", lambda: room.do("react", "ann", seq=seq, emoji="no", on=True))
    refused("VALIDATION_FAILED", lambda: room.do("react", "ann", seq=seq, emoji="👍", on=1))
    for code in range(MOST_EMOJI):
        room.do("react", "ann", seq=seq, emoji=chr(0x1F400 + code), on=True)
    refused("CONFLICT", lambda: room.do("react", "ann", seq=seq, emoji="👍", on=True))
    room.do("react", "bob", seq=seq, emoji=chr(0x1F400), on=True)
    room.check()


def test_mentions_are_bounded_and_known() -> None:
    room = Room("job")
    for index in range(60):
        room.join(f"u{index}")
    refused("VALIDATION_FAILED", lambda: room.send("client", mentions=[f"u{index}" for index in range(51)]))
    refused("VALIDATION_FAILED", lambda: room.send("client", mentions="u1"))
    refused("VALIDATION_FAILED", lambda: room.send("client", mentions=[5]))
    room.send("client", " ".join(f"@u{index}" for index in range(60)), mentions=["u59"])
    mentions = room.events[-1].public["mentions"]
    assert (len(mentions), mentions[0]) == (50, "u59")
    room.send("client", "a@u1 @u1- @u1x @@u1 (@u2) @u3.")
    assert room.events[-1].public["mentions"] == ["u2", "u3"]


def test_only_the_last_messages_are_kept_whole() -> None:
    room = Room("dm")
    first = room.send("ann", "0")
    for index in range(1, 60):
        room.send("ann", str(index))
    assert [item["text"] for item in room.items()] == [str(index) for index in range(10, 60)]
    room.do("edit", "ann", seq=first, text="old")
    room.do("react", "bob", seq=first, emoji="👍", on=True)
    room.do("delete", "ann", seq=first)
    assert len(room.items()) == 50
    room.check()


def test_unread_is_what_others_said_since() -> None:
    room = Room("dm")
    seqs = [room.send("ann") for _ in range(4)]
    assert room.state.unread("bob", 0) == 4
    assert room.state.unread("bob", seqs[1]) == 2
    room.do("delete", "ann", seq=seqs[0])
    room.do("delete", "ann", seq=seqs[3])
    assert room.state.unread("bob", 0) == 2
    assert room.state.unread("bob", seqs[1]) == 1
    room.send("bob")
    assert room.state.unread("bob", 0) == 0
    assert room.state.unread("ann", 0) == 1
    assert room.state.unread("eve", 0) == 3


def test_time_never_goes_back() -> None:
    room = Room("dm")
    room.later(MINUTE).send("ann")
    room.later(-MINUTE).send("bob")
    assert room.events[-1].t == NOW + MINUTE
