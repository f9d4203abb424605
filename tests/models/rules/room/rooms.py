"""A room run by its rules alone, as `server.streams` runs them, with everything checked after every event."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from models.rules.room.rules import ROOM_RULES
from models.rules.room.state import State
from models.rules.stream import Command, Decision, Draft, Event
from models.rules.times import to_rfc3339

NOW = 1_800_000_000_000
MINUTE = 60_000


class Room:
    """One room and its clock. `do` decides and folds; what is folded is compared with the dumped and the replayed state."""

    def __init__(self, kind: str = "dm", **fields: Any) -> None:
        self.now = NOW
        self.events: list[Event] = []
        self.state: State = ROOM_RULES.initial()
        self._ids = 0
        if kind == "job":
            self.open(kind="job", job="j1", owner="client", parties=[["client", "client"]], **fields)
        elif kind == "contract":
            parties = [["ann", "freelancer"], ["client", "client"]]
            self.open(kind="contract", contract="c1", parties=parties, **fields)
        elif kind == "dm":
            self.open(kind="dm", parties=[["ann", ""], ["bob", ""]])

    def open(self, **payload: Any) -> Mapping[str, Any]:
        """Open it."""
        return self.command(Command("open", "system", payload))

    def do(
        self, name: str, actor: str, *, context: Mapping[str, Any] | None = None, **payload: Any
    ) -> Mapping[str, Any]:
        """Have a command decided and its events folded; the answer."""
        self._ids += 1
        return self.command(Command(name, actor, payload, None, {"id": f"m{self._ids}", **(context or {})}))

    def send(self, actor: str, text: str = "Hello", **payload: Any) -> int:
        """Say something; the seq."""
        return int(self.do("send", actor, text=text, **payload)["seq"])

    def join(self, user: str, *names: str) -> Mapping[str, Any]:
        """Join the room of a job, by a pseudonym if names are offered."""
        return self.do("join", user, context={"names": list(names) or None}, role="freelancer")

    def moderate(self, name: str, **payload: Any) -> Mapping[str, Any]:
        """A command by a moderator."""
        return self.do(name, "warden", context={"moderator": True}, **payload)

    def later(self, ms: int) -> Room:
        """Time passes."""
        self.now += ms
        return self

    def command(self, command: Command) -> Mapping[str, Any]:
        """Decide on an untouched state, then fold."""
        before = ROOM_RULES.dump(self.state)
        tried = ROOM_RULES.copy(self.state)
        try:
            decision: Decision = ROOM_RULES.decide(tried, command, self.now)
        finally:
            assert ROOM_RULES.dump(tried) == before, "deciding reads only"
        for draft in decision.drafts:
            self.fold(draft)
        return decision.answer

    def fold(self, draft: Draft) -> None:
        """Commit one draft."""
        t = self.now if draft.t is None else draft.t
        public, private = json.loads(json.dumps([draft.public, draft.private]))
        event = Event(len(self.events) + 1, t, draft.type, public, private)
        shared = ROOM_RULES.copy(self.state)
        kept = ROOM_RULES.dump(shared)
        ROOM_RULES.apply(self.state, event)
        self.events.append(event)
        assert ROOM_RULES.dump(shared) == kept, "copies are independent"

    def replayed(self) -> State:
        """The state of the same events, folded anew."""
        state = ROOM_RULES.initial()
        for event in self.events:
            ROOM_RULES.apply(state, event)
        return state

    def check(self) -> None:
        """The state is that of a replay, survives a snapshot, and owes nothing."""
        assert self.state == self.replayed()
        dumped = json.loads(json.dumps(ROOM_RULES.dump(self.state)))
        assert ROOM_RULES.load(dumped) == self.state
        assert ROOM_RULES.due(self.state, self.now) is None
        assert ROOM_RULES.next_due(self.state) is None

    def view(self) -> dict[str, Any]:
        """What everybody sees."""
        return ROOM_RULES.view(self.state)

    def items(self) -> list[dict[str, Any]]:
        """The last messages."""
        return list(self.view()["messages"])

    def wires(self) -> list[dict[str, Any]]:
        """The public events."""
        return [
            {**event.public, "seq": event.seq, "t": to_rfc3339(event.t), "type": event.type} for event in self.events
        ]
