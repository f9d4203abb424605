"""The words that notifications need beside what events say: titles of jobs, names of people."""

from __future__ import annotations

from collections.abc import Collection

from models.job import Job
from models.user import User


async def title_of(job: str) -> str:
    """The title of a job; empty for one that is not there."""
    found = await Job.get_pymongo_collection().find_one({"_id": job}, {"title": 1})
    return str(found["title"]) if found else ""


async def names_of(users: Collection[str]) -> dict[str, str]:
    """Names by user id."""
    if not users:
        return {}
    found = User.get_pymongo_collection().find({"_id": {"$in": [*users]}}, {"name": 1})
    return {user["_id"]: user["name"] async for user in found}
