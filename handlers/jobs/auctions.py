"""What a job asks of its auction's stream, and what it learns from it.

The stream is the truth. A job's document follows it: `refresh` folds the stream and stores the summary, monotone by seq, so that
it does not matter who does it, when, or how often.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import structlog

from models.job import AuctionSummary, Job
from models.rules.auction.naming import truth_stream
from models.rules.auction.state import ACCEPTED, AWARDED, CANCELLED, CLOSED, OPEN, PAUSED, State
from models.rules.auction.terms import Terms, parse_terms
from models.rules.auction.view import listing
from models.rules.stream import Command, Rejected
from server.auth.principal import Principal
from server.clock import Clock, derived_id, new_salt
from server.errors import AppError
from server.streams.streams import Streams

FAR: Final = 253_402_300_799_999
"""`ends_at` of a job without an auction: the last millisecond of the year 9999, so that it is listed last."""

_STATUS: Final[Mapping[str, str]] = {
    OPEN: "open",
    PAUSED: "open",
    CLOSED: "closed",
    AWARDED: "awarded",
    ACCEPTED: "in_progress",
    CANCELLED: "cancelled",
}
"""From an auction's phase to its job's status."""

OPENING: Final = "the opening"
"""Key of the command that opens an auction. Clients' keys have no spaces, so none of theirs is taken by it."""

log = structlog.get_logger(__name__)


def auction_id_of(job_id: str) -> str:
    """A job has one auction, whose id follows from the job's."""
    return derived_id("auction", job_id)


def check_terms(raw: Mapping[str, Any], currency: str | None, now: int) -> Terms:
    """The terms, valid at `now` (ms). The currency is the budget's unless there is none.

    Raises:
        AppError: VALIDATION_FAILED, the places below `body.auction`.
    """
    named = raw.get("currency")
    if currency is not None and named not in (None, currency):
        raise _invalid([{"loc": ["currency"], "msg": "must be the budget's currency"}])
    if currency is None and named is None:
        raise _invalid([{"loc": ["currency"], "msg": "is required without a budget"}])
    try:
        return parse_terms({**raw, "currency": currency or named}, now)
    except Rejected as rejected:
        raise _invalid(rejected.details.get("errors", [])) from None


def _invalid(errors: list[Mapping[str, Any]]) -> AppError:
    placed = [{"loc": ["body", "auction", *error["loc"]], "msg": error["msg"]} for error in errors]
    return AppError("VALIDATION_FAILED", errors=placed)


def unopened_summary(job_id: str, terms: Terms) -> AuctionSummary:
    """The summary of an auction that is not open yet."""
    return AuctionSummary(
        id=auction_id_of(job_id),
        format=terms.format,
        direction=terms.direction,
        currency=terms.currency,
        start_amount=terms.start_amount,
        start_at=terms.start_at,
        end_at=terms.end_at,
    )


class JobAuctions:
    """The streams of jobs' auctions, from the jobs' side.

    Args:
        streams: where auctions live. clock: the cluster's clock.
    """

    def __init__(self, streams: Streams, clock: Clock) -> None:
        self._streams = streams
        self._clock = clock

    async def open(self, job: Job) -> None:
        """Open the auction; once, however often this is called.

        Raises:
            AppError: VALIDATION_FAILED, the terms have become invalid: their time has come. UNAVAILABLE.
        """
        assert job.terms is not None, "only a job with terms has an auction to open"
        payload = {"job": job.id, "terms": job.terms, "visibility": _opened_to(job), "invited": job.invited}
        command = Command("open", job.owner, payload, key=OPENING, context={"salt": new_salt()})
        await self._append(job, command)

    async def suspend(self, job: Job, revision: int, changes: list[str], actor: str) -> None:
        """Announce a material edit; all bids wait until they are reconfirmed.

        Raises:
            AppError: CANCEL_TOO_LATE, AUCTION_CLOSED, UNAVAILABLE.
        """
        await self._append(job, Command("suspend", actor, {"revision": revision, "changes": changes}))

    async def cancel(self, job: Job, principal: Principal, reason: str | None, key: str | None) -> None:
        """Cancel the auction.

        Raises:
            AppError: CANCEL_TOO_LATE, AUCTION_CLOSED, VALIDATION_FAILED without a needed reason, UNAVAILABLE.
        """
        context = {"admin": True} if principal.admin else {}
        command = Command("cancel", principal.id, {"reason": reason}, key=key, context=context)
        try:
            await self._append(job, command)
        except AppError as error:
            if error.errors:
                error.errors = [{**each, "loc": ["body", *each["loc"]]} for each in error.errors]
            raise

    async def revision(self, job: Job) -> int:
        """The last revision of the job that its auction knows of."""
        state = (await self._streams.current(_truth(job))).state
        return int(state.revision)

    async def winner(self, job: Job) -> str | None:
        """The user who accepted the award."""
        state: State = (await self._streams.current(_truth(job))).state
        return state.user(state.award.bidder) if state.award is not None and state.phase == ACCEPTED else None

    async def refresh(self, job: Job) -> Job:
        """The job with its summary and status as of the stream's head, stored if they were behind."""
        state: State = (await self._streams.current(_truth(job))).state
        if job.auction is None or listing(state)["seq"] <= job.auction.seq:
            return job
        await store_summary(state)
        return await Job.get(job.id) or job

    async def _append(self, job: Job, command: Command) -> None:
        await self._streams.append(_truth(job), command)


async def store_summary(state: State) -> None:
    """Write what lists show of an auction into its job, unless something newer is there."""
    if not state.seq:
        return
    kept = listing(state)
    change: dict[str, Any] = {
        **{f"auction.{name}": kept[name] for name in ("price", "leader", "bid_count", "reserve_met", "end_at", "seq")},
        "auction.phase": state.phase,
        "auction.start_at": state.terms.start_at,
        "ends_at": kept["end_at"],
        "status": _STATUS[state.phase],
    }
    await Job.get_pymongo_collection().update_one(
        {"_id": state.job, "auction.seq": {"$lt": kept["seq"]}, "status": {"$ne": "completed"}}, {"$set": change}
    )


def _truth(job: Job) -> str:
    assert job.auction is not None, "asked of jobs with an auction only"
    return truth_stream(job.auction.id, job.auction.format)


def _opened_to(job: Job) -> str:
    return "invited" if job.visibility == "invited" else "public"
