"""Who may talk to whom, as the market has it: bids and invitations, read where they are decided."""

from __future__ import annotations

from typing import Final

from pymongo.read_concern import ReadConcern

from models.event import EventDocument
from models.job import Job
from models.rules.auction.naming import HIDDEN_FORMATS, SEALED_KIND, truth_stream
from models.rules.auction.state import ACCEPTED, AWARDED, CLOSED
from models.rules.auction.state import State as Auction
from models.rules.visibility import DRAFT, job_visible
from server.auth.principal import Principal
from server.errors import AppError
from server.streams.streams import Streams

CLIENT: Final = "client"
FREELANCER: Final = "freelancer"

_MAJORITY: Final = ReadConcern("majority")
_OVER: Final = (CLOSED, AWARDED, ACCEPTED)
"""Phases in which it is known who has bid. Not after a cancellation: its envelopes stay closed for ever."""

_AT_ONCE: Final = 500
"""Streams asked for in one query."""


class Relations:
    """What follows for rooms from jobs and auctions."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    async def job(self, principal: Principal, job_id: str) -> Job:
        """A job that the caller may see.

        Raises:
            AppError: NOT_FOUND.
        """
        job = await Job.get(job_id)
        if job is None or not job_visible(job, principal):
            raise AppError("NOT_FOUND", "No such job")
        return job

    async def role(self, job: Job, user: str) -> str | None:
        """`client` for the owner, `freelancer` for whoever has bid or is invited; None for everybody else."""
        if user == job.owner:
            return CLIENT
        if job.scope != DRAFT and user in job.invited:
            return FREELANCER
        auction = await self._auction(job)
        return FREELANCER if auction is not None and user in auction.numbers else None

    async def veiled(self, job: Job) -> bool:
        """Whether bidders must not know of each other: a hidden auction runs or is about to, or was cancelled."""
        if job.auction is None or job.auction.format not in HIDDEN_FORMATS:
            return False
        auction = await self._auction(job)
        return auction is not None and auction.phase not in _OVER

    def shows_bidders(self, job: Job) -> bool:
        """Whether the client may know who bids while that is hidden from the bidders: with proposals."""
        return job.auction is not None and job.auction.format == "proposal"

    async def acquainted(self, one: str, other: str) -> bool:
        """Whether either has bid on a job of the other's or was invited to one.

        Bids in a sealed auction that still runs or was cancelled don't count: asking would tell who has bid.
        """
        return await self._worked_for(one, other) or await self._worked_for(other, one)

    async def _worked_for(self, owner: str, freelancer: str) -> bool:
        jobs = Job.get_pymongo_collection()
        if await jobs.find_one({"owner": owner, "scope": {"$ne": DRAFT}, "invited": freelancer}, {"_id": 1}):
            return True
        streams = await self._auctions_with(owner, freelancer)
        if any(stream.partition(":")[0] != SEALED_KIND for stream in streams):
            return True
        for stream in streams:
            auction: Auction = (await self._streams.current(stream)).state
            if auction.terms.format == "proposal" or auction.phase in _OVER:
                return True
        return False

    async def engaged(self, owner: str, freelancer: str) -> bool:
        """Whether the freelancer has accepted an award of the owner's."""
        for stream in await self._auctions_with(owner, freelancer):
            if _winner((await self._streams.current(stream)).state) == freelancer:
                return True
        return False

    async def contracted(self, job_id: str) -> set[str]:
        """The client and the winner of a job whose award was accepted; nobody before."""
        job = await Job.get(job_id)
        auction = await self._auction(job) if job is not None else None
        winner = _winner(auction) if auction is not None else None
        return {auction.owner, winner} if auction is not None and winner is not None else set()

    async def _auctions_with(self, owner: str, freelancer: str) -> list[str]:
        """The streams of truth of the owner's auctions in which the freelancer has bid."""
        jobs = Job.get_pymongo_collection()
        found = jobs.find({"owner": owner, "auction.id": {"$exists": True}}, {"auction.id": 1, "auction.format": 1})
        streams = [truth_stream(job["auction"]["id"], job["auction"]["format"]) async for job in found]
        bid_on: list[str] = []
        for start in range(0, len(streams), _AT_ONCE):
            bid_on += await self._bid_on(streams[start : start + _AT_ONCE], freelancer)
        return bid_on

    async def _bid_on(self, streams: list[str], freelancer: str) -> list[str]:
        """Those of the streams in which the freelancer has bid."""
        events = EventDocument.get_pymongo_collection().with_options(read_concern=_MAJORITY)
        # `$exists` lets the planner use the partial index (stream, actor, key); every bid has a key
        wanted = {"stream": {"$in": streams}, "actor": freelancer, "key": {"$exists": True}, "type": "bid"}
        found: list[str] = await events.distinct("stream", wanted)
        return found

    async def _auction(self, job: Job) -> Auction | None:
        """The state of the job's auction, from its stream of truth."""
        if job.auction is None:
            return None
        state: Auction = (await self._streams.current(truth_stream(job.auction.id, job.auction.format))).state
        return state


def _winner(auction: Auction) -> str | None:
    """Who has accepted the award."""
    if auction.phase != ACCEPTED or auction.award is None:
        return None
    return auction.user(auction.award.bidder)
