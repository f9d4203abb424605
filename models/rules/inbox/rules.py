"""A user's inbox as a state machine that `server.streams` can run.

Events: `opened {unread}`, always the first; `notification {kind, data, unread, replaces?}`; `read {up_to, unread}`. Each says how
many notifications are unread after it, so whoever sees the last one knows. `replaces` is the seq of an unread notification that
the new one makes pointless; it is not shown any more and does not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from models.rules.inbox.seqs import SeqSet
from models.rules.stream import Command, Decision, Draft, Event, Rejected


class Newest(NamedTuple):
    """Of a group of notices: the seq of the newest at its source, and that of its notification here."""

    source: int
    seq: int


@dataclass(slots=True)
class Inbox:
    """An inbox after `seq` events.

    Attributes:
        read_to: everything up to that seq is read.
        unread: how many shown notifications are beyond it.
        shown: seqs of the notifications that were not replaced.
        newest: by group. Kept for ever: however late an old notice comes again, it is known to be old.
    """

    seq: int = 0
    read_to: int = 0
    unread: int = 0
    shown: SeqSet = field(default_factory=SeqSet)
    newest: dict[str, Newest] = field(default_factory=dict)


class InboxRules:
    """`models.rules.stream.Rules` for inboxes. Commands: `open`, `notify` (see `notices.Notice`), `read`."""

    version = 1
    chained = False

    def initial(self) -> Inbox:
        """An inbox that nobody has asked for."""
        return Inbox()

    def due(self, state: Inbox, now: int) -> Draft | None:
        """`opened` before anything else."""
        return Draft("opened", {"unread": 0}) if state.seq == 0 else None

    def next_due(self, state: Inbox) -> int | None:
        """At once, until it is opened."""
        return 0 if state.seq == 0 else None

    def decide(self, state: Inbox, command: Command, now: int) -> Decision:
        """Decide a command.

        `open {}` answers `{}`. `notify {kind, source, seq}` with the context `{group, data}` answers `{seq}`; None if a newer notice of
        the group has come before, then nothing happens. `read {seq}`, everything up to it, answers `{unread}`.

        Raises:
            Rejected: VALIDATION_FAILED, reading beyond the end; UNKNOWN_COMMAND.
        """
        if command.name == "notify":
            return _notify(state, command)
        if command.name == "read":
            return _read(state, command.payload["seq"])
        if command.name == "open":
            return Decision((), {})
        raise Rejected("UNKNOWN_COMMAND", f"No such command: {command.name}")

    def apply(self, state: Inbox, event: Event) -> None:
        """Fold one committed event into the state, in place."""
        state.seq = event.seq
        state.unread = event.public["unread"]
        if event.type == "read":
            state.read_to = event.public["up_to"]
        elif event.type == "notification":
            if (replaced := event.public.get("replaces")) is not None:
                state.shown.discard(replaced)
            state.shown.add(event.seq)
            if (group := event.private.get("group")) is not None:
                state.newest[group] = Newest(event.private["source"], event.seq)

    def copy(self, state: Inbox) -> Inbox:
        """An independent copy."""
        return Inbox(state.seq, state.read_to, state.unread, state.shown.copy(), state.newest.copy())

    def dump(self, state: Inbox) -> dict[str, Any]:
        """The state as JSON."""
        return {
            "seq": state.seq,
            "read_to": state.read_to,
            "unread": state.unread,
            "shown": state.shown.dump(),
            "newest": {group: list(newest) for group, newest in state.newest.items()},
        }

    def load(self, dumped: Mapping[str, Any]) -> Inbox:
        """The state from `dump`'s JSON."""
        return Inbox(
            dumped["seq"],
            dumped["read_to"],
            dumped["unread"],
            SeqSet.load(dumped["shown"]),
            {group: Newest(*newest) for group, newest in dumped["newest"].items()},
        )

    def view(self, state: Inbox) -> dict[str, Any]:
        """The `state` of `subscribe`: `{seq, unread, read_to}`."""
        return {"seq": state.seq, "unread": state.unread, "read_to": state.read_to}


def _notify(state: Inbox, command: Command) -> Decision:
    payload, group = command.payload, command.context["group"]
    former = state.newest.get(group)
    if former is not None and former.source >= payload["seq"]:
        return Decision((), {"seq": None})
    public: dict[str, Any] = {"kind": payload["kind"], "data": dict(command.context["data"])}
    if former is not None and former.seq > state.read_to:
        public |= {"unread": state.unread, "replaces": former.seq}
    else:
        public["unread"] = state.unread + 1
    private = {"group": group, "source": payload["seq"]} if group else {}
    return Decision((Draft("notification", public, private),), {"seq": state.seq + 1})


def _read(state: Inbox, seq: int) -> Decision:
    if seq > state.seq:
        error = {"loc": ["seq"], "msg": f"beyond the last one, {state.seq}"}
        raise Rejected("VALIDATION_FAILED", "Some fields are not valid", errors=[error])
    # What reads nothing appends nothing: else a client that reads whatever arrives would read its own reading for ever.
    unread = state.shown.count_after(max(seq, state.read_to))
    if unread == state.unread:
        return Decision((), {"unread": unread})
    return Decision((Draft("read", {"up_to": seq, "unread": unread}),), {"unread": unread})


INBOX_RULES: Final = InboxRules()
