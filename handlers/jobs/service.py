"""Jobs: the use cases. Knows no transport.

A job's auction is opened by an event in its stream, and every change that bidders must hear of is an event first. The document is
written before (what is intended: `opening`, `pending`) and after (what happened); a process that dies in between leaves an
intention, which the next call or the worker's sweep brings to its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import structlog
from pymongo.errors import DuplicateKeyError

from handlers.jobs.auctions import FAR, JobAuctions, check_terms, unopened_summary
from handlers.jobs.views import job_view
from models.job import Job, PendingEdit
from models.place import Location, geo_point
from models.rules.visibility import DRAFT, job_visible
from models.user import User
from server.auth.principal import Principal
from server.clock import Clock
from server.errors import AppError
from server.metrics import JOBS_CREATED

MATERIAL: Final = frozenset({"description", "skills", "budget"})
"""What a bidder bid on: a change of these suspends the bids until they are reconfirmed (bidding.md, 15)."""

_FIXED_ONCE_OPEN: Final = frozenset({"visibility", "invited", "auction"})
_EDITABLE: Final = frozenset({"draft", "open", "closed", "awarded", "in_progress"})
_LATE_START_MS: Final = 60_000

log = structlog.get_logger(__name__)


class Jobs:
    """Everything people do with jobs.

    Args:
        clock: the cluster's clock. auctions: the jobs' streams.
    """

    def __init__(self, clock: Clock, auctions: JobAuctions) -> None:
        self._clock = clock
        self._auctions = auctions

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
        job = await self._new_job(principal, job_id, fields)
        try:
            await job.insert()
        except DuplicateKeyError:
            job = await self._own_job(principal, job_id)
        else:
            JOBS_CREATED.inc()
        if fields["status"] != "draft" and fields["visibility"] != "private" and job.scope == DRAFT:
            return await self._publish(job, principal)
        return await self._shown(job, principal)

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
        if visibility is None and job.visibility == "private":
            visibility = "public"
        if visibility is not None and job.opening is None:
            job.visibility = visibility
        return await self._publish(job, principal)

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
            job = await self.finish_opening(job)
        if job.pending is not None:
            await self.finish_edit(job)
            job = await self._own_job(principal, job_id)
        changed = {name: value for name, value in fields.items() if value != self._current(job, name)}
        if not changed:
            return await self._shown(job, principal)
        self._refuse_late(job, changed)
        stored = await self._stored_changes(job, principal, changed)
        material = sorted(MATERIAL & changed.keys())
        if material and self._has_stream(job):
            await self._announce(job, principal, stored)
        else:
            guard = {"_id": job.id, "revision": job.revision, "scope": job.scope, "pending": None, "opening": None}
            await self._apply(guard, stored, job.revision + (1 if material else 0))
        job = await self._own_job(principal, job_id)
        if job.opening is not None:  # an auction was added to a published job
            await self._open(job)
            job = await self._own_job(principal, job_id)
        return await self._shown(job, principal)

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
            job = await self.finish_opening(job)
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

    async def finish_opening(self, job: Job) -> Job:
        """Bring an opening that was begun to its end; if its time has passed, the auction stays unopened."""
        try:
            await self._open(job)
        except AppError as error:
            if error.retryable:
                raise
            log.warning("job.opening_abandoned", job=job.id, code=error.code, errors=error.errors)
        return await Job.get(job.id) or job

    async def finish_edit(self, job: Job) -> None:
        """Bring a material edit that was begun to its end, or drop it if the auction refuses it by now."""
        if job.pending is None:
            return
        try:
            await self._settle_edit(job, job.pending)
        except AppError as error:
            if error.retryable:
                raise
            log.warning("job.edit_dropped", job=job.id, code=error.code)

    # -- opening ------------------------------------------------------------------------------------------------------

    async def _publish(self, job: Job, principal: Principal) -> dict[str, Any]:
        """Make a job visible, its auction opened first if it has one."""
        now = self._clock.now()
        jobs = Job.get_pymongo_collection()
        if job.terms is None:
            change = {"status": "open", "scope": _scope(job), "visibility": job.visibility, "published_at": now}
            await jobs.update_one({"_id": job.id, "scope": DRAFT}, {"$set": {**change, "updated_at": now}})
            return await self._shown(await self._own_job(principal, job.id), principal)
        if job.opening is None:
            terms = check_terms(job.terms, _currency(job), now)
            begun = {
                "opening": now,
                "visibility": job.visibility,
                "terms": terms.to_command(),
                "auction": unopened_summary(job.id, terms).model_dump(),
                "ends_at": terms.end_at,
            }
            await jobs.update_one({"_id": job.id, "opening": None, "auction.seq": 0}, {"$set": begun})
            job = await self._own_job(principal, job.id)
        if job.opening is not None:
            await self._open(job)
        return await self._shown(await self._own_job(principal, job.id), principal)

    async def _open(self, job: Job) -> None:
        """The event, then the document. What refuses the terms for good ends the opening."""
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
        await self._auctions.refresh(job)
        done = {"status": "open", "scope": _scope(job), "published_at": job.published_at or now, "updated_at": now}
        await jobs.update_one({"_id": job.id, "opening": {"$gt": 0}}, {"$set": done, "$unset": {"opening": ""}})

    # -- editing ------------------------------------------------------------------------------------------------------

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
            raw = stored.pop("auction") if "auction" in stored else job.terms
            budget = stored["budget"] if "budget" in stored else _plain_budget(job)
            stored |= self._terms_fields(job.id, raw, budget["currency"] if budget else None, job.scope != DRAFT)
        return stored

    def _terms_fields(
        self, job_id: str, raw: Mapping[str, Any] | None, currency: str | None, opening: bool
    ) -> dict[str, Any]:
        """What a job stores of its auction before that is open. A draft keeps the terms as given: "now" is later for it."""
        if raw is None:
            return {"terms": None, "auction": None, "ends_at": FAR}
        now = self._clock.now()
        terms = check_terms(raw, currency, now)
        fields = {"auction": unopened_summary(job_id, terms).model_dump(), "ends_at": terms.end_at}
        if opening:
            return {**fields, "terms": terms.to_command(), "opening": now}
        return {**fields, "terms": {**raw, "currency": terms.currency}}

    async def _announce(self, job: Job, principal: Principal, stored: dict[str, Any]) -> None:
        """A material edit: the intention, the event, the document."""
        edit = PendingEdit(revision=job.revision + 1, fields=stored, actor=principal.id, since=self._clock.now())
        begun = await Job.get_pymongo_collection().update_one(
            {"_id": job.id, "revision": job.revision, "pending": None}, {"$set": {"pending": edit.model_dump()}}
        )
        if not begun.matched_count:
            raise AppError("CONFLICT", "Another change of this job is under way")
        await self._settle_edit(job, edit)

    async def _settle_edit(self, job: Job, edit: PendingEdit) -> None:
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
        await self._apply({"_id": job.id, "pending.revision": edit.revision}, edit.fields, edit.revision)

    async def _apply(self, guard: Mapping[str, Any], stored: Mapping[str, Any], revision: int) -> None:
        """Write changes. Monotone by revision: an edit that somebody else has finished already is not written again."""
        present = {name: value for name, value in stored.items() if value is not None}
        cleared = {name: "" for name, value in stored.items() if value is None}
        change = {
            "$set": {**present, "revision": revision, "updated_at": self._clock.now()},
            "$unset": {**cleared, "pending": ""},
        }
        if (await Job.get_pymongo_collection().update_one(guard, change)).matched_count:
            return
        meanwhile = await Job.get(guard["_id"])
        if meanwhile is None or "pending.revision" not in guard or meanwhile.revision < revision:
            raise AppError("CONFLICT", "The job has changed meanwhile")

    # -- reading ------------------------------------------------------------------------------------------------------

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

    async def _shown(self, job: Job, viewer: Principal | None) -> dict[str, Any]:
        """The job with its auction as of now, not as of the follower's last visit."""
        if self._has_stream(job):
            job = await self._auctions.refresh(job)
        return job_view({**job.model_dump(), "_id": job.id}, viewer, self._clock.now())

    def _has_stream(self, job: Job) -> bool:
        """Whether the job's auction has been opened."""
        return job.auction is not None and job.auction.seq > 0

    def _current(self, job: Job, name: str) -> Any:
        if name == "auction":
            return job.terms
        value = getattr(job, name)
        return value.model_dump() if hasattr(value, "model_dump") else value

    async def _new_job(self, principal: Principal, job_id: str, fields: Mapping[str, Any]) -> Job:
        await _require_people(fields["invited"], principal)
        now = self._clock.now()
        budget = fields["budget"]
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
                **self._terms_fields(job_id, fields["auction"], budget["currency"] if budget else None, False),
            }
        )
        return job


def _scope(job: Job) -> str:
    return "invited" if job.visibility == "invited" else "public"


def _currency(job: Job) -> str | None:
    return job.budget.currency if job.budget else None


def _plain_budget(job: Job) -> dict[str, Any] | None:
    return job.budget.model_dump() if job.budget else None


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
