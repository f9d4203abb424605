"""Notices: what a user is to be told, because of which event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from models.rules.stream import Command

INBOX_KIND: Final = "user"
"""Streams of notifications, `user:<user id>`."""

SYSTEM: Final = "system"
"""The actor of everything but `read`."""

KINDS: Final = (
    "bid_received",
    "outbid",
    "leading",
    "extended",
    "closing_soon",
    "won",
    "lost",
    "award_expiring",
    "counter_offer",
    "auction_closed",
    "award_accepted",
    "award_declined",
    "message",
    "mention",
    "security",
)


LONGEST_EXCERPT: Final = 140


def excerpt(text: str) -> str:
    """The beginning of a text on one line, at most `LONGEST_EXCERPT` characters."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_EXCERPT else line[: LONGEST_EXCERPT - 1].rstrip() + "…"


def notice_key(kind: str, source: str, seq: int) -> str:
    """What makes a notice one in its inbox."""
    return f"{kind}:{source}:{seq}"


@dataclass(frozen=True, slots=True)
class Notice:
    """One notification on its way to one user. It arrives once per (user, kind, source, seq), however often it is sent.

    Attributes:
        user: whose.
        kind: one of `KINDS`.
        source, seq: the event that it tells of: its stream, or what else it comes from, and its place there.
        group: of the notices with the same group only the newest, by seq, stands; empty: it stands for itself.
        data: what a client needs to show it. Like the group no part of its identity: a second sending may know a newer title.
    """

    user: str
    kind: str
    source: str
    seq: int
    group: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stream(self) -> str:
        """The inbox that it goes to."""
        return inbox_stream(self.user)

    def command(self) -> Command:
        """What appends it."""
        payload = {"kind": self.kind, "source": self.source, "seq": self.seq}
        key = notice_key(self.kind, self.source, self.seq)
        return Command("notify", SYSTEM, payload, key, {"group": self.group, "data": self.data})


def inbox_stream(user: str) -> str:
    """The stream of a user's notifications."""
    return f"{INBOX_KIND}:{user}"


def inbox_user(stream: str) -> str:
    """Whose notifications a stream holds."""
    return stream.partition(":")[2]


def standing(notices: Iterable[Notice]) -> list[Notice]:
    """The notices without those that others among them supersede, in their order."""
    kept = list(notices)
    newest: dict[tuple[str, str], int] = {}
    for notice in kept:
        if notice.group:
            place = (notice.user, notice.group)
            newest[place] = max(newest.get(place, 0), notice.seq)
    return [it for it in kept if not it.group or it.seq == newest[it.user, it.group]]
