"""Lists of jobs: filters, orders, cursors, pages, and the indexes that carry them."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from handlers.jobs.listing import ORDERS, conditions
from handlers.jobs.schemas import JobQuery
from models.job import STATUSES, Job
from server.auth.principal import Principal
from tests.handlers.jobs.conftest import Market

CITIES = {"Venezia": (45.44, 12.33), "Padova": (45.41, 11.88), "Milano": (45.46, 9.19), "Wien": (48.21, 16.37)}
CATEGORIES = ("design", "translation", "web")
SKILLS = ("python", "go", "latin", "drawing", "bass")
NUMBER = 400


def made(number: int) -> dict[str, Any]:
    """A stored job; everything follows from its number."""
    dice = Random(number)
    city = dice.choice([None, *CITIES])
    low = dice.randrange(0, 1000)
    budget = {"min": low, "max": low + dice.randrange(1000), "currency": dice.choice(["EUR", "USD"])}
    point = {"type": "Point", "coordinates": list(reversed(CITIES[city]))} if city else None
    job = {
        "_id": f"job{number:04}",
        "owner": f"owner{number % 7}",
        "title": f"{dice.choice(['Paint', 'Translate', 'Program'])} number {number}",
        "description": dice.choice(["a lighthouse", "a novel about lighthouses", "a shop"]),
        "category": dice.choice(CATEGORIES),
        "skills": dice.sample(SKILLS, dice.randrange(4)),
        "budget": budget if number % 11 else None,
        "budget_max": budget["max"] if number % 11 else 0,
        "point": point,
        "visibility": "public",
        "scope": ("public", "public", "public", "draft", "invited")[number % 5],
        "invited": ["guest"] if number % 10 == 4 else [],
        "priority": "normal",
        "status": "draft" if number % 5 == 3 else dice.choice(STATUSES[1:]),
        "revision": 0,
        "view_count": dice.randrange(20),
        "ends_at": 1_900_000_000_000 + dice.randrange(50),
        "created_at": 1_800_000_000_000 + dice.randrange(100),
        "updated_at": 1_800_000_000_000,
    }
    return {name: value for name, value in job.items() if value is not None}


JOBS = [made(number) for number in range(NUMBER)]
PUBLIC = [job for job in JOBS if job["scope"] == "public"]


@pytest.fixture
async def listed(market: Market) -> Market:
    await Job.get_pymongo_collection().insert_many([dict(job) for job in JOBS])
    return market


async def walk(market: Market, query: str, token: str | None = None, limit: int = 17) -> list[str]:
    """Ids of all items, by cursor."""
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        status, page = await market.call("GET", f"/jobs?limit={limit}&{query}{more}", token)
        assert status == 200, page
        assert len(page["items"]) <= limit
        seen += [job["id"] for job in page["items"]]
        cursor = page["next_cursor"]
    return seen


def ids(jobs: Any) -> list[str]:
    return [job["_id"] for job in jobs]


KEYS = {
    "newest": lambda job: (-job["created_at"], job["_id"]),
    "-budget": lambda job: (-job["budget_max"], job["_id"]),
    "ending": lambda job: (job["ends_at"], job["_id"]),
    "popular": lambda job: (-job["view_count"], job["_id"]),
}


async def test_every_order_by_cursor_and_by_page(listed: Market) -> None:
    for sort, key in KEYS.items():
        expected = ids(sorted(PUBLIC, key=key))
        assert await walk(listed, f"sort={sort}") == expected
        status, page = await listed.call("GET", f"/jobs?sort={sort}&page=3&limit=40")
        assert (status, page["page"], page["limit"], page["total"]) == (200, 3, 40, len(PUBLIC))
        assert [job["id"] for job in page["items"]] == expected[80:120]
    assert await walk(listed, "sort=oldest") == list(reversed(await walk(listed, "sort=newest")))
    assert await walk(listed, "sort=budget") == list(reversed(await walk(listed, "sort=-budget")))
    assert await walk(listed, "sort=-created_at") == await walk(listed, "")


FILTERS: dict[str, Any] = {
    "status=open": lambda job: job["status"] == "open",
    "status=open,closed": lambda job: job["status"] in ("open", "closed"),
    "status=open&status=awarded": lambda job: job["status"] in ("open", "awarded"),
    "status=draft": lambda job: False,
    "category=Design": lambda job: job["category"] == "design",
    "category=design,web&status=open": lambda job: job["category"] in ("design", "web") and job["status"] == "open",
    "skills=python": lambda job: "python" in job["skills"],
    "skills=Python,go": lambda job: {"python", "go"} <= set(job["skills"]),
    "min_budget=900": lambda job: job["budget_max"] >= 900,
    "max_budget=200": lambda job: "budget" in job and job["budget"]["min"] <= 200,
    "min_budget=500&max_budget=900&currency=EUR": lambda job: (
        "budget" in job
        and job["budget_max"] >= 500
        and job["budget"]["min"] <= 900
        and job["budget"]["currency"] == "EUR"
    ),
    "near=45.44,12.33&radius_km=50": lambda job: place(job) in ("Venezia", "Padova"),
}


def place(job: Any) -> str | None:
    if "point" not in job:
        return None
    lng, lat = job["point"]["coordinates"]
    return next(name for name, where in CITIES.items() if where == (lat, lng))


async def test_filters(listed: Market) -> None:
    for query, keeps in FILTERS.items():
        expected = ids(sorted((job for job in PUBLIC if keeps(job)), key=KEYS["newest"]))
        assert await walk(listed, f"{query}&sort=newest") == expected, query
        _, page = await listed.call("GET", f"/jobs?{query}&sort=newest&page=1")
        assert page["total"] == len(expected), query


async def test_nearest_first(listed: Market) -> None:
    found = await walk(listed, "near=45.44,12.33&radius_km=400")
    order = ["Venezia", "Padova", "Milano"]
    near = [job for job in PUBLIC if place(job) in order]
    assert found == ids(sorted(near, key=lambda job: (order.index(str(place(job))), job["_id"])))
    _, page = await listed.call("GET", "/jobs?near=45.44,12.33&radius_km=400&sort=distance&page=1&limit=100")
    assert page["total"] == len(near)
    assert page["items"][0]["distance_km"] == 0
    assert max(job["distance_km"] for job in page["items"]) < 400
    with_filter = await walk(listed, "near=45.44,12.33&radius_km=400&category=web&status=open")
    assert set(with_filter) == {job["_id"] for job in near if job["category"] == "web" and job["status"] == "open"}


async def test_words(listed: Market) -> None:
    found = await walk(listed, "q=lighthouse")
    assert sorted(found) == sorted(job["_id"] for job in PUBLIC if "lighthouse" in job["description"])
    titled = await walk(listed, "q=translate+novel")
    both = [job for job in PUBLIC if "Translate" in job["title"] and "novel" in job["description"]]
    assert set(titled[: len(both)]) == set(ids(both))
    python = await walk(listed, "q=python&sort=newest")
    assert set(python) == {job["_id"] for job in PUBLIC if "python" in job["skills"]}
    for noise in ("%22", "-", "%24where", "*", "((("):
        assert (await listed.call("GET", f"/jobs?q={noise}"))[0] == 200


async def test_ones_own_and_those_one_is_invited_to(listed: Market) -> None:
    def token(user: str) -> str:
        return str(listed.context.tokens.issue(user, "session", "both"))

    own = [job for job in JOBS if job["owner"] == "owner3"]
    assert await walk(listed, "mine=true", token("owner3")) == ids(sorted(own, key=KEYS["newest"]))
    drafts = [job for job in own if job["status"] == "draft"]
    assert await walk(listed, "mine=true&status=draft", token("owner3")) == ids(sorted(drafts, key=KEYS["newest"]))
    invited = [job for job in JOBS if job["scope"] == "invited" and "guest" in job["invited"]]
    assert await walk(listed, "invited=true", token("guest")) == ids(sorted(invited, key=KEYS["newest"]))
    assert await walk(listed, "invited=true", token("other")) == []
    for query in ("mine=true", "invited=true"):
        assert (await listed.call("GET", f"/jobs?{query}"))[0] == 401
    assert (await listed.call("GET", "/jobs?mine=1&invited=1", token("guest")))[0] == 422


BAD_QUERIES = [
    "limit=0", "limit=101", "limit=x", "limit=1.5", "page=0", "page=x", "page=1&cursor=x", "cursor=bad", "cursor=",
    "status=lost", "status=open,lost", "near=here", "near=1", "near=91,0", "near=1,2,3", "near=nan,1", "near=inf,0",
    "near=1,2&radius_km=0", "near=1,2&radius_km=-1", "near=1,2&radius_km=nan", "near=1,2&radius_km=1e9", "sort=luck",
    "sort=distance", "sort=relevance", "q=a&near=1,2&sort=distance", "min_budget=x", "min_budget=-1",
    "max_budget=99999999999999999999", "currency=XYZ", "q=", "q=%00", "q=" + "x" * 300, "skills=" + ",".join("abcdefghijkl"),
    "mine=maybe", "sort=newest&sort=budget", "category=" + "x" * 100,
]  # fmt: skip


async def test_nonsense_is_refused(listed: Market) -> None:
    for query in BAD_QUERIES:
        status, answer = await listed.call("GET", f"/jobs?{query}")
        assert (status, answer["code"]) == (422, "VALIDATION_FAILED"), query
        assert answer["errors"], query


async def test_a_cursor_belongs_to_its_order(listed: Market) -> None:
    _, page = await listed.call("GET", "/jobs?sort=newest&limit=5")
    assert (await listed.call("GET", f"/jobs?sort=popular&cursor={page['next_cursor']}"))[0] == 422


def stages(plan: Any) -> Iterator[str]:
    """Names of all stages of a winning plan."""
    if isinstance(plan, dict):
        if "stage" in plan:
            yield plan["stage"]
        for value in plan.values():
            yield from stages(value)
    elif isinstance(plan, list):
        for value in plan:
            yield from stages(value)


IN_ORDER = [
    *(f"sort={sort}" for sort in ("newest", "oldest", "budget", "-budget", "ending", "popular")),
    *(f"status=open&sort={sort}" for sort in ("newest", "oldest", "budget", "-budget", "ending", "popular")),
    "status=open,closed",
    "category=design",
    "category=design&status=open",
    "category=design,web&status=open",
    "skills=python",
    "skills=python,go&status=open",
    "mine=true",
    "mine=true&status=draft",
    "invited=true",
]
OTHERS = [
    "min_budget=500",
    "min_budget=500&max_budget=900&sort=budget",
    "category=design&sort=popular",
    "skills=python&sort=ending&status=open",
    "mine=true&sort=-budget",
    "near=45.44,12.33&radius_km=50&sort=newest",
    "q=lighthouse",
    "q=lighthouse&sort=newest&status=open",
]


def parsed(query: str) -> JobQuery:
    return JobQuery.model_validate(dict(part.split("=") for part in query.split("&")))


async def plan_of(query: JobQuery, cursor_from: dict[str, Any] | None = None) -> list[str]:
    """The stages by which MongoDB answers a list, on its first page or after a job."""
    jobs = Job.get_pymongo_collection()
    wanted = conditions(Principal("guest", "s", "both"), query)
    if query.near:
        centre = [[query.near[1], query.near[0]], query.radius_km / 6378.1]
        wanted["point"] = {"$geoWithin": {"$centerSphere": centre}}
    order = ORDERS[query.sort or "newest"]
    if cursor_from:
        wanted = {"$and": [wanted, order.after(order.encode(cursor_from))]}
    explained = await jobs.find(wanted).sort(list(order.keys)).limit(21).explain()
    return list(stages(explained["queryPlanner"]["winningPlan"]))


async def test_no_list_scans_the_collection_nor_sorts_what_an_index_has_in_order(listed: Market) -> None:
    await Job.get_pymongo_collection().insert_many([{**made(number), "_id": f"more{number}"} for number in range(3000)])
    for text in IN_ORDER:
        for start in (None, PUBLIC[7]):
            found = await plan_of(parsed(text), start)
            assert "COLLSCAN" not in found, text
            assert "SORT" not in found, (text, start, found)
    for text in OTHERS:
        found = await plan_of(parsed(text))
        assert "COLLSCAN" not in found, text


async def test_the_other_queries_use_indexes(listed: Market) -> None:
    jobs = Job.get_pymongo_collection()
    now = listed.context.clock.now()
    for wanted in (
        {"opening": {"$gt": 0, "$lt": now}},
        {"pending.since": {"$gt": 0, "$lt": now}},
        {"winner": "ann", "status": "completed"},
        {"_id": "job0001"},
    ):
        explained = await jobs.find(wanted).explain()
        assert "COLLSCAN" not in list(stages(explained["queryPlanner"]["winningPlan"])), wanted
    nearest = [{"$geoNear": {"near": {"type": "Point", "coordinates": [12.33, 45.44]}, "key": "point",
                             "distanceField": "d", "query": {"scope": "public"}}}]  # fmt: skip
    explained = await listed.context.db.command(
        "explain", {"aggregate": "jobs", "pipeline": nearest, "cursor": {}}, verbosity="queryPlanner"
    )
    assert "COLLSCAN" not in list(stages(explained))
