"""Lists of jobs: which, in what order, by cursor or by page.

Plain orders are read from an index that has the filter's equalities first and then the sort keys. Relevance and distance are
computed by the text and the geographic index; only the best are kept while they are sorted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from handlers.jobs.schemas import JobQuery
from handlers.jobs.views import job_view
from models.job import STATUSES, Job
from models.rules.visibility import INVITED, PUBLIC
from server.auth.principal import Principal
from server.clock import Clock
from server.errors import AppError
from server.web.paging import Order, list_page

_EARTH_KM: Final = 6_378.1
_HIDDEN: Final = {"terms": 0, "pending": 0}

_NEWEST: Final = Order("newest", (("created_at", -1), ("_id", 1)), (int, str))
_OLDEST: Final = Order("oldest", (("created_at", 1), ("_id", -1)), (int, str))
_DEAREST: Final = Order("-budget", (("budget_max", -1), ("_id", 1)), (int, str))
_CHEAPEST: Final = Order("budget", (("budget_max", 1), ("_id", -1)), (int, str))
_ENDING: Final = Order("ending", (("ends_at", 1), ("_id", 1)), (int, str))
_POPULAR: Final = Order("popular", (("view_count", -1), ("_id", 1)), (int, str))
_RELEVANCE: Final = Order("relevance", (("score", -1), ("created_at", -1), ("_id", 1)), (float, int, str))
_DISTANCE: Final = Order("distance", (("distance_m", 1), ("_id", 1)), (float, str))

ORDERS: Final[Mapping[str, Order]] = {
    "newest": _NEWEST,
    "-created_at": _NEWEST,
    "oldest": _OLDEST,
    "created_at": _OLDEST,
    "budget": _CHEAPEST,
    "-budget": _DEAREST,
    "ending": _ENDING,
    "end_at": _ENDING,
    "popular": _POPULAR,
    "-view_count": _POPULAR,
    "relevance": _RELEVANCE,
    "distance": _DISTANCE,
}


async def list_jobs(principal: Principal | None, query: JobQuery, clock: Clock) -> dict[str, Any]:
    """One page of the jobs that the caller asks for and may see, as `Listed[JobOut]`.

    Raises:
        AppError: UNAUTHENTICATED for `mine` and `invited`; VALIDATION_FAILED for what does not go together.
    """
    now = clock.now()
    order = _order(query)
    wanted = conditions(principal, query)
    jobs = Job.get_pymongo_collection()

    def render(job: dict[str, Any]) -> dict[str, Any]:
        return job_view(job, principal, now)

    within = {**wanted, **_within(query)}
    if order is _RELEVANCE:
        ranking = [{"$match": within}, {"$set": {"score": {"$meta": "textScore"}}}]
        return await list_page(jobs, within, order, query, render, _HIDDEN, ranking=ranking)
    if order is _DISTANCE:
        return await list_page(jobs, within, order, query, render, _HIDDEN, ranking=[_nearest(query, wanted)])
    return await list_page(jobs, within, order, query, render, _HIDDEN)


def conditions(principal: Principal | None, query: JobQuery) -> dict[str, Any]:
    """The MongoDB filter, all but the place."""
    wanted = _whose(principal, query)
    statuses = query.status or list(STATUSES if query.mine else STATUSES[1:])
    wanted["status"] = _any_of(statuses)
    if query.category:
        wanted["category"] = _any_of(query.category)
    if query.skills:
        wanted["skills"] = query.skills[0] if len(query.skills) == 1 else {"$all": query.skills}
    if query.min_budget is not None:
        wanted["budget_max"] = {"$gte": query.min_budget}
    if query.max_budget is not None:
        wanted["budget.min"] = {"$lte": query.max_budget}
    if query.currency is not None:
        wanted["budget.currency"] = query.currency
    if query.q is not None:
        wanted["$text"] = {"$search": query.q}
    return wanted


def _whose(principal: Principal | None, query: JobQuery) -> dict[str, Any]:
    if not (query.mine or query.invited):
        return {"scope": PUBLIC}
    if principal is None:
        raise AppError("UNAUTHENTICATED")
    if query.mine and query.invited:
        raise _together("invited", "mine")
    return {"owner": principal.id} if query.mine else {"invited": principal.id, "scope": INVITED}


def _order(query: JobQuery) -> Order:
    if query.sort is None:
        return _RELEVANCE if query.q else _DISTANCE if query.near else _NEWEST
    order = ORDERS[query.sort]
    if order is _RELEVANCE and query.q is None:
        raise _needs("q")
    if order is _DISTANCE and query.near is None:
        raise _needs("near")
    if order is _DISTANCE and query.q is not None:
        raise _together("sort", "q")
    return order


def _within(query: JobQuery) -> dict[str, Any]:
    if query.near is None:
        return {}
    lat, lng = query.near
    return {"point": {"$geoWithin": {"$centerSphere": [[lng, lat], query.radius_km / _EARTH_KM]}}}


def _nearest(query: JobQuery, wanted: Mapping[str, Any]) -> dict[str, Any]:
    assert query.near is not None, "only asked with a place"
    lat, lng = query.near
    return {
        "$geoNear": {
            "near": {"type": "Point", "coordinates": [lng, lat]},
            "key": "point",
            "distanceField": "distance_m",
            "maxDistance": query.radius_km * 1000,
            "query": dict(wanted),
            "spherical": True,
        }
    }


def _any_of(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else {"$in": values}


def _needs(name: str) -> AppError:
    return AppError("VALIDATION_FAILED", errors=[{"loc": ["query", "sort"], "msg": f"needs {name}"}])


def _together(one: str, other: str) -> AppError:
    return AppError("VALIDATION_FAILED", errors=[{"loc": ["query", one], "msg": f"not together with {other}"}])
