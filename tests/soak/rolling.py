"""What a rolling restart needs beside an auction and a conversation: who comes when and how, and readers of notifications."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.soak.accounts import Account
from tests.soak.client import Manner, Reader, Way, fingerprint
from tests.soak.cluster import Cluster
from tests.soak.inboxes import Inbox, stream_of
from tests.waiting import patiently


class Arrivals:
    """When sockets were opened, and at which instances."""

    def __init__(self) -> None:
        self._times: defaultdict[str, list[float]] = defaultdict(list)

    def manner(self, number: int) -> Manner:
        """Of the n-th of any group: one in eight polls only; every other one leaves when it is asked to."""
        transport = "polling" if number % 16 in (3, 10) else "websocket"
        return Manner(transport, heeds=number % 2 == 0, arrived=self._note)

    def _note(self, sid: str) -> None:
        self._times[sid.partition(".")[0]].append(asyncio.get_running_loop().time())

    def forget(self) -> None:
        """Begin to count anew."""
        self._times.clear()

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(len(times) for times in self._times.values())

    def most(self) -> int:
        """How many one instance had within a second, at most."""
        return max((_most_within(1.0, times) for times in self._times.values()), default=0)


def _most_within(seconds: float, times: Sequence[float]) -> int:
    first = most = 0
    for index, time in enumerate(times):
        while time - times[first] > seconds:
            first += 1
        most = max(most, index - first + 1)
    return most


class Addressees:
    """Readers of the notifications of some accounts.

    Args:
        count: how many they are; several devices of an account, if need be.
    """

    def __init__(self, cluster: Cluster, accounts: Sequence[Account], count: int, way: Way) -> None:
        self.tally: Counter[str] = Counter()
        self._cluster = cluster
        self._accounts = {stream_of(account): account for account in accounts}
        self.readers = [
            Reader(
                "/notifications",
                stream_of(account := accounts[index % len(accounts)]),
                self.tally,
                way.urls,
                index,
                account.token,
                way.manner(index),
                who="addressees",
                stay=None,
            )
            for index in range(count)
        ]

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """All read while the body goes on, and until they have seen everything there is."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(reader.run()) for reader in self.readers]
            yield
            await patiently(self._level, "every notification to be seen", progress=self._seen)
            for task in tasks:
                task.cancel()

    def _seen(self) -> int:
        return sum(len(reader.seen) for reader in self.readers)

    async def _level(self) -> bool:
        lengths = {stream: (await account.api.get(f"/streams/{stream}"))["seq"] for stream, account in self._watched()}
        return all(len(reader.seen) == lengths[reader.stream] for reader in self.readers)

    def _watched(self) -> list[tuple[str, Account]]:
        return [(stream, self._accounts[stream]) for stream in {reader.stream for reader in self.readers}]

    async def prove(self) -> None:
        """Everybody saw exactly what is there, and each inbox is as it should be."""
        for stream, account in self._watched():
            wanted = [fingerprint(event) for event in await self._history(stream, account)]
            for reader in self.readers:
                assert reader.stream != stream or reader.seen == wanted, f"{stream} was not seen as it is"
            await (await Inbox.of(self._cluster, account)).prove()

    async def _history(self, stream: str, account: Account) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        while True:
            page = await account.api.get(f"/streams/{stream}/events", after=len(events), limit=1000)
            events += page["events"]
            if not page["more"]:
                return events
