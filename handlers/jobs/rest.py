"""Jobs over HTTP: parse, authorise, call the service, render."""

from __future__ import annotations

from typing import Any, Final

from handlers.jobs.listing import list_jobs
from handlers.jobs.schemas import AuctionIn, Cancellation, JobChanges, JobOut, JobQuery, NewJob, Publication
from handlers.jobs.service import Jobs
from handlers.jobs.view_counts import ViewCounts
from server.clock import Clock, derived_id
from server.limits.address import client_address
from server.web.paging import Listed
from server.web.router import Call, Router

_TAGS: Final = ("jobs",)
_CANCEL_ERRORS: Final = ("FORBIDDEN", "CONFLICT", "CANCEL_TOO_LATE", "AUCTION_CLOSED")


def add_routes(router: Router, jobs: Jobs, views: ViewCounts, clock: Clock) -> None:
    """Add the routes of jobs."""
    rest = _Rest(jobs, views, clock)
    router.add(
        "POST",
        "/jobs",
        rest.create,
        summary="Post a job, with its auction",
        tags=_TAGS,
        body=NewJob,
        answer=JobOut,
        status=201,
        errors=("FORBIDDEN",),
    )
    router.add(
        "GET",
        "/jobs",
        rest.list,
        summary="Find jobs",
        tags=_TAGS,
        query=JobQuery,
        answer=Listed[JobOut],
        auth="optional",
        shared=True,
        description="Public jobs; with `mine` the caller's own, with `invited` those it is invited to. Sorted by "
        "relevance with `q`, else by distance with `near`, else the newest first.",
    )
    router.add("GET", "/jobs/{id}", rest.show, summary="A job", tags=_TAGS, answer=JobOut, auth="optional", shared=True)
    router.add(
        "PATCH",
        "/jobs/{id}",
        rest.change,
        summary="Change a job",
        tags=_TAGS,
        body=JobChanges,
        answer=JobOut,
        errors=("FORBIDDEN", "CONFLICT", "CANCEL_TOO_LATE", "AUCTION_CLOSED"),
        description="A change of description, skills or budget suspends all bids until their bidders reconfirm them.",
    )
    _add_life_cycle(router, rest)


def _add_life_cycle(router: Router, rest: _Rest) -> None:
    router.add(
        "DELETE",
        "/jobs/{id}",
        rest.delete,
        summary="Delete a draft",
        tags=_TAGS,
        errors=("FORBIDDEN", "CONFLICT"),
    )
    router.add(
        "POST",
        "/jobs/{id}/publish",
        rest.publish,
        summary="Publish a draft and open its auction",
        tags=_TAGS,
        body=Publication,
        answer=JobOut,
        errors=("FORBIDDEN", "CONFLICT"),
    )
    router.add(
        "POST",
        "/jobs/{id}/cancel",
        rest.cancel,
        summary="Cancel a job and its auction",
        tags=_TAGS,
        body=Cancellation,
        answer=JobOut,
        errors=_CANCEL_ERRORS,
    )
    router.add(
        "POST",
        "/jobs/{id}/complete",
        rest.complete,
        summary="Say that the work is done",
        tags=_TAGS,
        answer=JobOut,
        errors=("FORBIDDEN", "CONFLICT"),
    )


class _Rest:
    def __init__(self, jobs: Jobs, views: ViewCounts, clock: Clock) -> None:
        self._jobs = jobs
        self._views = views
        self._clock = clock

    async def create(self, call: Call) -> Any:
        body: NewJob = call.body
        fields = {**body.model_dump(exclude={"auction"}), "auction": _terms(body.auction)}
        return await self._jobs.create(call.user, call.entity_id("job"), fields)

    async def list(self, call: Call) -> Any:
        return await list_jobs(call.principal, call.query, self._clock)

    async def show(self, call: Call) -> Any:
        shown, counts = await self._jobs.show(call.principal, call.path["id"])
        if counts:
            await self._views.count(call.path["id"], _viewer(call))
        return shown

    async def change(self, call: Call) -> Any:
        body: JobChanges = call.body
        fields = body.model_dump(exclude_unset=True, exclude={"auction"})
        if "auction" in body.model_fields_set:
            fields["auction"] = _terms(body.auction)
        return await self._jobs.change(call.user, call.path["id"], fields)

    async def delete(self, call: Call) -> None:
        await self._jobs.delete(call.user, call.path["id"])

    async def publish(self, call: Call) -> Any:
        return await self._jobs.publish(call.user, call.path["id"], call.body.visibility)

    async def cancel(self, call: Call) -> Any:
        return await self._jobs.cancel(call.user, call.path["id"], call.body.reason, call.key)

    async def complete(self, call: Call) -> Any:
        return await self._jobs.complete(call.user, call.path["id"])


def _terms(auction: AuctionIn | None) -> dict[str, Any] | None:
    return auction.to_terms() if auction is not None else None


def _viewer(call: Call) -> str:
    """Who looks: the user, or of anonymous ones whatever tells them apart without keeping their address."""
    if call.principal is not None:
        return call.principal.id
    browser = call.request.headers.get("User-Agent", "").encode(errors="replace").decode()  # headers may hold any bytes
    return derived_id("viewer", client_address(call.request), browser)
