"""Changes of jobs. A material one is announced in the auction's stream first: it suspends the bids (bidding.md, 15).

`pending` in the document is the intention, the `suspended` event with its revision the fact. Whoever finds an intention that is
old, a later call or the worker's sweep, brings it to its end, or drops it if the auction refuses it by then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import structlog

from handlers.jobs.auctions import JobAuctions
from models.job import Job, PendingEdit
from server.clock import Clock
from server.errors import AppError

MATERIAL: Final = frozenset({"description", "skills", "budget"})
"""What a bidder bid on."""

log = structlog.get_logger(__name__)


class Edits:
    """Applies changes to jobs.

    Args:
        clock: the cluster's clock. auctions: the jobs' streams.
    """

    def __init__(self, clock: Clock, auctions: JobAuctions) -> None:
        self._clock = clock
        self._auctions = auctions

    async def apply(self, job: Job, fields: Mapping[str, Any]) -> None:
        """Write changes of which no bidder must hear.

        Args:
            fields: in the document's form; None removes one.

        Raises:
            AppError: CONFLICT, something else has changed meanwhile.
        """
        revision = job.revision + (1 if MATERIAL & fields.keys() else 0)
        guard = {"_id": job.id, "revision": job.revision, "scope": job.scope, "pending": None, "opening": None}
        if not await self._write(guard, fields, revision):
            raise AppError("CONFLICT", "The job has changed meanwhile")

    async def announce(self, job: Job, actor: str, fields: dict[str, Any]) -> None:
        """A change of which the bidders must hear: the intention, the event, the document.

        Raises:
            AppError: CONFLICT, another one is under way; CANCEL_TOO_LATE, AUCTION_CLOSED, UNAVAILABLE.
        """
        edit = PendingEdit(revision=job.revision + 1, fields=fields, actor=actor, since=self._clock.now())
        begun = await Job.get_pymongo_collection().update_one(
            {"_id": job.id, "revision": job.revision, "pending": None}, {"$set": {"pending": edit.model_dump()}}
        )
        if not begun.matched_count:
            raise AppError("CONFLICT", "Another change of this job is under way")
        await self._settle(job, edit)

    async def finish(self, job: Job) -> None:
        """Bring an intention to its end, or drop it if the auction refuses it by now."""
        if job.pending is None:
            return
        try:
            await self._settle(job, job.pending)
        except AppError as error:
            if error.retryable:
                raise
            log.warning("job.edit_dropped", job=job.id, code=error.code)

    async def _settle(self, job: Job, edit: PendingEdit) -> None:
        """The event, then the document. An event that is there already is not appended again."""
        material = sorted(MATERIAL & edit.fields.keys())
        try:
            await self._auctions.suspend(job, edit.revision, material, edit.actor)
        except AppError as error:
            if error.retryable:
                raise
            if await self._auctions.revision(job) < edit.revision:
                await Job.get_pymongo_collection().update_one(
                    {"_id": job.id, "pending.revision": edit.revision}, {"$unset": {"pending": ""}}
                )
                raise
        # Nothing matches if somebody else has settled it meanwhile.
        await self._write({"_id": job.id, "pending.revision": edit.revision}, edit.fields, edit.revision)

    async def _write(self, guard: Mapping[str, Any], fields: Mapping[str, Any], revision: int) -> bool:
        present = {name: value for name, value in fields.items() if value is not None}
        cleared = {name: "" for name, value in fields.items() if value is None}
        change = {
            "$set": {**present, "revision": revision, "updated_at": self._clock.now()},
            "$unset": {**cleared, "pending": ""},
        }
        return (await Job.get_pymongo_collection().update_one(guard, change)).matched_count == 1
