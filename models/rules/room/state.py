"""The state of one room: what folding its events gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from models.rules.room.columns import Messages, Sparse

RECENT: Final = 50
"""Messages that are kept whole."""


class Charter(NamedTuple):
    """What a room is, for good.

    Attributes:
        kind: `dm`, `job` or `contract`; empty before `opened`.
        job, contract: id of what it belongs to.
        owner: user id of the job's client; empty in other rooms.
        parties: `(user id, role)` of those who are in it from the start; others join in rooms of jobs alone.
    """

    kind: str
    job: str | None
    contract: str | None
    owner: str
    parties: tuple[tuple[str, str], ...]


UNOPENED: Final = Charter("", None, None, "", ())


class Member(NamedTuple):
    """Somebody who is in the room or was.

    Attributes:
        user: user id.
        name: what the others know: the user id, or a pseudonym until it is revealed.
        role: `client` and `freelancer` in rooms of jobs; empty where there are none.
        since: seq of the event that added them. last_sent: seq of their last message; 0 without.
        removed: for good.
    """

    user: str
    name: str
    role: str
    since: int
    last_sent: int = 0
    removed: bool = False


class Written(NamedTuple):
    """A message whole, as of its last edit.

    Attributes:
        seq: of its event. t: ms.
        author: number of the member.
        id: random id.
        reply_to: seq of the message that it answers.
        mentions: numbers of members.
        edited_at: ms of the last edit; None without.
    """

    seq: int
    t: int
    author: int
    id: str
    text: str
    reply_to: int | None
    mentions: tuple[int, ...]
    edited_at: int | None = None


Reactions = tuple[tuple[str, tuple[int, ...]], ...]
"""`(emoji, numbers of members)` in the order in which each came first."""


@dataclass(slots=True)
class State:
    """A room after `seq` events. Members are numbered from 1 in the order in which they came.

    Attributes:
        numbers: by user id. names: numbers by name, pseudonyms that were revealed included.
        messages: all, without texts. recent: the last `RECENT` whole, by seq, oldest first.
        edits: per message, seqs of its `edited` events. deleted: per message, by whom (`author` or `moderator`).
    """

    seq: int = 0
    t: int = 0
    charter: Charter = UNOPENED
    members: list[Member] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    messages: Messages = field(default_factory=Messages)
    recent: dict[int, Written] = field(default_factory=dict)
    edits: Sparse[tuple[int, ...]] = field(default_factory=Sparse)
    deleted: Sparse[str] = field(default_factory=Sparse)
    reactions: Sparse[Reactions] = field(default_factory=Sparse)

    @property
    def kind(self) -> str:
        """`dm`, `job` or `contract`."""
        return self.charter.kind

    @property
    def job(self) -> str | None:
        """Id of the job whose room this is."""
        return self.charter.job

    @property
    def veiled(self) -> bool:
        """Whether somebody is known by a pseudonym."""
        return any(member.name != member.user for member in self.members)

    def number(self, user: str) -> int:
        """The number of a user, removed or not; 0 for one who never was in the room."""
        return self.numbers.get(user, 0)

    def member(self, user: str) -> Member | None:
        """A user in the room, removed or not."""
        number = self.numbers.get(user, 0)
        return self.members[number - 1] if number else None

    def is_member(self, user: str) -> bool:
        """Whether a user is in the room now."""
        member = self.member(user)
        return member is not None and not member.removed

    def name_of(self, user: str) -> str | None:
        """What a user is called in the room; None for one who never was in it."""
        member = self.member(user)
        return member.name if member is not None else None

    def named(self, name: str) -> Member | None:
        """The member of a name, removed or not."""
        number = self.names.get(name, 0)
        return self.members[number - 1] if number else None

    def user_of(self, name: str) -> str | None:
        """The user id behind a name. Never to be told to others while the name is a pseudonym."""
        member = self.named(name)
        return member.user if member is not None else None

    def current_members(self) -> list[Member]:
        """Those who are in the room now, in the order in which they came."""
        return [member for member in self.members if not member.removed]

    def aliases(self) -> dict[str, str]:
        """User ids by pseudonym, of those that were revealed."""
        found = {}
        for name, number in self.names.items():
            member = self.members[number - 1]
            if name != member.name:
                found[name] = member.name
        return found

    def read_to(self, user: str, read_seq: int) -> int:
        """Up to which seq a user knows the room: what it said it had read, or its own last message."""
        member = self.member(user)
        return max(read_seq, member.last_sent if member is not None else 0)

    def unread(self, user: str, read_seq: int) -> int:
        """Messages by others after what the user has read or sent last, without those that were deleted."""
        after = self.read_to(user, read_seq)
        count = len(self.messages) - self.messages.place(after)
        return count and count - self.deleted.count_after(after)

    def copy(self) -> State:
        """An independent copy; what never changes in place is shared."""
        return replace(
            self,
            members=self.members.copy(),
            numbers=self.numbers.copy(),
            names=self.names.copy(),
            messages=self.messages.copy(),
            recent=self.recent.copy(),
            edits=self.edits.copy(),
            deleted=self.deleted.copy(),
            reactions=self.reactions.copy(),
        )

    def dump(self) -> dict[str, Any]:
        """The state as JSON: records are lists, messages are columns of text."""
        return {
            "seq": self.seq,
            "t": self.t,
            "charter": [*self.charter[:-1], [list(party) for party in self.charter.parties]],
            "members": [list(member) for member in self.members],
            "names": self.names.copy(),
            "messages": self.messages.dump(),
            "recent": [[*written[:-2], list(written.mentions), written.edited_at] for written in self.recent.values()],
            "edits": [[seq, list(seqs)] for seq, seqs in self.edits.items()],
            "deleted": self.deleted.dump(),
            "reactions": [
                [seq, [[emoji, list(numbers)] for emoji, numbers in reactions]]
                for seq, reactions in self.reactions.items()
            ],
        }

    @classmethod
    def load(cls, dumped: Mapping[str, Any]) -> State:
        """The inverse of `dump`."""
        *plain, parties = dumped["charter"]
        members = [Member(*fields) for fields in dumped["members"]]
        recent = [
            Written(*fields, tuple(mentions), edited_at)  # type: ignore[call-arg]
            for *fields, mentions, edited_at in dumped["recent"]
        ]
        return cls(
            seq=dumped["seq"],
            t=dumped["t"],
            charter=Charter(*plain, tuple((user, role) for user, role in parties)),  # type: ignore[call-arg]
            members=members,
            numbers={member.user: number for number, member in enumerate(members, 1)},
            names=dict(dumped["names"]),
            messages=Messages.load(dumped["messages"]),
            recent={written.seq: written for written in recent},
            edits=Sparse({seq: tuple(seqs) for seq, seqs in dumped["edits"]}),
            deleted=Sparse(dict(dumped["deleted"])),
            reactions=Sparse(
                {seq: tuple((emoji, tuple(numbers)) for emoji, numbers in rows) for seq, rows in dumped["reactions"]}
            ),
        )
