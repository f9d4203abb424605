"""Somebody who talks."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import gevent
from locust.env import Environment

from loadtest.people.person import Person, habit, new_key

_ROOMS: Final = 6
_RECENT: Final = 30
_TYPES_S: Final = 3.0
_REPEATS: Final = 0.05
"""Of the messages that are sent a second time, as after an ack that got lost on the way."""

_ANSWERS: Final = 0.2
_PAGE: Final = 50

_SAYINGS: Final = (
    "the brush is dry",
    "the ladder stands ready",
    "when could you begin with the north side?",
    "I think we should wait for a week without rain",
    "how many layers does the old wood need?",
    "the colour looks darker than on the photo",
    "that is fine with me",
)
_EMOJI: Final = ("👍", "🎉", "❤️", "😀", "👀")


class Room:
    """What somebody knows of a room: its last seq, and the newest messages, (seq, whose)."""

    __slots__ = ("messages", "seq")

    def __init__(self) -> None:
        self.seq = 0
        self.messages: list[tuple[int, str]] = []

    def take(self, events: list[dict[str, Any]]) -> None:
        """Learn from events, or from a state's messages."""
        for event in events:
            self.seq = max(self.seq, event["seq"])
            if event["type"] == "message" and "deleted" not in event:
                self.messages.append((event["seq"], event["user"]))
            elif event["type"] == "deleted":
                self.messages = [known for known in self.messages if known[0] != event["message"]]
        del self.messages[:-_RECENT]


class Chatter(Person):
    """Logs in, follows rooms and notifications, and talks."""

    weight = 15
    think_s = 10.0
    stay_s = 240.0
    namespaces: ClassVar[tuple[str, ...]] = ("/chat", "/notifications")

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._rooms: dict[str, Room] = {}
        self._own: list[tuple[str, int]] = []

    def account(self) -> str:
        """See `Person`."""
        return self.world.talker()

    def settle_in(self) -> None:
        """Enter the newest rooms, and follow the notifications."""
        assert self.connection is not None
        self._rooms.clear()
        self._own.clear()
        self.connection.follow("/notifications", f"user:{self.user['id']}")
        answer = self.rest("GET", "/rooms", query={"limit": 20})
        if answer.code:
            return
        for item in answer.body["items"][:_ROOMS]:
            room = self._rooms[item["id"]] = Room()
            ack = self.connection.follow("/chat", f"room:{item['id']}")
            if ack.code:
                del self._rooms[item["id"]]
            else:
                room.seq = max(room.seq, ack.body["seq"])
                room.take(ack.body["state"]["messages"])

    def heard(self, namespace: str, event: str, payload: dict[str, Any]) -> None:
        """Keep the rooms level."""
        if namespace == "/chat" and event == "events":
            room = self._rooms.get(payload["stream"].removeprefix("room:"))
            if room is not None:
                room.take(payload["events"])

    def _any_room(self) -> str | None:
        return self.dice.choice(list(self._rooms)) if self._rooms else None

    @habit(8)
    def say(self) -> None:
        """Type for a moment, then send; now and then as an answer to somebody."""
        room = self._any_room()
        if room is None:
            return
        self.command("/chat", "typing", {"room": room, "on": True})
        gevent.sleep(self.dice.uniform(0.3, 1) * _TYPES_S * self.world.pace)
        message: dict[str, Any] = {"room": room, "text": self._sentence(), "key": new_key()}
        known = self._rooms[room].messages
        if known and self.dice.random() < _ANSWERS:
            message["reply_to"] = self.dice.choice(known)[0]
        ack = self.command("/chat", "send", message)
        self.command("/chat", "typing", {"room": room, "on": False})
        if ack.code:
            return
        self._own.append((room, ack.body["seq"]))
        if self.dice.random() < _REPEATS:
            again = self.command("/chat", "send", message)
            if not again.body.get("replayed") or again.body.get("seq") != ack.body["seq"]:
                self.world.record.wrong("/chat send", "a message sent twice was not answered as the first time")

    def _sentence(self) -> str:
        return ", ".join(self.dice.choices(_SAYINGS, k=self.dice.randint(1, 4)))

    @habit(6)
    def read(self) -> None:
        """Have read a room to its end."""
        room = self._any_room()
        if room is not None and self._rooms[room].seq:
            self.command("/chat", "read", {"room": room, "seq": self._rooms[room].seq})

    @habit(3)
    def react(self) -> None:
        """Show what one thinks of a message."""
        room = self._any_room()
        if room is not None and self._rooms[room].messages:
            seq, _ = self.dice.choice(self._rooms[room].messages)
            reaction = {"room": room, "seq": seq, "emoji": self.dice.choice(_EMOJI), "on": self.dice.random() < 0.8}
            self.command("/chat", "react", {**reaction, "key": new_key()})

    @habit(1)
    def edit(self) -> None:
        """Say something else instead."""
        if self._own:
            room, seq = self._own[-1]
            self.command("/chat", "edit", {"room": room, "seq": seq, "text": self._sentence(), "key": new_key()})

    @habit(1)
    def delete(self) -> None:
        """Take back what one said."""
        if self._own:
            room, seq = self._own.pop()
            self.command("/chat", "delete", {"room": room, "seq": seq, "key": new_key()})

    @habit(2)
    def scroll_up(self) -> None:
        """Read older messages, page by page; they must be in order, each once."""
        room = self._any_room()
        if room is None:
            return
        query: dict[str, str | int] = {"limit": _PAGE}
        for _ in range(self.dice.randint(1, 3)):
            answer = self.rest("GET", f"/rooms/{room}/messages", "/rooms/{id}/messages", query=query)
            if answer.code or not answer.body["items"]:
                return
            found = [item["seq"] for item in answer.body["items"]]
            if found != sorted(set(found)) or found[-1] >= query.get("before", found[-1] + 1):
                self.world.record.wrong("GET /rooms/{id}/messages", "messages out of order")
            query["before"] = found[0]

    @habit(1)
    def look_at_rooms(self) -> None:
        """Read the list of rooms, with what is unread."""
        self.rest("GET", "/rooms", query={"limit": 20})
