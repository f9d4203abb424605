"""What must hold of an auction afterwards, whatever was killed while it ran."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import aiohttp
import orjson

from server.dev.api import Api
from server.streams.event import StoredEvent
from tests.soak.client import fingerprint
from tests.soak.cluster import Cluster
from tests.soak.people import Auction, Bidder, Watcher
from tests.waiting import patiently


async def download(http: aiohttp.ClientSession, url: str, path: str, token: str | None = None) -> bytes:
    """The body of `GET /api/v1<path>`."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with http.get(f"{url}/api/v1{path}", headers=headers) as answer:
        body = await answer.read()
        assert answer.status == 200, f"{path} was answered {answer.status} {body[:500]!r}"
    return body


class Evidence:
    """The log of one auction, as every instance tells it."""

    def __init__(self, auction: Auction, lines: Sequence[bytes]) -> None:
        self.auction = auction
        self.lines = lines
        self.events: list[dict[str, Any]] = [orjson.loads(line) for line in lines]

    @classmethod
    async def gather(cls, auction: Auction, http: aiohttp.ClientSession) -> Evidence:
        """Download the log from all instances, which must agree to the byte; so must the states."""
        logs = [await download(http, url, f"/auctions/{auction.id}/log") for url in auction.urls]
        assert logs[1:] == logs[:-1], "instances tell different logs"
        states = [orjson.loads(await download(http, url, f"/streams/{auction.stream}")) for url in auction.urls]
        assert states[1:] == states[:-1], f"instances fold different states: {states}"
        evidence = cls(auction, logs[0].splitlines())
        assert states[0]["seq"] == len(evidence.events)
        return evidence

    def dense(self) -> None:
        """seq is 1, 2, 3 ... and t never goes back."""
        assert [event["seq"] for event in self.events] == list(range(1, len(self.events) + 1))
        times = [event["t"] for event in self.events]
        assert times == sorted(times)

    def holds_every_ack(self) -> None:
        """Each ack tells the event of its own, and that event tells what was acknowledged."""
        placed = self.auction.placed
        seqs = [one.ack["seq"] for one in placed]
        assert len(set(seqs)) == len(seqs), "two acks name the same event"
        for one in placed:
            event = self.events[one.ack["seq"] - 1]
            assert event["type"] == "bid", (one, event)
            assert (event["price"], event["end_at"]) == (one.ack["price"], one.ack["end_at"]), (one, event)
            assert (event["leader"] == event["bidder"]) == one.ack["leading"], (one, event)
            if one.sent["kind"] == "exact":
                assert event["amount"] == one.sent["amount"], (one, event)
        bids = [event["seq"] for event in self.events if event["type"] == "bid"]
        assert sorted(seqs) == bids, "the log holds bids that were never acknowledged"

    def closed_once_at_the_end(self) -> None:
        """One `closed`, stamped with the end as it was announced last, and one award after it."""
        (closed,) = [event for event in self.events if event["type"] == "closed"]
        before, after = self.events[: closed["seq"] - 1], self.events[closed["seq"] :]
        assert closed["t"] == [event["end_at"] for event in before if "end_at" in event][-1]
        assert closed["outcome"] == "sold"
        assert [event["type"] for event in after] == ["awarded"]

    def seen_by(self, watchers: Sequence[Watcher]) -> None:
        """Every watcher saw exactly this."""
        wanted = [fingerprint(event) for event in self.events]
        for watcher in watchers:
            assert watcher.seen == wanted, f"a watcher saw {len(watcher.seen)} events, not these {len(wanted)}"

    async def stored(self, cluster: Cluster) -> None:
        """MongoDB holds the same events; each bid's key once, at the seq that was acknowledged; no refused one."""
        documents = await cluster.stored(self.auction.stream)
        assert [StoredEvent.from_document(document).wire for document in documents] == list(self.lines)
        keyed = [(document["actor"], document["key"]) for document in documents if document["type"] == "bid"]
        assert len(set(keyed)) == len(keyed), "a key is in the log twice"
        by_key = {(document["actor"], document["key"]): document["seq"] for document in documents if "key" in document}
        assert {one.key: one.ack["seq"] for one in self.auction.placed}.items() <= by_key.items()
        assert not by_key.keys() & set(self.auction.refused), "a bid that was refused is in the log all the same"

    async def verifies(self, cluster: Cluster, http: aiohttp.ClientSession, admin_token: str) -> None:
        """`rialto verify-log` finds both the public log and the auditor's export good."""
        export = await download(http, self.auction.urls[0], f"/auctions/{self.auction.id}/export", admin_token)
        public_file, export_file = (cluster.folder / f"{self.auction.id}.{name}" for name in ("log", "export"))
        await asyncio.to_thread(public_file.write_bytes, b"\n".join(self.lines) + b"\n")
        await asyncio.to_thread(export_file.write_bytes, export)
        reports = [await cluster.rialto("verify-log", str(file)) for file in (public_file, export_file)]
        assert [code for code, _ in reports] == [0, 0], reports
        head = f"head {self.events[-1]['hash']}"
        count = f"{len(self.events)} events: "
        for (_, printed), said in zip(reports, ("the hash chain verifies", "and the resolution verify"), strict=True):
            assert said in printed, printed
            assert count in printed, printed
            assert head in printed, printed

    async def repeats(self, bidders: Sequence[Bidder]) -> None:
        """Sent again, a bid gets its first answer, and the log is as long as before."""
        by_user = {one.bidder: one for one in self.auction.placed}
        for bidder in bidders:
            if (one := by_user.get(bidder.user)) is not None:
                assert await bidder.repeat(one) == {**one.ack, "replayed": True}

    async def listed(self, api: Api) -> None:
        """The worker brings the job, as lists show it, up to the last event."""
        shown: dict[str, Any] = {}

        async def level() -> bool:
            shown.update((await api.get(f"/jobs/{self.auction.job}"))["auction"])
            return bool(shown["seq"] == len(self.events))

        await patiently(level, f"the job to reach event {len(self.events)}", progress=lambda: shown.get("seq"))
        auction = await api.get(f"/auctions/{self.auction.id}")
        for name in ("id", "status", "price", "leader", "bid_count", "end_at", "seq"):
            assert shown[name] == auction[name], (name, shown, auction)
