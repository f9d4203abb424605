"""What must hold of somebody's notifications afterwards, whatever was killed while they were made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from models.event import EventDocument
from tests.soak.accounts import Account
from tests.soak.cluster import Cluster


class Told(NamedTuple):
    """A notification and where it comes from: the stream and the seq of an event."""

    source: str
    seq: int
    data: dict[str, Any]


class Inbox:
    """The notifications of one account, as MongoDB holds them."""

    def __init__(self, account: Account, events: Sequence[dict[str, Any]]) -> None:
        self._account = account
        self._events = events

    @classmethod
    async def of(cls, cluster: Cluster, account: Account) -> Inbox:
        """What is there now."""
        return cls(account, await cluster.stored(stream_of(account)))

    def told(self, kind: str) -> list[Told]:
        """Everything of one kind, in the order in which it was told."""
        return [_told(event) for event in self._notifications() if event["pub"]["kind"] == kind]

    async def prove(self) -> None:
        """Dense; nothing told twice; what is unread, as the account is told, equals a recount."""
        assert [event["seq"] for event in self._events] == list(range(1, len(self._events) + 1))
        keys = [event["key"] for event in self._notifications()]
        assert len(set(keys)) == len(keys), "somebody was told the same thing twice"
        shown = self._shown()
        read_to = max((event["pub"]["up_to"] for event in self._events if event["type"] == "read"), default=0)
        unread = [seq for seq in shown if seq > read_to]
        items, counts = await self._listed()
        assert [item["seq"] for item in items] == shown[::-1]
        assert [item["seq"] for item in items if not item["read"]] == unread[::-1]
        assert counts == {len(unread)}, f"{counts} unread; counted: {len(unread)}"

    def _notifications(self) -> list[dict[str, Any]]:
        return [event for event in self._events if event["type"] == "notification"]

    def _shown(self) -> list[int]:
        """Seqs of the notifications that none came in place of."""
        replaced = {event["pub"].get("replaces") for event in self._notifications()}
        return [event["seq"] for event in self._notifications() if event["seq"] not in replaced]

    async def _listed(self) -> tuple[list[dict[str, Any]], set[int]]:
        """All items of GET /notifications, newest first, and what its pages say is unread."""
        items: list[dict[str, Any]] = []
        counts = set()
        cursor: dict[str, str] = {}
        while True:
            page = await self._account.api.get("/notifications", limit=100, **cursor)
            items += page["items"]
            counts.add(page["unread"])
            if page["next_cursor"] is None:
                return items, counts
            cursor = {"cursor": page["next_cursor"]}


def stream_of(account: Account) -> str:
    """Where its notifications are."""
    return f"user:{account.user}"


async def how_many(cluster: Cluster, account: Account, kind: str) -> int:
    """How many notifications of a kind an account has by now."""
    async with cluster.database() as database:
        wanted = {"stream": stream_of(account), "type": "notification", "pub.kind": kind}
        return await database[EventDocument.Settings.name].count_documents(wanted)


def _told(event: dict[str, Any]) -> Told:
    kind, _, rest = event["key"].partition(":")
    source, _, seq = rest.rpartition(":")
    assert kind == event["pub"]["kind"], event
    return Told(source, int(seq), event["pub"]["data"])
