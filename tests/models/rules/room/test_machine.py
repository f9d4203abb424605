"""Random rooms against a model that keeps everything in plain lists."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from models.rules.stream import Command, Rejected
from tests.models.rules.room.rooms import MINUTE, Room

PEOPLE = ("client", "ann", "bob", "cat", "eve")
WHO = st.sampled_from(PEOPLE)
EMOJI = st.sampled_from(("👍", "❤", "❤️", "👩🏽‍💻", "nope"))
PLACE = st.integers(-1, 30)


class Conversation(RuleBasedStateMachine):
    """The room of a job, and what each message has come to."""

    def __init__(self) -> None:
        super().__init__()
        self.room = Room("job")
        self.people: dict[str, bool] = {"client": True}
        self.messages: dict[int, dict[str, Any]] = {}
        self.read: dict[str, int] = {}

    def _do(self, name: str, actor: str, expected: bool, **payload: Any) -> int | None:
        """The seq of the answer, which must come iff it is expected."""
        before = len(self.room.events)
        try:
            answer = self.room.do(name, actor, **payload)
        except Rejected:
            assert not expected, (name, actor, payload)
            assert len(self.room.events) == before
            return None
        assert expected, (name, actor, payload)
        return int(answer["seq"])

    def _target(self, place: int) -> int:
        seqs = list(self.messages)
        return seqs[place] if -len(seqs) <= place < len(seqs) else 9_999

    @rule(who=WHO, veiled=st.booleans())
    def join(self, who: str, veiled: bool) -> None:
        """Somebody comes in."""
        context = {"names": [f"Guest {who:0>6}"]} if veiled and who != "client" else {}
        if self.people.get(who) is False:
            return
        self.room.do("join", who, context=context, role="freelancer")
        self.people[who] = True

    @rule(who=WHO)
    def remove(self, who: str) -> None:
        """A moderator removes somebody."""
        name = self.room.state.name_of(who) or who
        try:
            self.room.moderate("remove", user=name)
        except Rejected:
            assert not self.people.get(who)
        else:
            assert self.people[who]
            self.people[who] = False

    @rule()
    def reveal(self) -> None:
        """The auction is over."""
        self.room.command(Command("reveal", "system"))

    @rule(who=WHO, place=PLACE, replies=st.booleans())
    def send(self, who: str, place: int, replies: bool) -> None:
        """Somebody says something."""
        target = self._target(place)
        reply = {"reply_to": target} if replies else {}
        valid = not replies or (target in self.messages and not self.messages[target]["deleted"])
        text = f"text {len(self.room.events)}"
        seq = self._do("send", who, bool(self.people.get(who)) and valid, text=text, **reply)
        if seq is not None:
            self.messages[seq] = {"who": who, "text": text, "t": self.room.now, "deleted": None, "on": {}}
            self.read[who] = seq

    @rule(who=WHO, place=PLACE)
    def edit(self, who: str, place: int) -> None:
        """Somebody changes something."""
        target = self._target(place)
        message = self.messages.get(target)
        expected = (
            message is not None
            and bool(self.people.get(who))
            and message["who"] == who
            and not message["deleted"]
            and self.room.now - message["t"] <= 15 * MINUTE
        )
        if self._do("edit", who, expected, seq=target, text=f"edit {target}") is not None and message is not None:
            message["text"] = f"edit {target}"

    @rule(who=WHO, place=PLACE, moderator=st.booleans())
    def delete(self, who: str, place: int, moderator: bool) -> None:
        """Somebody takes something back."""
        target = self._target(place)
        message = self.messages.get(target)
        own = message is not None and message["who"] == who and bool(self.people.get(who))
        expected = message is not None and not message["deleted"] and (own or moderator)
        context = {"moderator": moderator}
        try:
            self.room.do("delete", who, context=context, seq=target)
        except Rejected:
            assert not expected
        else:
            assert expected
            assert message is not None
            message["deleted"] = "author" if message["who"] == who else "moderator"

    @rule(who=WHO, place=PLACE, emoji=EMOJI, on=st.booleans())
    def react(self, who: str, place: int, emoji: str, on: bool) -> None:
        """Somebody reacts."""
        target = self._target(place)
        message = self.messages.get(target)
        expected = message is not None and not message["deleted"] and bool(self.people.get(who)) and emoji != "nope"
        if self._do("react", who, expected, seq=target, emoji=emoji, on=on) is not None and message is not None:
            users = message["on"].setdefault("❤️" if emoji == "❤" else emoji, set())
            (users.add if on else users.discard)(who)

    @rule(minutes=st.integers(0, 10))
    def wait(self, minutes: int) -> None:
        """Time passes."""
        self.room.later(minutes * MINUTE)

    @invariant()
    def is_as_the_model(self) -> None:
        """Counts, members and the last messages are those of the model."""
        state = self.room.state
        assert [event.seq for event in self.room.events] == list(range(1, len(self.room.events) + 1))
        assert {member.user for member in state.current_members()} == {who for who, in_ in self.people.items() if in_}
        floor = random.Random(len(self.room.events)).randint(0, len(self.room.events))
        for who in PEOPLE:
            after = max(floor, self.read.get(who, 0))
            unread = [seq for seq, message in self.messages.items() if seq > after and not message["deleted"]]
            assert state.unread(who, floor) == len(unread)
        items = self.room.items()
        assert [item["seq"] for item in items] == list(self.messages)[-50:]
        for item in items:
            self._compare(item, self.messages[item["seq"]])

    def _compare(self, item: dict[str, Any], message: dict[str, Any]) -> None:
        assert item["user"] == self.room.state.name_of(message["who"])
        assert item.get("deleted") == message["deleted"]
        assert item["text"] == ("" if message["deleted"] else message["text"])
        users = {
            row["emoji"]: {self.room.state.user_of(name) for name in row["users"]} for row in item.get("reactions", [])
        }
        wanted = {} if message["deleted"] else {emoji: on for emoji, on in message["on"].items() if on}
        assert users == wanted

    def teardown(self) -> None:
        """A replay and a snapshot give the same."""
        self.room.check()


TestConversation = Conversation.TestCase
TestConversation.settings = settings(
    max_examples=60, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
