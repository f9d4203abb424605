"""Jobs: what clients post, freelancers find, and auctions are held for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.jobs.auctions import JobAuctions
from handlers.jobs.rest import add_routes
from handlers.jobs.service import Jobs
from handlers.jobs.tasks import KINDS, Tasks
from handlers.jobs.view_counts import ViewCounts
from models.job import Job
from server.streams.followers import Follower

if TYPE_CHECKING:
    from server.context import Context


def setup(context: Context) -> None:
    """Register the document, routes, follower and background work of jobs."""
    jobs = Jobs(context.clock, JobAuctions(context.streams, context.clock))
    views = ViewCounts(context.redis, context.clock)
    tasks = Tasks(jobs, views, context.streams, context.clock)
    context.documents.append(Job)
    context.followers.add(Follower("jobs.auctions", KINDS, tasks.follow))
    context.tasks["jobs"] = tasks.run
    add_routes(context.router, jobs, views, context.clock)
