"""Opening a job's auction: the intention in the document, the event in the stream, the outcome in the document.

`opening` in the document is the intention. Whoever finds it old, a later call or the worker's sweep, brings it to its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import structlog

from handlers.jobs.auctions import FAR, JobAuctions, check_terms, unopened_summary
from models.job import Job
from models.rules.visibility import DRAFT, INVITED, PUBLIC
from server.clock import Clock
from server.errors import AppError

_LATE_START_MS: Final = 60_000

log = structlog.get_logger(__name__)


class Openings:
    """Makes jobs visible and opens their auctions.

    Args:
        clock: the cluster's clock. auctions: the jobs' streams.
    """

    def __init__(self, clock: Clock, auctions: JobAuctions) -> None:
        self._clock = clock
        self._auctions = auctions

    def draft(self, job_id: str, terms: Mapping[str, Any] | None, currency: str | None) -> dict[str, Any]:
        """Fields of a draft. It keeps the terms as given: "now" is later for it.

        Raises:
            AppError: VALIDATION_FAILED.
        """
        if terms is None:
            return {"terms": None, "auction": None, "ends_at": FAR}
        checked = check_terms(terms, currency, self._clock.now())
        summary = unopened_summary(job_id, checked)
        return {"terms": dict(terms), "auction": summary.model_dump(), "ends_at": checked.end_at}

    def intention(
        self, job_id: str, terms: Mapping[str, Any] | None, currency: str | None, visibility: str
    ) -> dict[str, Any]:
        """Fields of a job that is to be visible: at once without an auction, else with `opening`, for `run`.

        Raises:
            AppError: VALIDATION_FAILED.
        """
        now = self._clock.now()
        if terms is None:
            shown = {"status": "open", "scope": _scope(visibility), "visibility": visibility}
            return {**self.draft(job_id, None, None), **shown, "published_at": now, "unannounced": now}
        checked = check_terms(terms, currency, now)
        return {
            "opening": now,
            "visibility": visibility,
            "terms": checked.to_command(),
            "auction": unopened_summary(job_id, checked).model_dump(),
            "ends_at": checked.end_at,
        }

    async def begin(self, job: Job, visibility: str) -> None:
        """Write the intention into a draft, unless somebody else has.

        Raises:
            AppError: VALIDATION_FAILED.
        """
        currency = job.budget.currency if job.budget else None
        fields = self.intention(job.id, job.terms, currency, visibility)
        guard = {"_id": job.id, "scope": DRAFT, "opening": None, "revision": job.revision}
        change = {"$set": {name: value for name, value in fields.items() if value is not None}}
        await Job.get_pymongo_collection().update_one(guard, change)

    async def run(self, job: Job) -> None:
        """The event, then the document. What refuses the terms for good ends the intention.

        Raises:
            AppError: VALIDATION_FAILED, UNAVAILABLE.
        """
        assert job.terms is not None, "an opening has terms"
        now = self._clock.now()
        if job.terms["start_at"] < now - _LATE_START_MS < now < job.terms["end_at"]:
            # The process that began this died a while ago: the auction starts now instead.
            job.terms = {**job.terms, "start_at": now}
        jobs = Job.get_pymongo_collection()
        try:
            await self._auctions.open(job)
        except AppError as error:
            # A mismatch: it is open already, with an earlier start.
            if error.code != "IDEMPOTENCY_MISMATCH":
                if not error.retryable:
                    await jobs.update_one({"_id": job.id, "opening": job.opening}, {"$unset": {"opening": ""}})
                raise
        await self._auctions.refresh(job)  # which sets the status
        done = {"scope": _scope(job.visibility), "updated_at": now}
        if job.published_at is None:  # else it got its auction later
            done |= {"published_at": now, "unannounced": now}
        await jobs.update_one({"_id": job.id, "opening": {"$gt": 0}}, {"$set": done, "$unset": {"opening": ""}})

    async def finish(self, job: Job) -> Job:
        """Bring an intention to its end; if its time has passed, the auction stays unopened."""
        try:
            await self.run(job)
        except AppError as error:
            if error.retryable:
                raise
            log.warning("job.opening_abandoned", job=job.id, code=error.code, errors=error.errors)
        return await Job.get(job.id) or job


def _scope(visibility: str) -> str:
    return INVITED if visibility == "invited" else PUBLIC
