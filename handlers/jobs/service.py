"""Jobs: the use cases. Knows no transport.

A job's auction is opened by an event in its stream, and every change that bidders must hear of is an event first. The document is
written before (what is intended) and after (what happened); see `openings` and `edits`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel
from pymongo.errors import DuplicateKeyError

from handlers.jobs.auctions import JobAuctions
from handlers.jobs.edits import MATERIAL, Edits
from handlers.jobs.openings import Openings
from handlers.jobs.views import job_view
from models.job import Job
from models.place import Location, geo_point
from models.rules.visibility import DRAFT, job_visible
from models.user import User
from server.auth.principal import Principal
from server.clock import Clock
from server.errors import AppError
from server.metrics import JOBS_CREATED

_FIXED_ONCE_OPEN: Final = frozenset({"visibility", "invited", "auction"})
_EDITABLE: Final = frozenset({"draft", "open", "closed", "awarded", "in_progress"})


class Jobs:
    """Everything people do with jobs.

    Args:
        clock: the cluster's clock. auctions: the jobs' streams.

    Attributes:
        openings, edits: what may be left unfinished by a process that dies.
    """

    def __init__(self, clock: Clock, auctions: JobAuctions) -> None:
        self._clock = clock
        self._auctions = auctions
        self.openings = Openings(clock, auctions)
        self.edits = Edits(clock, auctions)

    async def create(self, principal: Principal, job_id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Post a job, with the auction opened if it has one and is no draft.

        Args:
            job_id: the same when the same request is run again; what exists is then brought to its end.
            fields: of `NewJob` in schemas.py, plain; `auction` as `parse_terms` takes it, or None.

        Raises:
            AppError: FORBIDDEN for freelancers; VALIDATION_FAILED.
        """
        if not principal.may_post_jobs:
            raise AppError("FORBIDDEN", "Only clients post jobs")
        live = fields["status"] != "draft" and fields["visibility"] != "private"
        job = await self._new_job(principal, job_id, fields, live)
        try:
            await job.insert()
        except DuplicateKeyError:
            job = await self._own_job(principal, job_id)
        else:
            JOBS_CREATED.inc()
        return await self._opened(job, principal)

    async def publish(self, principal: Principal, job_id: str, visibility: str | None) -> dict[str, Any]:
        """Publish a draft and open its auction. A published job stays as it is.

        Raises:
            AppError: NOT_FOUND, FORBIDDEN; VALIDATION_FAILED, the terms are not valid any more; CONFLICT, it was cancelled.
        """
        job = await self._own_job(principal, job_id)
        if job.scope != DRAFT:
            return await self._shown(job, principal)
        if job.status == "cancelled":
            raise AppError("CONFLICT", "The job was cancelled")
        if job.opening is None:
            wished = "public" if job.visibility == "private" else job.visibility
            await self.openings.begin(job, visibility or wished)
            job = await self._own_job(principal, job_id)
            if job.scope == DRAFT and job.opening is None:
                raise AppError("CONFLICT", "The job has changed meanwhile")
        return await self._opened(job, principal)

    async def change(self, principal: Principal, job_id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Change a job; a material change suspends the bids of its auction until they are reconfirmed.

        Args:
            fields: those of `JobChanges` in schemas.py that were sent.

        Raises:
            AppError: NOT_FOUND, FORBIDDEN, VALIDATION_FAILED; CONFLICT where its state does not allow it; CANCEL_TOO_LATE
                in the auction's last minutes; AUCTION_CLOSED for material changes after its end.
        """
        job = await self._own_job(principal, job_id)
        if job.opening is not None:
            job = await self.openings.finish(job)
        if job.pending is not None:
            await self.edits.finish(job)
            job = await self._own_job(principal, job_id)
        changed = {name: value for name, value in fields.items() if value != _current(job, name)}
        if not changed:
            return await self._shown(job, principal)
        self._refuse_late(job, changed)
        stored = await self._stored_changes(job, principal, changed)
        if MATERIAL & changed.keys() and self._has_stream(job):
            await self.edits.announce(job, principal.id, stored)
        else:
            await self.edits.apply(job, stored)
        return await self._opened(await self._own_job(principal, job_id), principal)

    async def delete(self, principal: Principal, job_id: str) -> None:
        """Delete a draft.

        Raises:
            AppError: NOT_FOUND, FORBIDDEN; CONFLICT, it is no draft: published jobs are cancelled instead.
        """
        job = await self._own_job(principal, job_id)
        guard = {"_id": job.id, "scope": DRAFT, "opening": None, "auction.seq": {"$not": {"$gt": 0}}}
        if not (await Job.get_pymongo_collection().delete_one(guard)).deleted_count:
            raise AppError("CONFLICT", "Only drafts can be deleted")

    async def complete(self, principal: Principal, job_id: str) -> dict[str, Any]:
        """Say that the work is done; the profile of whoever did it counts it. A completed job stays completed.

        Raises:
            AppError: NOT_FOUND, FORBIDDEN; CONFLICT unless the job is in progress.
        """
        job = await self._own_job(principal, job_id)
        if self._has_stream(job):
            job = await self._auctions.refresh(job)
        if job.status not in ("in_progress", "completed"):
            raise AppError("CONFLICT", "Only a job in progress can be completed")
        jobs = Job.get_pymongo_collection()
        winner = await self._auctions.winner(job)
        change = {"status": "completed", "winner": winner, "updated_at": self._clock.now()}
        await jobs.update_one({"_id": job.id, "status": "in_progress"}, {"$set": change})
        # Counted, not incremented, so that doing it twice counts once.
        count = await jobs.count_documents({"winner": winner, "status": "completed"})
        await User.get_pymongo_collection().update_one({"_id": winner}, {"$set": {"completed_jobs": count}})
        return await self._shown(await self._own_job(principal, job_id), principal)

    async def cancel(self, principal: Principal, job_id: str, reason: str | None, key: str | None) -> dict[str, Any]:
        """Cancel a job and its auction. A cancelled job stays cancelled.

        Raises:
            AppError: NOT_FOUND, FORBIDDEN; CANCEL_TOO_LATE, AUCTION_CLOSED, VALIDATION_FAILED of bidding.md; CONFLICT.
        """
        job = await self._job(principal, job_id)
        if job.owner != principal.id and not principal.admin:
            raise AppError("FORBIDDEN", "Only the owner cancels a job")
        if job.opening is not None:
            job = await self.openings.finish(job)
        if job.status == "cancelled":
            return await self._shown(job, principal)
        if self._has_stream(job):
            await self._auctions.cancel(job, principal, reason, key)
            return await self._shown(job, principal)
        if job.status not in ("draft", "open"):
            raise AppError("CONFLICT", "The job cannot be cancelled any more")
        guard = {"_id": job.id, "status": job.status, "opening": None, "auction.seq": {"$not": {"$gt": 0}}}
        change = {"$set": {"status": "cancelled", "updated_at": self._clock.now()}}
        if not (await Job.get_pymongo_collection().update_one(guard, change)).matched_count:
            raise AppError("CONFLICT", "The job has changed meanwhile")
        return await self._shown(await self._job(principal, job_id), principal)

    async def show(self, principal: Principal | None, job_id: str) -> tuple[dict[str, Any], bool]:
        """A job as of now, and whether looking at it counts as a view: not for its owner.

        Raises:
            AppError: NOT_FOUND, also for whoever may not see it.
        """
        job = await self._job(principal, job_id)
        counts = principal is None or principal.id != job.owner
        return await self._shown(job, principal), counts and job.scope != DRAFT

    def _refuse_late(self, job: Job, changed: Mapping[str, Any]) -> None:
        if job.status not in _EDITABLE:
            raise AppError("CONFLICT", "The job cannot be changed any more")
        fixed = sorted(_FIXED_ONCE_OPEN & changed.keys())
        if fixed and (self._has_stream(job) or (job.scope != DRAFT and fixed != ["auction"])):
            raise AppError("CONFLICT", "Cannot be changed once the job is published: " + ", ".join(fixed))
        budget = changed.get("budget")
        currency = job.auction.currency if job.auction is not None and self._has_stream(job) else None
        if budget is not None and currency not in (None, budget["currency"]):
            error = {"loc": ["body", "budget", "currency"], "msg": "must be the auction's currency"}
            raise AppError("VALIDATION_FAILED", errors=[error])

    async def _stored_changes(self, job: Job, principal: Principal, changed: Mapping[str, Any]) -> dict[str, Any]:
        """Changes in the document's form, the derived fields with them."""
        stored = dict(changed)
        if "location" in stored:
            location = Location.model_validate(stored["location"]) if stored["location"] else None
            stored |= {"location": location.model_dump() if location else None, "point": geo_point(location)}
        if "budget" in stored:
            stored["budget_max"] = stored["budget"]["max"] if stored["budget"] else 0
        if "invited" in stored:
            await _require_people(stored["invited"], principal)
        if not self._has_stream(job) and {"auction", "budget"} & stored.keys():
            terms = stored.pop("auction") if "auction" in stored else job.terms
            budget = stored["budget"] if "budget" in stored else _plain(job.budget)
            currency = budget["currency"] if budget else None
            if job.scope == DRAFT:
                stored |= self.openings.draft(job.id, terms, currency)
            elif terms is not None:
                stored |= self.openings.intention(job.id, terms, currency, job.visibility)
        return stored

    async def _job(self, principal: Principal | None, job_id: str) -> Job:
        job = await Job.get(job_id)
        if job is None or not job_visible(job, principal):
            raise AppError("NOT_FOUND")
        return job

    async def _own_job(self, principal: Principal, job_id: str) -> Job:
        job = await self._job(principal, job_id)
        if job.owner != principal.id:
            raise AppError("FORBIDDEN", "Only the owner changes a job")
        return job

    async def _opened(self, job: Job, principal: Principal) -> dict[str, Any]:
        """The job, its auction opened if that was begun."""
        if job.opening is not None:
            await self.openings.run(job)
            job = await self._own_job(principal, job.id)
        return await self._shown(job, principal)

    async def _shown(self, job: Job, viewer: Principal | None) -> dict[str, Any]:
        """The job with its auction as of now, not as of the follower's last visit."""
        if self._has_stream(job):
            job = await self._auctions.refresh(job)
        return job_view({**job.model_dump(), "_id": job.id}, viewer, self._clock.now())

    def _has_stream(self, job: Job) -> bool:
        """Whether the job's auction has been opened."""
        return job.auction is not None and job.auction.seq > 0

    async def _new_job(self, principal: Principal, job_id: str, fields: Mapping[str, Any], live: bool) -> Job:
        await _require_people(fields["invited"], principal)
        now = self._clock.now()
        budget, terms = fields["budget"], fields["auction"]
        currency = budget["currency"] if budget else None
        if live:
            state = self.openings.intention(job_id, terms, currency, fields["visibility"])
        else:
            state = self.openings.draft(job_id, terms, currency)
        location = Location.model_validate(fields["location"]) if fields["location"] else None
        plain = ("title", "description", "category", "skills", "visibility", "invited", "priority")
        job: Job = Job.model_validate(
            {
                **{name: fields[name] for name in plain},
                "id": job_id,
                "owner": principal.id,
                "budget": budget,
                "budget_max": budget["max"] if budget else 0,
                "location": location,
                "point": geo_point(location),
                "created_at": now,
                "updated_at": now,
                **state,
            }
        )
        return job


def _current(job: Job, name: str) -> Any:
    """The value of a field of `JobChanges`, as it would be sent."""
    return job.terms if name == "auction" else _plain(getattr(job, name))


def _plain(value: Any) -> Any:
    return value.model_dump() if isinstance(value, BaseModel) else value


async def _require_people(ids: list[str], principal: Principal) -> None:
    """All of these are accounts, and not the owner's own."""
    if not ids:
        return
    known = {user["_id"] async for user in User.get_pymongo_collection().find({"_id": {"$in": ids}}, {"_id": 1})}
    errors = [
        {"loc": ["body", "invited", place], "msg": "is not a person to invite"}
        for place, user in enumerate(ids)
        if user not in known or user == principal.id
    ]
    if errors:
        raise AppError("VALIDATION_FAILED", errors=errors)
